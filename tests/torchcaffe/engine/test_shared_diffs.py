"""Diffs that layers only hand on are one tensor, and nobody sees that."""

import numpy as np
import pytest
import torch

import torchcaffe as caffe
from torchcaffe.blobs.blob import Blob
from torchcaffe.proto.caffe_pb2 import NetParameter
from torchcaffe.proto.text import parse_text

TEXT = """force_backward: true
layer { name: 'data' type: 'Input' top: 'data'
  input_param { shape { dim: N dim: 8 dim: 4 dim: 4 } } }
layer { name: 'a' type: 'Convolution' bottom: 'data' top: 'a' CONV }
layer { name: 'relu_a' type: 'ReLU' bottom: 'a' top: 'a' }
layer { name: 'b' type: 'Convolution' bottom: 'data' top: 'b' CONV }
layer { name: 'relu_b' type: 'ReLU' bottom: 'b' top: 'b' }
layer { name: 'c' type: 'Convolution' bottom: 'data' top: 'c' CONV }
layer { name: 'join' type: 'Concat' bottom: 'a' bottom: 'b' top: 'join' }
layer { name: 'drop' type: 'Dropout' bottom: 'join' top: 'join' }
layer { name: 'sum' type: 'Eltwise' bottom: 'join' bottom: 'c' top: 'sum' }
""".replace(
    "CONV",
    "convolution_param { num_output: 8 kernel_size: 1 weight_filler { type: 'gaussian' std: 1 } }",
).replace(
    "top: 'c' convolution_param { num_output: 8", "top: 'c' convolution_param { num_output: 16"
)


def make(batch=1):
    caffe.set_random_seed(1)
    net = caffe.Net.from_param(parse_text(TEXT.replace("N dim", f"{batch} dim"), NetParameter()))
    net.blobs["data"].data[...] = np.random.RandomState(2).normal(0, 1, net.blobs["data"].shape)
    return net


def top_diff(net):
    return np.random.RandomState(5).normal(0, 1, net.blobs["sum"].shape).astype(np.float32)


def back(net, call="backward", **options):
    net.forward()
    getattr(net, f"{call}_from_layer")("sum", top_diff(net), **options)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("call", ["backward", "deconv", "guided"])
def test_every_diff_is_what_it_should_be(batch, call):
    net = make(batch)
    back(net, call, zero_higher=True)
    diff = top_diff(net)
    for name in ("sum", "join", "c"):
        np.testing.assert_array_equal(net.blobs[name].diff, diff)
    for name, part in (("a", diff[:, :8]), ("b", diff[:, 8:])):
        below = part if call == "backward" else np.maximum(part, 0)
        mask = 1 if call == "deconv" else net.blobs[name].data > 0
        np.testing.assert_array_equal(net.blobs[name].diff, below * mask)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("written", ["sum", "join", "c", "a", "b"])
def test_who_writes_one_writes_no_other(batch, written):
    net = make(batch)
    back(net, zero_higher=True)
    names = ("sum", "join", "c", "a", "b")
    before = {name: net.blobs[name].diff.copy() for name in names}
    back(net, zero_higher=True)  # the arrays above have been let go
    net.blobs[written].diff[...] = 7
    for name in names:
        expected = np.full_like(before[name], 7) if name == written else before[name]
        np.testing.assert_array_equal(net.blobs[name].diff, expected)


def test_held_arrays_stay_live_and_apart():
    net = make()
    held = {name: net.blobs[name].diff for name in ("sum", "join", "c", "a")}
    back(net)
    np.testing.assert_array_equal(held["join"], top_diff(net))
    assert held["a"].any()
    held["join"][...] = 3
    np.testing.assert_array_equal(held["c"], top_diff(net))
    np.testing.assert_array_equal(held["sum"], top_diff(net))


def test_nothing_is_copied_on_the_way(monkeypatch):
    net = make()
    back(net, zero_higher=True)

    def never(*args, **options):
        raise AssertionError("a diff was copied")

    net.forward()
    net.blobs["sum"].set_diff(torch.from_numpy(top_diff(net)))
    monkeypatch.setattr(torch.Tensor, "clone", never)
    net._backward(net._index("sum"), net._index("join"), params=False)
    assert net.blobs["a"].diff_tensor.data_ptr() == net.blobs["sum"].diff_tensor.data_ptr()


def test_branches_without_a_diff_are_not_added_up():
    net = make()
    net.forward()
    net.backward_from_layer("c", np.ones(net.blobs["c"].shape), zero_higher=True)
    split = [name for name in net.blobs if "split" in name]
    assert [net.blobs[name].has_diff() for name in split] == [False, False, True]
    np.testing.assert_array_equal(net.blobs["data"].diff, net.blobs[split[2]].diff)
    net.clear_param_diffs()
    for name in split:
        net.blobs[name].clear_diff()
    net._backward(1, 1, params=False)  # the split, from nothing at all
    assert not net.blobs["data"].diff.any()


@pytest.mark.parametrize("rule", ["backprop", "deconv", "guided"])
def test_a_callers_tensor_is_left_alone(rule):
    net, blob = make(), Blob((1, 2))
    mine = torch.full((1, 2), -1.0)
    blob.add_to_diff(mine)
    blob.diff[...] = 5
    assert (mine == -1).all()
    net.forward()
    diff = torch.randn(net.blobs["a"].dims)
    kept = diff.clone()
    net.blobs["a"].clear_diff()
    net.blobs["a"].add_to_diff(diff)
    net._backward(net._index("relu_a"), net._index("relu_a"), caffe.RULES[rule], params=False)
    assert torch.equal(diff, kept)
    assert not torch.equal(net.blobs["a"].diff_tensor, kept)
