"""Every blob has memory of its own: writing one changes no other (but views, as in Caffe)."""

import numpy as np
import pytest

import torchcaffe as caffe
from torchcaffe.proto.caffe_pb2 import NetParameter
from torchcaffe.proto.text import parse_text

INPUT = """layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 4 dim: 5 dim: 6 } } }
"""
# layers that could hand on their bottom's memory, or their top's going backward
LAYERS = {
    "Dropout": 'layer { name: "x" type: "Dropout" bottom: "data" top: "x" }',
    "Slice": 'layer { name: "x" type: "Slice" bottom: "data" top: "x" top: "y" }',
    "Concat": 'layer { name: "x" type: "Concat" bottom: "data" bottom: "data" top: "x" }',
    "Crop": 'layer { name: "x" type: "Crop" bottom: "data" bottom: "data" top: "x" }',
    "Eltwise": 'layer { name: "x" type: "Eltwise" bottom: "data" bottom: "data" top: "x" }',
    "Tile": 'layer { name: "x" type: "Tile" bottom: "data" top: "x" tile_param { tiles: 1 } }',
    "Permute": 'layer { name: "x" type: "Permute" bottom: "data" top: "x" }',
    "LRN": """layer { name: "x" type: "LRN" bottom: "data" top: "x"
      lrn_param { deconv_ignore: true } }""",
}
VIEWS = {
    "Flatten": 'layer { name: "x" type: "Flatten" bottom: "data" top: "x" }',
    "Reshape": """layer { name: "x" type: "Reshape" bottom: "data" top: "x"
      reshape_param { shape { dim: 2 dim: 2 dim: 0 dim: 0 } } }""",
}


def make(text):
    net = caffe.Net.from_param(parse_text(INPUT + text, NetParameter()))
    net.blobs["data"].data[...] = np.arange(120).reshape(1, 4, 5, 6)
    net.forward()
    return net


@pytest.mark.parametrize("kind", LAYERS)
def test_writing_a_top_leaves_its_bottom(kind):
    net = make(LAYERS[kind])
    net.blobs["x"].data[...] = -1
    np.testing.assert_array_equal(net.blobs["data"].data.ravel(), np.arange(120))


@pytest.mark.parametrize("rule", ["backward", "deconv", "guided"])
@pytest.mark.parametrize("kind", [*LAYERS, *VIEWS])
def test_going_backward_twice_gives_the_same(kind, rule):
    net = make({**LAYERS, **VIEWS}[kind])
    go = getattr(net, f"{rule}_from_layer")
    diff = np.random.RandomState(0).normal(0, 1, net.blobs["x"].shape)
    first = go("x", diff, list(net.blobs), zero_higher=True)
    held = {name: value.copy() for name, value in first.items()}
    again = go("x", diff, list(net.blobs), zero_higher=True)
    for name, value in held.items():
        np.testing.assert_array_equal(again[name], value, err_msg=name)
    assert np.abs(held["data"]).max() > 0


@pytest.mark.parametrize("kind", [*LAYERS, *VIEWS])
def test_writing_a_diff_leaves_the_others(kind):
    net = make({**LAYERS, **VIEWS}[kind])
    net.blobs["x"].diff[...] = 1
    net.backward()
    others = {name: b.diff.copy() for name, b in net.blobs.items() if name != "x"}
    net.blobs["x"].diff[...] = 7
    for name, value in others.items():
        np.testing.assert_array_equal(net.blobs[name].diff, value, err_msg=name)


@pytest.mark.parametrize("kind", VIEWS)
def test_views_share_their_data(kind):
    net = make(VIEWS[kind])
    net.blobs["x"].data[...] = -1
    assert (net.blobs["data"].data == -1).all()


def test_in_place_layer_behind_a_slice_leaves_the_input():
    relu = 'layer { name: "relu" type: "ReLU" bottom: "x" top: "x" }'
    net = make(LAYERS["Slice"] + relu)
    net.blobs["data"].data[...] = -5
    net.forward()
    assert (net.blobs["x"].data == 0).all()
    assert (net.blobs["data"].data == -5).all()


def test_arrays_stay_live_over_passes_and_beyond_the_net():
    net = make(LAYERS["Dropout"])
    top, bottom = net.blobs["x"].data, net.blobs["data"].data
    bottom[...] = 3
    net.forward()
    assert (top == 3).all() and net.blobs["x"].data.base is not None
    net.blobs["x"].diff[...] = 2
    diff = net.blobs["data"].diff
    net.backward()
    assert (diff == 2).all()
    del net
    assert (top == 3).all() and (bottom == 3).all() and (diff == 2).all()
