"""Sentences in place of a picture: what is missing, and how to make it."""

from __future__ import annotations

from collections.abc import Sequence

from toolbox.drawing.text import Style, draw_text, plain, wrap_text
from toolbox.pictures.images import Image

SMALLEST = 0.55  # share of the notes' size that they may shrink to before they are cut off
WHOLE = 0.75  # share down to which they shrink to keep words whole
MARGIN = 6  # pixels around a note


def draw_note(canvas: Image, paragraphs: Sequence[str], style: Style) -> None:
    """Write paragraphs into a canvas, wrapped, and smaller where they would not fit.

    Parameters
    ----------
    canvas : ndarray of uint8, shape (h, w, 3)
        Changed in place.
    paragraphs : sequence of str
        Each begins a line of its own.
    style : Style
        Font, size and colour.
    """
    shrink, room = 1.0, canvas.shape[1] - 2 * MARGIN
    words = [word for text in paragraphs for word in plain(text).split()]
    while True:
        scaled = style.scaled(shrink)
        step = round(1.25 * scaled.height())
        lines = [line for text in paragraphs for line in wrap_text(text, scaled, room)]
        # No path is broken inside a word, as long as it can be read well.
        fits = shrink < WHOLE or all(scaled.width(word) <= room for word in words)
        if (fits and len(lines) * step + 2 * MARGIN <= canvas.shape[0]) or shrink <= SMALLEST:
            break
        shrink -= 0.05
    for number, line in enumerate(lines, 1):
        draw_text(canvas, line, scaled, MARGIN, MARGIN + number * step - scaled.depth())
