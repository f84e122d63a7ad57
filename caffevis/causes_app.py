"""Causes as the app sees them: what is asked, where cursor and mouse lead, what panes show."""

from __future__ import annotations

from dataclasses import dataclass, replace

from caffevis.causes.asked import Account, Question, Ranking, Trial, question_of, trial_of
from caffevis.causes.occlusion import MapRequest, Occluder, OcclusionMap
from caffevis.keys import causes as ca
from caffevis.keys import causes_rows as go
from caffevis.keys.state import State
from caffevis.model.classes import Classes
from caffevis.net.request import NetResult
from caffevis.panes.causes import occlusion, report, said
from caffevis.panes.parts.look import Look
from toolbox.drawing.screen import Drawing
from toolbox.input.frame import Frame
from toolbox.pictures.images import fit, side_by_side
from toolbox.window.pointer import CLICK, DRAG, MOVE, RIGHT_CLICK, Pointer
from toolbox.workers.worker import Worker

INPUT = "input"


@dataclass(frozen=True)
class Asked:
    """What a request asks about causes."""

    trial: Trial | None
    question: Question | None


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
        self._worker: Worker[MapRequest, OcclusionMap] | None = None
        self._map: OcclusionMap | None = None
        self._wanted: MapRequest | None = None
        self._error = ""

    # ------------------------------------------------------------ the network's worker

    def asked(self, state: State) -> Asked:
        """Say what the network is to try and to answer."""
        layer = class_layer(self._classes, state)
        return Asked(trial_of(state, layer), question_of(state, layer))

    def resolve(self, state: State, result: NetResult) -> State:
        """Take the cursor along a ranking or down an account, once these are known."""
        answer = result.answer
        if answer is None or answer.question != self.asked(state).question:
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
        if now is None or frame is None or now.kind not in (*ca.PAINTING, ca.OCCLUDER):
            return state
        if pointer.kind == RIGHT_CLICK:
            return go.wipe(state)
        picture = side_by_side(frame.images)
        height, width = fit(picture.shape[0], picture.shape[1], pointer.room)
        down, across = (pointer.row + 0.5) / height, (pointer.column + 0.5) / width
        if not (0 <= down < 1 and 0 <= across < 1):
            return state
        at = (round(down, 4), round(across * len(frame.images) % 1, 4))
        if now.kind == ca.OCCLUDER:
            return go.cover(state, at) if pointer.kind in (MOVE, DRAG, CLICK) else state
        return (
            go.paint(state, at, pointer.kind == CLICK) if pointer.kind in (CLICK, DRAG) else state
        )

    # ------------------------------------------------------------ the occlusion map

    def update(self, state: State, frame: Frame | None) -> None:
        """Take the part of the map that is done, and ask for the next."""
        if self._worker is not None:
            for outcome in self._worker.outcomes():
                self._take(outcome.request, outcome.value, outcome.error)
        if not state.causes.occlusion or frame is None:
            self._wanted = None
            return
        target = state.selected if state.in_units else None
        now = self._wanted
        # The pictures of a video have one name: a map that is begun is finished first.
        goes_on = now is not None and now.target == target and now.frame.name == frame.name
        if now is None or not goes_on or (self._is_done() and now.frame is not frame):
            self._map, self._error = None, ""
            self._ask(MapRequest(frame, target))

    def _take(self, request: MapRequest, value: OcclusionMap | None, error: str | None) -> None:
        if request != self._wanted:
            return  # of another picture or unit
        self._error, self._map = error or "", value
        if value is not None and not value.finished:
            self._ask(replace(request, step=request.step + 1))

    def _ask(self, request: MapRequest) -> None:
        self._wanted = request
        if self._worker is None:
            self._worker = Worker(self._occluder, "occlusion map", expected=self._expected)
        self._worker.submit(request)

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
    def is_working(self) -> bool:
        """Whether a part of a map is being computed."""
        return self._worker is not None and self._worker.busy

    def wait(self, seconds: float) -> None:
        """Wait for a part of the map, at most this long."""
        if self._worker is not None:
            self._worker.wait(seconds)

    def close(self) -> bool:
        """End the thread."""
        return self._worker is None or self._worker.close()

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
