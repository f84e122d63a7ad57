"""The app's part of the status line."""

from __future__ import annotations

import numpy as np

from caffevis.keys.state import GRAD, State
from caffevis.net.request import NetResult
from caffevis.panes.causes import said
from caffevis.units.words import Words
from toolbox.drawing.tiles import as_maps

MODE_NAMES = {GRAD: "bprop"}


def unit_value(state: State, result: NetResult | None) -> float | None:
    """Return the selected unit's value: of a map, the one of largest absolute value.

    Parameters
    ----------
    state : State
        The selection.
    result : NetResult or None
        Of the selected layer, or another one while it is being computed.

    Returns
    -------
    float or None
        An activation, or a diff while these are shown; None where it is not
        there yet.
    """
    if result is None or result.request.layer != state.layer.name:
        return None
    values = result.layer_diffs if state.show_back else result.activations
    if values is None:
        return None
    unit = as_maps(values)[state.unit]
    return float(unit.flat[int(np.argmax(np.abs(unit)))])


def stats(state: State, result: NetResult | None) -> str:
    """Say what the layer's activations are like; empty while there are none, or diffs are shown."""
    if result is None or result.stats is None or state.show_back:
        return ""
    return result.stats.text() if result.request.layer == state.layer.name else ""


def text(state: State, result: NetResult | None, words: Words | None = None) -> str:
    """Say what is shown: `fwd conv5:26 1.23 | dead 12/256, 0 to 5.2 | Back: off | Boost: 0/1`.

    Where the unit has a name, it stands behind its value: `Leopards (d' 2.3)`.
    """
    value = unit_value(state, result)
    shown = "" if value is None else f" {value:.2f}" if abs(value) < 1e5 else f" {value:.3g}"
    before = None if state.show_back else said.unit_before(state, result)
    shown += "" if before is None or value is None else f" (was {before:.2f})"
    direction = "opt" if state.pattern_mode else "back" if state.show_back else "fwd"
    parts = [f"{direction} {state.layer.name}:{state.unit}{shown}"]
    if words is not None and (known := words.parts()):
        parts.append(", ".join(known))
    if measured := stats(state, result):
        parts.append(measured)
    if result is not None and result.note and result.request.layer == state.layer.name:
        parts.append(result.note)
    if state.back_on:
        origin, mode = state.origin, MODE_NAMES.get(state.back_mode, state.back_mode)
        frozen = ", frozen" if state.frozen else ""
        where = f"from {origin.layer}_{origin.unit}{frozen}, disp {state.back_filter}"
        parts.append(f"Back: {mode} ({where})")
    else:
        parts.append("Back: off" + (" (unit frozen)" if state.frozen else ""))
    parts += said.status(state, result)
    parts.append(f"Boost: {state.boost_indiv:g}/{state.boost_gamma:g}")
    return " | ".join(parts)
