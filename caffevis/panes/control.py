"""The list of layers, the current one highlighted."""

from __future__ import annotations

from dataclasses import dataclass, replace

from caffevis.keys.state import State
from caffevis.panes.parts.look import Look
from toolbox.drawing.text import Span, Style, draw_text, widest, wrap_spans
from toolbox.pictures.images import Image, fill

PANE = "caffevis_control"
SMALLEST = 0.3  # share of the set size that text may shrink to before it is cut off


@dataclass(frozen=True)
class ControlView:
    """Layers' labels, which one is current, and where the frozen unit is."""

    labels: tuple[str, ...]
    current: int
    in_units: bool
    frozen: int | None
    look: Look


def view(state: State, look: Look) -> ControlView:
    """Take from the state what the list shows."""
    names = [layer.name for layer in state.layers]
    frozen = names.index(state.frozen.layer) if state.frozen else None
    labels = tuple(layer.label for layer in state.layers)
    return ControlView(labels, state.layer_index, state.in_units, frozen, look)


def _style(view: ControlView, index: int) -> Style:
    if index == view.current and not view.in_units:
        return view.look.control_cursor
    if index == view.frozen:
        return view.look.control_back
    return view.look.control_selected if index == view.current else view.look.control


@dataclass(frozen=True)
class Placed:
    """A layer's label in the pane: its text, and the left end of its baseline in pixels."""

    span: Span
    x: int
    y: int

    def covers(self, row: int, column: int) -> bool:
        """Tell whether a pixel is within the label's line and its widest form."""
        style = self.span.style
        bottom = self.y + style.depth()
        inside = self.x <= column < self.x + widest(self.span)
        return inside and bottom - style.height() <= row < bottom


def place(view: ControlView, room: tuple[int, int]) -> list[Placed]:
    """Lay the labels out, wrapped; where they are too many, smaller until they fit.

    Parameters
    ----------
    view : ControlView
        The labels.
    room : (int, int)
        Height and width of the pane.

    Returns
    -------
    list of Placed
        In the order of the layers.
    """
    x, y = view.look.control_place
    shrink = 1.0
    while True:
        styles = [_style(view, index) for index in range(len(view.labels))]
        scaled = [replace(style, size=style.size * shrink) for style in styles]
        spans = [Span(text, style) for text, style in zip(view.labels, scaled, strict=True)]
        base = replace(view.look.control, size=view.look.control.size * shrink)
        lines = wrap_spans(spans, base.width("n"), room[1] - 2 * x)
        step = base.height() + round(view.look.control_spacing * shrink)
        bottom = y * shrink + (len(lines) - 1) * step + base.depth()
        if bottom <= room[0] or shrink <= SMALLEST:
            break
        shrink -= 0.05
    top = round(y * shrink)
    return [
        Placed(span, x + offset, top + number * step)
        for number, line in enumerate(lines)
        for offset, span in line
    ]


def layer_at(view: ControlView, room: tuple[int, int], row: int, column: int) -> int | None:
    """Return the index of the layer whose label covers a pixel of the pane; None beside them."""
    covering = (n for n, label in enumerate(place(view, room)) if label.covers(row, column))
    return next(covering, None)


def draw(canvas: Image, view: ControlView) -> None:
    """Draw the list of layers."""
    fill(canvas, view.look.background)
    for label in place(view, (canvas.shape[0], canvas.shape[1])):
        draw_text(canvas, label.span.text, label.span.style, label.x, label.y)
