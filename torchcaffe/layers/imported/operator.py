"""A layer that calls one of PyTorch's operators: whatever no Caffe layer computes.

Nets imported from PyTorch and ONNX have them. The call is JSON in `python_param.param_str`:

    {"operator": "aten.gelu.default", "arguments": {"self": {"bottom": 0}}, "outputs": [0],
     "blobs": []}

An argument is a number, a text, true, false, null or a list of arguments, or one of
{"bottom": i}, {"blob": i} (a parameter, of shape `blobs[i]`), {"batch": k} (k times the number
of images, which the last bottom has) and {"type": "float32"}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from torchcaffe.blobs.blob import Shape
from torchcaffe.errors import DefinitionError
from torchcaffe.layers.base import Diffs, Layer, Span, layer
from torchcaffe.layers.imported import operator_fields
from torchcaffe.process import device
from torchcaffe.proto.caffe_pb2 import TEST, FillerParameter, LayerParameter

Operator = torch._ops.OpOverload
_RECURRENT = {"lstm", "gru", "rnn_tanh", "rnn_relu"}
_PRODUCTS = {"conv1d", "conv2d", "conv3d", "conv_transpose2d", "convolution"}


def find_operator(name: str) -> Operator:
    """Return ATen's operator of a name such as `aten.conv2d.default`.

    Raises
    ------
    DefinitionError
        PyTorch has none of that name, it is not one of ATen's, or it would open a file.
    """
    parts = name.split(".")
    if len(parts) != 3 or parts[0] != "aten":
        raise DefinitionError(
            f"the operator {name} is not one of PyTorch's own (aten); export the model before it "
            "is quantised or compiled, and without operators of your own"
        )
    packet = getattr(torch.ops.aten, parts[1], None)
    operator = getattr(packet, parts[2], None) if packet is not None else None
    if not isinstance(operator, Operator):
        raise DefinitionError(
            f"PyTorch {torch.__version__} has no operator {name}; export the model with this "
            "version"
        )
    if any(argument.name == "filename" for argument in operator._schema.arguments):
        raise DefinitionError(f"the operator {name} opens a file; that is refused")
    return operator


def shape_device(name: str) -> str:
    """Return where an operator is called with zeros to learn the shapes of what it makes.

    Convolutions are called without memory (PyTorch's device "meta"). All else is quicker on the
    CPU: for many operators, "meta" loads PyTorch's compiler first, which takes seconds.
    """
    return "meta" if name.split(".")[1] in _PRODUCTS else "cpu"


def written_argument(operator: Operator) -> str | None:
    """Return the name of the argument that an operator writes into, or None."""
    for argument in operator._schema.arguments:
        if argument.alias_info is not None and argument.alias_info.is_write:
            return str(argument.name)
    return None


def check_states(given: Mapping[str, Any]) -> None:
    """Refuse a recurrent layer's state for another number of images than its input has.

    PyTorch's own LSTM does not look, and writes where it should not.
    """
    states, x = given.get("hx"), given.get("input")
    for state in [states] if isinstance(states, Tensor) else states or []:
        images = x.shape[not given.get("batch_first")] if isinstance(x, Tensor) else None
        if images is not None and state.ndim == 3 and state.shape[1] != images:
            raise ValueError(f"its state is for {state.shape[1]} images, its input has {images}")


@layer("ATen")
class ATen(Layer):
    """One operator of PyTorch's, with its derivative."""

    bottoms = (0, None)
    tops = (1, None)

    def __init__(self, param: LayerParameter, phase: int = TEST) -> None:
        super().__init__(param, phase)
        try:
            call = json.loads(param.python_param.param_str)
            self.operator_name: str = call["operator"]
            self._given: dict[str, Any] = dict(call["arguments"])
            self._outputs = [int(i) for i in call["outputs"]]
            self._shapes = [tuple(map(int, shape)) for shape in call["blobs"]]
        except (ValueError, LookupError, TypeError) as error:
            raise self.error(f"its param_str is no call of an operator ({error})") from error
        self._operator = find_operator(self.operator_name)
        if written_argument(self._operator) is not None:
            raise self.error(f"{self.operator_name} changes its argument; that is refused")
        if len(self._outputs) != len(param.top):
            raise self.error(f"{len(self._outputs)} outputs for {len(param.top)} tops")
        self._zeros_around = self._constant_pads()
        self._has_batch = '"batch"' in param.python_param.param_str
        self.is_followed = operator_fields.is_known(self)
        self.why_not = f"{self.operator_name} of {param.name!r} is not followed"

    def setup(self, shapes: list[Shape]) -> None:
        for shape in self._shapes:
            self.add_param(shape, FillerParameter(type="constant", value=0.0))

    # ------------------------------------------------------------ the call

    def argument(self, name: str) -> Any:
        """Return an argument as the definition gives it."""
        return self._given.get(name)

    def bottom_of(self, name: str) -> int | None:
        """Return which bottom an argument is, or None."""
        value = self._given.get(name)
        return value["bottom"] if isinstance(value, dict) and "bottom" in value else None

    def _constant_pads(self) -> list[int]:
        """Return how far its one bottom is padded with a constant; empty for other operators."""
        is_pad = self.operator_name in ("aten.pad.default", "aten.constant_pad_nd.default")
        pads = self._given.get("pad")
        plain = self._given.get("mode", "constant") == "constant" and len(self.param.bottom) == 1
        if not (is_pad and plain and isinstance(pads, list)):
            return []
        return pads if all(isinstance(n, int) for n in pads) else []

    def _filled(self, value: Any, bottoms: list[Tensor], params: list[Tensor]) -> Any:
        if isinstance(value, list):
            return [self._filled(item, bottoms, params) for item in value]
        if not isinstance(value, dict):
            return value
        if "batch" in value:
            return value["batch"] * bottoms[-1].shape[0]
        if "bottom" in value or "blob" in value:
            found = bottoms[value["bottom"]] if "bottom" in value else params[value["blob"]]
            return found.to(_dtype(value["type"])) if "type" in value else found
        return _dtype(value["type"])

    def _call(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        schema = self._operator._schema.arguments
        given = {
            argument.name: self._filled(self._given[argument.name], bottoms, params)
            for argument in schema
            if argument.name in self._given
        }
        if any(argument.name == "device" for argument in schema):
            given["device"] = params[0].device if params else _device_of(bottoms)
        check_states(given)
        made = self._operator(**given)
        parts = [made] if isinstance(made, Tensor) else list(made)
        return [parts[i] for i in self._outputs]

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        where = shape_device(self.operator_name)
        bottoms = [torch.zeros(shape, device=where) for shape in shapes]
        params = [torch.zeros(shape, device=where) for shape in self._shapes]
        with torch.no_grad():
            return [tuple(top.shape) for top in self._call(bottoms, params)]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        tops = self._call(bottoms, params)
        return [top if top.dtype == torch.float32 else top.to(torch.float32) for top in tops]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        if not bottoms:
            return []
        if self._zeros_around:  # its derivative cuts them off, without computing the top anew
            less = [-n for n in self._zeros_around]
            return [torch.constant_pad_nd(top_diffs[0], less)]
        if self.operator_name.split(".")[1] in _RECURRENT:
            # cuDNN goes back through these in training mode only.
            with torch.backends.cudnn.flags(enabled=False):
                return super().backward(top_diffs, bottoms, tops)
        return super().backward(top_diffs, bottoms, tops)

    # ------------------------------------------------------------ receptive fields

    def connects(self, top: int, bottom: int) -> bool:
        return not (self._has_batch and bottom == len(self.param.bottom) - 1)

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        return operator_fields.field(self, span, axis, bottom, shapes)


def _device_of(bottoms: list[Tensor]) -> torch.device:
    return bottoms[0].device if bottoms else device.current()


def _dtype(name: str) -> torch.dtype:
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise DefinitionError(f"there is no type of tensors called {name!r}")
    return found
