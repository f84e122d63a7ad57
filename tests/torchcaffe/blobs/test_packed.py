"""Convolutions with kept weight layouts against the plain ones, and when they are kept."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from google.protobuf import text_format

import torchcaffe as caffe
from torchcaffe.blobs import packed
from torchcaffe.blobs.blob import MAX_DERIVED, Blob
from torchcaffe.proto.caffe_pb2 import NetParameter

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
    ((1, 1), (1, 1), (1, 1), 1, (6, 7)),  # outputs that see padding alone
    ((3, 2), (1, 1), (4, 1), 2, (6, 7)),
    ((2, 2), (2, 1), (3, 3), 1, (6, 7)),
    ((3, 3), (1, 1), (1, 1), 1, (7, 7)),
    ((3, 3), (1, 1), (0, 2), 2, (6, 7)),
    ((3, 3), (1, 1), (3, 1), 1, (6, 7)),
]


@pytest.mark.parametrize("channels", [4, 16])  # few, as of a picture, and many
@pytest.mark.parametrize(("kernel", "stride", "pad", "group", "size"), GEOMETRIES)
def test_equal_to_double_precision(kernel, stride, pad, group, size, channels):
    rng = np.random.RandomState(0)
    weight = Blob((8, channels // group, *kernel))
    weight.data[...] = rng.normal(size=weight.shape)
    x = torch.from_numpy(rng.normal(size=(2, channels, *size)).astype(np.float32))
    plan = packed.Geometry(stride, pad, group)
    top = packed.convolve(x, weight, None, plan)
    inputs = x.double().requires_grad_()
    expected = torch.conv2d(inputs, weight.tensor.double(), None, stride, pad, 1, group)
    assert torch.allclose(top.double(), expected, rtol=1e-5, atol=1e-4)
    diff = torch.from_numpy(rng.normal(size=tuple(top.shape)).astype(np.float32))
    expected.backward(diff.double())
    back = packed.carry_back(diff, weight, size, plan)
    assert back.shape == x.shape
    assert torch.allclose(back.double(), inputs.grad, rtol=1e-5, atol=1e-4)
    factor, bias = (torch.from_numpy(rng.uniform(1, 2, 8).astype(np.float32)) for _ in range(2))
    fold, wide = packed.Fold(factor, bias, 1), factor.view(-1, 1, 1)
    top = packed.convolve(x, weight, bias, plan, fold)
    assert torch.allclose(top.double(), expected * wide + bias.view(-1, 1, 1), rtol=1e-5, atol=1e-3)
    folded = packed.carry_back(diff, weight, size, plan, fold)
    unfolded = packed.carry_back(diff * wide, weight, size, plan)
    assert torch.allclose(folded, unfolded, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("pad", [1, 2])
def test_no_row_of_a_3x3_gradient_is_computed_and_cut_off(monkeypatch, pad):
    rng, found, run = np.random.RandomState(0), [], packed._run
    weight = Blob((8, 16, 3, 3))
    weight.data[...] = rng.normal(size=weight.shape)
    diff = torch.from_numpy(rng.normal(size=(1, 8, 7, 9)).astype(np.float32))
    size = 9 - 2 * pad, 11 - 2 * pad
    plan = packed.Geometry((1, 1), (pad, pad), 1)
    former = packed._by_phases(diff, weight, size, plan, None)  # computes two rows more
    monkeypatch.setattr(packed, "_run", lambda *args: found.append(run(*args)) or found[-1])
    back = packed.carry_back(diff, weight, size, plan)
    assert [top.shape[2] for top in found] == [size[0]]
    assert torch.allclose(back, former, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("count", [1, 3, 16, 40])
@pytest.mark.parametrize("bias", [False, True])
def test_rows_equal_double_precision(bias, count):
    rng = np.random.RandomState(1)
    weight = Blob((13, 37))
    weight.data[...] = rng.normal(size=weight.shape)
    rows = torch.from_numpy(rng.normal(size=(count, 37)).astype(np.float32))
    added = torch.from_numpy(rng.normal(size=13).astype(np.float32)) if bias else None
    found = packed.multiply(rows, weight, added)
    expected = rows.double() @ weight.tensor.double().t() + (added.double() if bias else 0)
    assert torch.allclose(found.double(), expected, rtol=1e-5, atol=1e-5)
    back = packed.multiply_back(found, weight)
    laid_out = set(weight.memory._derived)
    assert (back is None) == (count < 16) and laid_out == (
        set() if count < 16 else {"rows", "rows back"}  # few rows: no copy of the weights
    )
    if back is not None:
        wanted = found.double() @ weight.tensor.double()
        assert torch.allclose(back.double(), wanted, rtol=1e-5, atol=1e-4)


def test_changed_weights_are_seen():
    weight, plan = Blob((2, 2, 3, 3)), packed.Geometry((1, 1), (1, 1), 1)
    weight.data[...] = 1.0
    x = torch.ones(1, 2, 5, 5)
    before = packed.convolve(x, weight, None, plan)
    weight.data[...] = 2.0
    after = packed.convolve(x, weight, None, plan)
    assert torch.equal(after, 2 * before)


def test_nets_on_several_threads_share_one_layout():
    """Eight threads ask at once: all get the same tensor, made once."""
    weight, made = Blob((4, 4)), []

    def make(tensor):
        made.append(time.sleep(0.01))
        return tensor + 1

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: weight.memory.derived("key", make), range(8)))
    assert len(made) == 1
    assert all(tensor is found[0] for tensor in found)


def test_layouts_of_one_parameter_are_bounded():
    weight = Blob((4, 4))
    for key in range(3 * MAX_DERIVED):
        assert weight.memory.derived(key, lambda tensor, key=key: tensor + key).max() == key
    assert len(weight.memory._derived) == MAX_DERIVED
    large = weight.memory.derived("large", lambda tensor: tensor.repeat(MAX_DERIVED - 2, 1))
    assert [made for _, made in weight.memory._derived.values()][-1] is large
    assert len(weight.memory._derived) == 3
    weight.memory.derived("beyond", lambda tensor: tensor.repeat(2 * MAX_DERIVED, 1))
    assert list(weight.memory._derived) == ["beyond"]


def test_of_what_else_a_layout_is_made_the_last_state_is_kept():
    weight = Blob((4, 4))
    for mark in range(3 * MAX_DERIVED):
        assert weight.memory.derived("key", lambda t, mark=mark: t + mark, mark).max() == mark
    assert len(weight.memory._derived) == 1


def test_nothing_is_kept_while_an_array_is_held():
    weight, plan = Blob((2, 2, 3, 3)), packed.Geometry((1, 1), (1, 1), 1)
    x = torch.ones(1, 2, 5, 5)
    held = weight.data
    assert packed.convolve(x, weight, None, plan) is None
    del held
    assert packed.convolve(x, weight, None, plan) is not None


@pytest.mark.parametrize("written", ["a", "b"])
@pytest.mark.parametrize("batch", [1, 3])
def test_loosely_shared_weights_are_never_stale(written, batch):
    """Two layers see one parameter in two shapes: what is written to one, both compute with."""
    layer = """layer { name: "%s" type: "InnerProduct" bottom: "%s" top: "%s"
      param { name: "w" share_mode: PERMISSIVE }
      inner_product_param { num_output: %d bias_term: false
        weight_filler { type: "constant" value: 1 } } }"""
    text = 'input: "data" input_shape { dim: 3 dim: 6 }'
    text += layer % ("a", "data", "a", 4) + layer % ("b", "a", "b", 6)
    net = caffe.Net.from_param(text_format.Parse(text, NetParameter()))
    net.blobs["data"].reshape(batch, 6)
    x = np.ones((batch, 6), np.float32)
    assert net.forward(data=x)["b"][0, 0] == 6 * 4
    net.params[written][0].data[...] = 2
    assert net.forward(data=x)["b"][0, 0] == 2 * 6 * 2 * 4
    net.params[written][0].set_tensor(torch.full(net.params[written][0].shape, 3.0))
    assert net.forward(data=x)["b"][0, 0] == 3 * 6 * 3 * 4


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
