"""The app: keeps state, asks the network's worker, and says what panes show."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from caffevis.causes.occlusion import Occluder
from caffevis.causes_app import CausesApp
from caffevis.keys import transitions as go
from caffevis.keys.keymap import BINDINGS
from caffevis.keys.state import State, first_state
from caffevis.live.giving_way import GiveWay
from caffevis.live.unit_growth import UnitGrowth
from caffevis.live.unit_patches import PhotoPatches
from caffevis.model.classes import class_unit
from caffevis.model.layer_list import NetLike
from caffevis.model.opening import ENGINE_ERRORS, engine_net, image_input
from caffevis.model.start import start_state
from caffevis.model.threads import compute_threads
from caffevis.net.histogram import Record, follow
from caffevis.net.lanes import Lanes
from caffevis.net.measures import top_units
from caffevis.net.network import Network
from caffevis.net.request import Back, NetRequest, NetResult
from caffevis.opened import open_all
from caffevis.panes import aux_pane, back, control, jpgvis, layers, mouse, patterns, status
from caffevis.panes.overlay import PANE as INPUT
from caffevis.panes.parts.look import look_from
from caffevis.unit_worker import UnitImages
from caffevis.views_app import ViewsApp, options_for
from toolbox.app.bindings import Binding
from toolbox.app.protocol import Activations, Timing
from toolbox.drawing.headings import strip_height, with_heading
from toolbox.drawing.screen import Drawing
from toolbox.drawing.tiles import Grid, as_maps
from toolbox.input.frame import Frame
from toolbox.pictures.images import FloatArray
from toolbox.settings.config import Settings
from toolbox.window.pointer import CLICK, Pointer
from toolbox.workers.worker import close_all

TEXT_KEYS = ("space", "backspace", "enter", "esc")


@dataclass(frozen=True, eq=False)
class Shown:
    """A result with the state it fits: their layers are the same."""

    state: State
    result: NetResult


class CaffeVisApp:
    """Every unit of every layer of a Caffe network, live.

    Parameters
    ----------
    settings : Settings
        All settings.
    clock : callable
        Seconds, for timings.
    net : NetLike, optional
        A network to show instead of the one that the settings name.

    Raises
    ------
    SettingsError
        The settings or the network's files are wrong; one sentence.
    """

    heading: ClassVar[str] = "Units and layers"
    bindings: ClassVar[Sequence[Binding[Any]]] = BINDINGS
    pane_names: ClassVar[Sequence[str]] = (
        control.PANE, layers.PANE, aux_pane.PANE, back.PANE, jpgvis.PANE,
    )  # fmt: skip
    pointed_panes: ClassVar[Sequence[str]] = (INPUT,)

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], float] = time.perf_counter,
        net: NetLike | None = None,
    ) -> None:
        self._look = look_from(settings)
        opened = open_all(settings, net)
        net, prepare, self._classes = opened.net, opened.prepare, opened.classes
        self._title = opened.title
        self._takes_pairs, self._aspect = bool(prepare.pair), prepare.aspect
        self._threads = compute_threads(settings.caffevis_compute_threads)
        self._network = Network(net, prepare, self._classes.listed, self._threads.alone, clock)
        occluder = Occluder(net, prepare, image_input(net), self._classes.listed)
        self._causes = CausesApp(occluder, self._classes, self._look, ENGINE_ERRORS)
        self._worker: Lanes | None = None
        self._give_way = GiveWay()
        growth = UnitGrowth(settings, engine_net(net), self._network.prepare, self._give_way)
        patches = PhotoPatches(settings, net)
        self._images = UnitImages(settings, self._look, growth, patches, opened.files)
        self._views = ViewsApp(settings)
        options = options_for(settings, self._network.back_modes, self._classes)
        self._state = start_state(first_state(opened.layers, options), settings.caffevis_start, net)
        self._frame: Frame | None = None
        self._ready: tuple[Frame, FloatArray] | None = None
        self._shown: Shown | None = None
        self._published: Activations | None = None
        self._record: Record | None = None
        self._answered: NetRequest | None = None
        self._submitted: NetRequest | None = None
        self._message = ""
        self._timings: dict[str, Timing] = {}
        self._frames_done = 0

    @property
    def state(self) -> State:
        """What the user has chosen."""
        return self._state

    @property
    def result(self) -> NetResult | None:
        """What the panes are drawn from."""
        return self._shown.result if self._shown else None

    def start(self) -> None:
        """Start the threads."""
        self._worker = Lanes(self._network, self._network.twin, self._threads, ENGINE_ERRORS)
        self._give_way.to(self._worker.let_pass)
        self._images.start()
        self._views.start()

    def rescale(self, settings: Settings) -> None:
        """Draw at another scale from now on."""
        self._look = look_from(settings)
        self._images.rescale(settings, self._look)

    def handle(self, row: Binding[Any]) -> None:
        """Change the state as a key says, and ask for what that needs."""
        before = self._state.keeps
        self._change(row.action(self._state))
        if self._state.keeps > before:
            self._images.keep(self._state)

    def type(self, key: str) -> bool:
        """Take letters of the list's filter while it is typed; arrows still move."""
        takes = self._state.typing and (len(key) == 1 or key in TEXT_KEYS)
        if takes:
            self._change(go.type_filter(self._state, key))
        return takes

    def point(self, pointer: Pointer) -> None:
        """Change the state as the mouse says, and ask for what that needs."""
        if pointer.pane == INPUT:
            changed = self._causes.point(self._state, pointer, self.shown_frame())
            changed = self._views.point(changed, pointer, self.shown_frame())
            if changed is not self._state:
                self._change(changed)
            return
        if pointer.pane == aux_pane.PANE:
            self._point_at_class(pointer)
            return
        if pointer.pane == layers.PANE:
            strip = strip_height(self._look.heading, pointer.room[0])
            room = (pointer.room[0] - strip, pointer.room[1])
            pointer = replace(pointer, row=pointer.row - strip, room=room)
        grid = self._tile_grid(pointer.room)
        self._change(mouse.point(self._state, pointer, self._look, grid))

    def _point_at_class(self, pointer: Pointer) -> None:
        """Go to the unit of the class that is clicked on in the list."""
        if self._shown is None or self._state.in_units or pointer.kind != CLICK:
            return
        number = aux_pane.class_at(self._aux_view(self._shown), pointer.row, pointer.room[0])
        found = None if number is None else class_unit(self._classes, self._state.layers, number)
        if found is not None:
            self._change(go.select_unit(go.select_layer(self._state, found[0]), found[1]))

    def _aux_view(self, shown: Shown) -> aux_pane.AuxView:
        units = layers.view(shown.state, shown.result, self._look)
        counted = self._record.histogram if self._record else None
        return aux_pane.view(shown.state, units, self._classes, self._look, counted)

    def _tile_grid(self, room: tuple[int, int]) -> Grid | None:
        """Say where the selected layer's tiles lie in the layers pane; None without any."""
        view = self._images.pattern_view(self._state)
        if view is not None:
            return patterns.tile_grid(view)
        shown = self._shown
        if shown is None or shown.state.layer.name != self._state.layer.name:
            return None  # still another layer's units
        return layers.tile_grid(layers.view(shown.state, shown.result, self._look), room)

    def _change(self, state: State) -> None:
        self._give_way.key()
        if self._worker is not None:
            self._worker.key()
        self._state = state
        self._fit_shown()
        self._seek()
        self._ask()
        self._look_at_images()

    def _look_at_images(self) -> None:
        """Ask for the images that the state shows, and note whether the unit has any."""
        self._images.update(self._state)
        self._state = go.consistent(self._state, self._images.has_image(self._state))
        self._images.make(self._state, self._frame)

    def _seek(self) -> None:
        """Go to the layer's strongest unit, or where causes lead, if that is asked and known."""
        shown = self._shown
        if shown is None or shown.state.layer != self._state.layer:
            return
        state = self._causes.resolve(self._state, shown.result)
        if state is self._state and state.seeks_strongest:
            found = top_units(as_maps(shown.result.activations), 1)
            state = go.found_strongest(state, found[0] if found else None)
        if state is not self._state:
            self._state = state
            self._fit_shown()

    def set_frame(self, frame: Frame) -> None:
        """Take the newest frame."""
        self._frame = frame

    def update(self) -> None:
        """Take finished work and ask for the next."""
        self._views.update()
        for outcome in self._worker.outcomes() if self._worker else ():
            self._answered = outcome.request
            self._message = outcome.error or ""
            if outcome.value is not None:
                self._take(outcome.value)
        self._seek()
        self._ask()
        self._look_at_images()
        self._causes.update(self._state, self._frame)

    def wait(self, seconds: float) -> None:
        """Wait for the network or the images, at most this long."""
        busy = [each for each in (self._worker, self._causes) if each is not None and each.busy]
        (busy[0] if busy else self._images).wait(seconds)

    def aspect(self) -> float | None:
        """Return width over height of one picture of the network's input."""
        return self._aspect

    def settled(self) -> bool:
        """Whether the newest frame and the state are answered."""
        if not self._images.settled(self._state):
            return False
        if self._frame is None or self._worker is None:
            return True
        answered = not self._worker.busy and self._answered == self._request(self._frame)
        answered = answered and self._views.settled()
        return answered and self._causes.settled(self._state, self._frame)

    def shown_frame(self) -> Frame | None:
        """Return the frame that the activations on the screen are of, as the network saw it."""
        return self._shown.result.seen if self._shown else None

    def published(self) -> Activations | None:
        """Let other apps see the layer on the screen."""
        return self._published

    def notice(self, seen: Activations) -> None:
        """Pass other apps' networks over: this one shows its own."""

    def title(self) -> str:
        """Return the network's name."""
        return self._title

    def status(self) -> str:
        """Return layer, unit, value, back mode and boost."""
        return status.text(self._state, self.result, self._views.words(self._state))

    def message(self) -> str:
        """Return what is wrong: the engine's last error, half of a pair not used, unit images."""
        messages = [self._message, self._images.message(self._state)]
        messages.append(self._views.message(self._state, self.result))
        messages.append(self._causes.message(self._state, self.result))
        messages.append(self.result.broken if self.result else "")
        frame = self.shown_frame()
        if frame is not None and frame.second is not None and not self._takes_pairs:
            messages.append("the network takes one picture: the pair's first")
        return "; ".join(message for message in messages if message)

    def notes(self) -> Sequence[str]:
        """Return the commands that make the missing pictures: text in a window can't be copied."""
        return self._images.commands()

    def timings(self) -> Sequence[Timing]:
        """Return how long the last forward and back passes took."""
        return tuple(self._timings.values())

    def frames_done(self) -> int:
        """Count the frames that went forward."""
        return self._frames_done

    def drawings(self) -> Sequence[Drawing]:
        """Say what each pane shows."""
        look = self._look
        drawings: list[Drawing] = [
            Drawing(control.PANE, control.view(self._state, look), control.draw),
            self._images.drawing(self._state, self._views.words(self._state)),
        ]
        if self._shown is None:
            return drawings
        state, result = self._shown.state, self._shown.result
        units, gone_back = layers.view(state, result, look), back.view(self._state, result, look)
        marked = self._views.drawing(state, result, look)
        side = self._aux_view(self._shown)
        behind = Drawing(back.PANE, gone_back, back.draw)
        tiles = with_heading(
            Drawing(layers.PANE, units, layers.draw),
            layers.heading(units),
            look.heading,
            look.background,
        )
        return [
            *drawings,
            self._images.layers_drawing(self._state) or tiles,
            with_heading(
                Drawing(aux_pane.PANE, side, aux_pane.draw), aux_pane.heading(side), look.heading
            ),
            with_heading(behind, back.heading(gone_back), look.heading),
            *([marked] if marked else []),
            *self._causes.drawings(self._state, result),
        ]

    def close(self) -> bool:
        """End the threads."""
        own = [self._worker.close] if self._worker else []
        return close_all([self._images.close, self._causes.close, self._views.close, *own])

    def _request(self, frame: Frame) -> NetRequest:
        """Say what the state needs computed of a frame."""
        state = self._state
        wanted = Back(state.back_mode, state.origin) if state.wants_back else None
        request = NetRequest(frame, state.layer.name, wanted, state.wants_fields)
        return self._causes.added_to(self._views.added_to(request, state), state)

    def _ask(self) -> None:
        """Submit what is wanted now.

        A change of view is asked of the frames being computed too: it needs no second
        forward pass, so the key is seen to act before the next frame is begun; another
        layer even without its back pass, which comes with the next frame.
        """
        if self._worker is None or self._frame is None:
            return
        under_way = self._worker.under_way
        for current in under_way:
            request = self._request(current.frame)
            if request.layer != current.layer:
                request = replace(request, back=None, cam=None)
            self._worker.follow(current, request)
        request = self._request(self._frame)
        if request not in (self._answered, self._submitted):
            waits = bool(under_way) and all(one.frame is not self._frame for one in under_way)
            request = replace(request, values=self._prepared(self._frame, waits))
            self._submitted = request
            self._worker.submit(request)

    def _prepared(self, frame: Frame, waits: bool) -> FloatArray | None:
        """Bring a frame that waits for the network to the form of its input, once."""
        if waits and (self._ready is None or self._ready[0] is not frame):
            self._ready = (frame, self._network.prepare(frame))
        return self._ready[1] if self._ready and self._ready[0] is frame else None

    def _take(self, result: NetResult) -> None:
        if result.broken:
            warnings.warn(result.broken, stacklevel=2)
        self._frames_done += any(timing.name == "forward" for timing in result.timings)
        self._timings.update({timing.name: timing for timing in result.timings})
        if result.request.layer == self._state.layer.name:
            self._show(self._state, result)
        elif self._shown is not None and self._shown.state.layer.name == result.request.layer:
            self._show(self._shown.state, result)

    def _fit_shown(self) -> None:
        """Show the changed state at once where the result is of its layer."""
        shown = self._shown
        if shown is not None and shown.result.request.layer == self._state.layer.name:
            self._show(self._state, shown.result)

    def _show(self, state: State, result: NetResult) -> None:
        if self._shown is None or self._shown.result is not result:
            request = result.request
            self._published = Activations(request.frame, request.layer, result.activations)
        self._shown = Shown(state, result)
        self._record = follow(self._record, state, result)
