"""What one case of a layer is, and helpers to write many of them briefly."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Arrays = list[np.ndarray]
Replica = Callable[[Any, Arrays, Arrays], Arrays]
Gradient = Callable[[Any, Arrays, Arrays, Arrays], "tuple[list, list]"]
TRAIN, TEST = 0, 1


@dataclass(frozen=True)
class Case:
    """A layer with its settings, its inputs, and the replica that says what is right.

    Attributes
    ----------
    type, name, settings : str
        Layer type, name of the case, text inside `layer { ... }`.
    replica : callable
        (LayerParameter, bottoms, params) -> tops, all float64.
    bottoms : sequence of tuple or numpy.ndarray
        Shapes (filled with normal numbers) or values.
    tops : int
        How many tops there are.
    params : callable or None
        (number, shape, rng) -> values; None fills with normal numbers.
    gradient : callable, "numeric" or "zero"
        Expected diffs of bottoms and params: central differences of the replica; none at
        all; or Caffe's own, where it is not the derivative.
    diff_tops : sequence of int
        The tops through which diffs go down (in Caffe only the first of a loss).
    labels : sequence of int
        Bottoms that get no diff.
    frozen : bool
        The parameters get no diff.
    in_place : bool
        The layer may run in place.
    """

    type: str
    name: str
    replica: Replica
    settings: str = ""
    bottoms: Sequence[tuple | np.ndarray] = ()
    tops: int = 1
    params: Callable[[int, tuple, np.random.Generator], np.ndarray] | None = None
    gradient: Gradient | str = "numeric"
    diff_tops: Sequence[int] = (0,)
    labels: Sequence[int] = ()
    frozen: bool = False
    in_place: bool = False
    phase: int = TEST
    param_shapes: Sequence[tuple] | None = field(default=None)

    @property
    def id(self) -> str:
        """The name under which pytest shows the case."""
        return f"{self.type}-{self.name}"

    def rng(self) -> np.random.Generator:
        """Return a generator with the case's own seed."""
        return np.random.default_rng(zlib.crc32(self.id.encode()))

    def inputs(self) -> Arrays:
        """Return the bottoms' values, float32 numbers."""
        rng = self.rng()
        made = [rng.normal(size=b) if isinstance(b, tuple) else b for b in self.bottoms]
        return [np.asarray(value, np.float32) for value in made]


def maker(type_: str, replica: Replica, **fixed: Any) -> Callable[..., Case]:
    """Return a function (name, settings, *bottoms, **more) that makes cases of one type."""

    def make(name: str, settings: str, *bottoms: tuple | np.ndarray, **more: Any) -> Case:
        return Case(type_, name, replica, settings, bottoms, **{**fixed, **more})

    return make


def canonical(axis: int, ndim: int) -> int:
    """Return an axis as 0 or more."""
    return axis + ndim if axis < 0 else axis


def count(shape: Sequence[int], first: int = 0, last: int | None = None) -> int:
    """Return the product of the sizes of axes first to last."""
    out = 1
    for size in list(shape)[first:last]:
        out *= int(size)
    return out


def array(*rows: Any) -> np.ndarray:
    """Return float values."""
    return np.array(rows, np.float64)
