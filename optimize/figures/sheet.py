"""Labelled montages: cells in rows and columns, with a title and labels that are never cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from toolbox.pictures.images import Image

GAP = 6  # pixels between cells
MARGIN = 10
_FACE = cv2.FONT_HERSHEY_SIMPLEX
_TITLE, _LABEL = 0.6, 0.42  # font scales
_LINE = 16  # pixels from one line of a label to the next
_INK = (25, 25, 25)


@dataclass(frozen=True)
class Row:
    """Cells of one height, with a label at the left.

    Parameters
    ----------
    label : str
        Lines are separated by line breaks.
    cells : sequence of ndarray of uint8, shape (h, w, 3)
        Pictures (RGB); rows may have different sizes and numbers of cells.
    captions : sequence of str
        Above the cells; empty for none.
    """

    label: str
    cells: Sequence[Image]
    captions: Sequence[str] = ()


def draw_sheet(title: str, rows: Sequence[Row]) -> Image:
    """Lay rows out below each other on white.

    Parameters
    ----------
    title : str
        Lines are separated by line breaks.
    rows : sequence of Row
        From top to bottom.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        RGB; wide and high enough for every label.
    """
    side = max((_width(line, _LABEL) for row in rows for line in row.label.split("\n")), default=0)
    left = MARGIN + side + (GAP if side else 0)
    slots = _aligned(rows)
    right = max((left + sum(w + GAP for w in widths) for widths in slots), default=left)
    titles = [line for line in title.split("\n") if line]
    width = max([right, *(2 * MARGIN + _width(line, _TITLE) for line in titles)]) + MARGIN
    heights = [_height(row) for row in rows]
    top = MARGIN + 24 * len(titles) + GAP
    canvas = np.full((top + sum(h + GAP for h in heights) + MARGIN, width, 3), 255, np.uint8)
    for i, line in enumerate(titles):
        _write(canvas, line, MARGIN, MARGIN + 16 + 24 * i, _TITLE)
    for row, widths, height in zip(rows, slots, heights, strict=True):
        _draw_row(canvas, row, widths, (left, top), height)
        top += height + GAP
    return canvas


def _draw_row(
    canvas: Image, row: Row, widths: Sequence[int], corner: tuple[int, int], height: int
) -> None:
    x, top = corner
    head = _head(row)
    lines = row.label.split("\n")
    y = top + head + max(12, (height - head - _LINE * len(lines)) // 2 + 12)
    for i, line in enumerate(lines):
        _write(canvas, line, MARGIN, y + _LINE * i, _LABEL)
    for i, (cell, width) in enumerate(zip(row.cells, widths, strict=True)):
        for j, line in enumerate(row.captions[i].split("\n") if row.captions else ()):
            _write(canvas, line, x, top + 12 + _LINE * j, _LABEL)
        canvas[top + head : top + head + cell.shape[0], x : x + cell.shape[1]] = cell
        x += width + GAP


def _aligned(rows: Sequence[Row]) -> list[list[int]]:
    """Return the rows' places; where all cells have one width, those of a column have one."""
    slots = [_slots(row) for row in rows]
    if len({cell.shape[1] for row in rows for cell in row.cells}) != 1:
        return slots
    columns = max(map(len, slots))
    widest = [max(row[i] for row in slots if i < len(row)) for i in range(columns)]
    return [widest[: len(row)] for row in slots]


def _slots(row: Row) -> list[int]:
    """Return how wide each cell's place is: its picture, or its caption where that is wider."""
    captions = row.captions or [""] * len(row.cells)
    return [
        max(cell.shape[1], *(_width(line, _LABEL) for line in caption.split("\n")))
        for cell, caption in zip(row.cells, captions, strict=True)
    ]


def _head(row: Row) -> int:
    """Return the pixels above the cells, for the captions."""
    lines = max((len(caption.split("\n")) for caption in row.captions if caption), default=0)
    return _LINE * lines + (4 if lines else 0)


def _height(row: Row) -> int:
    cells = max((cell.shape[0] for cell in row.cells), default=0)
    return max(_head(row) + cells, _LINE * len(row.label.split("\n")))


def _width(text: str, scale: float) -> int:
    return int(cv2.getTextSize(_ascii(text), _FACE, scale, 1)[0][0]) if text else 0


def _write(canvas: Image, text: str, x: int, y: int, scale: float) -> None:
    cv2.putText(canvas, _ascii(text), (x, y), _FACE, scale, _INK, 1, cv2.LINE_AA)


def _ascii(text: str) -> str:
    """OpenCV's fonts have no other letters."""
    return text.encode("ascii", "replace").decode()
