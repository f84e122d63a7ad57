"""What is done to the network and its input to learn causes: the part of the state for it.

Lesions are of units, a disturbance is of the picture; both are values that a request carries.
"""

from __future__ import annotations

from dataclasses import dataclass

OFF, MEAN, DOUBLE = "off", "at its mean", "x 2"
LESIONS = (OFF, MEAN, DOUBLE)  # what the key goes round, before the unit is as it was

MATTERS, SOURCE = "who matters", "where from"  # reports

NOISE, GRAY, HUE, BLUR, SHIFT = "noise", "gray", "hue", "blur", "shift"
SHUFFLE, STEP, OCCLUDER, BRUSH, DRAW = "shuffle", "step", "occluder", "brush", "draw"


@dataclass(frozen=True)
class Kind:
    """A kind of disturbance: its name, its sizes with the one that it begins with, their unit."""

    name: str
    sizes: tuple[float, ...]
    begin: int
    unit: str


# What the key goes round. Of each, the first size changes nothing, where there is such a one.
KINDS: tuple[Kind, ...] = (
    Kind(NOISE, (0, 2, 4, 8, 16, 32, 64), 3, "grey levels"),
    Kind(GRAY, (0, 50, 100), 2, "%"),
    Kind(HUE, (0, 30, 60, 90, 120, 180), 3, "degrees"),
    Kind(BLUR, (0, 1, 2, 4, 8), 2, "pixels"),
    Kind(SHIFT, (0, 1, 2, 4, 8, 16, 32), 4, "pixels"),
    Kind(SHUFFLE, (1, 2, 3, 4, 6, 8, 16), 3, "x as many patches"),
    Kind(STEP, (0, 0.5, 1, 2, 4, 8), 3, "grey levels against the class"),
    Kind(OCCLUDER, (0, 10, 20, 30, 40, 60), 3, "% of the side, at the mouse"),
    Kind(BRUSH, (2, 4, 6, 8, 12, 16), 3, "% of the side, over the picture"),
    Kind(DRAW, (2, 4, 6, 8, 12, 16), 3, "% of the side, on black"),
)
BY_NAME = {kind.name: kind for kind in KINDS}
PAINTING = (BRUSH, DRAW)
BY_MOUSE = (*PAINTING, OCCLUDER)
Point = tuple[float, float]  # row and column, as shares of the picture's height and width


@dataclass(frozen=True)
class Lesion:
    """A unit that is switched off, held or scaled: its blob, its number, one of `LESIONS`."""

    layer: str
    unit: int
    how: str


@dataclass(frozen=True)
class Disturbance:
    """What happens to a frame before the network sees it.

    Parameters
    ----------
    kind : str
        Of `KINDS`.
    size : float
        One of its sizes.
    at : (float, float)
        Where the occluder's middle is.
    strokes : tuple of tuple of (float, float)
        What was painted: lines through points.
    """

    kind: str
    size: float
    at: Point = (0.5, 0.5)
    strokes: tuple[tuple[Point, ...], ...] = ()

    def text(self) -> str:
        """Say it for the status line: `noise 8 grey levels`."""
        return f"{self.kind} {self.size:g} {BY_NAME[self.kind].unit}"


@dataclass(frozen=True)
class Place:
    """A place of a unit's map."""

    layer: str
    unit: int
    row: int
    column: int


@dataclass(frozen=True)
class Causes:
    """What the keys of this part change.

    Parameters
    ----------
    lesions : tuple of Lesion
        At most one a unit, the oldest first.
    disturbance : Disturbance or None
        None: the network sees the frame.
    report : str
        `MATTERS`, `SOURCE`, or empty.
    place : Place or None
        Where the account of a number was followed down to; else it is the unit's strongest.
    jumps : int
        How many units of the ranking the cursor is to go on, once that is known.
    follows : bool
        The cursor is to follow the strongest contribution down, once that is known.
    occlusion : bool
        The map of what the selected unit, or the class, loses where the picture is covered.
    hint : bool
        A key was pressed that needs a unit.
    """

    lesions: tuple[Lesion, ...] = ()
    disturbance: Disturbance | None = None
    report: str = ""
    place: Place | None = None
    jumps: int = 0
    follows: bool = False
    occlusion: bool = False
    hint: bool = False

    def lesion(self, layer: str, unit: int) -> Lesion | None:
        """Return the lesion of a unit, None where it is as it was."""
        found = (le for le in self.lesions if (le.layer, le.unit) == (layer, unit))
        return next(found, None)

    def of_layer(self, layer: str) -> tuple[tuple[int, str], ...]:
        """Return the units of a layer with lesions, and what these are."""
        return tuple((le.unit, le.how) for le in self.lesions if le.layer == layer)
