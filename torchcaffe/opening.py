"""Opening a net of any kind, as the window and all command lines do."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from torchcaffe.engine.net import Net
from torchcaffe.errors import ArgumentError
from torchcaffe.importing import from_exported, from_onnx, from_torch
from torchcaffe.importing.state import load_state
from torchcaffe.importing.user_code import UserModel, make, parse
from torchcaffe.layers.python_layer import python_layers_allowed
from torchcaffe.proto.caffe_pb2 import TEST, LayerParameter, NetParameter

NO_WEIGHTS = "-"  # in the place of a weights file, where there is none
_READERS = {".pt2": from_exported, ".onnx": from_onnx}
_WEIGHTS_ONLY = (".pth", ".pt", ".safetensors", ".bin", ".ckpt")


def holds_weights(definition: str) -> bool:
    """Return whether a definition's file has the weights in it: .pt2 and .onnx."""
    return Path(definition).suffix in _READERS


def is_imported(definition: str) -> bool:
    """Return whether a definition is PyTorch's or ONNX's, not Caffe's."""
    return holds_weights(definition) or parse(definition) is not None


def open_net(
    definition: str, weights: str | None = None, deviation: Sequence[float] | None = None
) -> Net:
    """Open a net for testing.

    Parameters
    ----------
    definition : str
        A prototxt; a .pt2 file of torch.export or an .onnx file; or "mynets:resnet", a module
        and the function or class in it that makes the model ("nets/mynets.py:resnet", and
        "mynets:resnet@3,32,32" where images are not 3x224x224). Only this last form runs
        Python code of the user's.
    weights : str, optional
        For a prototxt a .caffemodel or .h5 file, for a Python model a .pth or .safetensors
        file; without one (None or "-") the fillers' or the model's own.
    deviation : sequence of float, optional
        Divide the input's channels by these: a number a channel, or one for all.

    Raises
    ------
    CaffeError
        A file can't be read or the net can't be built; one sentence.
    """
    given = weights if weights not in (None, NO_WEIGHTS, definition) else None
    net = _opened(definition, given)
    return net if deviation is None else _with_deviation(net, deviation)


def _opened(definition: str, weights: str | None) -> Net:
    reader = _READERS.get(Path(definition).suffix)
    if reader is not None:
        if weights is not None:
            raise ArgumentError(
                f"{definition} has its weights in it, so {weights} is not needed; leave it out, "
                f"or write {NO_WEIGHTS} in its place"
            )
        return reader(definition)
    model = parse(definition)
    if model is not None:
        return _made(model, weights)
    if Path(definition).suffix in _WEIGHTS_ONLY:
        raise ArgumentError(
            f"{definition} holds weights without the model they belong to; name the Python code "
            'that makes it in front of them ("mynets:resnet"), or give a .pt2 or .onnx file'
        )
    return Net(definition, TEST, weights=weights, leave_out_unknown=True)


def _made(model: UserModel, weights: str | None) -> Net:
    module = make(model)
    if weights is not None:
        load_state(module, Path(weights))
    net = from_torch(module, model.shape)
    net.name = model.what
    return net


def _with_deviation(net: Net, deviation: Sequence[float]) -> Net:
    """Return a net of the same parameters with a layer InputDeviation behind its image input."""
    name = next((name for name in net.inputs if len(net.blobs[name].shape) == 4), None)
    if name is None:
        raise ArgumentError("the net has no input of four axes, so there is no deviation of one")
    added = LayerParameter(name=f"{name}.deviation", type="InputDeviation", bottom=[name])
    added.top.append(added.name)
    added.python_param.param_str = json.dumps(list(deviation))
    definition = NetParameter(name=net.name)
    for old in net.definition().layer:
        layer = definition.layer.add()
        layer.CopyFrom(old)
        for names in (layer.bottom, layer.top if name in layer.bottom else []):
            names[:] = [added.name if other == name else other for other in names]
        if name in layer.top:
            definition.layer.add().CopyFrom(added)
    with python_layers_allowed(True):  # whoever opened the net has let them run
        divided = Net.from_param(definition)
    divided.share_with(net)
    return divided


def files_of(definition: str, weights: str | None) -> list[Path]:
    """Return the files that a net is made of."""
    model = parse(definition)
    found = [] if model else [definition]
    if model is not None and model.where.endswith(".py"):
        found = [model.where]
    if weights not in (None, NO_WEIGHTS, definition):
        found.append(str(weights))
    return [Path(path) for path in found]


def weights_file(definition: str, weights: str | None) -> str:
    """Return the file with the weights: the definition itself where it holds them, or "-"."""
    if holds_weights(definition) and weights in (None, NO_WEIGHTS):
        return definition
    return NO_WEIGHTS if weights is None else weights


def absolute(definition: str) -> str:
    """Return a definition or a weights file as it can be named from another folder."""
    model = parse(definition)
    if definition == NO_WEIGHTS or (model is not None and not model.where.endswith(".py")):
        return definition
    return os.path.abspath(definition)
