"""Layers that no plain case fits: sources, random ones, Python, memory shared in place."""

import json
import math
import sys
import textwrap

import numpy as np
import pytest
import torch

import torchcaffe as caffe
from tests.torchcaffe.engine import test_auto_crop
from tests.torchcaffe.layers.replicas import sequences
from torchcaffe.layers.data import FileData
from torchcaffe.proto.caffe_pb2 import LayerParameter
from torchcaffe.proto.text import parse_text


def net_of(tmp_path, text, phase=caffe.TEST):
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    return caffe.Net(str(path), phase)


def data(*dims, name="x"):
    shape = "shape { " + " ".join(f"dim: {d}" for d in dims) + " }"
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ {shape} }} }}\n'


# ---------------------------------------------------------------- sources


def test_input_keeps_what_was_put_there(tmp_path):
    text = """layer { name: "in" type: "Input" top: "a" top: "b"
              input_param { shape { dim: 2 dim: 3 } } }"""
    net = net_of(tmp_path, text)
    net.blobs["a"].data[...] = 3
    net.forward()
    assert (net.blobs["a"].data == 3).all() and net.blobs["b"].shape == (2, 3)
    assert net.inputs == ["a", "b"]


def test_memory_data_has_images_and_labels(tmp_path):
    text = """layer { name: "m" type: "MemoryData" top: "data" top: "label"
              memory_data_param { batch_size: 2 channels: 3 height: 4 width: 5 } }"""
    net = net_of(tmp_path, text)
    net.forward()
    assert net.blobs["data"].shape == (2, 3, 4, 5) and net.blobs["label"].shape == (2,)


def test_dummy_data_fills_constants_once_and_noise_anew(tmp_path):
    text = """layer { name: "d" type: "DummyData" top: "a" top: "b" dummy_data_param {
              num: 2 num: 3 channels: 4 height: 1 width: 5
              data_filler { value: 7 } data_filler { type: "gaussian" std: 1 } } }"""
    net = net_of(tmp_path, text)
    net.forward()
    assert net.blobs["a"].shape == (2, 4, 1, 5) and net.blobs["b"].shape == (3, 4, 1, 5)
    assert (net.blobs["a"].data == 7).all()
    noise = net.blobs["b"].data.copy()
    net.blobs["a"].data[0] = 1
    net.forward()
    assert (net.blobs["a"].data[0] == 1).all() and (net.blobs["a"].data[1] == 7).all()
    assert not (net.blobs["b"].data == noise).all() and abs(noise.std() - 1) < 0.5


FILES = sorted(name for name, cls in caffe.LAYERS.items() if issubclass(cls, FileData))


@pytest.mark.parametrize("type_", FILES)
def test_file_layers_say_what_to_put_in_their_place(tmp_path, type_):
    text = f"""layer {{ name: "train" type: "{type_}" top: "data" top: "label"
               transform_param {{ crop_size: 31 }} }}"""
    with pytest.raises(caffe.DefinitionError, match=f"'train' \\({type_}\\)") as caught:
        net_of(tmp_path, text)
    lines = str(caught.value).split("size: ", 1)[1]
    net = net_of(tmp_path, lines)
    assert net.blobs["data"].shape == (1, 3, 31, 31) and net.blobs["label"].shape == (1,)


# ---------------------------------------------------------------- random layers


def test_dropout_scales_what_is_left_and_keeps_its_draw(tmp_path):
    text = (
        data(50, 40)
        + """layer { name: "d" type: "Dropout" bottom: "x" top: "y"
                             dropout_param { dropout_ratio: 0.25 } }"""
    )
    net = net_of(tmp_path, text, caffe.TRAIN)
    x = np.random.default_rng(0).uniform(1, 2, (50, 40)).astype(np.float32)
    net.forward(x=x)
    kept = net.blobs["y"].data != 0
    np.testing.assert_allclose(net.blobs["y"].data[kept], x[kept] / 0.75, rtol=1e-6)
    assert abs(kept.mean() - 0.75) < 0.05
    net.blobs["y"].diff[...] = x
    net.backward()
    np.testing.assert_allclose(net.blobs["x"].diff, np.where(kept, x / 0.75, 0), rtol=1e-6)


def test_dropout_in_place_keeps_its_draw(tmp_path):
    text = data(30, 40) + 'layer { name: "d" type: "Dropout" bottom: "x" top: "x" }'
    net = net_of(tmp_path, text, caffe.TRAIN)
    net.forward(x=np.ones((30, 40)))
    y = net.blobs["x"].data.copy()
    net.blobs["x"].diff[...] = 3
    net.backward()
    np.testing.assert_array_equal(net.blobs["x"].diff, 3 * y)
    assert set(np.unique(y)) == {0.0, 2.0}


POOLED = (
    data(2, 3, 7, 6)
    + """layer { name: "p" type: "Pooling" bottom: "x" top: "y"
    pooling_param { pool: STOCHASTIC kernel_size: 3 stride: 2 } }"""
)


def test_stochastic_pooling_draws_by_weight_and_goes_back_there(tmp_path):
    net = net_of(tmp_path, POOLED, caffe.TRAIN)
    x = np.random.default_rng(1).permutation(252).reshape(2, 3, 7, 6) % 5 * 1.0
    x += np.arange(252).reshape(x.shape) * 1e-3  # every value once
    caffe.set_random_seed(0)
    net.forward(x=x)
    y = net.blobs["y"].data.copy()
    net.blobs["y"].diff[...] = 1
    net.backward()
    expected = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(y.shape):
        window = x[n, c, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].astype(np.float32)
        (row,), (column,) = np.where(window == y[n, c, i, j])
        expected[n, c, 2 * i + row, 2 * j + column] += 1
    np.testing.assert_array_equal(net.blobs["x"].diff, expected)


def test_stochastic_pooling_prefers_large_values(tmp_path):
    net = net_of(tmp_path, POOLED, caffe.TRAIN)
    x = np.full((2, 3, 7, 6), 1.0)
    x[:, :, ::3] = 5.0
    drawn = [net.forward(x=x)["y"].mean() for _ in range(40)]
    assert 3.0 < np.mean(drawn) < 4.5  # 3 of 9 values are 5: share 15/21, mean about 3.9


# ---------------------------------------------------------------- training statistics


@pytest.mark.parametrize("top", ["y", "x"])
def test_batch_norm_moves_its_sums_when_training(tmp_path, top):
    text = (
        data(4, 3, 2, 2)
        + f"""layer {{ name: "n" type: "BatchNorm" bottom: "x" top: "{top}"
        batch_norm_param {{ moving_average_fraction: 0.9 }} }}"""
    )
    net = net_of(tmp_path, text, caffe.TRAIN)
    rng = np.random.default_rng(2)
    sums = [np.zeros(3), np.zeros(3), np.zeros(1)]
    for _ in range(3):
        x = rng.normal(2, 3, (4, 3, 2, 2)).astype(np.float32)
        net.forward(x=x)
        moments = x.mean((0, 2, 3)), x.var((0, 2, 3)) * 16 / 15, np.ones(1)
        sums = [0.9 * old + new for old, new in zip(sums, moments, strict=True)]
    for blob, expected in zip(net.params["n"], sums, strict=True):
        np.testing.assert_allclose(blob.data, expected, rtol=1e-4)


# ---------------------------------------------------------------- sequences in parts


@pytest.mark.parametrize("type_", ["LSTM", "RNN"])
def test_sequences_go_on_in_the_next_forward_pass(tmp_path, type_):
    settings = f"""layer {{ name: "it" type: "{type_}" bottom: "x" bottom: "cont" top: "y"
        recurrent_param {{ num_output: 3 weight_filler {{ type: "uniform" min: -1 }}
        bias_filler {{ type: "uniform" min: -1 }} }} }}"""
    caffe.set_random_seed(3)
    whole = net_of(tmp_path, data(6, 2, 4) + data(6, 2, name="cont") + settings)
    part = net_of(tmp_path, data(2, 2, 4) + data(2, 2, name="cont") + settings)
    part.share_with(whole)
    rng = np.random.default_rng(4)
    x, cont = rng.normal(size=(6, 2, 4)), np.ones((6, 2))
    cont[0], cont[4, 1] = 0, 0
    expected = whole.forward(x=x, cont=cont)["y"].copy()
    found = [part.forward(x=x[i : i + 2], cont=cont[i : i + 2])["y"].copy() for i in (0, 2, 4)]
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-6)
    # the first states are given, so no diff goes to the passes before
    part.blobs["y"].diff[...] = 1
    part._backward(2, 0)
    body = settings.split("{", 1)[1].rsplit("}", 1)[0]
    param = parse_text(body, LayerParameter())
    params = [blob.data.astype(float) for blob in part.params["it"]]
    replica = sequences.lstm if type_ == "LSTM" else sequences.rnn
    states = [s.numpy().astype(float) for s in part.layer_dict["it"]._first]
    step = np.zeros(x[4:].shape)
    step[0, 0, 1] = 1e-5
    ends = [
        replica(param, [x[4:] + sign * step, cont[4:]], params, states)[0].sum() for sign in (1, -1)
    ]
    assert part.blobs["x"].diff[0, 0, 1] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-3)


# ---------------------------------------------------------------- shared memory, in place


@pytest.mark.parametrize(
    "view",
    [
        'type: "Reshape" reshape_param { shape { dim: 0 dim: -1 } }',
        'type: "Flatten"',
    ],
)
def test_in_place_behind_a_view_changes_the_bottom_too(tmp_path, view):
    text = (
        data(2, 3, 2)
        + f"""
        layer {{ name: "v" {view} bottom: "x" top: "v" }}
        layer {{ name: "r" type: "ReLU" bottom: "v" top: "v" }}"""
    )
    net = net_of(tmp_path, text)
    x = np.random.default_rng(5).normal(size=(2, 3, 2)).astype(np.float32)
    for _ in range(2):
        net.forward(x=x)
        np.testing.assert_array_equal(net.blobs["v"].data, np.maximum(x, 0).reshape(2, 6))
        np.testing.assert_array_equal(net.blobs["x"].data, np.maximum(x, 0))
    net.blobs["v"].diff[...] = 2
    net.backward()
    np.testing.assert_array_equal(net.blobs["x"].diff, 2 * (x > 0))


def test_in_place_behind_a_split_leaves_the_other_branch_alone_backward(tmp_path):
    text = (
        data(2, 5)
        + """
        layer { name: "r" type: "ReLU" bottom: "x" top: "x" }
        layer { name: "a" type: "Power" bottom: "x" top: "a" power_param { scale: 2 } }
        layer { name: "s" type: "Sigmoid" bottom: "x" top: "s" }
        layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "s" top: "y" }"""
    )
    net = net_of(tmp_path, text)
    x = np.random.default_rng(6).normal(size=(2, 5)).astype(np.float32)
    net.forward(x=x)
    net.blobs["y"].diff[...] = 1
    net.backward()
    s = 1 / (1 + np.exp(-np.maximum(x, 0)))
    np.testing.assert_allclose(net.blobs["x"].diff, (2 + s * (1 - s)) * (x > 0), rtol=1e-5)


# ---------------------------------------------------------------- losses in a net


def test_loss_weights_seed_the_backward_pass(tmp_path):
    text = (
        data(3, 4)
        + data(3, name="label")
        + """
        layer { name: "l" type: "SoftmaxWithLoss" bottom: "x" bottom: "label" top: "loss"
                loss_weight: 0.5 }
        layer { name: "r" type: "Reduction" bottom: "x" top: "sum" loss_weight: 2 }"""
    )
    net = net_of(tmp_path, text)
    x = np.random.default_rng(7).normal(size=(3, 4))
    net.forward(x=x, label=np.array([0, 1, 3]))
    total = net._forward(0, len(net.layers) - 1)
    assert total == pytest.approx(
        0.5 * float(net.blobs["loss"].data) + 2 * float(net.blobs["sum"].data), rel=1e-5
    )
    net.backward()
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    p[range(3), [0, 1, 3]] -= 1
    np.testing.assert_allclose(net.blobs["x"].diff, 0.5 * p / 3 + 2, rtol=1e-4)
    assert dict(net.blob_loss_weights)["loss"] == 0.5


# ---------------------------------------------------------------- Python


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module with a layer that learns one factor."""
    (tmp_path / "own_layers.py").write_text(
        textwrap.dedent("""
        import torchcaffe as caffe

        class Times(caffe.Layer):
            def setup(self, bottom, top):
                self.blobs.add_blob(1)
                self.blobs[0].data[...] = float(self.param_str)

            def reshape(self, bottom, top):
                top[0].reshape(*bottom[0].data.shape)

            def forward(self, bottom, top):
                top[0].data[...] = self.blobs[0].data * bottom[0].data

            def backward(self, top, propagate_down, bottom):
                self.blobs[0].diff[0] += (top[0].diff * bottom[0].data).sum()
                bottom[0].diff[...] = self.blobs[0].data * top[0].diff
        """)
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "own_layers"
    sys.modules.pop("own_layers", None)


def test_python_layer_runs_forward_and_backward(tmp_path, module):
    text = (
        data(2, 3)
        + f"""layer {{ name: "t" type: "Python" bottom: "x" top: "y"
        python_param {{ module: "{module}" layer: "Times" param_str: "4" }} }}"""
    )
    net = net_of(tmp_path, text)
    x = np.random.default_rng(8).normal(size=(2, 3)).astype(np.float32)
    np.testing.assert_allclose(net.forward(x=x)["y"], 4 * x, rtol=1e-6)
    net.blobs["y"].diff[...] = x
    net.backward()
    np.testing.assert_allclose(net.blobs["x"].diff, 4 * x, rtol=1e-6)
    assert net.params["t"][0].diff[0] == pytest.approx((x * x).sum(), rel=1e-5)


def test_python_layers_can_be_refused(tmp_path, module):
    text = (
        data(2)
        + f"""layer {{ name: "t" type: "Python" bottom: "x" top: "y"
        python_param {{ module: "{module}" layer: "Times" param_str: "4" }} }}"""
    )
    refused = pytest.raises(caffe.DefinitionError, match="--allow-python-layers")
    with caffe.python_layers_allowed(False), refused:
        net_of(tmp_path, text)
    assert module not in sys.modules


# ---------------------------------------------------------------- one's own type


def test_own_layer_type(tmp_path):
    text = data(2, 3) + 'layer { name: "m" type: "MyType" bottom: "x" top: "y" }'
    with pytest.raises(caffe.DefinitionError, match=r'@torchcaffe\.layer\("MyType"\)'):
        net_of(tmp_path, text)

    @caffe.layer("MyType")
    class MyType(caffe.BaseLayer):
        def compute(self, bottoms, params):
            return [torch.sin(bottoms[0])]

    try:
        net = net_of(tmp_path, text)
        x = np.random.default_rng(9).normal(size=(2, 3))
        np.testing.assert_allclose(net.forward(x=x)["y"], np.sin(x), rtol=1e-5)
        net.blobs["y"].diff[...] = 1
        net.backward()
        np.testing.assert_allclose(net.blobs["x"].diff, np.cos(x), rtol=1e-5)
        assert "MyType" in caffe.layer_type_list()
    finally:
        del caffe.LAYERS["MyType"]


# which tests of this file cover types that have no case in `replicas`
def called(operator, arguments, blobs=(), bottoms=1):
    text = json.dumps(
        {"operator": operator, "arguments": arguments, "outputs": [0], "blobs": list(blobs)}
    )
    inputs = "".join(data(2, 3, 4, 4, name=f"x{i}") for i in range(bottoms))
    names = "".join(f' bottom: "x{i}"' for i in range(bottoms))
    return inputs + (
        f'layer {{ name: "y" type: "ATen"{names} top: "y" '
        f"python_param {{ param_str: {json.dumps(text)} }} }}"
    )


def test_aten_calls_the_operator_and_derives_it(tmp_path):
    net = net_of(tmp_path, called("aten.gelu.default", {"self": {"bottom": 0}}))
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)
    net.forward(x0=x)
    erf = np.vectorize(math.erf)(x / math.sqrt(2))
    np.testing.assert_allclose(net.blobs["y"].data, x * (1 + erf) / 2, atol=1e-6)
    slope = (1 + erf) / 2 + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    diff = net.backward_from_layer("y", np.ones_like(x), zero_higher=True)["x0"]
    np.testing.assert_allclose(diff, slope, atol=1e-6)


@pytest.mark.parametrize(
    ("operator", "arguments", "said"),
    [
        ("aten.relu_.default", {"self": {"bottom": 0}}, "changes its argument"),
        ("aten.from_file.default", {"filename": "/etc/passwd"}, "opens a file"),
        ("os.system.default", {"command": "true"}, "not one of PyTorch's own"),
        ("aten.nothing.default", {}, "has no operator"),
        ("aten.gelu.default", {"self": {"type": "load"}}, "no type of tensors"),
    ],
)
def test_aten_refuses_what_is_no_plain_operator(tmp_path, operator, arguments, said):
    with pytest.raises(caffe.CaffeError, match=said):
        net_of(tmp_path, called(operator, arguments))


def test_input_deviation_divides_each_channel(tmp_path):
    text = data(2, 3, 1, 2) + (
        'layer { name: "y" type: "InputDeviation" bottom: "x" top: "y" '
        'python_param { param_str: "[2.0, 4.0, 0.5]" } }'
    )
    net = net_of(tmp_path, text)
    x = np.arange(12, dtype=np.float32).reshape(2, 3, 1, 2)
    net.forward(x=x)
    factors = np.float32([2, 4, 0.5]).reshape(1, 3, 1, 1)
    np.testing.assert_array_equal(net.blobs["y"].data, x / factors)
    diff = net.backward_from_layer("y", x, zero_higher=True)["x"]
    np.testing.assert_array_equal(diff, x / factors)


OWN_TESTS = {
    "AutoCrop": test_auto_crop.test_offsets_of_fcn_8s,
    "InputDeviation": test_input_deviation_divides_each_channel,
    "ATen": test_aten_calls_the_operator_and_derives_it,
    "Input": test_input_keeps_what_was_put_there,
    "MemoryData": test_memory_data_has_images_and_labels,
    "DummyData": test_dummy_data_fills_constants_once_and_noise_anew,
    "Python": test_python_layer_runs_forward_and_backward,
}
