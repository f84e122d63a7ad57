"""Names of units, whole layers and weights as the app sees them: what is asked and shown."""

from __future__ import annotations

from dataclasses import replace

from caffevis.from_settings import options_from
from caffevis.keys import transitions as go
from caffevis.keys.causes import BY_MOUSE
from caffevis.keys.state import Options, State
from caffevis.model.classes import Classes
from caffevis.net.request import NetRequest, NetResult
from caffevis.panes import layers, overlay, whole
from caffevis.panes.parts.look import Look
from caffevis.units.image_paths import UnitFolder, folder_from
from caffevis.units.words import Table, Words, read_words
from toolbox.drawing.screen import Drawing
from toolbox.input.frame import Frame
from toolbox.settings.config import Settings
from toolbox.window.pointer import Pointer
from toolbox.workers.worker import Worker


def options_for(settings: Settings, back_modes: tuple[str, ...], classes: Classes) -> Options:
    """Collect what the state needs of settings and network."""
    layer = next(iter(classes.layers), None)
    return replace(options_from(settings), back_modes=back_modes, class_layer=layer)


class ViewsApp:
    """Knows what units answer to, and asks for what the views of a whole layer need.

    Parameters
    ----------
    settings : Settings
        All settings.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder = folder_from(settings)
        self._worker: Worker[UnitFolder, tuple[Table, str]] | None = None
        self._table: Table = {}
        self._problem = ""

    def start(self) -> None:
        """Read the table of names, in a thread."""
        self._worker = Worker(read_words, "unit names")
        self._worker.submit(self._folder)

    def update(self) -> None:
        """Take the names that are read."""
        for outcome in self._worker.outcomes() if self._worker else ():
            self._table, self._problem = outcome.value or ({}, outcome.error or "")

    def settled(self) -> bool:
        """Whether the names are read."""
        return self._worker is None or not self._worker.busy

    def close(self) -> bool:
        """End the thread."""
        return self._worker is None or self._worker.close()

    def words(self, state: State) -> Words | None:
        """Return what is known of the selected unit; None for nothing."""
        layer = self._folder.source(state.layer.name)
        return self._table.get(layer, {}).get(state.unit) if state.in_units else None

    def added_to(self, request: NetRequest, state: State) -> NetRequest:
        """Ask for what the views need, too."""
        return replace(
            request,
            cam=state.cam_origin,
            components=state.wants_components,
            weights=state.show_weights,
        )

    def point(self, state: State, pointer: Pointer, frame: Frame | None) -> State:
        """Pick the place of the input that is clicked on, where no disturbance takes the mouse."""
        now = state.causes.disturbance
        if now is not None and now.kind in BY_MOUSE:
            return state
        return go.pick_place(state, whole.place_at(pointer, frame))

    def message(self, state: State, result: NetResult | None) -> str:
        """Say what is wrong with the names, or cannot be shown."""
        said = [self._problem, *(pane.message(state, result) for pane in (overlay, whole, layers))]
        return "; ".join(filter(None, said))

    def drawing(self, state: State, result: NetResult, look: Look) -> Drawing | None:
        """Say what lies over the input; None for nothing."""
        return whole.drawing(state, result, look) or overlay.drawing(state, result, look)
