"""Convolutions with kept weight layouts against the plain ones, and when they are kept."""

import numpy as np
import pytest
import torch

import torchcaffe as caffe
from torchcaffe import packed
from torchcaffe.blob import Blob

# kernel, stride, pad, group, input height and width
GEOMETRIES = [
    ((11, 11), (4, 4), (0, 0), 1, (31, 39)),
    ((5, 5), (1, 1), (2, 2), 2, (13, 9)),
    ((3, 3), (2, 2), (1, 1), 1, (14, 15)),
    ((1, 1), (1, 1), (0, 0), 1, (7, 7)),
    ((1, 1), (2, 2), (0, 0), 2, (8, 9)),
    ((3, 5), (2, 1), (1, 0), 1, (12, 12)),
    ((2, 3), (3, 4), (1, 2), 4, (17, 20)),
    ((7, 7), (2, 2), (3, 3), 1, (20, 21)),
]


@pytest.mark.parametrize(("kernel", "stride", "pad", "group", "size"), GEOMETRIES)
def test_equal_to_double_precision(kernel, stride, pad, group, size):
    rng = np.random.RandomState(0)
    weight = Blob((8, 8 // group, *kernel))
    weight.data[...] = rng.normal(size=weight.shape)
    x = torch.from_numpy(rng.normal(size=(2, 8, *size)).astype(np.float32))
    plan, kept = packed.Geometry(stride, pad, group), packed.Kept()
    top = packed.convolve(x, weight, None, plan, kept)
    inputs = x.double().requires_grad_()
    expected = torch.conv2d(inputs, weight.tensor.double(), None, stride, pad, 1, group)
    assert torch.allclose(top.double(), expected, rtol=1e-5, atol=1e-4)
    diff = torch.from_numpy(rng.normal(size=tuple(top.shape)).astype(np.float32))
    expected.backward(diff.double())
    back = packed.carry_back(diff, weight, size, plan, kept)
    assert back.shape == x.shape
    assert torch.allclose(back.double(), inputs.grad, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("bias", [False, True])
def test_a_row_equals_double_precision(bias):
    rng = np.random.RandomState(1)
    weight = Blob((13, 37))
    weight.data[...] = rng.normal(size=weight.shape)
    row = torch.from_numpy(rng.normal(size=(1, 37)).astype(np.float32))
    added = torch.from_numpy(rng.normal(size=13).astype(np.float32)) if bias else None
    found = packed.multiply(row, weight, added, packed.Kept())
    expected = row.double() @ weight.tensor.double().t() + (added.double() if bias else 0)
    assert torch.allclose(found.double(), expected, rtol=1e-5, atol=1e-5)


def test_changed_weights_are_seen():
    weight, plan, kept = Blob((2, 2, 3, 3)), packed.Geometry((1, 1), (1, 1), 1), packed.Kept()
    weight.data[...] = 1.0
    x = torch.ones(1, 2, 5, 5)
    before = packed.convolve(x, weight, None, plan, kept)
    weight.data[...] = 2.0
    after = packed.convolve(x, weight, None, plan, kept)
    assert torch.equal(after, 2 * before)


def test_nothing_is_kept_while_an_array_is_held():
    weight, plan, kept = Blob((2, 2, 3, 3)), packed.Geometry((1, 1), (1, 1), 1), packed.Kept()
    x = torch.ones(1, 2, 5, 5)
    held = weight.data
    assert packed.convolve(x, weight, None, plan, kept) is None
    del held
    assert packed.convolve(x, weight, None, plan, kept) is not None


def test_the_net_follows_a_held_view_of_its_weights(tmp_path):
    prototxt = tmp_path / "net.prototxt"
    prototxt.write_text(
        'force_backward: true layer { name: "data" type: "Input" top: "data" '
        "input_param { shape { dim: 1 dim: 2 dim: 6 dim: 6 } } } "
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
        "convolution_param { num_output: 3 kernel_size: 3 } }"
    )
    net = caffe.Net(prototxt, caffe.TEST)
    x = np.ones((1, 2, 6, 6), np.float32)
    net.forward(data=x)
    weights = net.params["c"][0].data
    for value in (1.0, 2.0):
        weights[...] = value
        assert net.forward(data=x)["c"][0, 0, 0, 0] == 18 * value
        diff = np.ones((1, 3, 4, 4), np.float32)
        back = net.backward_from_layer("c", diff, zero_higher=True)["data"]
        assert back[0, 0, 3, 3] == 27 * value
