"""The zoo through ONNX agrees with onnxruntime; odd files get a sentence."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import torchcaffe as caffe
from tests.torchcaffe.importing.test_zoo import run
from tests.torchcaffe.importing.zoo import SIZE, ZOO, example, make

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")


def save(module, path, opset=17, dynamic=True, **more):
    x = torch.zeros(2 if dynamic else 1, 3, SIZE, SIZE)
    axes = {"x": {0: "n"}} if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (x,), str(path), dynamo=False, input_names=["x"], dynamic_axes=axes,
            opset_version=opset, **more,
        )  # fmt: skip
    return path


@functools.cache
def options():
    made = runtime.SessionOptions()
    made.intra_op_num_threads = 1
    return made


def close(path, batch):
    x = example(batch)
    session = runtime.InferenceSession(str(path), options(), ["CPUExecutionProvider"])
    wanted = session.run(None, {"x": x.numpy()})
    net = run(caffe.from_onnx(path), x)
    assert len(net.outputs) == len(wanted)
    for blob, right in zip(net.outputs, wanted, strict=True):
        found = net.blobs[blob].data
        assert found.shape == right.shape
        assert np.abs(found - right).max() <= 1e-4 * max(np.abs(right).max(), 1e-3), blob
    return net


@pytest.mark.parametrize("name", [name for name in ZOO if name != "Recurrent"])
def test_the_zoo_agrees_with_onnxruntime(tmp_path, name):
    fixed = name in ("Functional", "Written")  # the exporter writes len(x) down as a number
    close(save(make(name), tmp_path / "net.onnx"), 2 if fixed else 3)


def test_a_recurrent_net_is_refused_in_a_sentence_that_says_where_it_runs(tmp_path):
    with pytest.raises(caffe.DefinitionError, match=r"a node of the kind LSTM, .* to a \.pt2 file"):
        caffe.from_onnx(save(make("Recurrent"), tmp_path / "net.onnx"))


@pytest.mark.parametrize("name", ["Plain", "Residual", "Mobile", "ViT"])
def test_a_file_for_one_image_works_too(tmp_path, name):
    path = save(make(name), tmp_path / "net.onnx", dynamic=False)
    net = close(path, 1)
    x = example(2)
    with torch.no_grad():
        wanted = make(name)(x).numpy()
    found = run(net, x).blobs[net.outputs[0]].data
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()


@pytest.mark.parametrize("opset", [9, 11, 20])
def test_older_and_newer_opsets_are_read(tmp_path, opset):
    close(save(make("Residual"), tmp_path / "net.onnx", opset=opset), 2)


def test_blobs_have_the_modules_names(tmp_path):
    net = caffe.from_onnx(save(make("Residual"), tmp_path / "net.onnx"))
    names = ["conv1", "maxpool", "layer1.0.conv1", "layer1.0.relu_1", "layer2.0.add", "fc"]
    assert set(names) <= set(net.blobs)


class Odd(nn.Module):
    def forward(self, x):
        return torch.linalg.det(x[:, :, :3, :3])


def rewritten(path, change):
    model = onnx.load(str(path))
    change(model)
    path.write_bytes(model.SerializeToString())


def old(model):
    model.opset_import[0].version = 5


def foreign(model):
    model.graph.node[0].op_type = "QLinearConv"


def any_size(model):
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"


def external(model):
    stored = model.graph.initializer[0]
    stored.ClearField("raw_data")
    stored.data_location = onnx.TensorProto.EXTERNAL
    stored.external_data.add(key="location", value="weights.bin")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (old, "has the opset 5; 7 or later is read: export it anew"),
        (foreign, "has a node of the kind QLinearConv, .*; take the model as it was before"),
        (any_size, "the input x has no fixed size; export it with fixed height and width"),
        (external, "weights.bin"),
    ],
)
def test_odd_files_are_refused_in_a_sentence(tmp_path, change, said):
    path = save(make("Shared"), tmp_path / "net.onnx")
    rewritten(path, change)
    with pytest.raises(caffe.CaffeError, match=said) as caught:
        caffe.from_onnx(path)
    assert "\n" not in str(caught.value)


def test_what_is_no_onnx_file_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "net.onnx"
    with pytest.raises(caffe.FileError, match="could not open file"):
        caffe.from_onnx(path)
    path.write_bytes(b"not a model at all")
    with pytest.raises(caffe.FileError, match="is no ONNX file, is cut off"):
        caffe.from_onnx(path)
    whole = save(make("Shared"), path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(caffe.FileError, match="is no ONNX file, is cut off"):
        caffe.from_onnx(path)


def test_without_the_package_a_sentence_says_how_to_get_it(tmp_path, monkeypatch):
    path = save(make("Shared"), tmp_path / "net.onnx")
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(caffe.FileError, match="pip install -r requirements-onnx.txt"):
        caffe.open_net(str(path))
