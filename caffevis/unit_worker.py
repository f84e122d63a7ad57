"""The worker that loads images of units, as the app sees it: what is wanted, and what is there."""

from __future__ import annotations

import functools

from caffevis.keys.state import ZOOM_BACK, ZOOM_UNIT, State
from caffevis.panes import jpgvis, layers, patterns
from caffevis.panes.parts.look import Look
from caffevis.units.image_paths import KINDS, folder_from
from caffevis.units.loader import ImagesRequest, ImagesResult, Loader, Picture, SheetRequest
from toolbox.drawing.headings import strip_height, with_heading
from toolbox.drawing.panes import pane_size
from toolbox.drawing.screen import Drawing
from toolbox.settings.config import Settings
from toolbox.workers.worker import Worker


@functools.lru_cache(maxsize=64)
def _in_its_place(text: str) -> Picture:
    """Say why there is no picture; the same text is the same picture, so it is drawn once."""
    return Picture(note=(text,))


class UnitImages:
    """Asks for the images that the state shows, and says what their panes draw.

    A result belongs to the unit of its request. Where that is not the selected
    unit, the result is stale, and the pane says so until the unit's own is there.

    Parameters
    ----------
    settings : Settings
        All settings.
    look : Look
        Colours and fonts.
    """

    def __init__(self, settings: Settings, look: Look) -> None:
        self._folder = folder_from(settings)
        self._stack = settings.caffevis_jpgvis_stack_vert
        self.rescale(settings, look)
        self._loader = Loader(self._folder, settings.caffevis_jpg_cache_size, look.background)
        self._worker: Worker[ImagesRequest, ImagesResult] | None = None
        self._result: ImagesResult | None = None
        self._answered = self._submitted = ImagesRequest()  # nothing is asked for, or there
        self._defect = ""

    def rescale(self, settings: Settings, look: Look) -> None:
        """Fit what is loaded from now on to the panes' sizes in the settings."""
        self._look = look
        panes, scale = settings.window_panes, settings.global_scale
        self._has_pane = pane_size(panes, jpgvis.PANE, scale) is not None
        room = pane_size(panes, layers.PANE, scale)
        if room is not None:
            room = (room[0] - strip_height(look.heading, room[0]), room[1])
        self._room = room

    def start(self) -> None:
        """Start the thread."""
        self._worker = Worker(self._loader, "unit images")

    def close(self) -> bool:
        """End the thread."""
        return self._worker is None or self._worker.close()

    def update(self, state: State) -> None:
        """Take what is loaded and ask for what is wanted now."""
        if self._worker is None:
            return
        for outcome in self._worker.outcomes():
            self._answered = outcome.request
            self._defect = outcome.error or ""
            self._result = outcome.value
        request = self.request(state)
        if request not in (self._answered, self._submitted):
            self._submitted = request
            self._worker.submit(request)

    def commands(self) -> list[str]:
        """Return what is missing of what is shown, and the commands that make it."""
        found = self._result.commands if self._result else ()
        return [f"{what}; made by:\n  {command}" for what, command in found]

    def settled(self, state: State) -> bool:
        """Whether all that the state shows is loaded."""
        if self._worker is None:
            return True
        return not self._worker.busy and self._answered == self.request(state)

    def wait(self, seconds: float) -> None:
        """Wait for what is being loaded, at most this long."""
        if self._worker is not None:
            self._worker.wait(seconds)

    def request(self, state: State) -> ImagesRequest:
        """Say what a state needs loaded."""
        if not self._folder.shows(state.layer.name):
            return ImagesRequest()
        wanted = self._has_pane and state.show_unit_jpgs and state.in_units
        return ImagesRequest(state.selected if wanted else None, self._sheet_request(state))

    def _sheet_request(self, state: State) -> SheetRequest | None:
        if not state.pattern_mode or state.zoom == ZOOM_BACK or self._room is None:
            return None
        layer = state.layer
        unit = state.unit if state.zoom == ZOOM_UNIT else None
        return SheetRequest(layer.name, layer.units, layer.rows, layer.columns, self._room, unit)

    def message(self, state: State) -> str:
        """Return what could not be read, and which layer has no patterns to show."""
        problems = [self._defect] if self._defect else []
        if self._result is not None:
            problems += self._result.problems
        if state.pattern_mode and state.zoom != ZOOM_BACK:
            picture = self._pattern(state)
            problems += picture.note[:1] if picture is not None else ()
        return "; ".join(dict.fromkeys(problems))

    def drawing(self, state: State) -> Drawing:
        """Say what the pane of unit images shows."""
        hint = ""
        if state.show_unit_jpgs:
            hint = self._left_out(state) or ("" if state.in_units else "choose a unit: down")
        unit, result = self.request(state).unit, self._result
        pictures: tuple[Picture, ...] | None = () if unit is None else None
        if result is not None and result.request.unit == unit:
            pictures = result.pictures
        of = f"{self._folder.source(state.layer.name)}:{state.unit}"
        titles = (f"{KINDS[0].name} of {of}", f"{KINDS[1].name} of {of}", KINDS[2].name)
        view = jpgvis.JpgvisView(pictures, hint, self._stack, self._look, titles)
        return Drawing(jpgvis.PANE, view, jpgvis.draw)

    def pattern_drawing(self, state: State) -> Drawing | None:
        """Say what the layers pane shows in pattern mode; None while it shows something else."""
        view, look = self.pattern_view(state), self._look
        if view is None:
            return None
        title = f"{self._folder.source(state.layer.name)}: optimised image of each unit"
        drawing = Drawing(layers.PANE, view, patterns.draw)
        return with_heading(drawing, title, look.heading, look.background)

    def pattern_view(self, state: State) -> patterns.PatternView | None:
        """Say what patterns are drawn from; None while something else is shown."""
        request = self._sheet_request(state)
        if request is None:
            return None
        frozen = state.frozen
        return patterns.PatternView(
            picture=self._pattern(state),
            grid=None if request.unit is not None else request.grid(),
            unit=state.unit if state.in_units else None,
            frozen_unit=frozen.unit if frozen and frozen.layer == state.layer.name else None,
            look=self._look,
        )

    def _pattern(self, state: State) -> Picture | None:
        """Return the layer's sheet or the unit of it, None while it is loaded."""
        if left_out := self._left_out(state):
            return _in_its_place(left_out)
        result = self._result
        if result is None or result.request.sheet != self._sheet_request(state):
            return None
        return result.sheet

    def _left_out(self, state: State) -> str:
        """Say that the settings leave a layer's images out, where they do."""
        name = state.layer.name
        shown = self._folder.shows(name)
        return "" if shown else f"no images of {name}: it is not in caffevis_jpgvis_layers"
