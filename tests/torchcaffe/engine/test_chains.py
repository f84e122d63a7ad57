"""A convolution with BatchNorm and Scale as one; tests/.../test_pairs.py has their values."""

import numpy as np
import pytest

import torchcaffe as caffe
from torchcaffe.engine.pairs import Pair
from torchcaffe.proto.caffe_pb2 import NetParameter
from torchcaffe.proto.text import parse_text

TEXT = """force_backward: true
layer { name: 'data' type: 'Input' top: 'data'
  input_param { shape { dim: 2 dim: 3 dim: 6 dim: 5 } } }
layer { name: 'conv' type: 'Convolution' bottom: 'data' top: 'conv'
  convolution_param { num_output: 4 kernel_size: 3 bias_term: BIAS
    weight_filler { type: 'gaussian' std: 1 } bias_filler { type: 'constant' value: 2 } } }
layer { name: 'bn' type: 'BatchNorm' bottom: 'conv' top: 'conv' }
layer { name: 'scale' type: 'Scale' bottom: 'conv' top: 'conv' scale_param { bias_term: true } }
layer { name: 'relu' type: 'ReLU' bottom: 'conv' top: 'conv' }
"""


def make(bias=True):
    caffe.set_random_seed(1)
    text = TEXT.replace("BIAS", str(bias).lower())
    net = caffe.Net.from_param(parse_text(text, NetParameter()))
    random = np.random.RandomState(3)
    assert net.params["conv"][0].data.any()  # drawn now
    for name in ("bn", "scale"):
        for blob in net.params[name]:
            blob.data[...] = random.uniform(0.5, 1.5, blob.shape)
    net.blobs["data"].data[...] = random.normal(0, 1, net.blobs["data"].shape)
    return net


def both_ways(net):
    net.forward()
    top = net.blobs["conv"].data.copy()
    net.backward_from_layer("conv", np.ones_like(top), zero_higher=True)
    start = net.blobs["data"].diff.copy()
    net.forward()
    net.blobs["conv"].diff[...] = 1
    net._backward(len(net.nodes) - 1, 0, params=False)
    return [top, start, *(net.blobs[name].diff.copy() for name in ("conv", "data"))]


@pytest.mark.parametrize("bias", [True, False])
def test_the_three_are_one(bias, monkeypatch):
    net, alone = make(bias), make(bias)
    alone.after_forward(lambda number: None)
    expected = both_ways(alone)

    def never(*args):
        raise AssertionError("BatchNorm and Scale ran behind the convolution")

    monkeypatch.setattr(Pair, "forward", never)
    monkeypatch.setattr(Pair, "backward", never)
    for ours, value in zip(both_ways(net), expected, strict=True):
        assert value.any()
        np.testing.assert_allclose(ours, value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("layer", "number"), [("conv", 0), ("conv", 1), ("bn", 1), ("scale", 1)])
def test_an_edited_parameter_counts(layer, number):
    net, alone = make(), make()
    alone.after_forward(lambda number: None)
    for each in (net, alone):
        both_ways(each)
        each.params[layer][number].data[...] *= 3
    for ours, value in zip(both_ways(net), both_ways(alone), strict=True):
        np.testing.assert_allclose(ours, value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("layer", "number"), [("conv", 0), ("bn", 0), ("scale", 1)])
def test_broken_weights_are_seen_behind_the_relu(layer, number):
    net = make()
    net.params[layer][number].data[1] = np.nan
    assert np.isnan(net.forward()["conv"][:, 1]).all()
    assert np.isfinite(net.blobs["conv"].data[:, 0]).all()


def test_twins_share_one_layout():
    net = make()
    twin = net.twin()
    twin.blobs["data"].data[...] = net.blobs["data"].data
    np.testing.assert_array_equal(net.forward()["conv"], twin.forward()["conv"])
    assert len(net.params["conv"][0].memory._derived) == 1
