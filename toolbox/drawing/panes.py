"""The window's layout: named rectangles of one RGB buffer, checked before use."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from toolbox.pictures.images import Image

MAX_WINDOW = 20000  # pixels a side; beyond it a number was mistyped


class PaneError(Exception):
    """A layout that cannot be drawn; the message says which pane and why."""


@dataclass(frozen=True)
class Pane:
    """One named rectangle, in pixels of the window."""

    name: str
    row: int
    column: int
    height: int
    width: int

    def of(self, buffer: Image) -> Image:
        """Return this pane's part of the buffer, as a view to draw into."""
        return buffer[self.row : self.row + self.height, self.column : self.column + self.width]

    def overlaps(self, other: Pane) -> bool:
        """Tell whether two panes share a pixel."""
        return (
            self.row < other.row + other.height
            and other.row < self.row + self.height
            and self.column < other.column + other.width
            and other.column < self.column + self.width
        )


@dataclass(frozen=True)
class Layout:
    """All panes, by name, and the size of the window that holds them."""

    panes: dict[str, Pane]
    height: int
    width: int

    def locate(self, x: int, y: int) -> tuple[Pane, int, int] | None:
        """Find a pixel's pane.

        Parameters
        ----------
        x, y : int
            A pixel of the window.

        Returns
        -------
        (Pane, int, int) or None
            The pane with the row and column in it; None between panes.
        """
        for pane in self.panes.values():
            row, column = y - pane.row, x - pane.column
            if 0 <= row < pane.height and 0 <= column < pane.width:
                return pane, row, column
        return None

    def blank(self, colour: tuple[int, int, int]) -> Image:
        """Make a window buffer of one colour, shape (height, width, 3)."""
        buffer = np.empty((self.height, self.width, 3), dtype=np.uint8)
        buffer[:] = colour
        return buffer


def make_layout(
    window_panes: Sequence[tuple[str, Sequence[int]]],
    known: Iterable[str],
    scale: float = 1.0,
) -> Layout:
    """Check the setting `window_panes` and scale it.

    Parameters
    ----------
    window_panes : sequence of (name, (row, column, height, width))
        Pixels, before scaling.
    known : iterable of str
        Names that the window and its apps can draw.
    scale : float
        `global_scale`.

    Returns
    -------
    Layout
        Scaled so that panes that touched still touch.

    Raises
    ------
    PaneError
        A pane is unknown, given twice, empty or outside, two overlap, or
        `input` is missing.
    """
    known = sorted(known)
    panes: dict[str, Pane] = {}
    for name, rectangle in window_panes:
        if name not in known:
            raise PaneError(
                f"window_panes has a pane {name!r} that nothing draws; known panes: "
                f"{', '.join(known)}."
            )
        if name in panes:
            raise PaneError(f"window_panes has the pane {name!r} twice; keep one.")
        panes[name] = _scaled(name, tuple(rectangle), scale)
    if "input" not in panes:
        raise PaneError("window_panes has no pane 'input', the one that every window needs.")
    for one, other in itertools.combinations(panes.values(), 2):
        if one.overlaps(other):
            raise PaneError(
                f"window_panes: {one.name!r} and {other.name!r} overlap; each is "
                "(row, column, height, width) in pixels."
            )
    height = max(pane.row + pane.height for pane in panes.values())
    width = max(pane.column + pane.width for pane in panes.values())
    if max(height, width) > MAX_WINDOW:
        raise PaneError(
            f"window_panes: the window would have {width} x {height} pixels, more than "
            f"{MAX_WINDOW} a side."
        )
    return Layout(panes, height, width)


def pane_size(
    window_panes: Sequence[tuple[str, Sequence[int]]], name: str, scale: float
) -> tuple[int, int] | None:
    """Return a pane's height and width in the window, None where it has none.

    Parameters
    ----------
    window_panes, scale
        As for `make_layout`.
    name : str
        The pane.
    """
    rectangle = dict(window_panes).get(name)
    if rectangle is None:
        return None
    pane = _scaled(name, tuple(rectangle), scale)
    return pane.height, pane.width


def _scaled(name: str, rectangle: tuple[int, ...], scale: float) -> Pane:
    row, column, height, width = rectangle
    if row < 0 or column < 0 or height < 1 or width < 1:
        raise PaneError(
            f"window_panes: {name!r} is {rectangle}, but row and column must be at least 0, "
            "height and width at least 1."
        )
    # Edges are scaled, not sizes, so that neighbours neither overlap nor part.
    top, bottom = round(row * scale), round((row + height) * scale)
    left, right = round(column * scale), round((column + width) * scale)
    return Pane(name, top, left, max(1, bottom - top), max(1, right - left))
