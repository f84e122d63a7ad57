"""Causes as the app sees them: what is asked, where cursor and mouse lead, what panes show."""

from __future__ import annotations

from dataclasses import replace

from caffevis.causes.asked import Account, Ranking, question_of, trial_of
from caffevis.causes.occlusion import MapRequest, Occluder, OcclusionMap
from caffevis.keys import causes as ca
from caffevis.keys import causes_rows as go
from caffevis.keys.state import State
from caffevis.model.classes import Classes
from caffevis.net.request import NetRequest, NetResult
from caffevis.panes.causes import occlusion, report, said
from caffevis.panes.parts.look import Look
from caffevis.panes.whole import place_in
from toolbox.drawing.screen import Drawing
from toolbox.input.frame import Frame
from toolbox.window.pointer import CLICK, DRAG, MOVE, RIGHT_CLICK, Pointer
from toolbox.workers.stream import Stream


def class_layer(classes: Classes, state: State) -> str:
    """Name the first layer with one value a class, before any Softmax; empty where none is."""
    names = (*classes.layers, *([classes.listed] if classes.listed else []))
    found = (la.name for la in state.layers if la.name in names and la.values == 1)
    return next(found, "")


class CausesApp:
    """Asks about causes what the state wants to know, and says what is drawn.

    Parameters
    ----------
    occluder : Occluder
        Runs in a thread of its own once there is a map to make.
    classes : Classes
        Of the network.
    look : Look
        Colours and fonts.
    expected : tuple of exception types
        Errors of the engine, whose message is a sentence for the user.
    """

    def __init__(
        self,
        occluder: Occluder,
        classes: Classes,
        look: Look,
        expected: tuple[type[Exception], ...],
    ) -> None:
        self._occluder, self._classes, self._look = occluder, classes, look
        self._expected = expected
        self._stream: Stream[MapRequest, OcclusionMap] | None = None
        self._map: OcclusionMap | None = None
        self._wanted: MapRequest | None = None
        self._error = ""

    # ------------------------------------------------------------ the network's worker

    def added_to(self, request: NetRequest, state: State) -> NetRequest:
        """Add to a request what the network is to try and to answer."""
        layer = class_layer(self._classes, state)
        trial, question = trial_of(state, layer), question_of(state, layer)
        return replace(request, trial=trial, question=question) if trial or question else request

    def resolve(self, state: State, result: NetResult) -> State:
        """Take the cursor along a ranking or down an account, once these are known."""
        answer, layer = result.answer, class_layer(self._classes, state)
        if answer is None or answer.question != question_of(state, layer):
            return state
        if state.causes.jumps and isinstance(answer, Ranking):
            return go.jumped(state, tuple(row.unit for row in answer.rows))
        if state.causes.follows and isinstance(answer, Account):
            return go.followed(state, answer.down)
        return state

    # ------------------------------------------------------------ the mouse

    def point(self, state: State, pointer: Pointer, frame: Frame | None) -> State:
        """Move the occluder or paint, as the mouse does in the input pane."""
        now = state.causes.disturbance
        if now is None or frame is None or now.kind not in ca.BY_MOUSE:
            return state
        if pointer.kind == RIGHT_CLICK:
            return go.wipe(state)
        place = place_in(pointer, frame)
        if place is None:
            return state
        at = (round(place[0], 4), round(place[1] * len(frame.images) % 1, 4))
        if now.kind == ca.OCCLUDER:
            return go.cover(state, at) if pointer.kind in (MOVE, DRAG, CLICK) else state
        return (
            go.paint(state, at, pointer.kind == CLICK) if pointer.kind in (CLICK, DRAG) else state
        )

    # ------------------------------------------------------------ the occlusion map

    def update(self, state: State, frame: Frame | None) -> None:
        """Take the part of the map that is done, and ask for the next."""
        for outcome in self._stream.outcomes() if self._stream else ():
            if outcome.request == self._wanted:  # else of another picture or unit
                self._error = outcome.error or ""
                self._map = outcome.value or self._map
        if not state.causes.occlusion or frame is None:
            self._ask(None)
            return
        target = state.selected if state.in_units else None
        now = self._wanted
        # The pictures of a video have one name: a map that is begun is finished first.
        goes_on = now is not None and now.target == target and now.frame.name == frame.name
        if now is None or not goes_on or (self._is_done() and now.frame is not frame):
            self._ask(MapRequest(frame, target))

    def _ask(self, request: MapRequest | None) -> None:
        if request == self._wanted:
            return
        self._wanted, self._map, self._error = request, None, ""
        if self._stream is None:
            self._stream = Stream(self._occluder, "occlusion map", expected=self._expected)
        self._stream.submit(request)

    def _is_done(self) -> bool:
        return bool(self._error) or (self._map is not None and self._map.finished)

    def settled(self, state: State, frame: Frame | None) -> bool:
        """Whether the map that is wanted is there."""
        if not state.causes.occlusion or frame is None:
            return True
        target = state.selected if state.in_units else None
        now = self._wanted
        return now is not None and (now.frame, now.target) == (frame, target) and self._is_done()

    @property
    def busy(self) -> bool:
        """Whether a part of a map is being computed."""
        return self._stream is not None and self._stream.busy

    def wait(self, seconds: float) -> None:
        """Wait for a part of the map, at most this long."""
        if self._stream is not None:
            self._stream.wait(seconds)

    def close(self) -> bool:
        """End the thread."""
        return self._stream is None or self._stream.close()

    # ------------------------------------------------------------ what is shown

    def message(self, state: State, result: NetResult | None) -> str:
        """Say what is not there, and how far the map is."""
        parts = [said.message(state, result), self._about_map(state)]
        return "; ".join(filter(None, parts))

    def _about_map(self, state: State) -> str:
        if not state.causes.occlusion:
            return ""
        if self._error or self._map is None or self._map.note:
            return self._error or (self._map.note if self._map else "occlusion map: 0 %")
        return said.about_map(self._map, self._classes, state)

    def drawings(self, state: State, result: NetResult) -> list[Drawing]:
        """Say what is shown instead of the back result and of the plain input."""
        drawn = []
        reported = report.drawing(state, result, self._classes, self._look)
        if reported is not None:
            drawn.append(reported)
        if state.causes.occlusion and self._map is not None and not self._map.note:
            drawn.append(occlusion.drawing(self._map, self._look.background))
        return drawn
