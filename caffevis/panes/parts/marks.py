"""Crosses and frames that stand out from any picture: coloured, with a dark rim."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from toolbox.pictures.images import Colour, Image

RIM = (0, 0, 0)


def draw_crosses(canvas: Image, places: Sequence[tuple[float, float]], colour: Colour) -> None:
    """Mark places with crosses, the first one larger.

    Parameters
    ----------
    canvas : ndarray of uint8, shape (h, w, 3)
        Changed in place.
    places : sequence of (float, float)
        x and y in pixels of the canvas, the most important one first.
    colour : (int, int, int)
        RGB.
    """
    unit = min(canvas.shape[:2]) / 300
    for number in range(len(places) - 1, -1, -1):
        x, y = (int(part) for part in places[number])
        arm = max(3, round((9 if number == 0 else 5) * unit))
        pen = max(1, round(unit))
        for thickness, line in ((pen + 2, RIM), (pen, colour)):
            reach = arm + (line == RIM)
            cv2.line(canvas, (x - reach, y), (x + reach, y), line, thickness)
            cv2.line(canvas, (x, y - reach), (x, y + reach), line, thickness)


def draw_corner(tile: Image, colour: Colour) -> None:
    """Fill a tile's top left corner, where that is large enough to be seen."""
    side = min(tile.shape[:2]) // 4
    if side >= 3:
        for reach, paint in ((side + 1, RIM), (side, colour)):
            corner = np.array([(0, 0), (reach, 0), (0, reach)], np.int32)
            cv2.fillConvexPoly(tile, corner, paint)


def draw_box(canvas: Image, box: tuple[float, float, float, float], colour: Colour) -> None:
    """Frame a part of a picture, just inside its border.

    Parameters
    ----------
    canvas : ndarray of uint8, shape (h, w, 3)
        Changed in place.
    box : (float, float, float, float)
        Top, left, bottom, right in pixels of the canvas.
    colour : (int, int, int)
        RGB.
    """
    top, left, bottom, right = (round(edge) for edge in box)
    pen = max(2, round(2 * min(canvas.shape[:2]) / 300))
    # A field of a few pixels gets a frame that still has an inside.
    smallest = 2 * (pen + 2) + 2
    grow, widen = (max(0, smallest - size + 1) // 2 for size in (bottom - top, right - left))
    top, left, bottom, right = top - grow, left - widen, bottom + grow, right + widen
    for inset in range(pen + 2):
        line = colour if 0 < inset <= pen else RIM
        corner = (right - 1 - inset, bottom - 1 - inset)
        cv2.rectangle(canvas, (left + inset, top + inset), corner, line)
