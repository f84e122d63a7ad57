"""What is asked of the thread that makes images, and what it tells meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from caffevis.keys.state import Origin
from toolbox.pictures.images import Image


@dataclass(frozen=True)
class Wanted:
    """What is to be made.

    Parameters
    ----------
    unit : Origin
        Of the layer whose images are shown.
    recipe : int
        Of `RECIPES`.
    """

    unit: Origin
    recipe: int

    @property
    def name(self) -> str:
        """What the unit is called: `conv5:26`."""
        return f"{self.unit.layer}:{self.unit.unit}"


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
    """

    picture: Image | None
    title: str
    caption: str
    note: str = ""
