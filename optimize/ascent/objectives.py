"""What the ascent makes large: a unit, or a sum of several things.

Objectives add, subtract and multiply, with each other and with numbers:

    Unit("fc8", 3) - 0.5 * Unit("fc8", 7)
    ChannelMean("conv4", 12) + 0.1 * DeepDream("conv3")

`parse` reads the same from a text, as the command line's `--objective` takes it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optimize.errors import OptimizeError

Values = Mapping[str, Tensor]  # layer -> (n, channels, h, w)


@dataclass(frozen=True)
class Look:
    """Where a batch's net looks.

    Parameters
    ----------
    places : mapping of str to (int, int)
        Row and column of the pushed position in each layer's map.
    """

    places: Mapping[str, tuple[int, int]]


class Objective:
    """Base: a differentiable number for each image of a batch."""

    def layers(self) -> frozenset[str]:
        """Return the layers whose values it reads."""
        raise NotImplementedError

    def value(self, values: Values, look: Look) -> Tensor:
        """Return the objective of each image, shape (n,)."""
        raise NotImplementedError

    def check(self, shapes: Mapping[str, Sequence[int]]) -> None:
        """Refuse channels and positions that the layers do not have.

        Raises
        ------
        OptimizeError
            The sentence says what there is.
        """

    def is_local(self) -> bool:
        """Whether it reads nothing but the pushed position of its one layer."""
        return False

    def compares(self) -> bool:
        """Whether an image's number depends on the others of its batch."""
        return False

    def __add__(self, other: Objective | float) -> Objective:
        return Sum((self, _made(other)))

    __radd__ = __add__

    def __mul__(self, other: Objective | float) -> Objective:
        return Product((self, _made(other)))

    __rmul__ = __mul__

    def __neg__(self) -> Objective:
        return self * -1.0

    def __sub__(self, other: Objective | float) -> Objective:
        return self + -_made(other)

    def __rsub__(self, other: float) -> Objective:
        return -self + other


def _made(value: Objective | float) -> Objective:
    return value if isinstance(value, Objective) else Number(float(value))


def check_channel(layer: str, channel: int, shape: Sequence[int]) -> None:
    """Refuse a channel that a layer of this shape does not have."""
    if not 0 <= channel < shape[1]:
        raise OptimizeError(
            f"layer {layer!r} has no channel {channel}; 0 to {shape[1] - 1} are accepted"
        )


def check_place(layer: str, place: tuple[int, int], shape: Sequence[int]) -> None:
    """Refuse a row and column that a layer of this shape does not have."""
    sizes = tuple(shape[2:]) if len(shape) == 4 else (1, 1)
    if not all(0 <= at < size for at, size in zip(place, sizes, strict=True)):
        raise OptimizeError(
            f"layer {layer!r} has no position {place[0]},{place[1]}; rows 0 to {sizes[0] - 1} and "
            f"columns 0 to {sizes[1] - 1} are accepted"
        )


@dataclass(frozen=True)
class Number(Objective):
    """The same number for every image."""

    number: float

    def layers(self) -> frozenset[str]:
        """Return no layer."""
        return frozenset()

    def value(self, values: Values, look: Look) -> Tensor:
        """Return the number for each image."""
        some = next(iter(values.values()))
        return some.new_full((len(some),), self.number)

    def is_local(self) -> bool:
        """Return True: it reads nothing."""
        return True


@dataclass(frozen=True)
class _OfLayer(Objective):
    layer: str

    def layers(self) -> frozenset[str]:
        """Return the layer."""
        return frozenset({self.layer})


@dataclass(frozen=True)
class Unit(_OfLayer):
    """One unit's value, at the pushed position or one of its own (row, column)."""

    channel: int
    place: tuple[int, int] | None = None

    def check(self, shapes: Mapping[str, Sequence[int]]) -> None:
        """Refuse a channel or place that the layer does not have."""
        check_channel(self.layer, self.channel, shapes[self.layer])
        if self.place is not None:
            check_place(self.layer, self.place, shapes[self.layer])

    def value(self, values: Values, look: Look) -> Tensor:
        """Return the unit's values."""
        row, column = self.place or look.places[self.layer]
        return values[self.layer][:, self.channel, row, column]

    def is_local(self) -> bool:
        """Whether it has no place of its own."""
        return self.place is None


@dataclass(frozen=True)
class Direction(_OfLayer):
    """The layer's values at the pushed position along a direction: their dot product."""

    direction: tuple[float, ...]

    def check(self, shapes: Mapping[str, Sequence[int]]) -> None:
        """Refuse a direction of another length than the layer has channels."""
        channels = shapes[self.layer][1]
        if len(self.direction) != channels or not all(map(math.isfinite, self.direction)):
            raise OptimizeError(
                f"the direction in {self.layer!r} has {len(self.direction)} numbers; "
                f"{channels} finite ones, one a channel, are accepted"
            )

    def value(self, values: Values, look: Look) -> Tensor:
        """Return the dot products."""
        row, column = look.places[self.layer]
        here = values[self.layer][:, :, row, column]
        return here @ here.new_tensor(self.direction)

    def is_local(self) -> bool:
        """Return True."""
        return True


@dataclass(frozen=True)
class ChannelMean(_OfLayer):
    """A channel's mean over all positions."""

    channel: int

    def check(self, shapes: Mapping[str, Sequence[int]]) -> None:
        """Refuse a channel that the layer does not have."""
        check_channel(self.layer, self.channel, shapes[self.layer])

    def value(self, values: Values, look: Look) -> Tensor:
        """Return the means."""
        return values[self.layer][:, self.channel].mean(dim=(1, 2))


@dataclass(frozen=True)
class DeepDream(_OfLayer):
    """Half the sum of a layer's squares: more of whatever is there (Mordvintsev et al. 2015)."""

    def value(self, values: Values, look: Look) -> Tensor:
        """Return the sums."""
        return 0.5 * values[self.layer].square().sum(dim=(1, 2, 3))


@dataclass(frozen=True)
class Diversity(_OfLayer):
    """How little an image's style is that of the batch's others (Olah et al. 2017).

    Minus the mean cosine between the layer's Gram matrix for the image (channels x channels,
    summed over positions) and those for the other images; 0 for an image alone.
    """

    def value(self, values: Values, look: Look) -> Tensor:
        """Return minus the mean cosines, from -1 (all alike) to 0 or more."""
        rows = values[self.layer].flatten(2)
        grams = (rows @ rows.transpose(1, 2)).flatten(1)
        grams = grams / grams.norm(dim=1, keepdim=True).clamp_min(1e-12)
        others = max(1, len(grams) - 1)
        return -((grams @ grams.T).sum(1) - (grams * grams).sum(1)) / others

    def compares(self) -> bool:
        """Return True."""
        return True


@dataclass(frozen=True)
class _Several(Objective):
    parts: tuple[Objective, ...]

    def layers(self) -> frozenset[str]:
        """Return all parts' layers."""
        return frozenset().union(*(part.layers() for part in self.parts))

    def check(self, shapes: Mapping[str, Sequence[int]]) -> None:
        """Check every part."""
        for part in self.parts:
            part.check(shapes)

    def compares(self) -> bool:
        """Whether a part does."""
        return any(part.compares() for part in self.parts)

    def is_local(self) -> bool:
        """Whether all parts are, in one layer."""
        return len(self.layers()) <= 1 and all(part.is_local() for part in self.parts)


@dataclass(frozen=True)
class Sum(_Several):
    """The parts' sum."""

    def value(self, values: Values, look: Look) -> Tensor:
        """Return the sums."""
        return torch.stack([part.value(values, look) for part in self.parts]).sum(0)


@dataclass(frozen=True)
class Product(_Several):
    """The parts' product."""

    def value(self, values: Values, look: Look) -> Tensor:
        """Return the products."""
        return torch.stack([part.value(values, look) for part in self.parts]).prod(0)


def gradients(objective: Objective, values: Values, look: Look) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the objective (n,) and its gradient by each layer's values."""
    with torch.enable_grad():
        leaves = {name: value.detach().requires_grad_() for name, value in values.items()}
        shown = {name: as_maps(leaf) for name, leaf in leaves.items()}
        out = objective.value(shown, look)
        found = torch.autograd.grad(out.sum(), list(leaves.values()), allow_unused=True)
    diffs = {
        name: torch.zeros_like(leaf) if grad is None else grad
        for (name, leaf), grad in zip(leaves.items(), found, strict=True)
    }
    return out.detach(), diffs


def as_maps(values: Tensor) -> Tensor:
    """Return a layer's values as (n, channels, h, w); a vector's units have one position."""
    if values.ndim == 4:
        return values
    return values.reshape(len(values), values.shape[1] if values.ndim > 1 else 1, -1, 1)


_TERM = re.compile(
    r"""(?:(?P<factor>\d+(?:\.\d*)?|\.\d+)\s*\*\s*)?
        (?:(?P<kind>mean|dream|diversity)\((?P<inner>[^()]+)\)|(?P<unit>[^\s()*]+))$""",
    re.VERBOSE,
)
_UNIT = re.compile(r"(?P<layer>.+?):(?P<channel>\d+)(?:@(?P<row>\d+),(?P<column>\d+))?$")


def parse(text: str) -> Objective:
    """Read an objective from a text.

    Parameters
    ----------
    text : str
        Terms with a ` + ` or ` - ` (with spaces) between them, each with or without
        `number *` in front: `fc8:3` (a unit), `conv4:12@6,6` (at a row and column),
        `mean(conv4:12)` (a channel's mean), `dream(conv3)` (a whole layer), `diversity(conv4)`
        (how the seeds' images differ there).

    Raises
    ------
    OptimizeError
        It is none of these.
    """
    pieces = re.split(r"\s+([+-])\s+", text.strip())
    objective = _term(pieces[0], text)
    for sign, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        term = _term(piece, text)
        objective = objective + term if sign == "+" else objective - term
    return objective


def _term(piece: str, text: str) -> Objective:
    found = _TERM.match(piece.strip())
    if found is None:
        raise _unreadable(piece, text)
    kind, inner = found["kind"], (found["inner"] or found["unit"]).strip()
    term: Objective
    if kind in ("dream", "diversity"):
        term = DeepDream(inner) if kind == "dream" else Diversity(inner)
    else:
        unit = _UNIT.match(inner)
        if unit is None or (kind == "mean" and unit["row"]):
            raise _unreadable(piece, text)
        layer, channel = unit["layer"], int(unit["channel"])
        place = (int(unit["row"]), int(unit["column"])) if unit["row"] else None
        term = ChannelMean(layer, channel) if kind == "mean" else Unit(layer, channel, place)
    return term if found["factor"] is None else float(found["factor"]) * term


def _unreadable(piece: str, text: str) -> OptimizeError:
    return OptimizeError(
        f"the objective {text!r} has the part {piece!r}; fc8:3, conv4:12@6,6, mean(conv4:12), "
        "dream(conv3), diversity(conv4), each with or without '2 * ' in front, are accepted"
    )
