"""An example app: what the layer on the screen does over the frames, as three curves.

It has a pane, `layer_plot`, and a key, and learns of the activations from whichever app
publishes them. docs/apps.md walks through it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import cv2
import numpy as np

from toolbox.app.base_app import BaseApp
from toolbox.app.bindings import Binding
from toolbox.app.core_panes import style_from
from toolbox.app.protocol import Activations
from toolbox.drawing.screen import Drawing
from toolbox.drawing.text import Style, draw_text, shorten
from toolbox.pictures.images import Colour, Image, fill, to_colour
from toolbox.settings.config import Settings

PANE = "layer_plot"
KEPT = 300  # frames
TEXT_SIZE = 0.7  # of the other panes' text: the curves need the room
CURVES = ("mean", "maximum", "units active")
COLOURS: tuple[Colour, ...] = ((128, 255, 128), (255, 200, 60), (120, 180, 255))


@dataclass(frozen=True)
class History:
    """What a layer did: frozen, so a pane can tell by comparing whether it must be drawn.

    Parameters
    ----------
    layer : str
        Its name; empty before the first frame.
    points : tuple of (float, float, float)
        A frame each, oldest first: mean, maximum, and the share of units (0 to 1) that are
        above zero anywhere.
    """

    layer: str = ""
    points: tuple[tuple[float, float, float], ...] = ()


def forget(history: History) -> History:
    """Begin anew with the next frame."""
    return replace(history, points=())


def follow(history: History, seen: Activations) -> History:
    """Add a frame; another layer than before begins a history of its own."""
    units = np.nan_to_num(seen.values.reshape(len(seen.values), -1))
    active = float((units.max(axis=1) > 0).mean())
    point = (float(units.mean()), float(units.max()), active)
    before = history.points if history.layer == seen.layer else ()
    return History(seen.layer, (*before, point)[-KEPT:])


@dataclass(frozen=True)
class PlotView:
    """All that the picture depends on."""

    history: History
    style: Style
    background: Colour


def draw(canvas: Image, view: PlotView) -> None:
    """Draw one strip for each curve, with its name, newest value and range."""
    fill(canvas, view.background)
    strips = np.array_split(np.arange(canvas.shape[0]), len(CURVES))
    for index, rows in enumerate(strips):
        values = [point[index] for point in view.history.points]
        label = f"{view.history.layer} {CURVES[index]}" if values else CURVES[index]
        style = view.style.with_colour(COLOURS[index])
        _draw_strip(canvas[rows[0] : rows[-1] + 1], label, values, style)


def _draw_strip(canvas: Image, label: str, values: Sequence[float], style: Style) -> None:
    x, y = 8, style.height() + 2
    if values:
        label = f"{label} {values[-1]:.3g}  ({min(values):.3g} to {max(values):.3g})"
    draw_text(canvas, shorten(label, style, canvas.shape[1] - x), style, x, y)
    top, bottom = y + style.depth() + 2, canvas.shape[0] - 4
    if len(values) < 2 or bottom <= top:
        return
    low, high = min(values), max(values)
    across = np.linspace(0, canvas.shape[1] - 1, KEPT)[: len(values)]
    up = (np.array(values) - low) / (high - low) if high > low else np.full(len(values), 0.5)
    points = np.stack([across, bottom - up * (bottom - top)], axis=1).round().astype(np.int32)
    # The canvas is a part of the window's buffer, and OpenCV draws into whole arrays only.
    part = np.ascontiguousarray(canvas)
    cv2.polylines(part, [points], False, style.colour, 1, cv2.LINE_AA)
    canvas[:] = part


class LayerPlotApp(BaseApp):
    """Curves of the layer on the screen.

    Parameters
    ----------
    settings : Settings
        Font and background of the other panes are used here too.
    clock : callable
        Seconds; every app gets one, and this one needs none.
    """

    heading: ClassVar[str] = "Plot of the layer"
    bindings: ClassVar[Sequence[Binding[Any]]] = (
        Binding(("delete",), "layer_plot_forget", "Begin the layer's curves anew", forget),
    )
    pane_names: ClassVar[Sequence[str]] = (PANE,)

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.perf_counter) -> None:
        self._history = History()
        label = style_from(settings, "caffevis_label")
        self._style = replace(label, size=label.size * TEXT_SIZE)
        self._background = to_colour(settings.window_background)

    def handle(self, row: Binding[Any]) -> None:
        """Do what the key says."""
        self._history = row.action(self._history)

    def notice(self, seen: Activations) -> None:
        """Take what another app published: called once for each new result."""
        self._history = follow(self._history, seen)

    def drawings(self) -> Sequence[Drawing]:
        """Say what the pane is to show now."""
        return [Drawing(PANE, PlotView(self._history, self._style, self._background), draw)]
