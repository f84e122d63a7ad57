"""The table of ONNX operators: a function of PyTorch's for each, under `@op(names)`.

A function gets the node and its inputs: tensors, or NumPy arrays for what is known beforehand
and for sizes (whose elements may be symbols for the number of images); None for one left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

Input = Any  # Tensor, numpy.ndarray or None
Function = Callable[["Node", Sequence[Input]], Any]
OPS: dict[str, Function] = {}
ON_SIZES: dict[str, Function] = {}


@dataclass(frozen=True)
class Node:
    """One node of the graph: its operator, names of values, and attributes."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    path: str = ""
    opset: int = 17

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.attributes.get(name, default)


def op(*names: str) -> Callable[[Function], Function]:
    """Register what operators do with tensors."""

    def register(function: Function) -> Function:
        OPS.update(dict.fromkeys(names, function))
        return function

    return register


def on_sizes(*names: str) -> Callable[[Function], Function]:
    """Register what operators do where all inputs are known arrays or sizes."""

    def register(function: Function) -> Function:
        ON_SIZES.update(dict.fromkeys(names, function))
        return function

    return register


def optional(inputs: Sequence[Input], place: int) -> Input:
    """Return an input, or None where there are not so many."""
    return inputs[place] if place < len(inputs) else None


def tensor(value: Input) -> Tensor:
    """Return an input as a tensor."""
    if isinstance(value, Tensor):
        return value
    array = np.asarray(value)
    return torch.from_numpy(np.array(array.astype(np.int64) if array.dtype == object else array))


def listed(value: Input) -> list[Any]:
    """Return an input of numbers as a list, symbols among them."""
    if isinstance(value, Tensor):
        return [int(v) for v in value.detach().flatten()]
    return [v if not isinstance(v, np.generic) else v.item() for v in np.asarray(value).flatten()]


def axes_of(node: Node, inputs: Sequence[Input], place: int = 1) -> list[int] | None:
    """Return axes, an attribute in older files and an input in newer ones."""
    given = optional(inputs, place)
    found = listed(given) if given is not None else node.get("axes")
    return None if found is None else [int(axis) for axis in found]
