"""Stamps of folders of unit images: which network they were made from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from toolbox.pictures.stamp import (
    NAME,
    Stamp,
    StampError,
    foreign,
    read_stamp,
    stamp_of,
    write_stamp,
)


@pytest.fixture
def model(tmp_path: Path) -> tuple[Path, Path]:
    net, weights = tmp_path / "deploy.prototxt", tmp_path / "net.caffemodel"
    net.write_text('name: "a" # as trained\nlayer { name: "conv1" }\n', encoding="utf-8")
    weights.write_bytes(b"weights of the first training")
    return net, weights


def test_a_folder_is_of_the_network_that_wrote_it(tmp_path, model):
    folder = tmp_path / "jpgs" / "max_im" / "conv1"
    write_stamp(folder, stamp_of(*model))
    assert read_stamp(folder, tmp_path / "jpgs") == stamp_of(*model)
    assert foreign(folder, tmp_path / "jpgs", stamp_of(*model)) == ""
    assert os.listdir(folder) == [NAME]  # nothing left beside it


def test_comments_spaces_and_names_of_files_change_no_network(tmp_path, model):
    net, weights = model
    other = tmp_path / "copy.prototxt"
    other.write_text('name: "a"\n  layer  { name: "conv1" }', encoding="utf-8")
    assert stamp_of(other, weights).same(stamp_of(net, weights))


def test_other_weights_are_named_with_what_tells_them_apart(tmp_path, model):
    net, weights = model
    root = tmp_path / "jpgs"
    write_stamp(root / "max_im" / "conv1", stamp_of(net, weights))
    weights.write_bytes(b"weights of the second one")  # under the same name
    now = stamp_of(net, weights)
    sentence = foreign(root / "max_im" / "conv1", root, now)
    assert sentence.count("net.caffemodel") == 2
    assert now.weights_sha256[:8] in sentence
    assert foreign(root / "max_im" / "conv2", root, now) == ""  # of no known network


def test_another_definition_is_another_network(tmp_path, model):
    net, weights = model
    before = stamp_of(net, weights)
    net.write_text('name: "a" layer { name: "conv2" }', encoding="utf-8")
    write_stamp(tmp_path / "jpgs", before)
    assert "deploy.prototxt" in foreign(tmp_path / "jpgs", tmp_path / "jpgs", stamp_of(*model))


def test_the_nearest_stamp_counts(tmp_path, model):
    net, weights = model
    root, first = tmp_path / "jpgs", stamp_of(net, weights)
    weights.write_bytes(b"other weights")
    second = stamp_of(net, weights)
    write_stamp(root, first)
    write_stamp(root / "max_im" / "conv2", second)
    assert read_stamp(root / "max_im" / "conv1", root) == first
    assert read_stamp(root / "max_im" / "conv2", root) == second
    assert read_stamp(tmp_path, root) is None  # what lies above the root does not count


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"net": "a"}'])
def test_a_broken_stamp_is_one_sentence(tmp_path, content):
    (tmp_path / NAME).write_text(content, encoding="utf-8")
    with pytest.raises(StampError, match="does not say which network .* remove it"):
        read_stamp(tmp_path, tmp_path)


def test_files_that_are_not_there_are_named(tmp_path):
    with pytest.raises(StampError, match=r"missing\.prototxt cannot be read: no such file"):
        stamp_of(tmp_path / "missing.prototxt", tmp_path / "w.caffemodel")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StampError, match="cannot be written"):
        write_stamp(tmp_path / "file" / "below", Stamp("net", "weights", "1234", "5678"))
