"""The window's own state and keys: inputs, help, debug level, quitting."""

from __future__ import annotations

from dataclasses import dataclass, replace

from toolbox.app.bindings import Binding
from toolbox.input.wanted import FILES, Wanted

DEBUG_LEVELS = 3


@dataclass(frozen=True)
class CoreState(Wanted):
    """What the window's keys change, beside what the sources follow.

    Parameters
    ----------
    help : bool
        Whether the help overlay is shown.
    debug : int
        0, 1 or 2.
    pictures : int
        How many pictures of the window were asked for so far.
    quit : bool
        Whether to end.
    """

    help: bool = False
    debug: int = 0
    pictures: int = 0
    quit: bool = False


def freeze(state: CoreState) -> CoreState:
    """Freeze or unfreeze moving pictures."""
    return replace(state, frozen=not state.frozen)


def toggle_mode(state: CoreState) -> CoreState:
    """Switch between camera and files; in a browser, round its camera and the machine's."""
    after = state.modes.index(state.mode) + 1 if state.mode in state.modes else 0
    return replace(state, mode=state.modes[after % len(state.modes)])


def next_file(state: CoreState) -> CoreState:
    """Go to the next file, out of the camera mode too."""
    return replace(state, mode=FILES, position=state.position + 1, direction=1)


def previous_file(state: CoreState) -> CoreState:
    """Go to the previous file, out of the camera mode too."""
    return replace(state, mode=FILES, position=state.position - 1, direction=-1)


def toggle_stretch(state: CoreState) -> CoreState:
    """Stretch or crop."""
    return replace(state, stretch=not state.stretch)


def toggle_help(state: CoreState) -> CoreState:
    """Show or hide the help."""
    return replace(state, help=not state.help)


def next_debug_level(state: CoreState) -> CoreState:
    """Go round the debug levels."""
    return replace(state, debug=(state.debug + 1) % DEBUG_LEVELS)


def save_picture(state: CoreState) -> CoreState:
    """Ask for one more picture of the window."""
    return replace(state, pictures=state.pictures + 1)


def leave(state: CoreState) -> CoreState:
    """End the loop."""
    return replace(state, quit=True)


CORE_BINDINGS: tuple[Binding[CoreState], ...] = (
    Binding(("f",), "freeze_cam", "Freeze or unfreeze the camera (or a video)", freeze),
    Binding(("c",), "toggle_input_mode", "Switch between camera and files", toggle_mode),
    Binding(("e", "pgdn"), "static_file_increment", "Next file", next_file),
    Binding(("w", "pgup"), "static_file_decrement", "Previous file", previous_file),
    Binding(
        ("0",), "stretch_mode", "Stretch files to the input's shape, or crop them", toggle_stretch
    ),
    Binding(("h",), "help_mode", "Show or hide this help", toggle_help),
    Binding(("5",), "debug_level", "Debug level 0, 1 or 2: timings, then panes", next_debug_level),
    Binding(("p",), "save_picture", "Save the window as a PNG file", save_picture),
    Binding(("q",), "quit", "Quit", leave),
)
