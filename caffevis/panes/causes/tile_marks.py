"""Marks on the tiles of a layer: units with lesions, and units that matter, by rank."""

from __future__ import annotations

from dataclasses import dataclass

import cv2

from caffevis.causes.asked import Ranking
from caffevis.keys.causes import DOUBLE, OFF
from caffevis.keys.state import State
from caffevis.net.request import NetResult
from toolbox.drawing.tiles import Grid, frame_tile
from toolbox.pictures.images import Colour, Image

LESION: Colour = (255, 70, 70)
RANKED: Colour = (0, 190, 255)
RIM = (0, 0, 0)


@dataclass(frozen=True)
class Marks:
    """What is marked in a layer.

    Parameters
    ----------
    lesions : tuple of (int, str)
        Units and what was done to them.
    ranked : tuple of int
        Units that matter, the first one most.
    """

    lesions: tuple[tuple[int, str], ...] = ()
    ranked: tuple[int, ...] = ()

    def text(self) -> str:
        """Say for the heading how many lesions there are."""
        count = len(self.lesions)
        return f", {count} lesion{'s' if count > 1 else ''}" if count else ""


def marks_of(state: State, result: NetResult) -> Marks:
    """Take from state and result what is marked in the layer shown."""
    ranked: tuple[int, ...] = ()
    answer = result.answer
    if isinstance(answer, Ranking) and answer.question.layer == state.layer.name:
        ranked = tuple(row.unit for row in answer.rows)
    return Marks(state.causes.of_layer(state.layer.name), ranked)


def draw_marks(canvas: Image, grid: Grid, marks: Marks) -> None:
    """Frame those that matter, with bars for their rank, and cross those with lesions."""
    for rank, unit in enumerate(marks.ranked):
        frame_tile(canvas, grid, unit, RANKED)
        _draw_rank(_tile(canvas, grid, unit), 1 - rank / len(marks.ranked))
    for unit, how in marks.lesions:
        frame_tile(canvas, grid, unit, LESION)
        _draw_lesion(_tile(canvas, grid, unit), how)


def _tile(canvas: Image, grid: Grid, unit: int) -> Image:
    top, left = grid.corner(unit)
    return canvas[top : top + grid.height, left : left + grid.width]


def _draw_rank(tile: Image, share: float) -> None:
    """Fill a bar at the tile's foot: the longer, the more the unit matters."""
    height, width = tile.shape[:2]
    if height >= 6:
        thick = min(max(2, height // 8), 6)
        end = max(1, round(share * width)) - 1
        cv2.rectangle(tile, (0, height - thick), (end, height - 1), RANKED, cv2.FILLED)


def _draw_lesion(tile: Image, how: str) -> None:
    """Cross a tile out, strike it through, or put a plus on it."""
    height, width = tile.shape[:2]
    if min(height, width) < 4:
        return
    right, foot, middle, centre = width - 1, height - 1, height // 2, width // 2
    lines = [((0, middle), (right, middle))]
    if how == OFF:
        lines = [((0, 0), (right, foot)), ((right, 0), (0, foot))]
    elif how == DOUBLE:
        lines.append(((centre, 0), (centre, foot)))
    pen = max(1, min(height, width) // 16)
    for thickness, colour in ((pen + 2, RIM), (pen, LESION)):
        for begin, end in lines:
            cv2.line(tile, begin, end, colour, thickness)
