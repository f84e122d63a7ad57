"""One function opens a net of any kind; what it can't open it refuses in a sentence."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import torch
from torch import nn

import torchcaffe as caffe
from tests.torchcaffe.importing.zoo import SIZE, example, make

CODE = """
from tests.torchcaffe.importing import zoo
def net():
    return zoo.make("Shared", seed=5)
made = zoo.make("Shared", seed=6)
def number():
    return 3
def broken():
    raise OSError("no such data")
class Loop(zoo.nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x
class Two(zoo.nn.Module):
    def forward(self, x, y):
        return x + y
class Scripted(zoo.nn.Module):
    def __init__(self):
        super().__init__()
        self.part = zoo.torch.jit.script(zoo.nn.Conv2d(3, 4, 3))
class Sized(zoo.nn.Module):
    def __init__(self, classes):
        super().__init__()
class Flat(zoo.nn.Module):
    def forward(self, x):
        return x.sum(1).sum(1)
"""
FORMS = ["state.pth", "checkpoint.pth", "wrapped.pth", "lightning.pth", "state.safetensors"]
SHAPE = f"@3,{SIZE},{SIZE}"


@pytest.fixture
def code(tmp_path):
    path = tmp_path / "mynets.py"
    path.write_text(CODE, encoding="utf-8")
    return str(path)


def output(net, x):
    net.blobs[net.inputs[0]].reshape(*x.shape)
    net.reshape()
    net.blobs[net.inputs[0]].data[...] = x.numpy()
    net.forward()
    return net.blobs[net.outputs[0]].data.copy()


def save_safe(state, path):
    """Write a .safetensors file: the length of a JSON header, the header, raw numbers."""
    header, raw = {}, b""
    for name, tensor in state.items():
        kind = {torch.float32: "F32", torch.int64: "I64"}[tensor.dtype]
        data = tensor.contiguous().numpy().tobytes()
        ends = [len(raw), len(raw) + len(data)]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": ends}
        raw += data
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw)


@pytest.mark.parametrize("what", ["net", "made"])
def test_python_code_makes_the_net(code, what):
    net = caffe.open_net(f"{code}:{what}{SHAPE}")
    with torch.no_grad():
        wanted = make("Shared", seed=5 if what == "net" else 6)(example(2))
    np.testing.assert_allclose(output(net, example(2)), wanted.numpy(), atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_put_into_it(code, tmp_path, form):
    module, path = make("Shared", seed=9), tmp_path / form
    state = module.state_dict()
    if form == "checkpoint.pth":
        torch.save({"epoch": 3, "state_dict": state}, path)
    elif form == "wrapped.pth":
        torch.save({f"module.{name}": value for name, value in state.items()}, path)
    elif form == "lightning.pth":
        inner = {f"model.{name}": value for name, value in state.items()}
        torch.save({"state_dict": inner, "hyper_parameters": {"lr": 0.1}}, path)
    elif form == "state.pth":
        torch.save(state, path)
    else:
        save_safe(state, path)
    net = caffe.open_net(f"{code}:net{SHAPE}", str(path))
    with torch.no_grad():
        np.testing.assert_allclose(output(net, example(1)), module(example(1)).numpy(), atol=1e-5)


def whole(path):
    torch.save(make("Shared"), path)


def other(path):
    torch.save(make("Plain").state_dict(), path)


def larger(path):
    state = make("Shared").state_dict()
    torch.save({**state, "fc.weight": torch.zeros(9, 8)}, path)


def no_tensors(path):
    torch.save({"epoch": 3}, path)


def cut(path):
    torch.save(make("Shared").state_dict(), path)
    path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (whole, "holds more than tensors, and loading that would run code"),
        (other, "does not fit Shared: it lacks stem.weight.*it has features.0.weight"),
        (larger, r"fc.weight has the shape \(9, 8\), not \(8, 8\)"),
        (no_tensors, "holds no weights by name"),
        (cut, "holds no weights that torch.load can read, or is cut off"),
        (lambda path: None, "could not open file"),
    ],
)
def test_odd_weights_are_refused_in_a_sentence(code, tmp_path, write, said):
    write(tmp_path / "state.pth")
    with pytest.raises(caffe.CaffeError, match=said):
        caffe.open_net(f"{code}:net{SHAPE}", str(tmp_path / "state.pth"))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("number", "makes a int; a torch.nn.Module, or a function"),
        ("broken", "fails: OSError: no such data"),
        ("nothing", "has no attribute 'nothing'"),
        ("Sized", "missing 1 required .* 'classes'; name a function or class that makes the"),
        ("Scripted", "can't be exported: part is TorchScript; put the module there"),
        ("Loop", "Loop can't be exported with input of .*: torch.export says .*"),
        ("Two", "Two can't be exported .* missing .*'y'"),
    ],
)
def test_odd_code_is_refused_in_a_sentence(code, what, said):
    with pytest.raises(caffe.CaffeError, match=said) as caught:
        caffe.open_net(f"{code}:{what}{SHAPE}")
    assert "\n" not in str(caught.value)


def test_a_module_that_is_not_found_says_from_where_it_is_looked_for(code):
    with pytest.raises(
        caffe.CaffeError, match=r"in the folder that has nomod\.py, or .* nets/nomod"
    ):
        caffe.open_net("nomod:net")


def test_what_needs_another_file_says_which(tmp_path):
    (tmp_path / "state.pth").write_bytes(b"")
    with pytest.raises(caffe.ArgumentError, match="weights without the model they belong to"):
        caffe.open_net(str(tmp_path / "state.pth"))
    with pytest.raises(caffe.ArgumentError, match="has its weights in it, so w.pth is not needed"):
        caffe.open_net(str(tmp_path / "net.pt2"), "w.pth")
    with pytest.raises(caffe.ArgumentError, match="channels, height and width, as @3,224,224"):
        caffe.open_net("mynets:net@3,32")
    with pytest.raises(caffe.DefinitionError, match="mynets_nowhere:net fails"):
        caffe.open_net("mynets_nowhere:net")
    with pytest.raises(caffe.DefinitionError, match="takes no image: its inputs have the shapes"):
        caffe.from_torch(nn.Linear(3, 2), (3,))


def test_the_deviation_divides_the_input_and_shares_the_weights(tmp_path, code):
    name = f"{code}:net{SHAPE}"
    plain, divided = caffe.open_net(name), caffe.open_net(name, deviation=(2.0, 4.0, 0.5))
    factors = torch.tensor([2.0, 4.0, 0.5]).view(1, 3, 1, 1)
    np.testing.assert_allclose(
        output(divided, example(2) * factors), output(plain, example(2)), atol=1e-6
    )
    diff = np.ones(plain.blobs["fc_1"].shape, np.float32)
    for net in (plain, divided):
        net.backward_from_layer("fc_1", diff, zero_higher=True)
    np.testing.assert_allclose(
        divided.blobs["x"].diff * factors.numpy(), plain.blobs["x"].diff, atol=1e-6
    )
    with pytest.raises(caffe.DefinitionError, match="must be above 0, one for all or one for each"):
        caffe.open_net(name, deviation=(1.0, 0.0, 1.0))
