"""The account of a number: the units below that add most, with what they see and its weights."""

from __future__ import annotations

import cv2
import numpy as np

from caffevis.causes.asked import Account, Part
from caffevis.panes.causes.rows import AGAINST, FOR, MARGIN, draw_title, fitting
from caffevis.panes.parts.look import Look
from toolbox.drawing.palettes import GRAY_MAP, PALETTES, RED_GREEN, colour
from toolbox.drawing.text import draw_text, shorten
from toolbox.drawing.tiles import scale_grey, scale_signed
from toolbox.pictures.images import Image, draw_fitted

NAMES = ("seen", "weights", "product")


def head(found: Account) -> list[str]:
    """Say which value is explained, and what lies between it and the one asked for."""
    at = found.at
    if at is None:
        return []
    where = f"{at.layer}:{at.unit}"
    if at.row or at.column:
        where += f" at row {at.row}, column {at.column}"
    lines = [f"{found.value:.3f} is {where}"]
    if found.way:
        changed = abs(found.shown - found.value) > 1e-4 * abs(found.value)
        behind = f", {found.shown:.3f} behind" if changed else ""
        lines.append(f"then {_upwards(found.way)}{behind}")
    return [*lines, f"from {found.below}:"] if found.below else lines


def _upwards(way: str) -> str:
    return ", ".join(reversed(way.split(", ")))


def foot(found: Account) -> list[str]:
    """Say what the rest adds, that all sum up, and where the largest part leads."""
    lines = [f"{found.others} others {found.rest:+.3f}, bias {found.bias:+.3f}"]
    if found.down is not None:
        down = found.down
        through = f" through {found.down_way}" if found.down_way else ""
        lines.append(f"down: {down.layer}:{down.unit}{through}")
    elif found.down_way:
        lines.append(f"down: {found.down_way}")
    return lines


def pictures(parts: tuple[Part, ...]) -> list[list[Image]]:
    """Colour patch, kernel and product of each part, each kind scaled together.

    Returns
    -------
    list of list of ndarray of uint8, shape (rows, columns, 3)
        A list a part, with three pictures: what is seen from black to white, weights and product
        red below zero and green above.
    """
    patches, kernels = (
        np.stack([getattr(part, name) for part in parts]).astype(np.float32)
        for name in ("patch", "kernel")
    )
    seen = scale_grey(patches, 0, 1)
    signed = [scale_signed(maps, 0, 1) for maps in (kernels, patches * kernels)]
    return [
        [colour(seen[i], PALETTES[GRAY_MAP]), *(colour(maps[i], RED_GREEN) for maps in signed)]
        for i in range(len(parts))
    ]


def draw_account(canvas: Image, found: Account, look: Look) -> None:
    """Draw head, a row a unit, and foot."""
    height, width = canvas.shape[:2]
    top = draw_title(canvas, head(found), look)
    last = foot(found)
    style = fitting(look, last, width - 2 * MARGIN)
    line = round(1.3 * style.height())
    room = height - top - len(last) * line - MARGIN
    for number, text in enumerate(last):
        y = height - (len(last) - 1 - number) * line - style.depth() - MARGIN // 2
        draw_text(canvas, shorten(text, style, width - 2 * MARGIN), style, MARGIN, y)
    if found.parts:
        _draw_parts(canvas[top : top + room], found, look)


def _draw_parts(canvas: Image, found: Account, look: Look) -> None:
    height, width = canvas.shape[:2]
    small = fitting(look, ["product"], 1)
    caption = small.height() + 2
    step = (height - caption) // max(len(found.parts), 3)
    side = max(2, min(step - 3, width // 6))
    lefts = [width - MARGIN - (3 - column) * (side + MARGIN) for column in range(3)]
    widest = max(small.width(name) for name in NAMES)
    tag = small.scaled(min(1.0, (side + MARGIN - 2) / widest))
    for left, name in zip(lefts, NAMES, strict=True):
        draw_text(canvas, name, tag, left, small.above())
    names = [f"unit {part.unit}" for part in found.parts]
    style = fitting(look, [f"{name} +00.000" for name in names], lefts[0] - 2 * MARGIN)
    rows = zip(found.parts, names, pictures(found.parts), strict=True)
    for number, (part, name, shown) in enumerate(rows):
        top = caption + number * step
        y = top + (side + style.above()) // 2
        draw_text(canvas, name, style, MARGIN, y)
        text = f"{part.value:+.3f}"
        own = style.with_colour(FOR if part.value > 0 else AGAINST)
        draw_text(canvas, text, own, lefts[0] - MARGIN - style.width(text), y)
        for left, picture in zip(lefts, shown, strict=True):
            box = canvas[top : top + side, left : left + side]
            drawn = draw_fitted(box, picture, nearest=True)
            cv2.rectangle(box, (0, 0), (drawn[1] - 1, drawn[0] - 1), (90, 90, 90))
