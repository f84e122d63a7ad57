"""Pattern mode: the layers pane shows what each unit prefers instead of its activation."""

from __future__ import annotations

from dataclasses import dataclass

from caffevis.panes.jpgvis import draw_titled
from caffevis.panes.parts.look import Look
from caffevis.panes.parts.note import draw_note
from caffevis.units.loader import Filled, Picture
from caffevis.units.montage import overview, put_tile
from toolbox.drawing.tiles import Grid, frame_tile
from toolbox.pictures.images import Image, fill


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
    filled : Filled or None
        Images of units that the picture has none of.
    units : int
        How many the layer has.
    """

    picture: Picture | None
    grid: Grid | None
    unit: int | None
    frozen_unit: int | None
    look: Look
    filled: Filled | None = None
    units: int = 0


def tile_grid(view: PatternView) -> Grid | None:
    """Say where the units' tiles lie; None where one is enlarged, or there are none to show."""
    there = view.picture is not None and view.picture.image is not None
    return view.grid if there or (view.filled and view.filled.tiles) else None


def draw(canvas: Image, view: PatternView) -> None:
    """Draw the overview with the units' frames, the enlarged unit, or what is missing."""
    fill(canvas, view.look.stale if view.picture is None else view.look.background)
    if view.picture is None:
        return
    grid = tile_grid(view)
    if grid is not None:
        _draw_tiles(canvas, view, grid)
    elif view.picture.image is None:
        draw_note(canvas, view.picture.note, view.look.label)
    else:
        draw_titled(canvas, view.picture.image, "", view.picture.caption, view.look)


def _draw_tiles(canvas: Image, view: PatternView, grid: Grid) -> None:
    image = view.picture.image if view.picture else None
    if image is None:
        image = overview(lambda unit: None, view.units, grid, view.look.background)
    height, width = (min(a, b) for a, b in zip(canvas.shape[:2], image.shape[:2], strict=True))
    canvas[:height, :width] = image[:height, :width]
    for unit, tile in (view.filled.tiles if view.filled else {}).items():
        put_tile(canvas, tile, grid, unit)
    for framed, colour in (
        (view.frozen_unit, view.look.back_unit),
        (view.unit, view.look.cursor),
    ):
        if framed is not None:
            frame_tile(canvas, grid, framed, colour)
