"""Small headings on panes: which picture is which."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from toolbox.drawing.screen import Drawing
from toolbox.drawing.text import Style, draw_text, shorten
from toolbox.pictures.images import Colour, Image, fill

SHADE = 4  # by how much a picture is darkened below its heading
SMALLEST_PANE = 5  # heights of a heading that a pane has at least, to have one
MARGIN = 0.45  # of a capital's height, above, below and beside a heading


@dataclass(frozen=True)
class Headed:
    """What a pane shows, and its heading.

    Parameters
    ----------
    text : str
        The heading; nothing is drawn where it is empty.
    style : Style
        Of the text.
    inner : hashable
        What `draw` draws.
    draw : callable
        As of `Drawing`.
    strip : Colour or None
        The heading has a strip of this colour of its own above the picture; None: it lies on
        the picture's lower left corner.
    """

    text: str
    style: Style
    inner: Hashable
    draw: Callable[[Image, Any], None]
    strip: Colour | None = None


def with_heading(
    drawing: Drawing, text: str, style: Style | None, strip: Colour | None = None
) -> Drawing:
    """Give a drawing a heading; the same drawing where headings are off (no style)."""
    if style is None:
        return drawing
    return Drawing(
        drawing.pane, Headed(text, style, drawing.inputs, drawing.draw, strip), draw_headed
    )


def _margin(style: Style) -> int:
    return max(2, round(MARGIN * style.above()))


def strip_height(style: Style | None, pane: int) -> int:
    """Return how many pixels a strip takes; 0 where headings are off or the pane is small.

    Parameters
    ----------
    style : Style or None
        Of the headings; None where these are off.
    pane : int
        Height of the pane in pixels.
    """
    height = 0 if style is None else style.height() + 2 * _margin(style)
    return height if height * SMALLEST_PANE <= pane else 0


def draw_headed(canvas: Image, view: Headed) -> None:
    """Draw a pane's picture and its heading."""
    if view.strip is None:
        view.draw(canvas, view.inner)
        draw_tag(canvas, view.text, view.style)
        return
    height = strip_height(view.style, canvas.shape[0])
    if height:
        fill(canvas[:height], view.strip)
        draw_strip(canvas[:height], view.text, view.style)
    view.draw(canvas[height:], view.inner)


def draw_strip(canvas: Image, text: str, style: Style, *, keep_end: bool = False) -> None:
    """Write a heading into a strip that `strip_height` is the height of; see `shorten`."""
    margin = _margin(style)
    text = shorten(text, style, canvas.shape[1] - 2 * margin, keep_end=keep_end)
    draw_text(canvas, text, style, margin, style.above() + margin)


def draw_tag(canvas: Image, text: str, style: Style) -> None:
    """Write a heading onto the lower left corner of a picture, on a dark ground."""
    if not text or not strip_height(style, canvas.shape[0]):
        return
    margin = _margin(style)
    text = shorten(text, style, canvas.shape[1] - 2 * margin)
    height = style.height() + margin
    ground = canvas[canvas.shape[0] - height :, : style.width(text) + 2 * margin]
    ground[:] = ground // SHADE
    draw_text(canvas, text, style, margin, canvas.shape[0] - style.depth() - margin // 2)
