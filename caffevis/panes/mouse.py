"""What the mouse does to the state: pure, from where the panes' layouts place things."""

from __future__ import annotations

from caffevis.keys import transitions as go
from caffevis.keys.state import State
from caffevis.panes import control, layers
from caffevis.panes.parts.look import Look
from toolbox.drawing.tiles import Grid
from toolbox.window.pointer import CLICK, RIGHT_CLICK, WHEEL_DOWN, WHEEL_UP, Pointer

STEPS = {WHEEL_UP: go.previous_layer, WHEEL_DOWN: go.next_layer}
ZOOMS = {WHEEL_UP: go.zoom_in, WHEEL_DOWN: go.zoom_out, RIGHT_CLICK: go.next_zoom}


def point(state: State, pointer: Pointer, look: Look, grid: Grid | None) -> State:
    """Select the layer or unit that is clicked on, zoom the units, or go along the list.

    Parameters
    ----------
    state : State
        Before.
    pointer : Pointer
        In a pane of the app's.
    look : Look
        Fonts and places of the list of layers.
    grid : Grid or None
        Where the units' tiles lie in the layers pane, None where it shows something else.

    Returns
    -------
    State
        After; the same beside labels and tiles.
    """
    if pointer.pane == layers.PANE and pointer.kind in ZOOMS:
        return ZOOMS[pointer.kind](state)
    if pointer.pane == control.PANE and pointer.kind in STEPS:
        return STEPS[pointer.kind](state)
    if pointer.kind != CLICK:
        return state
    if pointer.pane == control.PANE:
        view = control.view(state, look)
        index = control.layer_at(view, pointer.room, pointer.row, pointer.column)
        return state if index is None else go.select_layer(state, index)
    if pointer.pane == layers.PANE and grid is not None:
        unit = grid.place(pointer.row, pointer.column)
        return state if unit is None else go.select_unit(state, unit)
    return state
