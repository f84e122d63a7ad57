"""The table from operators to Caffe's layers: one row a function, under `@row(names)`.

A row looks at a call and returns the layers that compute exactly the same, or None where there
are none; the call then becomes one layer of the type ATen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from torchcaffe.blobs.blob import Shape
from torchcaffe.importing.program import Batch, Call, Program, Ref
from torchcaffe.proto.caffe_pb2 import LayerParameter

Constant = str | Tensor  # the name of one of the program's constants, or one made of it


@dataclass
class Part:
    """One of the layers that a call becomes.

    Attributes
    ----------
    param : LayerParameter
        With type and settings; name, bottoms and tops are filled in afterwards.
    bottoms : list of str
        Names of values; none where the layer before is the bottom.
    blobs : list of str or Tensor
        Its parameters.
    suffix : str
        Added to the call's name; the last layer has none.
    in_place : bool
        Its top is its bottom.
    """

    param: LayerParameter
    bottoms: list[str]
    blobs: list[Constant] = field(default_factory=list)
    suffix: str = ""
    in_place: bool = False


class Matched:
    """A call as a row sees it: its arguments, and what is known of its tensors."""

    def __init__(self, call: Call, program: Program) -> None:
        self.call = call
        self.program = program
        self._values, self._constants = program.values, program.constants

    def __getitem__(self, name: str) -> Any:
        """Return an argument by its name in the schema; None where there is none."""
        return self.call.arguments.get(name)

    def blob(self, name: str) -> str | None:
        """Return the value that an argument is, or None for a constant or a number."""
        ref = self[name]
        return ref.name if isinstance(ref, Ref) and ref.name not in self._constants else None

    def constant(self, name: str) -> str | None:
        """Return the constant that an argument is, or None."""
        ref = self[name]
        return ref.name if isinstance(ref, Ref) and ref.name in self._constants else None

    def tensor(self, name: str) -> Tensor | None:
        """Return the values of a constant argument, or None."""
        found = self.constant(name)
        return None if found is None else self._constants[found]

    def blobs(self, name: str) -> list[str] | None:
        """Return the values of an argument that is a list, or None where one is a constant."""
        names = [ref.name for ref in self[name]]
        return None if any(name in self._constants for name in names) else names

    def shape(self, name: str) -> Shape:
        """Return the shape of a tensor argument, with the example's number of images."""
        return self.shape_of(self[name].name)

    def shape_of(self, value: str) -> Shape:
        """Return the shape of a value."""
        if value in self._constants:
            return tuple(self._constants[value].shape)
        return self._values[value].shape

    def is_float(self, value: str) -> bool:
        """Return whether a value holds float numbers."""
        return self._values[value].dtype.is_floating_point

    def batch_axis(self, value: str | None) -> int | None:
        """Return which axis of a value counts the images."""
        return None if value is None else self.program.batch_axes.get(value)

    def output(self) -> Shape:
        """Return the shape of the (first) output."""
        name = next(name for name in self.call.outputs if name is not None)
        return self._values[name].shape

    def only_output(self) -> bool:
        """Return whether nobody uses a further output."""
        return self.call.outputs[0] is not None and not any(self.call.outputs[1:])


Row = Callable[[Matched], "list[Part] | None"]
ROWS: dict[str, Row] = {}


def row(*names: str) -> Callable[[Row], Row]:
    """Register a row under its operators' names, `aten.` left out."""

    def register(function: Row) -> Row:
        ROWS.update({f"aten.{name}": function for name in names})
        return function

    return register


def layer(type: str) -> LayerParameter:
    """Return a layer message of a type."""
    return LayerParameter(type=type)


def one(type: str, bottom: str | None, *blobs: Constant | None) -> Part | None:
    """Return a layer with one bottom, or None where that is no blob."""
    given = [blob for blob in blobs if blob is not None]
    return None if bottom is None else Part(layer(type), [bottom], given)


def pair(value: Any, default: int) -> list[int] | None:
    """Return a number or list of numbers for two axes as two; None if it depends on the batch."""
    values = [default] if value is None or value == [] else value
    values = values if isinstance(values, list) else [values]
    if any(isinstance(item, Batch) for item in values) or len(values) > 2:
        return None
    return [int(item) for item in (values * 2)[:2]]
