"""List files: one path a line, or a pair, with labels, spaces and mistakes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toolbox.input.lists import FilesError, read_list
from toolbox.pictures.image_file import write_image

NAMES = ("a.png", "b c.png", "ü.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(NAMES):
        write_image(tmp_path / name, np.full((4, 6, 3), 50 * (number + 1), np.uint8))
    return tmp_path


def listed(folder: Path, *lines: str, **options) -> list[tuple[str, ...]]:
    """Write a list, read it, and return the names without their folder."""
    (folder / "list.txt").write_text("\n".join(lines), encoding="utf-8")
    found = read_list(str(folder / "list.txt"), **options)
    return [tuple(path.rsplit("/", 1)[1] for path in paths) for paths in found]


def test_a_list_gives_paths_with_or_without_labels(folder):
    lines = ["# comment", "", "a.png 3", "b c.png", "b c.png\t7", "ü.png,1", "gone.png 5",
             str(folder / "a.png"), "gone too.png"]  # fmt: skip
    expected = ["a.png", "b c.png", "b c.png", "ü.png", "gone.png", "a.png", "gone too.png"]
    assert listed(folder, *lines) == [(name,) for name in expected]


PAIRS = {
    "a.png ü.png": ("a.png", "ü.png"),
    "a.png   ü.png 1": ("a.png", "ü.png"),
    "a.png,ü.png,0": ("a.png", "ü.png"),
    "a.png, ü.png": ("a.png", "ü.png"),
    "a.png\tü.png\tsame": ("a.png", "ü.png"),
    "b c.png\ta.png": ("b c.png", "a.png"),
    "b c.png\t\tb c.png\t1": ("b c.png", "b c.png"),
    "b c.png, a.png, 1": ("b c.png", "a.png"),
    "gone.png a.png": ("gone.png", "a.png"),
    "gone one.png\tgone two.png": ("gone one.png", "gone two.png"),
}


@pytest.mark.parametrize("line", PAIRS)
def test_a_list_of_pairs_gives_two_paths_a_line(folder, line: str):
    assert listed(folder, "# left right", line, pairs=True) == [PAIRS[line]]


def test_half_a_pair_is_one_sentence_that_names_the_line(folder):
    with pytest.raises(FilesError, match=r"Line 3 of the list .*names one file, 'a.png'; a pair"):
        listed(folder, "a.png ü.png", "", "a.png", pairs=True)


def test_what_is_not_beside_the_list_is_looked_up_in_the_folder(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("lists")
    (other / "list.txt").write_text("a.png\nb c.png 4\ngone.png\n", encoding="utf-8")
    write_image(other / "a.png", np.zeros((2, 2, 3), np.uint8))
    found = read_list(str(other / "list.txt"), folder=str(folder))
    assert found == [
        (str(other / "a.png"),),
        (str(folder / "b c.png"),),
        (str(other / "gone.png"),),
    ]


@pytest.mark.parametrize("pairs", [False, True])
def test_a_list_that_is_none_is_one_sentence(tmp_path, pairs: bool):
    with pytest.raises(FilesError, match="cannot be read"):
        read_list(str(tmp_path / "none.txt"), pairs)
    (tmp_path / "empty.txt").write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(FilesError, match="it needs two paths" if pairs else "it needs one path"):
        read_list(str(tmp_path / "empty.txt"), pairs)
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(FilesError, match="not a text file"):
        read_list(str(tmp_path / "binary.txt"), pairs)
