"""The input with what the selected unit sees in it: its activation, its field, its best places."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from caffevis.keys.state import OVER_ACTIVE, OVER_CAM, OVERLAY_OFF, State
from caffevis.net.measures import strongest, top_positions
from caffevis.net.receptive_fields import Box, Fields, Span
from caffevis.net.request import NetResult
from caffevis.panes.parts.look import Look
from caffevis.panes.parts.marks import draw_box, draw_crosses
from toolbox.drawing.palettes import GRAY_MAP, PALETTES, colour
from toolbox.drawing.screen import Drawing
from toolbox.drawing.tiles import as_maps
from toolbox.input.frame import Frame
from toolbox.pictures.images import FloatArray, Image, draw_fitted, fill, side_by_side

PANE = "input"  # the window's own; what is drawn here replaces it
DARK = 0.15  # how much of the picture is left where it is darkened
HEAT_MAP = "jet"
HEAT = 0.6  # how much of a colour lies over the picture where Grad-CAM is highest


@dataclass(frozen=True)
class OverlayView:
    """The frame, and what to draw over it.

    Parameters
    ----------
    result : NetResult
        With the frame, the unit's activations and the layer's fields.
    unit : int
        The selected unit.
    mode : str
        Of `state.OVERLAYS`.
    show_field, show_top : bool
        Frame the receptive field of the strongest place, mark the strongest places.
    colour_map : str
        Of `PALETTES`.
    look : Look
        Colours.
    """

    result: NetResult
    unit: int
    mode: str
    show_field: bool
    show_top: bool
    colour_map: str
    look: Look


def drawing(state: State, result: NetResult, look: Look) -> Drawing | None:
    """Say what to draw instead of the plain input; None where there is nothing to add."""
    if not state.wants_fields or result.fields is None:
        return None
    view = OverlayView(
        result=result,
        unit=state.unit,
        mode=state.overlay,
        show_field=state.show_field and state.in_units,
        show_top=state.show_top and state.in_units,
        colour_map=state.colour_map,
        look=look,
    )
    return Drawing(PANE, view, draw)


def message(state: State, result: NetResult | None) -> str:
    """Say why something that was asked for is not drawn."""
    wanted = state.overlay not in (OVERLAY_OFF, OVER_CAM) or state.show_field or state.histogram
    if wanted and not state.in_units:
        return "choose a unit: down"
    if state.overlay == OVER_CAM:
        if state.cam_origin is None:
            return "Grad-CAM: choose a unit and keep it (d)"
        if result is not None and result.cam is not None and result.cam.why:
            return result.cam.why
    if not state.show_field or result is None or result.fields is None:
        return ""
    if result.fields.known:
        caution = result.fields.caution
        return f"receptive field {caution}" if caution else ""
    return f"the receptive fields of {result.request.layer} are not known"


def activity(unit_map: FloatArray) -> FloatArray:
    """Scale a unit's map to how active it is.

    Parameters
    ----------
    unit_map : ndarray of float32, shape (h, w)
        Activations.

    Returns
    -------
    ndarray of float32, shape (h, w)
        0 for zero and below, 1 for the map's maximum.
    """
    values = np.maximum(np.nan_to_num(unit_map, nan=0.0, posinf=0.0, neginf=0.0), 0)
    top = float(values.max())
    return values / np.float32(top) if top > 0 else values


@lru_cache(maxsize=8)
def _sources(
    fields: Fields, shape: tuple[int, int], columns: Span, size: tuple[int, int]
) -> tuple[FloatArray, FloatArray]:
    """Say for each pixel of a picture where in the map its value comes from: x and y."""
    rows, begin, width = size[0], columns[0], columns[1] - columns[0]
    y = (np.arange(rows) + 0.5) * fields.height / rows
    x = begin + (np.arange(size[1]) + 0.5) * width / size[1]
    vertical, horizontal = fields.centres(shape)
    at_y = np.interp(y, vertical, np.arange(shape[0])).astype(np.float32)
    at_x = np.interp(x, horizontal, np.arange(shape[1])).astype(np.float32)
    across, down = np.meshgrid(at_x, at_y)
    return across, down


def spread(active: FloatArray, fields: Fields, columns: Span, size: tuple[int, int]) -> FloatArray:
    """Enlarge a map to a picture, each value at the centre of its receptive field.

    Parameters
    ----------
    active : ndarray of float32, shape (h, w)
        A map.
    fields : Fields
        Of its layer.
    columns : (int, int)
        Which columns of the net's input the picture is.
    size : (int, int)
        Height and width of the picture in pixels.

    Returns
    -------
    ndarray of float32, shape size
        Linear between the centres, the same as the nearest beyond the last.
    """
    across, down = _sources(fields, (active.shape[0], active.shape[1]), columns, size)
    large = cv2.remap(active, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(large, dtype=np.float32)


def blend(picture: Image, active: FloatArray, mode: str, colour_map: str) -> Image:
    """Lay a unit's activity over a picture.

    Parameters
    ----------
    picture : ndarray of uint8, shape (h, w, 3)
        RGB.
    active : ndarray of float32, shape (h, w)
        0 to 1.
    mode : str
        `OVER_ACTIVE`: the picture where the unit is active, darkened elsewhere.
        `OVER_INACTIVE`: the picture where it is not, elsewhere the activity in colour.
        `OVER_CAM`: the picture with the activity as a veil of colour.
    colour_map : str
        Of `PALETTES`.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        RGB; in between both are mixed.
    """
    idle = 1 - active
    if mode == OVER_ACTIVE:
        dark = cv2.convertScaleAbs(picture, alpha=DARK)
        return np.asarray(cv2.blendLinear(picture, dark, active, idle), dtype=np.uint8)
    levels = cv2.convertScaleAbs(active, alpha=255)
    if mode == OVER_CAM:  # gray would be a fog
        colour_map = HEAT_MAP if colour_map == GRAY_MAP else colour_map
        active, idle = HEAT * active, 1 - HEAT * active
    colours = colour(np.asarray(levels, dtype=np.uint8), PALETTES[colour_map])
    return np.asarray(cv2.blendLinear(picture, colours, idle, active), dtype=np.uint8)


def draw(canvas: Image, view: OverlayView) -> None:
    """Draw the frame as the window does, and the unit's marks over each picture of it."""
    fill(canvas, view.look.background)
    frame: Frame = view.result.seen
    height, width = draw_fitted(canvas, side_by_side(frame.images))
    if view.result.fields is None:
        return
    count = len(frame.images)
    for number, columns in enumerate(view.result.fields.shown_columns(count)):
        left, right = (round(width * part / count) for part in (number, number + 1))
        _draw_over(canvas[:height, left:right], view, view.result.fields, columns)


def _draw_over(picture: Image, view: OverlayView, fields: Fields, columns: Span) -> None:
    """Draw over one picture, which is the given columns of the net's input."""
    unit_map = as_maps(view.result.activations)[view.unit]
    height, width = picture.shape[:2]
    if view.mode == OVER_CAM:
        cam = view.result.cam
        unit_map = np.zeros((1, 1), np.float32) if cam is None or cam.values is None else cam.values
    if view.mode != OVERLAY_OFF:
        active = spread(activity(unit_map), fields, columns, (height, width))
        picture[:] = blend(picture, active, view.mode, view.colour_map)
    scale = (height / fields.height, width / (columns[1] - columns[0]))
    if view.show_field:
        place = strongest(as_maps(view.result.activations)[view.unit])
        _draw_field(picture, view, fields.box(*place), columns[0], scale)
    if view.show_top:
        _draw_places(picture, view, fields, columns[0], scale)


def _draw_field(
    picture: Image, view: OverlayView, box: Box | None, begin: int, scale: tuple[float, float]
) -> None:
    """Frame a part of the input in the picture that begins at one of its columns."""
    if box is None:
        return
    top, left, bottom, right = box
    down, across = scale
    edges = (top * down, (left - begin) * across, bottom * down, (right - begin) * across)
    draw_box(picture, edges, view.look.cursor)


def _draw_places(
    picture: Image, view: OverlayView, fields: Fields, begin: int, scale: tuple[float, float]
) -> None:
    """Mark the centres of the fields of the unit's strongest places."""
    unit_map = as_maps(view.result.activations)[view.unit]
    rows, columns = fields.centres((unit_map.shape[0], unit_map.shape[1]))
    places = top_positions(unit_map)
    crosses = [((columns[x] - begin) * scale[1], rows[y] * scale[0]) for y, x in places]
    draw_crosses(picture, crosses, view.look.mark)
