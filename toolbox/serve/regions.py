"""The window cut into rectangles that are compared and sent by themselves: its panes and gaps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolbox.drawing.panes import Layout
from toolbox.pictures.images import Image

_THIN = 16  # times as large a neighbour, and a region goes with it


@dataclass(frozen=True)
class Region:
    """A rectangle of the window that is compared and sent by itself, in pixels."""

    row: int
    column: int
    height: int
    width: int

    @property
    def area(self) -> int:
        """Return how many pixels it has."""
        return self.height * self.width

    def of(self, picture: Image) -> Image:
        """Return this part of a picture, as a view."""
        return picture[
            self.row : self.row + self.height, self.column : self.column + self.width
        ]  # fmt: skip


def regions_of(layout: Layout, scale: float = 1.0) -> tuple[Region, ...]:
    """Cut the window into its panes and, where there is none, the rectangles between them.

    Parameters
    ----------
    layout : Layout
        The panes.
    scale : float
        Of the picture, against the layout.

    Returns
    -------
    tuple of Region
        Without overlap; together they are the whole window. A thin strip, such as the layers'
        names above their units, is one region with what it lies along.
    """
    panes = [Region(p.row, p.column, p.height, p.width) for p in layout.panes.values()]
    rows = _edges(layout.height, ((r.row, r.row + r.height) for r in panes))
    columns = _edges(layout.width, ((r.column, r.column + r.width) for r in panes))
    free = np.ones((layout.height, layout.width), bool)
    for region in panes:
        region.of(free)[:] = False
    between = [
        Region(top, left, bottom - top, right - left)
        for top, bottom in rows
        for left, right in columns
        if free[top, left]
    ]
    scaled = [_scaled(region, scale) for region in (*panes, *between)]
    return joined(
        (region for region in scaled if region.height and region.width),
        lambda one, other: _THIN * min(one.area, other.area) <= max(one.area, other.area),
    )


def joined(
    regions: Iterable[Region], may: Callable[[Region, Region], bool] = lambda one, other: True
) -> tuple[Region, ...]:
    """Put regions together, two by two, where they make a rectangle.

    Parameters
    ----------
    regions : iterable of Region
        Without overlap.
    may : callable
        Which two; all, where it is left out.

    Returns
    -------
    tuple of Region
        They cover the same pixels.
    """
    found = list(regions)
    while pair := next((two for two in _neighbours(found) if may(*two)), None):
        first, last = pair
        height = last.row + last.height - first.row
        width = last.column + last.width - first.column
        found[found.index(first)] = replace(first, height=height, width=width)
        found.remove(last)
    return tuple(found)


def _neighbours(regions: Sequence[Region]) -> Iterator[tuple[Region, Region]]:
    """Find which lie just below or beside which others, along the whole of an edge."""
    tops = {(r.row, r.column, r.width): r for r in regions}
    lefts = {(r.column, r.row, r.height): r for r in regions}
    for region in regions:
        below = tops.get((region.row + region.height, region.column, region.width))
        beside = lefts.get((region.column + region.width, region.row, region.height))
        yield from ((region, other) for other in (below, beside) if other is not None)


def _scaled(region: Region, scale: float) -> Region:
    """Scale a region by its edges, so that neighbours still touch."""
    top, bottom = (round(edge * scale) for edge in (region.row, region.row + region.height))
    left, right = (round(edge * scale) for edge in (region.column, region.column + region.width))
    return Region(top, left, bottom - top, right - left)


def _edges(size: int, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    edges = sorted({0, size, *(edge for span in spans for edge in span)})
    return list(zip(edges, edges[1:], strict=False))


def covering(regions: Sequence[Region], size: tuple[int, int]) -> Sequence[Region]:
    """Return the regions if they are just the picture, else the whole picture as one."""
    width, height = size
    area = sum(region.area for region in regions)
    inside = all(r.row + r.height <= height and r.column + r.width <= width for r in regions)
    return regions if inside and area == width * height else [Region(0, 0, height, width)]
