"""Where the units of imported nets are: tokens as squares, channels that are last."""

from __future__ import annotations

import numpy as np
import pytest

import torchcaffe as caffe
from tests.torchcaffe.importing.zoo import SIZE, make
from torchcaffe.engine.layouts import Layout


def layouts(name):
    return caffe.from_torch(make(name), (3, SIZE, SIZE)).layouts


def test_tokens_are_a_square_without_the_class_token():
    found = layouts("ViT")
    assert found["transpose"] == Layout(2, (1, 16, 16)), "patches alone, before the class"
    for name in ("norm1", "attn.qkv", "mlp.1", "add_3", "multi"):
        assert (found[name].axis, found[name].left_out) == (2, 1), name
    assert found["mlp.0"].units == 32
    assert not {"patch", "flatten", "head"} & set(found)


def test_channels_that_are_last_are_the_units():
    found = layouts("ConvNeXt")
    assert found["stage.0.up"] == Layout(3, (1, 8, 8, 48))
    assert not {"stem.0", "stage.0.depth", "head"} & set(found)


@pytest.mark.parametrize(("extra", "said"), [(0, "3x3 tokens"), (1, "3x3 tokens, 1 more not shown"),
                                             (5, "3x3 tokens, 5 more not shown")])  # fmt: skip
def test_maps_hold_the_tokens_in_their_order(extra, said):
    layout = Layout(2, (1, 9 + extra, 2))
    values = np.arange((9 + extra) * 2, dtype=np.float32).reshape(9 + extra, 2)
    maps = layout.maps(values)
    assert maps.shape == (2, 3, 3)
    np.testing.assert_array_equal(maps[1].ravel(), values[extra:, 1])
    assert layout.about() == said


def test_what_is_no_square_stays_a_row_and_units_first_writes_through():
    layout = Layout(2, (1, 7, 2))
    values = np.zeros((7, 2), np.float32)
    layout.units_first(values)[1] = 3
    assert (values[:, 1] == 3).all() and (values[:, 0] == 0).all()
    assert layout.left_out is None and layout.maps(values).shape == (2, 7)


def test_nets_of_caffes_own_are_shown_as_before(net_of):
    text = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 4
    dim: 4 } } } layer { name: "p" type: "Permute" bottom: "x" top: "p" permute_param { order: 0
    order: 2 order: 3 order: 1 } }"""
    assert net_of(text).layouts == {}
