"""The selected unit's pictures from disk: optimised images, top-9 patches, deconv of those."""

from __future__ import annotations

from dataclasses import dataclass

from caffevis.panes.parts.look import Look
from caffevis.panes.parts.note import draw_note
from caffevis.units.loader import Picture
from toolbox.drawing.headings import draw_strip, strip_height
from toolbox.drawing.text import plain
from toolbox.pictures.images import Image, draw_fitted, fill

PANE = "caffevis_jpgvis"
SMALLEST = 0.7  # share of a heading's size that a line below shrinks to


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
    titles : tuple of str
        What each picture is.
    """

    pictures: tuple[Picture, ...] | None
    hint: str
    stack_vert: bool
    look: Look
    titles: tuple[str, ...] = ()


def draw(canvas: Image, view: JpgvisView) -> None:
    """Draw each picture as large as fits into its third, or what is missing there."""
    if view.pictures is None:
        fill(canvas, view.look.stale)
        return
    fill(canvas, view.look.background)
    if not view.pictures:
        draw_note(canvas, [view.hint], view.look.label)
    for number, (part, picture) in enumerate(
        zip(thirds(canvas, view.stack_vert), view.pictures, strict=False)
    ):
        title = view.titles[number] if number < len(view.titles) else ""
        _draw_picture(part, picture, title, view.look)


def draw_one(canvas: Image, view: JpgvisView) -> None:
    """Draw the only picture as large as it fits into all of the canvas."""
    fill(canvas, view.look.background)
    for picture in view.pictures or ():
        _draw_picture(canvas, picture, "", view.look)


def _draw_picture(part: Image, picture: Picture, title: str, look: Look) -> None:
    if picture.image is None:
        draw_note(part, picture.note, look.label)
    else:
        draw_titled(part, picture.image, picture.title or title, picture.caption, look)


def draw_titled(part: Image, image: Image, title: str, caption: str, look: Look) -> None:
    """Draw a picture with a line above and one below, where these have a text and room."""
    height = strip_height(look.heading, part.shape[0])
    if height and look.heading is not None and title:
        draw_strip(part[:height], title, look.heading)
        part = part[height:]
    below = height if look.heading is not None and caption else 0
    drawn, _ = draw_fitted(part[: part.shape[0] - below], image)
    if below and look.heading is not None:
        # Smaller where it is a little too long; else a layer's name goes, and no numbers.
        share = 0.95 * part.shape[1] / max(1, look.heading.width(plain(caption)))
        style = look.heading.scaled(max(SMALLEST, min(1.0, share)))
        draw_strip(part[drawn : drawn + below], caption, style, keep_end=True)


def thirds(canvas: Image, stack_vert: bool) -> list[Image]:
    """Divide a canvas into three, one below the other or side by side."""
    length = canvas.shape[0 if stack_vert else 1]
    edges = [round(length * part / 3) for part in range(4)]
    slices = [slice(start, end) for start, end in zip(edges, edges[1:], strict=False)]
    return [canvas[part] if stack_vert else canvas[:, part] for part in slices]
