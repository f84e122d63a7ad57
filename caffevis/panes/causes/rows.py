"""Rows of text and bars in a small pane, in letters that fit."""

from __future__ import annotations

from collections.abc import Sequence

import cv2

from caffevis.panes.parts.look import Look
from toolbox.drawing.text import Style, draw_text, plain, shorten
from toolbox.pictures.images import Colour, Image

MARGIN = 6
SMALLEST = 0.6  # of the notes' size
FOR, AGAINST = (90, 200, 90), (225, 90, 80)  # what speaks for, and what against


def fitting(look: Look, texts: Sequence[str], room: int) -> Style:
    """Return the notes' style in the size in which the longest text fits a width."""
    style = look.note
    widest = max((style.width(plain(text)) for text in texts), default=1)
    return style.scaled(min(1.0, max(SMALLEST, room / max(widest, 1))))


def draw_title(canvas: Image, lines: Sequence[str], look: Look, room: int | None = None) -> int:
    """Write lines at the top; return the row of pixels below them."""
    width = (room or canvas.shape[1]) - 2 * MARGIN
    style = fitting(look, lines, width)
    step = round(1.3 * style.height())
    for number, line in enumerate(lines, 1):
        text = shorten(line, style, width)
        draw_text(canvas, text, style, MARGIN, number * step - style.depth())
    return len(lines) * step + MARGIN // 2


def draw_columns(
    canvas: Image, y: int, cells: Sequence[str], edges: Sequence[int], style: Style
) -> None:
    """Write cells, each ending at its edge but for the first, which begins at the margin.

    Parameters
    ----------
    canvas : ndarray of uint8, shape (h, w, 3)
        Changed in place.
    y : int
        The baseline.
    cells : sequence of str
        From left to right.
    edges : sequence of int
        The right edge of each cell behind the first.
    style : Style
        Of all.
    """
    draw_text(canvas, cells[0], style, MARGIN, y)
    for text, edge in zip(cells[1:], edges, strict=True):
        draw_text(canvas, text, style, edge - style.width(text), y)


def draw_bar(canvas: Image, box: tuple[int, int, int, int], share: float, colour: Colour) -> None:
    """Fill a share of a box (top, left, bottom, right) from the left, at least a pixel if any."""
    top, left, bottom, right = box
    length = round(min(max(share, 0.0), 1.0) * (right - left))
    if share > 0:
        corner = (left + max(length, 1) - 1, bottom - 1)
        cv2.rectangle(canvas, (left, top), corner, colour, cv2.FILLED)
