"""Top-5 class probabilities, or the selected unit's activation enlarged, with its histogram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caffevis.keys.state import State
from caffevis.model.classes import Classes
from caffevis.net.histogram import Histogram
from caffevis.panes import layers
from caffevis.panes.causes.class_list import Pair, draw_pairs, pairs_of, row_of
from caffevis.panes.parts.chart import draw_chart
from caffevis.panes.parts.look import Look
from toolbox.drawing.text import Style, draw_text, shorten
from toolbox.pictures.images import Colour, Image, fill

PANE = "caffevis_aux"
TOP = 5
CHART = 0.42  # share of the pane that a histogram takes


@dataclass(frozen=True)
class Line:
    """A class of the list.

    Parameters
    ----------
    number : int
        The class.
    share : float
        Its probability, from 0 to 1, for the brightness.
    text : str
        Probability and label. A view holds no NaN, which never equals itself.
    """

    number: int
    share: float
    text: str


@dataclass(frozen=True)
class AuxView:
    """Either lines of probabilities or a unit.

    Parameters
    ----------
    units : LayersView or None
        What the selected unit is drawn from; None while the cursor is in the
        list of layers.
    label : str
        The unit's class, where it has one.
    lines : tuple of Line
        Most probable first.
    look : Look
        Colours and fonts.
    histogram : Histogram or None
        Of the unit, below it.
    pairs : tuple of Pair
        Classes before and after, where something is changed: instead of the lines, or below the
        unit where there is no histogram.
    """

    units: layers.LayersView | None
    label: str
    lines: tuple[Line, ...]
    look: Look
    histogram: Histogram | None = None
    pairs: tuple[Pair, ...] = ()


def top_classes(probs: np.ndarray | None, labels: tuple[str, ...]) -> tuple[Line, ...]:
    """Choose the five largest probabilities, with their labels.

    Parameters
    ----------
    probs : ndarray of float32, shape (classes,), or None
        None where there is no probability layer.
    labels : tuple of str
        By class; where one is missing, the class's number is shown.

    Returns
    -------
    tuple of Line
        Largest first; equal ones in the order of the classes.
    """
    if probs is None:
        return ()
    numbers = np.nan_to_num(probs, nan=0.0, posinf=0.0, neginf=0.0)
    order = np.argsort(-numbers, kind="stable")[:TOP]
    # Of a network that ends before its Softmax, the largest value is the brightest.
    shares = np.clip(numbers / max(1.0, float(numbers.max())), 0, 1)
    return tuple(
        Line(int(i), float(shares[i]), f"{probs[i]:.2f} {label_of(int(i), labels)}") for i in order
    )


def label_of(unit: int, labels: tuple[str, ...]) -> str:
    """Return a class's label, or its number where there is none."""
    return labels[unit] if unit < len(labels) else f"class {unit}"


def view(
    state: State,
    units: layers.LayersView,
    classes: Classes,
    look: Look,
    histogram: Histogram | None = None,
) -> AuxView:
    """Take from state and result what the pane shows."""
    labels = classes.labels
    probs = units.result.probs if state.show_labels else None
    effect = units.result.effect
    before = effect.probs if effect is not None else None
    pairs = () if probs is None or before is None else pairs_of(before, probs, labels)
    if state.in_units:
        labelled = state.layer.name in classes.layers and bool(labels)
        label = label_of(state.unit, labels) if labelled else ""
        return AuxView(units, label, (), look, histogram, () if histogram else pairs)
    return AuxView(None, "", () if pairs else top_classes(probs, labels), look, None, pairs)


def _blend(low: Colour, high: Colour, share: float) -> Colour:
    r, g, b = (round(a + (z - a) * share) for a, z in zip(low, high, strict=True))
    return r, g, b


def class_at(view: AuxView, row: int, height: int = 0) -> int | None:
    """Return the class whose line is in a row of pixels of the pane; None beside the lines.

    The lines of classes before and after depend on the pane's `height`.
    """
    if view.pairs and view.units is None and height:
        place = row // max(1, row_of(height, len(view.pairs)))
        return view.pairs[place].number if place < len(view.pairs) else None
    style, (_, y) = view.look.class_style, view.look.class_place
    step = style.height() + view.look.class_spacing
    number = (row - (y - style.above() - view.look.class_spacing // 2)) // step
    return view.lines[number].number if 0 <= number < len(view.lines) else None


def heading(view: AuxView) -> str:
    """Name the enlarged unit; a histogram has a title of its own."""
    if view.units is None or view.histogram is not None or view.pairs:
        return ""
    return f"{view.units.layer.name}:{view.units.unit}"


def draw(canvas: Image, view: AuxView) -> None:
    """Draw the unit with its label, or the probabilities, brighter for larger."""
    fill(canvas, view.look.background)
    above = canvas
    if view.histogram is not None:
        split = round((1 - CHART) * canvas.shape[0])
        draw_chart(canvas[split:], view.histogram, view.look)
        above = canvas[:split]
    elif view.pairs:
        split = round((1 - CHART) * canvas.shape[0]) if view.units is not None else 0
        shown = view.pairs if view.units is None else view.pairs[:TOP]
        draw_pairs(canvas[split:], shown, view.look)
        above = canvas[:split]
    if view.units is not None:
        layers.draw_unit(above, view.units)
    if view.label:
        _draw_label(canvas, view)
    look = view.look
    x, y = look.class_place
    step = look.class_style.height() + look.class_spacing
    for number, line in enumerate(view.lines):
        style = look.class_style.with_colour(_blend(look.class_low, look.class_high, line.share))
        text = shorten(line.text, style, canvas.shape[1] - x)
        draw_text(canvas, text, style, x, y + number * step)


def _draw_label(canvas: Image, view: AuxView) -> None:
    """Write the label on a dark band, so that it is readable over any activation."""
    style: Style = view.look.label
    x, y = view.look.label_place
    band = canvas[max(0, y - style.height()) : y + style.height() // 2]
    band[:] = band // 4
    draw_text(canvas, shorten(view.label, style, canvas.shape[1] - x), style, x, y)
