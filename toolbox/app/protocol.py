"""What an app is: keys, panes and a life of its own inside the window.

`settings.installed_apps` lists apps as (module, class). The loop gives each of
them the frames and the keys it has bound, and draws what it wants drawn.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from toolbox.app.bindings import Binding, Bindings
from toolbox.app.core import CORE_BINDINGS
from toolbox.drawing.screen import Drawing
from toolbox.input.frame import Frame
from toolbox.pictures.images import FloatArray
from toolbox.settings.config import Settings, SettingsError
from toolbox.window.pointer import Pointer


@dataclass(frozen=True)
class Timing:
    """How long one kind of work took last, for the debug level."""

    name: str
    milliseconds: float


@dataclass(frozen=True, eq=False)
class Activations:
    """What an app lets the others see of its network: a layer's answer to a frame.

    Parameters
    ----------
    frame : Frame
        The picture.
    layer : str
        The layer's name.
    values : ndarray of float32, shape (units, ...)
        Not to be changed.
    """

    frame: Frame
    layer: str
    values: FloatArray


class App(Protocol):
    """What the loop needs of an app. All methods run in the main thread.

    The class is called with the settings and a clock (seconds, `time.perf_counter`
    or one that stands still); it raises `SettingsError` where these are wrong.
    """

    heading: ClassVar[str]
    """Heading of the app's keys in the help overlay."""

    bindings: ClassVar[Sequence[Binding[Any]]]
    """The app's keys; actions map the app's own state."""

    pane_names: ClassVar[Sequence[str]]
    """Panes it can draw."""

    pointed_panes: ClassVar[Sequence[str]]
    """Panes of the window's own that it wants the mouse's events of, too."""

    def start(self) -> None:
        """Start threads."""

    def rescale(self, settings: Settings) -> None:
        """Draw at another `global_scale` from now on."""

    def handle(self, row: Binding[Any]) -> None:
        """Do what one of the app's own rows says."""

    def type(self, key: str) -> bool:
        """Take a key as text where the app asks for some; False where the key is for the rows."""

    def point(self, pointer: Pointer) -> None:
        """Do what the mouse asks for in one of `pane_names` or `pointed_panes`."""

    def set_frame(self, frame: Frame) -> None:
        """Take the newest frame; older ones not yet processed are dropped."""

    def update(self) -> None:
        """Take finished work and ask for the next, without waiting."""

    def published(self) -> Activations | None:
        """Return what the other apps may see, the same object until there is something new."""

    def notice(self, seen: Activations) -> None:
        """Take what another app has published, once for each new object."""

    def wait(self, seconds: float) -> None:
        """Wait for the work under way, at most this long."""

    def aspect(self) -> float | None:
        """Return width over height of the pictures it takes; None: whatever the others take."""

    def settled(self) -> bool:
        """Whether everything asked for is there to be drawn."""

    def shown_frame(self) -> Frame | None:
        """Return the frame that the app's panes show, None before the first."""

    def title(self) -> str:
        """Return the app's part of the window's title, the same from the start."""

    def status(self) -> str:
        """Return the app's part of the status line."""

    def message(self) -> str:
        """Return what went wrong last, empty when all is well."""

    def notes(self) -> Sequence[str]:
        """Return what is worth a line in the terminal and the help, such as commands to copy."""

    def timings(self) -> Sequence[Timing]:
        """Return how long its work took."""

    def frames_done(self) -> int:
        """Count the frames processed so far."""

    def drawings(self) -> Sequence[Drawing]:
        """Say what each of its panes is to show now."""

    def close(self) -> bool:
        """Join every thread within 2 s; False where one did not end."""


def picture_aspect(apps: Sequence[App]) -> float:
    """Return width over height of the frames: the first app's that minds, else 1."""
    # Apps from outside, written before there was the method, take squares.
    asked = (getattr(app, "aspect", lambda: None)() for app in apps)
    return next((aspect for aspect in asked if aspect), 1.0)


def load_apps(settings: Settings) -> list[Any]:
    """Import the classes of `settings.installed_apps`.

    Parameters
    ----------
    settings : Settings
        With `installed_apps`.

    Returns
    -------
    list of App classes
        In the order of the setting.

    Raises
    ------
    SettingsError
        A module or class is missing.
    """
    classes = []
    for module_name, class_name in settings.installed_apps:
        try:
            classes.append(getattr(importlib.import_module(module_name), class_name))
        except (ImportError, AttributeError) as error:
            raise SettingsError(
                f"installed_apps: {class_name} of {module_name} cannot be loaded: {error}."
            ) from error
    return classes


def configured_apps() -> list[Any]:
    """Import the apps that the user's settings install, for tools without a window."""
    settings: Settings = importlib.import_module("settings").load()
    return load_apps(settings)


def all_bindings(core: Sequence[Binding[Any]], apps: Sequence[Any]) -> Bindings:
    """Put the window's own keys and those of all apps together."""
    return Bindings([("Window", core), *((app.heading, app.bindings) for app in apps)])


def bound_keys(apps: Sequence[Any]) -> dict[str, str]:
    """Return the action's tag for every key that the window or an app has bound."""
    rows = all_bindings(CORE_BINDINGS, apps)
    return {key: f"{row.tag} ({row.help})" for row in rows for key in row.keys}
