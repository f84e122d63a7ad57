"""The list of layers, the current one highlighted."""

from __future__ import annotations

from dataclasses import dataclass, replace

from caffevis.look import Look
from caffevis.state import State
from toolbox.images import Image, fill
from toolbox.text import Span, Style, draw_text, wrap_spans

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


def draw(canvas: Image, view: ControlView) -> None:
    """Draw the list, wrapped; where it is too long, smaller until it fits."""
    fill(canvas, view.look.background)
    x, y = view.look.control_place
    room = canvas.shape[1] - 2 * x
    shrink = 1.0
    while True:
        styles = [_style(view, index) for index in range(len(view.labels))]
        scaled = [replace(style, size=style.size * shrink) for style in styles]
        spans = [Span(text, style) for text, style in zip(view.labels, scaled, strict=True)]
        base = replace(view.look.control, size=view.look.control.size * shrink)
        lines = wrap_spans(spans, base.width("n"), room)
        step = base.height() + round(view.look.control_spacing * shrink)
        bottom = y * shrink + (len(lines) - 1) * step + base.depth()
        if bottom <= canvas.shape[0] or shrink <= SMALLEST:
            break
        shrink -= 0.05
    for number, line in enumerate(lines):
        for offset, span in line:
            draw_text(canvas, span.text, span.style, x + offset, round(y * shrink) + number * step)
