"""The list of classes before and after a lesion or a disturbance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caffevis.panes.causes.rows import MARGIN, draw_bar
from caffevis.panes.parts.look import Look
from toolbox.drawing.text import draw_text, shorten
from toolbox.pictures.images import Colour, FloatArray, Image, fill

TOP = 5
BEFORE: Colour = (130, 130, 130)


@dataclass(frozen=True)
class Pair:
    """A class's probability before and after.

    Parameters
    ----------
    number : int
        The class.
    before, after : float
        From 0 to 1; of a network that ends before its Softmax, shares of the largest.
    text : str
        Both as they are, and the label.
    """

    number: int
    before: float
    after: float
    text: str


def pairs_of(before: FloatArray, after: FloatArray, labels: tuple[str, ...]) -> tuple[Pair, ...]:
    """Choose the five most probable classes of either side, in the order of their larger value."""
    values = [np.nan_to_num(v, nan=0.0, posinf=0.0, neginf=0.0) for v in (before, after)]
    best = {int(i) for side in values for i in np.argsort(-side, kind="stable")[:TOP]}
    larger = np.maximum(*values)
    order = sorted(best, key=lambda i: (-larger[i], i))
    whole = max(1.0, float(larger.max()))
    shares = [np.clip(side / whole, 0, 1) for side in values]
    return tuple(
        Pair(
            i,
            float(shares[0][i]),
            float(shares[1][i]),
            f"{before[i]:.2f} -> {after[i]:.2f} {labels[i] if i < len(labels) else f'class {i}'}",
        )
        for i in order
    )


def draw_pairs(canvas: Image, pairs: tuple[Pair, ...], look: Look) -> None:
    """Draw a row a class: text, and below it two bars, the upper one before."""
    fill(canvas, look.background)
    if not pairs:
        return
    height, width = canvas.shape[:2]
    step = (height - MARGIN) // max(len(pairs), TOP)
    style = look.class_style
    style = style.scaled(min(1.0, 0.6 * step / style.height()))
    thick = max(2, step // 8)
    for number, pair in enumerate(pairs):
        y = MARGIN // 2 + number * step + style.height()
        bright = look.class_high if pair.after >= 0.005 else BEFORE
        text = shorten(pair.text, style, width - 2 * MARGIN)
        draw_text(canvas, text, style.with_colour(bright), MARGIN, y)
        top = y + style.depth()
        draw_bar(canvas, (top, MARGIN, top + thick, width - MARGIN), pair.before, BEFORE)
        box = (top + thick, MARGIN, top + 2 * thick, width - MARGIN)
        draw_bar(canvas, box, pair.after, look.class_high)


def row_of(height: int, count: int) -> int:
    """Return how many pixels a row of the list takes in a pane."""
    return (height - MARGIN) // max(count, TOP)
