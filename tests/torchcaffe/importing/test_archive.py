"""A .pt2 file gives the net that the module itself gives, and damaged ones a sentence."""

from __future__ import annotations

import functools
import json
import zipfile

import numpy as np
import pytest
import torch

import torchcaffe as caffe
from tests.torchcaffe.importing.test_zoo import error, run
from tests.torchcaffe.importing.zoo import SIZE, ZOO, example, make
from torchcaffe.errors import LayerError

FREE = ({0: torch.export.Dim.AUTO},)


def save(module, path, batch=2, dynamic=FREE):
    x = torch.zeros(batch, 3, SIZE, SIZE)
    exported = torch.export.export(module, (x,), dynamic_shapes=dynamic)
    torch.export.save(exported, path)
    return path


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("fixed", [False, True], ids=["any number of images", "one image"])
def test_an_archive_is_the_module(tmp_path, name, fixed):
    module = make(name)
    path = save(module, tmp_path / "net.pt2", *((1, None) if fixed else ()))
    net = run(caffe.from_exported(path), example(3))
    with torch.no_grad():
        made = module(example(3))
    for blob, wanted in zip(net.outputs, made if isinstance(made, tuple) else [made], strict=True):
        assert error(net.blobs[blob].data, wanted) < 1e-5
    assert list(net.blobs) == list(caffe.from_torch(module, (3, SIZE, SIZE)).blobs)


def test_half_weights_become_float32(tmp_path):
    module = make("Residual").half()
    exported = torch.export.export(module, (torch.zeros(1, 3, SIZE, SIZE).half(),))
    torch.export.save(exported, tmp_path / "net.pt2")
    net = run(caffe.from_exported(tmp_path / "net.pt2"), example(2))
    with torch.no_grad():
        assert error(net.blobs["fc"].data, module.float()(example(2))) < 1e-5


@functools.cache
def small() -> dict[str, bytes]:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = save(make("Shared"), Path(folder) / "net.pt2")
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def changed(tmp_path, name, change):
    """Write the small archive with one JSON file changed."""
    path = tmp_path / "net.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in small().items():
            if file.endswith(name):
                value = json.loads(content)
                change(value)
                content = json.dumps(value).encode()
            archive.writestr(file, content)
    return path


def first_node(target):
    def change(model):
        model["graph_module"]["graph"]["nodes"][0]["target"] = target

    return change


def pickled(config):
    config["config"]["conv.weight"]["use_pickle"] = True


def longer(config):
    config["config"]["conv.weight"]["tensor_meta"]["sizes"][0]["as_int"] = 800


def newer(model):
    model["schema_version"]["major"] = 99


def no_graph(model):
    del model["graph_module"]["graph"]


ODD = [
    ("model.json", first_node("torch.ops.quantized.conv2d.new"), "not one of PyTorch's own"),
    ("model.json", first_node("torch.ops.aten.conv7d.default"), "has no operator aten.conv7d"),
    ("model.json", newer, "has version 99 of torch.export's form"),
    ("model.json", no_graph, "is damaged, or was written by another version"),
    ("weights_config.json", pickled, "holds conv.weight as a pickle, which would run code"),
    ("weights_config.json", longer, "is damaged: conv.weight of the shape .* needs 57600 numbers"),
]


@pytest.mark.parametrize(("name", "change", "said"), ODD)
def test_an_odd_archive_is_refused_in_a_sentence(tmp_path, name, change, said):
    with pytest.raises(caffe.CaffeError, match=said):
        caffe.from_exported(changed(tmp_path, name, change))


def test_what_is_no_archive_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "net.pt2"
    with pytest.raises(caffe.FileError, match="could not open file .*No such file"):
        caffe.from_exported(path)
    torch.save(make("Shared").state_dict(), path)
    with pytest.raises(caffe.FileError, match="pickled Python objects .*torch.export.save"):
        caffe.from_exported(path)
    path.write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(caffe.FileError, match="is not a .pt2 file, or is cut off"):
        caffe.from_exported(path)
    whole = save(make("Shared"), tmp_path / "whole.pt2").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(caffe.FileError, match="is not a .pt2 file, or is cut off"):
        caffe.from_exported(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/b.txt", "")
    with pytest.raises(caffe.FileError, match="holds no exported program"):
        caffe.from_exported(path)


def test_sample_inputs_are_not_looked_at(tmp_path):
    path = tmp_path / "net.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in small().items():
            archive.writestr(file, b"cos\nsystem\n" if "sample_inputs" in file else content)
    assert np.isfinite(run(caffe.from_exported(path), example(1)).blobs["fc"].data).all()


class OtherState(torch.nn.Module):
    """An LSTM that begins with a state of its own, for two images."""

    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(SIZE * 3, 4, batch_first=True)
        self.state = torch.nn.Parameter(torch.ones(1, 2, 4))

    def forward(self, x):
        return self.lstm(x.transpose(1, 2).flatten(2), (self.state, self.state))[0]


def test_a_state_for_two_images_is_not_run_with_three(tmp_path):
    net = caffe.from_exported(save(OtherState().eval(), tmp_path / "net.pt2", 2, None))
    run(net, example(2))
    net.blobs["x"].reshape(3, 3, SIZE, SIZE)
    with pytest.raises(LayerError, match="'lstm'.*state is for 2 images, its input has 3"):
        net.reshape()
