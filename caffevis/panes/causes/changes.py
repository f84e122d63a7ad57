"""How much each layer changed, in relation to the undisturbed frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caffevis.keys.state import State
from caffevis.net.request import NetResult
from caffevis.panes.causes.rows import FOR, MARGIN, draw_bar, draw_columns, fitting
from caffevis.panes.parts.look import Look
from toolbox.pictures.images import Image

MOST = 16  # layers with a bar


@dataclass(frozen=True)
class Change:
    """A layer's change, as a share of its length (L2 norm), and whether it is the one viewed."""

    name: str
    share: float
    current: bool


def changes_of(state: State, result: NetResult) -> tuple[Change, ...]:
    """Choose the layers with a bar: all, or of many some along the way, the current among them.

    Layers that repeat another's picture are left out first.
    """
    if result.effect is None:
        return ()
    shares, current = dict(result.effect.changes), result.request.layer
    names = [la.name for la in state.layers if la.name in shares]
    if len(names) > MOST:
        repeats = {la.name for la in state.layers if la.repeats}
        names = [name for name in names if name not in repeats or name == current]
    if len(names) > MOST:
        at = np.linspace(0, len(names) - 1, MOST).round().astype(int)
        chosen = {names[i] for i in at} | {current}
        names = [name for name in names if name in chosen]
    labels = {la.name: la.label for la in state.layers}
    return tuple(Change(labels[name], shares[name], name == current) for name in names)


def draw_changes(canvas: Image, changes: tuple[Change, ...], look: Look) -> None:
    """Draw a row a layer: its name, a bar that is full for the largest change, and the number."""
    if not changes:
        return
    height, width = canvas.shape[:2]
    step = (height - MARGIN) / len(changes)
    style = fitting(look, [change.name for change in changes], width // 3)
    style = style.scaled(min(1.0, 0.75 * step / style.height()))
    names = max(style.width(change.name) for change in changes) + 2 * MARGIN
    number = style.width("1000.0 %") + MARGIN
    largest = max(change.share for change in changes) or 1.0
    for row, change in enumerate(changes):
        bottom = round(MARGIN + (row + 1) * step)
        y = bottom - style.depth() - max(1, round(0.1 * step))
        own = style.with_colour(look.cursor) if change.current else style
        text = f"{100 * change.share:.1f} %"
        draw_columns(canvas, y, [change.name, text], [width - MARGIN], own)
        box = (y - style.above(), names, y, width - number - MARGIN)
        draw_bar(canvas, box, change.share / largest, FOR)
