"""A whole layer over the input: its principal components, or how alike places are to one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caffevis.keys.state import COMPONENTS, SIMILARITY, WHOLE_OFF, State
from caffevis.net.principal import similarity
from caffevis.net.receptive_fields import Fields, Span
from caffevis.net.request import NetResult
from caffevis.panes.overlay import PANE, spread
from caffevis.panes.parts.look import Look
from caffevis.panes.parts.marks import draw_crosses
from toolbox.drawing.palettes import GRAY_MAP, PALETTES, colour
from toolbox.drawing.screen import Drawing
from toolbox.drawing.tiles import as_maps
from toolbox.input.frame import Frame
from toolbox.pictures.images import FloatArray, Image, draw_fitted, fill, fit, side_by_side
from toolbox.window.pointer import CLICK, Pointer

COVER = 0.7  # how much of the colours lies over the picture
HEAT_MAP = "jet"  # for likeness, where the map of `1` is gray


@dataclass(frozen=True)
class WholeView:
    """The frame, and what of the layer to draw over it.

    Parameters
    ----------
    result : NetResult
        With the frame, the layer's activations and fields, and its components.
    mode : str
        `COMPONENTS` or `SIMILARITY`.
    place : (float, float) or None
        Where all pictures side by side were clicked on: down and across, from 0 to 1.
    colour_map : str
        Of `PALETTES`, for likeness.
    look : Look
        Colours.
    """

    result: NetResult
    mode: str
    place: tuple[float, float] | None
    colour_map: str
    look: Look


def drawing(state: State, result: NetResult, look: Look) -> Drawing | None:
    """Say what to draw instead of the input; None where nothing is to be added."""
    if state.whole == WHOLE_OFF or result.fields is None:
        return None
    view = WholeView(result, state.whole, state.place, state.colour_map, look)
    return Drawing(PANE, view, draw)


def message(state: State, result: NetResult | None) -> str:
    """Say why what was asked for is not drawn."""
    if state.whole == WHOLE_OFF or result is None or result.request.layer != state.layer.name:
        return ""
    shape = as_maps(result.activations).shape
    if shape[1] * shape[2] < 2:
        return f"{state.layer.name} has no places: its units have one value each"
    if state.whole == SIMILARITY and state.place is None:
        return "click on a place of the input"
    return ""


def place_at(pointer: Pointer, frame: Frame | None) -> tuple[float, float] | None:
    """Say where in the pictures of a frame a click in the input pane is; None beside them."""
    return place_in(pointer, frame) if frame is not None and pointer.kind == CLICK else None


def place_in(pointer: Pointer, frame: Frame) -> tuple[float, float] | None:
    """Say where in a frame's pictures side by side, from 0 to 1, the mouse is; None beside them."""
    picture = side_by_side(frame.images)
    height, width = fit(picture.shape[0], picture.shape[1], pointer.room)
    down, across = (pointer.row + 0.5) / height, (pointer.column + 0.5) / width
    return (down, across) if 0 <= down < 1 and 0 <= across < 1 else None


def cell(fields: Fields, shape: tuple[int, int], down: float, column: float) -> tuple[int, int]:
    """Find the place of a map whose field has its centre nearest to a place of the picture.

    Parameters
    ----------
    fields : Fields
        Of the layer.
    shape : (int, int)
        Height and width of its maps.
    down : float
        Of the picture's height, from 0 to 1.
    column : float
        Of the net's input, in pixels.
    """
    rows, columns = fields.centres(shape)
    row = int(np.abs(rows - down * fields.height).argmin())
    return row, int(np.abs(columns - column).argmin())


def draw(canvas: Image, view: WholeView) -> None:
    """Draw the frame as the window does, with the layer over each picture of it."""
    fill(canvas, view.look.background)
    frame, fields = view.result.seen, view.result.fields
    height, width = draw_fitted(canvas, side_by_side(frame.images))
    if fields is None:
        return
    count = len(frame.images)
    for number, columns in enumerate(fields.shown_columns(count)):
        left, right = (round(width * part / count) for part in (number, number + 1))
        _cover(canvas[:height, left:right], _colours(view, fields, columns, (height, right - left)))
    if view.mode == SIMILARITY and view.place is not None:
        at = (view.place[1] * width, view.place[0] * height)
        draw_crosses(canvas[:height, :width], [at], view.look.mark)


def _cover(picture: Image, colours: FloatArray | None) -> None:
    if colours is not None:
        mixed = (1 - COVER) * picture.astype(np.float32) + COVER * colours
        picture[:] = np.rint(mixed).clip(0, 255).astype(np.uint8)


def _colours(
    view: WholeView, fields: Fields, columns: Span, size: tuple[int, int]
) -> FloatArray | None:
    """Return the layer's colours over one picture, (h, w, 3), 0 to 255; None without any."""
    if view.mode == COMPONENTS:
        found = view.result.components
        if found is None:
            return None
        parts = [spread(np.ascontiguousarray(found[..., i]), fields, columns, size)
                 for i in range(3)]  # fmt: skip
        return np.asarray(255 * np.stack(parts, axis=2), np.float32)
    maps = as_maps(view.result.activations)
    if view.place is None or maps[0].size < 2:
        return None
    at = cell(fields, maps.shape[1:], view.place[0], _input_column(view, fields))
    alike = spread(np.maximum(similarity(maps, *at), 0), fields, columns, size)
    name = HEAT_MAP if view.colour_map == GRAY_MAP else view.colour_map
    levels = np.rint(255 * alike).clip(0, 255).astype(np.uint8)
    return np.asarray(colour(levels, PALETTES[name]), np.float32)


def _input_column(view: WholeView, fields: Fields) -> float:
    """Return which column of the net's input was clicked on."""
    count = len(view.result.request.frame.images)
    across = (view.place or (0.0, 0.0))[1] * count
    spans = fields.shown_columns(count)
    first, last = spans[min(int(across), len(spans) - 1)]
    return first + (across - int(across)) * (last - first)
