"""The selected unit's pictures from disk: optimised images, top-9 patches, deconv of those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from caffevis.panes.parts.look import Look
from caffevis.units.loader import Picture
from toolbox.drawing.text import Style, draw_text, wrap_text
from toolbox.pictures.images import Image, draw_fitted, fill

PANE = "caffevis_jpgvis"
SMALLEST = 0.55  # share of the notes' size that they may shrink to before they are cut off
MARGIN = 6  # pixels around a note


@dataclass(frozen=True)
class JpgvisView:
    """A unit's pictures, or why there are none.

    Parameters
    ----------
    pictures : tuple of Picture or None
        One below the other; empty for none, None while they are loaded.
    hint : str
        What to say where there are none.
    stack_vert : bool
        One below the other instead of side by side.
    look : Look
        Colours and fonts.
    """

    pictures: tuple[Picture, ...] | None
    hint: str
    stack_vert: bool
    look: Look


def draw(canvas: Image, view: JpgvisView) -> None:
    """Draw each picture as large as fits into its third, or what is missing there."""
    if view.pictures is None:
        fill(canvas, view.look.stale)
        return
    fill(canvas, view.look.background)
    if not view.pictures:
        draw_note(canvas, [view.hint], view.look.note)
    for part, picture in zip(thirds(canvas, view.stack_vert), view.pictures, strict=False):
        if picture.image is not None:
            draw_fitted(part, picture.image)
        else:
            draw_note(part, picture.note, view.look.note)


def thirds(canvas: Image, stack_vert: bool) -> list[Image]:
    """Divide a canvas into three, one below the other or side by side."""
    length = canvas.shape[0 if stack_vert else 1]
    edges = [round(length * part / 3) for part in range(4)]
    slices = [slice(start, end) for start, end in zip(edges, edges[1:], strict=False)]
    return [canvas[part] if stack_vert else canvas[:, part] for part in slices]


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
    shrink = 1.0
    while True:
        scaled = replace(style, size=style.size * shrink)
        step = round(1.25 * scaled.height())
        room = canvas.shape[1] - 2 * MARGIN
        lines = [line for text in paragraphs for line in wrap_text(text, scaled, room)]
        if len(lines) * step + 2 * MARGIN <= canvas.shape[0] or shrink <= SMALLEST:
            break
        shrink -= 0.05
    for number, line in enumerate(lines, 1):
        draw_text(canvas, line, scaled, MARGIN, MARGIN + number * step - scaled.depth())
