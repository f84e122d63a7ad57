"""What is asked of the threads that make images and patches, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from caffevis.keys.state import Origin
from caffevis.units.image_paths import Kind
from caffevis.units.loader import Filled
from toolbox.input.frame import Frame
from toolbox.pictures.images import Colour, Image


@dataclass(frozen=True)
class Fill:
    """Units of a layer that have no image yet: their first ones are to be made, one by one.

    Parameters
    ----------
    layer : str
        Whose images are shown.
    units : tuple of int
        In the order in which they are made.
    room : (int, int)
        Height and width of a unit's tile in pixels.
    """

    layer: str
    units: tuple[int, ...]
    room: tuple[int, int]


@dataclass(frozen=True)
class Wanted:
    """What is to be made: all images of a unit, and then the first ones of others.

    Parameters
    ----------
    unit : Origin or None
        Of the layer whose images are shown.
    recipe : int
        Of `RECIPES`, round and round.
    fill : Fill or None
        What else.
    photo : Frame or None
        What the unit's image starts from; None: from noise.
    """

    unit: Origin | None
    recipe: int
    fill: Fill | None = None
    photo: Frame | None = None


@dataclass(frozen=True, eq=False)
class Growth:
    """How far a unit's images are.

    Parameters
    ----------
    picture : ndarray of uint8, shape (h, w, 3), or None
        RGB: the first image, then all of them as the batch tool tiles them; None where the unit
        has none.
    title : str
        How it is made.
    caption : str
        The unit, the iteration, the objective.
    note : str
        What the user has to know, such as that the gradient was zero; else empty.
    made : object
        The finished images as the batch tool has them; None before.
    held : int
        About how many bytes are held for the unit.
    """

    picture: Image | None
    title: str
    caption: str
    note: str = ""
    made: Any = None
    held: int = 0


@dataclass(frozen=True, eq=False)
class News:
    """How far both are; None for what is not wanted, or not begun."""

    growth: Growth | None
    filled: Filled | None = None


@dataclass(frozen=True)
class PatchRequest:
    """What is wanted: a unit's patches from a file of the scan, in its newest version."""

    unit: Origin
    saved: str
    version: int


@dataclass(frozen=True, eq=False)
class UnitPatches:
    """A unit's patches.

    Parameters
    ----------
    unit : Origin
        Whose.
    pictures : dict of Kind to ndarray of uint8, shape (h, w, 3)
        RGB, 3 x 3 as the batch tool lays them out; empty where nothing excites the unit yet.
    patches : tuple of find_maxes.crops.patches.Patch
        What they were made from.
    background : (int, int, int)
        RGB around patches.
    error : str
        Why there are none.
    note : str
        Why some are left out.
    """

    unit: Origin
    pictures: dict[Kind, Image]
    patches: tuple[Any, ...] = ()
    background: Colour = (0, 0, 0)
    error: str = ""
    note: str = ""


@dataclass(frozen=True, eq=False)
class Keep:
    """What to keep of a unit.

    Parameters
    ----------
    unit : Origin
        Of the layer whose images are shown.
    made : Made or None
        Its optimised images as the batch tool has them; None where they are not finished.
    patches : UnitPatches or None
        Its patches; None where not all photos are scanned.
    """

    unit: Origin
    made: Any
    patches: UnitPatches | None


class KeepError(Exception):
    """Why nothing was kept; one sentence."""
