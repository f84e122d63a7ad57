"""What an app is, and what the window itself has: in come frames, keys and settings, out drawings.

`protocol` is what the loop asks of an app, `bindings` are rows of keys, `core` the window's own
state and keys, `core_panes` its own panes.
"""

from toolbox.app.protocol import (
    Activations,
    App,
    Timing,
    all_bindings,
    bound_keys,
    configured_apps,
    load_apps,
)
from toolbox.drawing.screen import Drawing

__all__ = [
    "Activations",
    "App",
    "Drawing",
    "Timing",
    "all_bindings",
    "bound_keys",
    "configured_apps",
    "load_apps",
]
