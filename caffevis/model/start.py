"""Where the window opens: the setting `caffevis_start`."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace

from caffevis.keys import transitions as go
from caffevis.keys.state import State
from caffevis.model.layer_list import NetLike, missing_layer

_FORM = re.compile(r"(?P<layer>\S+?)(:(?P<unit>\d+))?(\s+(?P<mode>\S+))?")


def start_state(state: State, start: str | None, net: NetLike) -> State:
    """Go where the setting says.

    Parameters
    ----------
    state : State
        As `first_state` makes it.
    start : str or None
        A layer; a unit behind a colon, on which the cursor then is; and behind a space the mode
        of a back pass (`grad`, `deconv` or `guided`). None: nothing changes.
    net : NetLike
        For the name that is nearest to a wrong one.

    Returns
    -------
    State
        The same, with a warning, where the network has no such layer or unit.
    """
    if start is None:
        return state
    found = _FORM.fullmatch(start.strip())
    layer, unit = (found["layer"], int(found["unit"] or 0)) if found else ("", 0)
    mode = found["mode"] if found else None
    names = [each.name for each in state.layers]
    wrong = ""
    if not found:
        wrong = f"{start!r} is not written like 'conv5:12 deconv'"
    elif layer not in names:
        wrong = missing_layer(net, layer)
    elif unit >= state.layers[names.index(layer)].units:
        wrong = f"{layer} has only {state.layers[names.index(layer)].units} units"
    elif mode is not None and mode not in state.options.back_modes:
        wrong = f"a back pass is one of {', '.join(state.options.back_modes)}, not {mode!r}"
    if wrong:
        warnings.warn(f"caffevis_start: {wrong}; the first layer is shown", stacklevel=2)
        return state
    state = go.select_layer(state, names.index(layer))
    if found and found["unit"] is not None:
        state = go.select_unit(state, unit)
    return state if mode is None else replace(state, back_on=True, back_mode=mode)
