"""The keys about causes: lesions, disturbances, who matters, where a number comes from.

Like `keymap.py`, whose table these rows are part of, and `transitions.py`: rows, and pure
functions from one state to the next. Each has a second key for keyboards that lack the first.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from caffevis.keys import causes as ca
from caffevis.keys.causes import Causes, Disturbance, Lesion, Place
from caffevis.keys.state import State
from toolbox.app.bindings import Binding


def _with(state: State, **changes: Any) -> State:
    return replace(state, causes=replace(state.causes, **changes))


def next_lesion(state: State) -> State:
    """Switch the selected unit off, hold it at its mean, double it, or leave it as it was."""
    if not state.in_units:
        return _with(state, hint=True)
    layer, unit, causes = state.layer.name, state.unit, state.causes
    now = causes.lesion(layer, unit)
    step = ca.LESIONS.index(now.how) + 1 if now else 0
    others = tuple(lesion for lesion in causes.lesions if lesion is not now)
    if step == len(ca.LESIONS):
        return _with(state, lesions=others)
    if now is None:
        return _with(state, lesions=(*others, Lesion(layer, unit, ca.LESIONS[0])), hint=False)
    changed = replace(now, how=ca.LESIONS[step])
    return _with(state, lesions=tuple(changed if le is now else le for le in causes.lesions))


def undo_all(state: State) -> State:
    """End all lesions, disturbances and reports."""
    return replace(state, causes=Causes())


def next_disturbance(state: State) -> State:
    """Go round none and the kinds of disturbance."""
    now = state.causes.disturbance
    names = [kind.name for kind in ca.KINDS]
    step = names.index(now.kind) + 1 if now else 0
    if step == len(names):
        return _with(state, disturbance=None)
    kind = ca.KINDS[step]
    return _with(state, disturbance=Disturbance(kind.name, kind.sizes[kind.begin]))


def next_size(state: State) -> State:
    """Go round the sizes of the disturbance; without one, begin with the first kind."""
    now = state.causes.disturbance
    if now is None:
        return next_disturbance(state)
    sizes = ca.BY_NAME[now.kind].sizes
    size = sizes[(sizes.index(now.size) + 1) % len(sizes)]
    return _with(state, disturbance=replace(now, size=size))


def toggle_matters(state: State) -> State:
    """List who matters for the class or the frozen unit, or do not."""
    return _with(state, report="" if state.causes.report == ca.MATTERS else ca.MATTERS, jumps=0)


def next_ranked(state: State) -> State:
    """Go to the next unit of those that matter, as soon as they are known."""
    return _with(state, report=ca.MATTERS, jumps=state.causes.jumps + 1)


def toggle_source(state: State) -> State:
    """Show where the unit's number comes from, or do not."""
    if state.causes.report == ca.SOURCE:
        return _with(state, report="", place=None, follows=False)
    return _with(state, report=ca.SOURCE, follows=False, hint=not state.in_units)


def follow_down(state: State) -> State:
    """Go to the unit below that contributes most, as soon as it is known."""
    if state.causes.report != ca.SOURCE or not state.in_units:
        return toggle_source(replace(state, causes=replace(state.causes, report="")))
    return _with(state, follows=True)


def toggle_occlusion(state: State) -> State:
    """Map what is lost where the picture is covered, or do not."""
    return _with(state, occlusion=not state.causes.occlusion)


def jumped(state: State, units: tuple[int, ...]) -> State:
    """Go on along the ranking of the layer's units, from the selected one or the first."""
    jumps = state.causes.jumps
    state = _with(state, jumps=0)
    if not jumps or not units:
        return state
    begin = units.index(state.unit) if state.in_units and state.unit in units else -1
    return replace(state, unit=units[(begin + jumps) % len(units)], in_units=True)


def followed(state: State, place: Place | None) -> State:
    """Go to a place below; None where nothing can be followed: the cursor stays."""
    state = _with(state, follows=False)
    names = [layer.name for layer in state.layers]
    if place is None or place.layer not in names:
        return state
    state = replace(state, layer_index=names.index(place.layer), unit=place.unit, in_units=True)
    return _with(state, place=place)


def cover(state: State, at: ca.Point) -> State:
    """Take the occluder to a place of the picture."""
    now = state.causes.disturbance
    return _with(state, disturbance=replace(now, at=at)) if now else state


def paint(state: State, at: ca.Point, begins: bool) -> State:
    """Go on with a line, or begin one."""
    now = state.causes.disturbance
    if now is None:
        return state
    *done, last = now.strokes or ((),)
    strokes = (*now.strokes, (at,)) if begins or not now.strokes else (*done, (*last, at))
    return _with(state, disturbance=replace(now, strokes=strokes))


def wipe(state: State) -> State:
    """Take away what was painted."""
    now = state.causes.disturbance
    return _with(state, disturbance=replace(now, strokes=())) if now else state


ROWS: tuple[Binding[State], ...] = (
    Binding(("space",), "lesion", "Unit: off, at its mean, x 2, as it was", next_lesion),
    Binding(("backspace",), "undo_all", "All lesions and disturbances away", undo_all),
    Binding(
        ("f2",), "who_matters", "Who matters for the class (or the frozen unit)", toggle_matters
    ),
    Binding(("=",), "next_ranked", "Go to the next of those who matter", next_ranked),
    Binding(("f4",), "where_from", "Where the unit's number comes from", toggle_source),
    Binding(("enter",), "follow_down", "Follow the strongest contribution down", follow_down),
    Binding(("'", "home"), "disturb", "Disturb the input: next kind", next_disturbance),
    Binding(("\\", "end"), "disturb_more", "Disturb the input: next size", next_size),
    Binding(
        ("insert", "f8"), "occlusion_map", "Map what is lost where the picture is covered",
        toggle_occlusion,
    ),
)  # fmt: skip
