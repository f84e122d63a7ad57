"""Every unit of the current layer, tiled; or one of them, or the back result, enlarged."""

from __future__ import annotations

from dataclasses import dataclass

from caffevis.keys.state import ZOOM_ALL, ZOOM_BACK, ZOOM_UNIT, Layer, State
from caffevis.net.measures import top_positions, top_units
from caffevis.net.request import NetResult
from caffevis.net.weights import Weights
from caffevis.panes import back
from caffevis.panes import weights as weights_pane
from caffevis.panes.causes.tile_marks import Marks, draw_marks, marks_of
from caffevis.panes.parts.look import Look
from caffevis.panes.parts.marks import draw_corner, draw_crosses
from caffevis.panes.parts.note import draw_note
from toolbox.drawing.palettes import GRAY_MAP, PALETTES, RED_GREEN, colour
from toolbox.drawing.tiles import (
    Grid,
    as_maps,
    frame_tile,
    plan_grid,
    scale_grey,
    scale_signed,
    tile_grey,
    tile_signed,
)
from toolbox.pictures.images import FloatArray, Image, draw_fitted, fill

PANE = "caffevis_layers"


@dataclass(frozen=True)
class LayersView:
    """What the units are drawn from.

    Parameters
    ----------
    result : NetResult
        Of the layer.
    layer : Layer
        The layer, for its grid.
    unit : int
        The selected unit.
    framed : bool
        Whether the selected unit is framed (the cursor is on the units).
    frozen_unit : int or None
        The frozen unit, where it is of this layer.
    zoom : int
        See `state`.
    show_back : bool
        Diffs instead of activations.
    boost_indiv, boost_gamma : float
        See `toolbox.drawing.tiles`.
    back : BackView
        What the back pane shows, for its enlargement.
    look : Look
        Colours.
    colour_map : str
        Of `PALETTES`, for activations.
    show_top : bool
        Mark the strongest units, or the places of the one enlarged.
    weights : Weights or None
        The layer's weights, in place of all else, where these are shown.
    marks : Marks
        Units with lesions, and those that matter.
    """

    result: NetResult
    layer: Layer
    unit: int
    framed: bool
    frozen_unit: int | None
    zoom: int
    show_back: bool
    boost_indiv: float
    boost_gamma: float
    back: back.BackView | None
    look: Look
    colour_map: str = GRAY_MAP
    show_top: bool = False
    weights: Weights | None = None
    marks: Marks = Marks()


def view(state: State, result: NetResult, look: Look) -> LayersView:
    """Take from state and result what the units are drawn from."""
    frozen = state.frozen
    return LayersView(
        result=result,
        layer=state.layer,
        unit=state.unit,
        framed=state.in_units,
        frozen_unit=frozen.unit if frozen and frozen.layer == state.layer.name else None,
        zoom=state.zoom,
        show_back=state.show_back,
        boost_indiv=state.boost_indiv,
        boost_gamma=state.boost_gamma,
        back=back.view(state, result, look) if state.zoom == ZOOM_BACK else None,
        look=look,
        colour_map=state.colour_map,
        show_top=state.show_top,
        weights=result.weights if state.show_weights else None,
        marks=marks_of(state, result),
    )


def message(state: State, result: NetResult | None) -> str:
    """Say that a layer has no weights to show, where they are asked for."""
    there = state.show_weights and result is not None and result.weights is not None
    return result.weights.why if there and result and result.weights else ""


def shown_maps(view: LayersView) -> FloatArray | None:
    """Return the values to show, shape (units, h, w); None where diffs are missing."""
    values = view.result.layer_diffs if view.show_back else view.result.activations
    return None if values is None else as_maps(values)


def unit_picture(view: LayersView) -> Image | None:
    """Draw the selected unit alone, scaled together with its layer.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3), or None
        RGB, one pixel a value (a sequence, 1 x n, becomes n x n); None where
        there are no diffs to show.
    """
    maps = shown_maps(view)
    if maps is None:
        return None
    one = maps[view.unit : view.unit + 1]
    if view.show_back:
        picture = colour(scale_signed(maps, view.boost_indiv, view.boost_gamma, one)[0], RED_GREEN)
    else:
        levels = scale_grey(maps, view.boost_indiv, view.boost_gamma, one)[0]
        picture = colour(levels, PALETTES[view.colour_map])
    if picture.shape[0] == 1:
        picture = picture.repeat(picture.shape[1], axis=0)
    return picture


def silence(view: LayersView) -> str:
    """Say that all values of the selected unit are zero; empty where they are not."""
    maps = shown_maps(view)
    if maps is None or maps[view.unit].any():
        return ""
    unit = f"{view.layer.name}:{view.unit}"
    if view.show_back:
        return f"no back diff reaches {unit}: 0 everywhere"
    return f"{unit} is silent in this picture: 0 everywhere"


def heading(view: LayersView) -> str:
    """Say what the units are: the layer, how many, their size, and how much one sees."""
    if view.weights is not None:
        return view.weights.why or f"weights of {view.weights.layer}"
    layer, shape = view.layer, as_maps(view.result.activations).shape[1:]
    units = f"{layer.units} unit" + ("s" if layer.units > 1 else "")
    size = f" of {shape[0]} x {shape[1]}" if shape != (1, 1) else ""
    field = view.result.field
    sees = f", each sees {field[0]} x {field[1]} pixels" if field else ""
    what = {ZOOM_UNIT: f"{layer.name}:{view.unit} of ", ZOOM_BACK: ""}.get(view.zoom, "")
    if view.zoom == ZOOM_BACK:
        return back.heading(view.back) if view.back is not None else ""
    diffs = " (back diffs)" if view.show_back else ""
    return f"{what}{layer.name}{diffs}: {units}{size}{sees}{view.marks.text()}"


def draw_unit(canvas: Image, view: LayersView) -> None:
    """Draw the selected unit as large as fits, with its strongest places where wanted."""
    picture = unit_picture(view)
    if picture is None:
        return
    if silent := silence(view):
        draw_note(canvas, (silent,), view.look.note)
        return
    height, width = draw_fitted(canvas, picture, nearest=True)
    if view.show_top:
        unit_map = as_maps(view.result.activations)[view.unit]
        down, across = height / unit_map.shape[0], width / unit_map.shape[1]
        places = top_positions(unit_map)
        crosses = [((column + 0.5) * across, (row + 0.5) * down) for row, column in places]
        draw_crosses(canvas[:height, :width], crosses, view.look.mark)


def draw(canvas: Image, view: LayersView) -> None:
    """Draw all units, the selected one, or the back result, by zoom."""
    fill(canvas, view.look.background)
    if view.weights is not None:
        selected = view.unit if view.framed else None
        weights_pane.draw(canvas, view.weights, view.look, selected, view.layer.columns)
    elif view.zoom == ZOOM_BACK and view.back is not None:
        back.draw(canvas, view.back)
    elif view.zoom == ZOOM_UNIT:
        draw_unit(canvas, view)
    else:
        _draw_all(canvas, view)


def tile_grid(view: LayersView, room: tuple[int, int]) -> Grid | None:
    """Say where the units' tiles lie; None where not all units are shown.

    Parameters
    ----------
    view : LayersView
        What is drawn.
    room : (int, int)
        Height and width of the pane.
    """
    if view.weights is not None:
        return weights_pane.filter_grid(view.weights, room, view.layer.columns)
    maps = shown_maps(view)
    if maps is None or view.zoom != ZOOM_ALL:
        return None
    return plan_grid(maps.shape[1:], view.layer.rows, view.layer.columns, room)


def _draw_all(canvas: Image, view: LayersView) -> None:
    maps, grid = shown_maps(view), tile_grid(view, (canvas.shape[0], canvas.shape[1]))
    if maps is None or grid is None:
        return
    boosts = (view.boost_indiv, view.boost_gamma)
    if view.show_back:
        tile_signed(canvas, maps, grid, *boosts, view.look.back_background)
    else:
        palette = PALETTES[view.colour_map]
        tile_grey(canvas, maps, grid, *boosts, view.look.background, palette)
    if view.show_top:
        for unit in top_units(as_maps(view.result.activations)):
            top, left = grid.corner(unit)
            frame_tile(canvas, grid, unit, view.look.mark)
            # The cursor's frame may cover this one; the corner stays.
            tile = canvas[top : top + grid.height, left : left + grid.width]
            draw_corner(tile, view.look.mark)
    draw_marks(canvas, grid, view.marks)
    if view.frozen_unit is not None:
        frame_tile(canvas, grid, view.frozen_unit, view.look.back_unit)
    if view.framed:
        frame_tile(canvas, grid, view.unit, view.look.cursor)
