"""From a `Program` to a net: one row of the table an operator, or one layer of the type ATen."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor

from torchcaffe.engine.net import Net
from torchcaffe.errors import DefinitionError
from torchcaffe.importing.naming import call_names, free_name
from torchcaffe.importing.operators import ROWS, Matched, Part
from torchcaffe.importing.program import Batch, Call, Program, Ref
from torchcaffe.importing.simplify import simplify
from torchcaffe.proto.caffe_pb2 import BlobShape, LayerParameter, NetParameter

_DROPPED = (torch.device, torch.layout, torch.memory_format)


def to_net(program: Program) -> Net:
    """Build the net that computes a program (which is changed by that).

    Raises
    ------
    DefinitionError
        No input is an image, or it holds what a net can't; one sentence.
    """
    _check_inputs(program)
    simplify(program)
    converter = _Converter(program)
    converter.convert()
    net = Net.from_param(converter.definition)
    for name, tensors in converter.tensors.items():
        for blob, tensor in zip(net.params[name], tensors, strict=True):
            values = tensor.to(torch.float32).reshape(blob.shape).contiguous()
            blob.set_tensor(values.to(blob.device))
    return net


def _check_inputs(program: Program) -> None:
    shapes = [program.values[name].shape for name in program.inputs]
    if not any(len(shape) == 4 for shape in shapes):
        raise DefinitionError(
            f"{program.name} takes no image: its inputs have the shapes "
            f"{', '.join(map(str, shapes)) or 'none'}; one of four axes (images, channels, height, "
            "width) is needed"
        )


class _Converter:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.definition = NetParameter(name=program.name)
        self.tensors: dict[str, list[Tensor]] = {}
        self.blobs = {name: name for name in program.inputs}  # of values
        self.used: set[str] = set(program.inputs)
        self._uses: dict[str, int] = {}
        self._specs: list[tuple[LayerParameter, list[str | Tensor]]] = []

    def convert(self) -> None:
        """Make the definition and the parameters' values."""
        for name in self.program.inputs:
            shape = self.program.values[name].shape
            layer = self.definition.layer.add(name=name, type="Input", top=[name])
            images = 1 if self.program.is_free else self.program.batch
            layer.input_param.shape.append(BlobShape(dim=(images, *shape[1:])))
        names = call_names(self.program.calls, self.used)
        self.used |= set(names)
        for call, name in zip(self.program.calls, names, strict=True):
            self._refuse_complex(call, name)
            for output in [o for o in call.outputs if o is not None]:
                first = output == next(filter(None, call.outputs))
                self.blobs[output] = name if first else free_name(name, self.used)
                self.used.add(self.blobs[output])
            self._call(call, name)
        self._share()

    def _refuse_complex(self, call: Call, name: str) -> None:
        """Refuse complex numbers: a blob holds real ones."""
        values = (self.program.values.get(o) for o in call.outputs if o is not None)
        if any(value is not None and value.dtype.is_complex for value in values):
            raise DefinitionError(
                f"{self.program.name} computes with complex numbers ({name}, by {call.operator}), "
                "which no layer holds; write it with their real and imaginary parts"
            )

    def _call(self, call: Call, name: str) -> None:
        rule = ROWS.get(str(call.operator))
        parts = rule(Matched(call, self.program)) if rule is not None else None
        parts = parts or [self._operator(call, name)]
        tops = [self.blobs[output] for output in call.outputs if output is not None]
        before: list[str] = []
        for part in parts:
            part.param.name = name + part.suffix
            part.param.bottom.extend([self.blobs[b] for b in part.bottoms] or before)
            in_place_next = any(other.in_place for other in parts)
            own = tops if part is parts[-1] or in_place_next else [part.param.name]
            part.param.top.extend(own)
            before = own
            self._add(part)

    def _add(self, part: Part) -> None:
        layer = self.definition.layer.add()
        layer.CopyFrom(part.param)
        if part.blobs:
            values = [self._value(blob) for blob in part.blobs]
            self.tensors[layer.name] = values
            self._specs.append((layer, part.blobs))
        for blob in part.blobs:
            if isinstance(blob, str):
                self._uses[blob] = self._uses.get(blob, 0) + 1

    def _value(self, blob: str | Tensor) -> Tensor:
        return self.program.constants[blob] if isinstance(blob, str) else blob

    def _share(self) -> None:
        """Let layers of one parameter share it, as modules that are used twice do."""
        for layer, blobs in self._specs:
            if not any(isinstance(b, str) and self._uses[b] > 1 for b in blobs):
                continue
            for blob in blobs:
                spec = layer.param.add()
                if isinstance(blob, str) and self._uses[blob] > 1:
                    spec.name = self.program.titles.get(blob, blob)

    # ------------------------------------------------------------ what has no row

    def _operator(self, call: Call, name: str) -> Part:
        """Return the layer that calls the operator itself."""
        bottoms: list[str] = []
        blobs: list[str] = []
        has_batch = False

        def encoded(value: Any) -> Any:
            nonlocal has_batch
            if isinstance(value, list):
                return [encoded(item) for item in value]
            if isinstance(value, Ref):
                return self._tensor(value.name, bottoms, blobs)
            if isinstance(value, Batch):
                has_batch = True
                return {"batch": value.times}
            return {"type": str(value).split(".")[-1]} if isinstance(value, torch.dtype) else value

        arguments = {
            key: encoded(value)
            for key, value in call.arguments.items()
            if not isinstance(value, _DROPPED)
        }
        if has_batch:
            bottoms.append(self.program.inputs[0])
        text = {
            "operator": str(call.operator),
            "arguments": arguments,
            "outputs": [i for i, output in enumerate(call.outputs) if output is not None],
            "blobs": [list(self.program.constants[blob].shape) for blob in blobs],
        }
        part = Part(LayerParameter(type="ATen"), bottoms, list(blobs))
        try:
            part.param.python_param.param_str = json.dumps(text)
        except (TypeError, ValueError) as error:
            raise DefinitionError(f"{name}: {call.operator} can't be stored: {error}") from error
        return part

    def _tensor(self, name: str, bottoms: list[str], blobs: list[str]) -> dict[str, Any]:
        is_constant = name in self.program.constants
        kind, names = ("blob", blobs) if is_constant else ("bottom", bottoms)
        if name not in names:
            names.append(name)
        dtype = (
            self.program.constants[name].dtype if is_constant else self.program.values[name].dtype
        )
        place: dict[str, Any] = {kind: names.index(name)}
        return place if dtype == torch.float32 else {**place, "type": str(dtype).split(".")[-1]}
