"""What inputs hold that no picture feeds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from toolbox.pictures.held import Held, HeldError, held_words, pad_mean, parse_held
from toolbox.pictures.image_file import write_image

SHAPES = {"im_info": (2, 3), "data": (2, 5, 4, 6), "depth": (2, 1, 4, 6), "pair": (2, 3, 4, 4)}


def net() -> SimpleNamespace:
    blobs = {
        name: SimpleNamespace(shape=shape, data=np.zeros(shape, np.float32))
        for name, shape in SHAPES.items()
    }
    return SimpleNamespace(inputs=list(SHAPES), blobs=blobs)


def test_values_are_read_from_words():
    words = ["im_info=600,800,1", "a/b=-2.5", "depth=maps/d.npy", "x=(1, 2)"]
    assert parse_held(words) == (
        ("im_info", (600.0, 800.0, 1.0)), ("a/b", -2.5),
        ("depth", os.path.abspath("maps/d.npy")), ("x", (1.0, 2.0)),
    )  # fmt: skip
    assert parse_held(held_words(parse_held(words))) == parse_held(words)


def test_each_input_holds_its_value_in_every_image_of_the_batch(tmp_path: Path):
    np.save(tmp_path / "d.npy", np.arange(24, dtype=np.float32).reshape(4, 6))
    write_image(tmp_path / "grey.png", np.full((8, 12, 3), 77, np.uint8))
    filled = net()
    held = Held("data", (("im_info", (6.0, 8.0, 1.0)), ("depth", str(tmp_path / "d.npy")),
                         ("pair", (1.0, 2.0, 3.0)), ("data", (7.0, 8.0))))  # fmt: skip
    held.fill(filled)
    assert filled.inputs[0] == "data"
    assert filled.blobs["im_info"].data.tolist() == [[6, 8, 1]] * 2
    assert filled.blobs["depth"].data[1, 0].tolist() == np.arange(24).reshape(4, 6).tolist()
    assert filled.blobs["pair"].data[1, :, 3, 3].tolist() == [1, 2, 3]
    assert not filled.blobs["data"].data.any(), "pictures fill it"
    assert held.channels(filled, "data")[:, 2, 3].tolist() == [7, 8]
    assert held.channels(filled, "pair") is None
    assert Held.from_json(json.loads(json.dumps(held.to_json()))) == held
    Held(None, (("depth", str(tmp_path / "grey.png")),)).fill(filled)
    assert np.unique(filled.blobs["depth"].data).tolist() == [77]


# what is held, what the sentence says
WRONG = [
    (Held(None, (("im_inf", 1.0),)), "no input 'im_inf'; its inputs are im_info, data"),
    (Held("im_info", ()), "'im_info' has not the four axes"),
    (Held(None, (("im_info", (1.0, 2.0)),)), r"the shape \(3,\), and \(1.0, 2.0\) gives \(2,\)"),
    (Held(None, (("im_info", float("inf")),)), "not finite"),
    (Held(None, (("depth", "none.npy"),)), "none.npy.* is no .npy array"),
    (Held(None, (("depth", "none.png"),)), "none.png cannot be read"),
    (Held(None, (("pair", "p.png"),)), "p.png can't be held by the input 'pair'"),
]


@pytest.mark.parametrize(("held", "sentence"), WRONG)
def test_what_does_not_fit_is_one_sentence(held, sentence):
    with pytest.raises(HeldError, match=sentence):
        held.fill(net())
    with pytest.raises(HeldError, match="NAME=VALUE"):
        parse_held(["im_info"])


def test_a_mean_of_three_colours_counts_for_the_first_three_channels():
    mean = np.array([104, 117, 123], np.float32)
    assert pad_mean(mean, 5).tolist() == [104, 117, 123, 0, 0]
    assert pad_mean(mean, 3) is mean and pad_mean(mean, 6) is mean
