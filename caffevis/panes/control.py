"""The list of layers, scrolled to the current one, with the names of blocks as headings."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass

from caffevis.keys.state import Layer, State
from caffevis.panes.parts.look import Look
from caffevis.panes.parts.strip import Placed, Room, Word, scrolled, wrapped
from toolbox.drawing.text import Style, draw_text, shorten
from toolbox.pictures.images import Image, fill

PANE = "caffevis_control"
SHRINK = (1.0, 0.95, 0.9, 0.85, 0.8)  # of its size; below it the list is scrolled
DIM = 0.62  # brightness of headings, of that of layers
FILTER = 0.3  # share of the pane that the note on filter and place takes at most
LONG = 20  # layers from which on the list says where in it the cursor is


@dataclass(frozen=True)
class ControlView:
    """The layers listed, which one is current, where the frozen unit is, and the filter.

    Parameters
    ----------
    layers : tuple of Layer
        All of the network.
    listed : tuple of int
        Indices of those in the list.
    current : int
        Index of the selected one.
    in_units : bool
        Whether the cursor is on its units.
    frozen : int or None
        Index of the frozen unit's layer.
    note : str
        Where in the list the cursor is, and what the list is filtered by.
    look : Look
        Colours and fonts.
    """

    layers: tuple[Layer, ...]
    listed: tuple[int, ...]
    current: int
    in_units: bool
    frozen: int | None
    note: str
    look: Look


def view(state: State, look: Look) -> ControlView:
    """Take from the state what the list shows."""
    frozen = None
    if state.frozen:
        frozen = [layer.name for layer in state.layers].index(state.frozen.layer)
    listed, current = state.listed, state.layer_index
    return ControlView(state.layers, listed, current, state.in_units, frozen, _note(state), look)


def _note(state: State) -> str:
    """Say where in a long list the cursor is, and what the list is filtered by."""
    listed = state.listed
    where = f"{bisect(listed, state.layer_index)}/{len(listed)}" if listed else "none"
    if not state.typing and not state.filter:
        return where if len(listed) >= LONG else ""
    return f"with '{state.filter}{'_' if state.typing else ''}': {where}"


def _styles(view: ControlView, shrink: float) -> dict[int, Style]:
    """Return the style of each layer that stands out, by index."""
    look, styles = view.look, {}
    styles[view.current] = look.control_selected
    if view.frozen is not None:
        styles[view.frozen] = look.control_back
    if not view.in_units:
        styles[view.current] = look.control_cursor
    return {index: style.scaled(shrink) for index, style in styles.items()}


def _words(view: ControlView, shrink: float) -> list[Word]:
    """List headings and layers in their order."""
    r, g, b = (round(DIM * part) for part in view.look.control.colour)
    plain, styles = view.look.control.scaled(shrink), _styles(view, shrink)
    dim = plain.with_colour((r, g, b))
    words, before = [], ""
    for index in view.listed:
        layer = view.layers[index]
        below = layer.part != layer.label and bool(layer.part)
        heading = layer.block if below or layer.block == before else ""
        if heading and heading != before:
            words.append(Word(heading, dim, None, heading))
        before = heading
        text = layer.part if below else layer.label
        words.append(Word(text, styles.get(index, plain), index, heading))
    return words


def place(view: ControlView, size: tuple[int, int]) -> list[Placed]:
    """Lay the labels out: all where they fit, else those around the current one.

    Parameters
    ----------
    view : ControlView
        The layers.
    size : (int, int)
        Height and width of the pane.

    Returns
    -------
    list of Placed
        In the order of the layers, among them the current one's, with headings before the
        layers of a block.
    """
    size = (size[0], size[1] - _note_width(view, size[1]))
    words = _words(view, 1.0)
    # Where twice the lines would be needed, smaller letters do not help either.
    room = _room(view, size, 1.0)
    steps = SHRINK if len(wrapped(words, room)) <= 2 * room.lines else ()
    for shrink in steps:
        tight, smaller = _room(view, size, shrink), _words(view, shrink)
        lines = len(wrapped(smaller, tight))
        if lines <= tight.lines:
            return scrolled(smaller, view.current, _room(view, size, shrink, lines))
    return scrolled(words, view.current, room)


def _room(
    view: ControlView, size: tuple[int, int], shrink: float, lines: int | None = None
) -> Room:
    """Work out how many lines of a size a pane holds."""
    style = view.look.control.scaled(shrink)
    x, y = view.look.control_place
    step = style.height() + round(view.look.control_spacing * shrink)
    y = min(round(y * shrink), size[0] - style.depth())
    fitting = max(1, 1 + (size[0] - y - style.depth()) // step)
    return Room(size[1] - 2 * x, lines or fitting, x, y, step, style.width("n"))


def _note_width(view: ControlView, width: int) -> int:
    style = view.look.control
    return min(style.width(view.note) + 2 * style.width("n"), int(FILTER * width)) * bool(view.note)


def layer_at(view: ControlView, size: tuple[int, int], row: int, column: int) -> int | None:
    """Return the index of the layer whose label covers a pixel of the pane; None beside them."""
    found = (label.word.layer for label in place(view, size) if label.covers(row, column))
    return next((layer for layer in found if layer is not None), None)


def draw(canvas: Image, view: ControlView) -> None:
    """Draw the list of layers, and its note at the right end."""
    fill(canvas, view.look.background)
    size = (canvas.shape[0], canvas.shape[1])
    for label in place(view, size):
        draw_text(canvas, label.word.text, label.word.style, label.x, label.y)
    if view.note:
        style, width = view.look.control, _note_width(view, size[1])
        y = _room(view, size, 1.0).y
        gap = style.width("n")
        text = shorten(view.note, style, width - gap)
        draw_text(canvas, text, style, size[1] - width + gap, y)
