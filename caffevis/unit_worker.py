"""The worker that loads images of units, as the app sees it: what is wanted, and what is there."""

from __future__ import annotations

import functools

from caffevis.keys.state import MAKE_MISSING, ZOOM_IMAGE, ZOOM_UNIT, Origin, State
from caffevis.live.request import Fill, Keep, Wanted
from caffevis.live.unit_growth import UnitGrowth
from caffevis.live.unit_keeping import UnitKeeping
from caffevis.live.unit_patches import PhotoPatches
from caffevis.model.opened_files import FilesWatch, OpenedFiles
from caffevis.panes import jpgvis, layers, patterns
from caffevis.panes.parts.look import Look
from caffevis.units.image_paths import (
    CARD,
    CARD_KINDS,
    DECONV,
    KINDS,
    OPTIMISED,
    PATCHES,
    Kind,
    folder_from,
)
from caffevis.units.loader import ImagesRequest, ImagesResult, Loader, Picture, SheetRequest
from caffevis.units.words import Words
from toolbox.drawing.headings import strip_height, with_heading
from toolbox.drawing.panes import pane_size
from toolbox.drawing.screen import Drawing
from toolbox.input.frame import Frame
from toolbox.settings.config import Settings
from toolbox.workers.worker import Worker, close_all


@functools.lru_cache(maxsize=64)
def _in_its_place(*text: str) -> Picture:
    """Say why there is no picture; the same text is the same picture, so it is drawn once."""
    return Picture(note=text)


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
    growth : UnitGrowth
        Optimised images, made while one looks.
    patches : PhotoPatches
        Top patches, found while one looks.
    files : OpenedFiles, optional
        What the network was read from (default: the files of now).
    """

    def __init__(
        self,
        settings: Settings,
        look: Look,
        growth: UnitGrowth,
        patches: PhotoPatches,
        files: OpenedFiles | None = None,
    ) -> None:
        files = files or OpenedFiles(settings)
        self._growth, self._patches, self._watch = growth, patches, FilesWatch(files)
        for part in (growth, patches):
            part.files = files
        self._keeping = UnitKeeping(settings, files)
        self._folder = folder_from(settings)
        self._stack = settings.caffevis_jpgvis_stack_vert
        self.rescale(settings, look)
        self._loader = Loader(
            self._folder, settings.caffevis_jpg_cache_size, look.background, files.stamp
        )
        self._worker: Worker[ImagesRequest, ImagesResult] | None = None
        self._result: ImagesResult | None = None
        self._answered = self._submitted = ImagesRequest()  # nothing is asked for, or there
        self._defect = ""
        self._photo: Frame | None = None
        self._begun: tuple[object, ...] = ()

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
        self._watch.start()
        if self._has_pane:
            self._patches.start()

    def close(self) -> bool:
        """End the thread."""
        parts = (self._growth, self._patches, self._keeping, self._watch, self._worker)
        return close_all(part.close for part in parts if part is not None)

    def update(self, state: State) -> None:
        """Take what is loaded and ask for what is wanted now."""
        if self._worker is None:
            return
        self._watch.update()
        for outcome in self._worker.outcomes():
            self._answered = outcome.request
            self._defect = outcome.error or ""
            self._result = outcome.value
        request = self.request(state)
        if request not in (self._answered, self._submitted):
            self._submitted = request
            self._worker.submit(request)

    def make(self, state: State, frame: Frame | None) -> None:
        """Take what was made while one looks, and ask for what is wanted now.

        An image that starts from the picture keeps the one it began with, whatever is shown next.
        """
        begins = (state.ascends and state.from_picture, self._source(state), state.recipe)
        if begins != self._begun or self._photo is None:
            self._begun = begins
            self._photo = frame if begins[0] else None
        if state.make == MAKE_MISSING and frame is not None:
            self._growth.warm()
        self._keeping.update(self._source(state))
        self._growth.update(self._wanted(state))
        unit = self.request(state).unit
        wanted = unit is not None and self._patches.takes_over(self._there(state, PATCHES))
        self._patches.update(self._source(state) if wanted else None)

    def keep(self, state: State) -> None:
        """Keep what was made of the selected unit."""
        growth = self._growth.growth
        made = growth.made if growth and state.ascends else None
        self._keeping.keep(Keep(self._source(state), made, self._patches.finished))

    def _source(self, state: State) -> Origin:
        """Return the unit whose images are shown: of another layer where that lends them."""
        return Origin(self._folder.source(state.layer.name), state.unit)

    def _wanted(self, state: State) -> Wanted | None:
        """Say which images a state wants made; None for none."""
        unit = self._source(state) if state.ascends else None
        request, result, fill = self._sheet_request(state), self._result, None
        if request and result and result.request.sheet == request and state.fills:
            room = (request.grid().height, request.grid().width)
            source = self._folder.source(state.layer.name)
            fill = Fill(source, result.missing, room) if result.missing else None
        return Wanted(unit, state.recipe, fill, self._photo) if unit or fill else None

    def _there(self, state: State, kind: Kind) -> bool:
        """Whether the selected unit has a kind of picture on disk, or that is not known yet."""
        unit, result = self.request(state).unit, self._result
        if unit is None or result is None or result.request.unit != unit:
            return True
        kinds = CARD_KINDS if result.request.card else KINDS
        return kind not in kinds or result.pictures[kinds.index(kind)].image is not None

    def has_image(self, state: State) -> bool:
        """Whether the selected unit has an optimised image on disk, or that is not known yet."""
        return self._there(state, OPTIMISED)

    def commands(self) -> list[str]:
        """Return what is missing on disk, and the commands that make it of the whole layer.

        Patches are left out where photos are scanned, which finds those of all units.
        """
        found = self._result.commands if self._result else ()
        here = (PATCHES, DECONV) * self._patches.active
        return [
            f"{what}; made by:\n  {command}" for kind, what, command in found if kind not in here
        ]

    def settled(self, state: State) -> bool:
        """Whether all that the state shows is loaded."""
        if self._worker is None:
            return True
        loaded = not self._worker.busy and self._answered == self.request(state)
        made = self._growth.settled(self._wanted(state))
        return loaded and made and self._patches.settled() and not self._keeping.busy

    def wait(self, seconds: float) -> None:
        """Wait for what is being loaded, at most this long."""
        if self._worker is not None and self._worker.busy:
            self._worker.wait(seconds)
        elif self._growth.busy:
            self._growth.wait(seconds)
        else:
            self._patches.wait(seconds)

    def request(self, state: State) -> ImagesRequest:
        """Say what a state needs loaded."""
        if not self._folder.shows(state.layer.name):
            return ImagesRequest()
        wanted = self._has_pane and state.show_unit_jpgs and state.in_units
        unit = state.selected if wanted else None
        return ImagesRequest(unit, self._sheet_request(state), state.show_card and wanted)

    def _sheet_request(self, state: State) -> SheetRequest | None:
        if not state.pattern_mode or state.zoom > ZOOM_UNIT or self._room is None:
            return None
        layer = state.layer
        unit = state.unit if state.zoom == ZOOM_UNIT else None
        return SheetRequest(layer.name, layer.units, layer.rows, layer.columns, self._room, unit)

    def message(self, state: State) -> str:
        """Return what could not be read, and which layer has no patterns to show."""
        problems = [self._defect] if self._defect else []
        if self._result is not None:
            problems += self._result.problems
        problems += [self._growth.message(), self._patches.message()]
        problems += [self._keeping.message(), self._watch.message()]
        if state.pattern_mode and state.zoom <= ZOOM_UNIT and not self._growth.filled:
            picture = self._pattern(state)
            problems += picture.note[:1] if picture is not None else ()
        return "; ".join(dict.fromkeys(filter(None, problems)))

    def drawing(self, state: State, words: Words | None = None) -> Drawing:
        """Say what the pane of unit images shows; a card ends with what is known in words."""
        hint = ""
        if state.show_unit_jpgs:
            hint = self._left_out(state) or ("" if state.in_units else "choose a unit: down")
        unit, result = self.request(state).unit, self._result
        pictures: tuple[Picture, ...] | None = () if unit is None else None
        asked = self.request(state)
        if result is not None and (result.request.unit, result.request.card) == (unit, asked.card):
            pictures = result.pictures
        if pictures and state.ascends and not asked.card:
            pictures = (self._growth.picture(), *pictures[1:])
        if pictures and not asked.card and self._patches.takes_over(self._there(state, PATCHES)):
            pictures = (pictures[0], *self._patches.pictures())
        of = f"{self._folder.source(state.layer.name)}:{state.unit}"
        titles = (f"{KINDS[0].name} of {of}", f"{KINDS[1].name} of {of}", KINDS[2].name)
        if asked.card and pictures is not None:
            said = words.lines() if words is not None else ("nothing is known of it in words",)
            pictures = (*pictures, _in_its_place(f"{of}:", *said))
            titles = (f"{PATCHES.name} of {of}", CARD.name, "")
        view = jpgvis.JpgvisView(pictures, hint, self._stack, self._look, titles)
        return Drawing(jpgvis.PANE, view, jpgvis.draw)

    def layers_drawing(self, state: State) -> Drawing | None:
        """Say what the layers pane shows of unit images; None while it shows something else."""
        if state.zoom == ZOOM_IMAGE:
            view = jpgvis.JpgvisView((self._growth.picture(),), "", self._stack, self._look)
            return Drawing(layers.PANE, view, jpgvis.draw_one)
        return self.pattern_drawing(state)

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
            filled=self._growth.filled if request.unit is None else None,
            units=state.layer.units,
        )

    def _pattern(self, state: State) -> Picture | None:
        """Return the layer's sheet or the unit of it, None while it is loaded."""
        if left_out := self._left_out(state):
            return _in_its_place(left_out)
        result = self._result
        if result is None or result.request.sheet != self._sheet_request(state):
            return None
        if state.zoom == ZOOM_UNIT and state.ascends:
            return self._growth.picture()
        return result.sheet

    def _left_out(self, state: State) -> str:
        """Say that the settings leave a layer's images out, where they do."""
        name = state.layer.name
        shown = self._folder.shows(name)
        return "" if shown else f"no images of {name}: it is not in caffevis_jpgvis_layers"
