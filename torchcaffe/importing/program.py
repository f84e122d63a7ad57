"""What every reader makes of a model: calls of ATen operators in order, with all their values.

`trace` reads a module, `archive` a .pt2 file and `onnx_graph` an ONNX file into a `Program`;
`convert` makes a net of it. So what a model came from is forgotten here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from torchcaffe.blobs.blob import Shape
from torchcaffe.errors import DefinitionError
from torchcaffe.layers.imported.operator import Operator, find_operator

# What `with torch.no_grad():` and `with torch.autocast(...):` become; what is inside counts.
WRAPPERS = ("higher_order.wrap_with_set_grad_enabled", "higher_order.wrap_with_autocast")


@dataclass(frozen=True)
class Ref:
    """An argument that is a tensor: the name of a value."""

    name: str


@dataclass(frozen=True)
class Batch:
    """A size that is `times` the number of images."""

    times: int = 1


@dataclass(frozen=True)
class Value:
    """Shape (of the example that was traced) and type of a tensor."""

    shape: Shape
    dtype: torch.dtype = torch.float32


@dataclass
class Call:
    """One call of an operator.

    Attributes
    ----------
    operator : torch._ops.OpOverload
        One of ATen's.
    arguments : dict of str to object
        By the names of the operator's schema, defaults included: `Ref`, `Batch`, numbers,
        text, types, None, and lists of these.
    outputs : list of str or None
        Names of the values it makes; None where nobody uses one.
    path : str
        Of the module whose `forward` calls it: `layer1.0.conv1`, or "" for the model itself.
    visit : str
        Tells apart several calls of one module.
    """

    operator: Operator
    arguments: dict[str, Any]
    outputs: list[str | None]
    path: str = ""
    visit: str = ""

    def __post_init__(self) -> None:
        self.called = str(self.operator).split(".")[1].strip("_")  # also when it is replaced

    def refs(self) -> list[Ref]:
        """Return the tensors among the arguments, in order."""
        return [item for value in self.arguments.values() for item in _flat(value)]


@dataclass
class Program:
    """A model as calls.

    Attributes
    ----------
    name : str
        The model's.
    batch : int
        How many images the example had.
    is_free : bool
        Whether the model was exported for any number of them.
    inputs : list of str
        Values that the user gives.
    constants : dict of str to Tensor
        Parameters and buffers by the names of their values.
    titles : dict of str to str
        What the model calls a constant: `layer1.0.conv1.weight`.
    batch_axes : dict of str to int
        Which axis of a value counts the images; none of a value that has no such axis.
    """

    name: str
    batch: int = 1
    is_free: bool = False
    inputs: list[str] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    constants: dict[str, Tensor] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    batch_axes: dict[str, int] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


def _flat(value: Any) -> list[Ref]:
    if isinstance(value, Ref):
        return [value]
    return [ref for item in value for ref in _flat(item)] if isinstance(value, list) else []


def replaced(value: Any, change: Any) -> Any:
    """Return an argument with every `Ref` in it, in lists too, put through `change`."""
    if isinstance(value, Ref):
        return change(value)
    return [replaced(item, change) for item in value] if isinstance(value, list) else value


def bound(operator: Operator, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return arguments by the schema's names, with its defaults where none is given."""
    names = [argument.name for argument in operator._schema.arguments]
    given = dict(zip(names, args, strict=False)) | kwargs
    return {
        argument.name: given.get(argument.name, argument.default_value)
        for argument in operator._schema.arguments
    }


def renamed(old: str, new: str) -> Call:
    """Return a call that gives a value another name."""
    return Call(find_operator("aten.alias.default"), {"self": Ref(old)}, [new])


def size_of(hint: int, batch: int, name: str) -> Batch:
    """Return a size that depends on the number of images.

    Parameters
    ----------
    hint : int
        What it was in the example.
    batch : int
        How many images that had.
    """
    if hint % batch:
        raise DefinitionError(
            f"the size {name} is no multiple of the number of images; only that may vary"
        )
    return Batch(hint // batch)
