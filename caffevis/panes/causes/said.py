"""What the status line says about causes."""

from __future__ import annotations

import numpy as np

from caffevis.causes.occlusion import OcclusionMap
from caffevis.keys import causes as ca
from caffevis.keys.state import State
from caffevis.model.classes import Classes
from caffevis.net.request import NetResult
from toolbox.drawing.tiles import as_maps


def unit_before(state: State, result: NetResult | None) -> float | None:
    """Return the selected unit's value without lesions and disturbance; None without these.

    Of a map, the value of largest amount, as the status line has it.
    """
    if result is None or result.effect is None or result.request.layer != state.layer.name:
        return None
    unit = as_maps(result.effect.activations)[state.unit]
    return float(unit.flat[int(np.argmax(np.abs(unit)))])


def status(state: State, result: NetResult | None) -> list[str]:
    """Name what is changed: the lesions, as far as they are in effect, and the disturbance."""
    causes, parts = state.causes, []
    effect = result.effect if result is not None else None
    said = dict(effect.held) if effect is not None else {}
    if causes.lesions:
        names = [said.get(le, f"{le.layer}:{le.unit} {le.how}") for le in causes.lesions]
        parts.append(f"Lesions: {', '.join(names)}")
    if causes.disturbance is not None:
        parts.append(f"Input: {causes.disturbance.text()}")
    return parts


def message(state: State, result: NetResult | None) -> str:
    """Say why something that was asked for is not there, or what to do next."""
    causes = state.causes
    if causes.hint and not state.in_units:
        return "choose a unit: down"
    if result is not None and result.effect is not None and result.effect.note:
        return result.effect.note
    now = causes.disturbance
    if now is not None and now.kind in ca.PAINTING and not now.strokes:
        return "paint with the left button in the input pane; the right one wipes"
    return ""


def about_map(found: OcclusionMap, classes: Classes, state: State) -> str:
    """Say whose map it is, and how much is lost at most."""
    target = found.target
    if target is None:
        return ""
    name = f"{target.layer}:{target.unit}"
    if found.request.target is None and target.unit < len(classes.labels):
        name = classes.labels[target.unit]
    known = found.losses[np.isfinite(found.losses)]
    most = f", covered {found.whole - float(known.max()):.2f} at least" if len(known) else ""
    how = "" if found.finished else f", {100 * found.share:.0f} %"
    plain = " (undisturbed, no lesions)" if state.causes.lesions or state.causes.disturbance else ""
    return f"occlusion map of {name}{plain}: whole {found.whole:.2f}{most}{how}"
