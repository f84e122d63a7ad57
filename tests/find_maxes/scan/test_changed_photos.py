"""A folder of photos that changes while it is scanned: what is left out, and that it is said."""

from __future__ import annotations

import copy
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from find_maxes import find_max_acts
from find_maxes.photos.net_input import Recipe
from find_maxes.photos.photo_list import CHANGED, GONE, WALK
from find_maxes.scan import maxes_file
from tests.find_maxes.conftest import Model

LATE = "b/photo 039.png"  # the last of the walk

# What happens to LATE -> why it is left out, where it is.
CHANGES = {
    "added": None,
    "removed": GONE,
    "replaced": CHANGED,
    "cut off": CHANGED,
    "emptied": CHANGED,
    "made a folder": CHANGED,
}


def change(photos: Path, what: str) -> None:
    path = photos / LATE
    if what == "added":
        (photos / "b" / "photo 100.png").write_bytes(path.read_bytes())
    elif what == "replaced":
        beside = photos.parent / "other.png"
        beside.write_bytes((photos / "a" / "photo 000.png").read_bytes())
        os.replace(beside, path)
    elif what == "cut off":
        os.truncate(path, path.stat().st_size // 2)
    elif what == "emptied":
        os.truncate(path, 0)
    else:
        path.unlink()
        if what == "made a folder":
            path.mkdir()


def at(monkeypatch: pytest.MonkeyPatch, name: str, action, after: bool = False) -> None:
    """Do something once, when a photo is read: before, or while its values go their way."""
    real, left = Recipe.picture, [action]

    def picture(self, path):
        def act():
            if path.endswith(name) and left:
                left.pop()()

        if not after:
            act()
        found = real(self, path)
        act()
        return found

    monkeypatch.setattr(Recipe, "picture", picture)


def scan(model: Model, out: Path, *options: str) -> dict[str, np.ndarray]:
    paths = [model.prototxt, model.weights, model.photos, WALK, out]
    words = ["--workers", "0", *options, *map(str, paths)]
    assert find_max_acts.main(words) in (0, 1)
    with np.load(out, allow_pickle=False) as file:
        return {name: file[name] for name in file.files if name != "settings"}


@pytest.fixture
def own(tiny, tmp_path):
    """The tiny model, with files of its own."""
    mine = copy.copy(tiny)
    shutil.copytree(tiny.folder, tmp_path / "model")
    mine.folder = tmp_path / "model"
    for name in ("prototxt", "weights", "photos"):
        setattr(mine, name, mine.folder / getattr(tiny, name).name)
    return mine


@pytest.mark.parametrize(
    ("what", "when"), [*((what, "photo 000.png") for what in CHANGES), ("cut off", LATE)]
)
def test_it_is_left_out_and_the_rest_is_as_without_it(
    own, tmp_path, monkeypatch, capsys, what, when
):
    with monkeypatch.context() as patch:
        at(patch, when, lambda: change(own.photos, what), after=True)
        found = scan(own, tmp_path / "max.npz")
    said, why = capsys.readouterr().err, CHANGES[what]
    names = found["filenames"].tolist()
    bad = {names[i]: r for i, r in zip(found["bad_index"], found["bad_reason"], strict=True)}
    assert len(names) == 40
    assert bad == ({LATE: why} if why else {})
    assert (f"bad file {LATE}: {why}" in said) == bool(why)
    assert "Traceback" not in said
    if what == "cut off":  # the same as of a folder in which it can't be read from the start
        (own.photos / LATE).write_bytes(b"no picture")
        wanted = scan(own, tmp_path / "bad.npz")
        assert all(np.array_equal(wanted[n], found[n]) for n in found if n != "bad_reason")


def test_one_that_changes_between_two_runs_is_not_mixed_in(own, tmp_path, monkeypatch, capsys):
    out = tmp_path / "max.npz"

    def stop():
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        at(patch, LATE, stop)
        paths = [own.prototxt, own.weights, own.photos, WALK, out]
        words = ["--workers", "0", "--checkpoint-every", "0", *map(str, paths)]
        assert find_max_acts.main(words) == 130
    assert maxes_file.read_versions(maxes_file.checkpoint_of(out)).shape == (40, 2)
    change(own.photos, "replaced")
    found = scan(own, out, "--resume")
    assert found["bad_reason"].tolist() == [CHANGED]
    assert f"bad file {LATE}: {CHANGED}" in capsys.readouterr().err


# The definition under the same name -> whether a scan goes on.
@pytest.mark.parametrize(("text", "goes_on"), [("# a remark\n", True), ("", True), (None, False)])
def test_another_definition_under_the_same_name_is_refused(own, tmp_path, capsys, text, goes_on):
    out = tmp_path / "max.npz"
    scan(own, out)
    before = own.prototxt.read_text()
    other = before.replace("pool: MAX", "pool: AVE") if text is None else text + before
    own.prototxt.write_text(other, encoding="utf-8")
    capsys.readouterr()
    scan(own, out, "--resume")
    assert ("is finished already" in capsys.readouterr().out) == goes_on


def test_files_that_change_while_they_are_read_are_refused(own, tmp_path, monkeypatch, capsys):
    from find_maxes import find

    real = find.open_job

    def replaced(options, images):
        found = real(options, images)
        own.weights.write_bytes(own.weights.read_bytes() + b"\0")
        return found

    monkeypatch.setattr(find, "open_job", replaced)
    paths = [own.prototxt, own.weights, own.photos, WALK, tmp_path / "max.npz"]
    words = ["--workers", "0", *map(str, paths)]
    assert find_max_acts.main(words) == 2
    said = capsys.readouterr().err.strip()
    assert said.endswith(f"{own.weights} has changed since the network was opened: start again")
    assert "\n" not in said
    assert not (tmp_path / "max.npz").exists()
