"""Pattern mode: the layers pane shows what each unit prefers instead of its activation."""

from __future__ import annotations

from dataclasses import dataclass

from caffevis.panes.parts.look import Look
from caffevis.panes.parts.note import draw_note
from caffevis.units.loader import Picture
from toolbox.drawing.tiles import Grid, frame_tile
from toolbox.pictures.images import Image, draw_fitted, fill


@dataclass(frozen=True)
class PatternView:
    """A layer's overview, or one of its units enlarged.

    Parameters
    ----------
    picture : Picture or None
        Laid out for the pane by the loader; None while it is loaded.
    grid : Grid or None
        Where the tiles lie; None where one unit is enlarged.
    unit, frozen_unit : int or None
        The unit under the cursor, and the frozen one where it is of this layer.
    look : Look
        Colours and fonts.
    """

    picture: Picture | None
    grid: Grid | None
    unit: int | None
    frozen_unit: int | None
    look: Look


def tile_grid(view: PatternView) -> Grid | None:
    """Say where the units' tiles lie; None where one is enlarged, or there are none to show."""
    there = view.picture is not None and view.picture.image is not None
    return view.grid if there else None


def draw(canvas: Image, view: PatternView) -> None:
    """Draw the overview with the units' frames, the enlarged unit, or what is missing."""
    fill(canvas, view.look.stale if view.picture is None else view.look.background)
    if view.picture is None:
        return
    image = view.picture.image
    if image is None:
        draw_note(canvas, view.picture.note, view.look.label)
    elif view.grid is None:
        draw_fitted(canvas, image)
    else:
        height, width = (min(a, b) for a, b in zip(canvas.shape[:2], image.shape[:2], strict=True))
        canvas[:height, :width] = image[:height, :width]
        for unit, colour in (
            (view.frozen_unit, view.look.back_unit),
            (view.unit, view.look.cursor),
        ):
            if unit is not None:
                frame_tile(canvas, view.grid, unit, colour)
