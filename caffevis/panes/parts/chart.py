"""A unit's histogram as bars, with the range and the number of frames."""

from __future__ import annotations

import cv2
import numpy as np

from caffevis.net.histogram import Histogram
from caffevis.panes.parts.look import Look
from toolbox.drawing.text import draw_text, shorten
from toolbox.pictures.images import Image, fill

FEWEST = 9  # bins that the axis has room for, at least


def draw_chart(canvas: Image, histogram: Histogram, look: Look, title: str = "") -> None:
    """Draw a histogram; the bars' heights are logarithms, for zeros are by far the most.

    Parameters
    ----------
    canvas : ndarray of uint8, shape (h, w, 3)
        Painted over.
    histogram : Histogram
        What was counted.
    look : Look
        Fonts and colours.
    title : str
        What stands above it; without one, how many frames and values were counted.
    """
    fill(canvas, look.background)
    style, (height, width) = look.note, canvas.shape[:2]
    values = int(histogram.counts.sum())
    margin = max(2, style.height() // 3)
    line = style.height() + margin
    base = height - line - style.depth()
    heights = bar_heights(histogram, base - line - margin)
    # Single bins, as of a unit with one value a frame, are not drawn as wide as the pane.
    beside = max(0, FEWEST - len(heights) + 1) // 2
    heights = np.pad(heights, beside)
    edges = np.linspace(margin, width - margin, len(heights) + 1).round().astype(int)
    for tall, left, right in zip(heights, edges, edges[1:], strict=False):
        if tall:
            corner = (max(int(left), int(right) - 2), base - 1)
            cv2.rectangle(canvas, (int(left), base - int(tall)), corner, look.class_high, -1)
    cv2.line(canvas, (margin, base), (width - margin, base), style.colour)
    title = title or f"{_counted(histogram.frames, 'frame')}, {_counted(values, 'value')}, log"
    title = shorten(title, style, width - 2 * margin)
    draw_text(canvas, title, style, margin, line)
    below = height - style.depth() - margin // 2
    low, high = (
        f"{edge:.3g}"
        for edge in (
            histogram.low - beside * histogram.width,
            histogram.high + beside * histogram.width,
        )
    )
    draw_text(canvas, low, style, margin, below)
    draw_text(canvas, high, style, width - margin - style.width(high), below)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def bar_heights(histogram: Histogram, room: int) -> np.ndarray:
    """Scale counts to bars.

    Parameters
    ----------
    histogram : Histogram
        What was counted.
    room : int
        Height of the tallest bar in pixels.

    Returns
    -------
    ndarray of int, shape (bins,)
        Proportional to log(1 + count), at least 1 where a bin is not empty.
    """
    logs = np.log1p(histogram.counts)
    heights = np.rint(logs * (max(room, 1) / logs.max())).astype(int)
    return np.maximum(heights, histogram.counts > 0)
