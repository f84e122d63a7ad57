"""The ways in which an image can be made live, one row each: key `2` goes round them."""

from __future__ import annotations

from dataclasses import dataclass

from optimize.params import ALL_PRESETS, PRESETS


@dataclass(frozen=True)
class Recipe:
    """How an image is made.

    Parameters
    ----------
    name : str
        What the pane calls it.
    preset : int
        As `python -m optimize --preset` has it.
    """

    name: str
    preset: int


# The default and what is newer first, then the paper's four.
_ORDER = (*(n for n in ALL_PRESETS if n not in PRESETS), *PRESETS)
RECIPES: tuple[Recipe, ...] = tuple(Recipe(f"preset {number}", number) for number in _ORDER)
