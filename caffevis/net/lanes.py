"""The network's threads: the latest request in, results out in the order of the frames.

A running video is computed in two lanes: the network and a twin of it, with the same parameters
and blobs of its own, work on alternating frames, each in a thread of its own. On two cores that
is quicker than one network with two threads, which wait for one another at every layer.

The second lane takes only plain frames (a layer and a back pass), and only while the first is
busy with another frame. All else is the first lane's: single pictures, and whatever is more than
a function of the frame: trials and questions with their means over frames, components whose
colours follow those of the frame before. Where no twin can be had (a compiled Caffe, a GPU, a
network that remembers; `caffevis.model.opening.second_net`), there is one lane.

Keys come first. What is wanted of a frame under way may change (`follow`): the work for the old
view is then dropped at the next step, and the lane answers the new view from the blobs it has.
After a key the second lane begins nothing for a while, so that the window has a core to draw with.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from caffevis.model.threads import Threads
from caffevis.net.request import NetRequest, NetResult, Superseded
from toolbox.input.frame import Frame
from toolbox.workers.worker import Outcome, sentence_of

KEY_SECONDS = 0.1  # that a key has the machine: no second lane, no images made, the window draws
APART = 0.3  # of a frame's time, between the begins of two lanes: pictures come evenly
NAME = "network"


class Compute(Protocol):
    """From request to result, in one thread; see `caffevis.net.network.Network`."""

    def __call__(
        self, request: NetRequest, superseded: Callable[[], bool], threads: int
    ) -> NetResult:
        """Compute; raise `Superseded` soon after the function says so."""


class _Lane:
    """What one of the threads is at; read and written under the lock.

    `frame` is what its net holds, `number` says as which frame it was begun. `first` is whether
    `current` is the first request for it, `dropped` whether it was told to end.
    """

    def __init__(self, network: Compute) -> None:
        self.network = network
        self.current: NetRequest | None = None
        self.behind: NetRequest | None = None
        self.frame: Frame | None = None
        self.number = 0
        self.first, self.dropped = True, False
        self.begun = self.seconds = 0.0


class Lanes:
    """Computes the latest request; a second frame at the same time where that is possible.

    Parameters
    ----------
    network : callable
        Of the first lane.
    open_second : callable
        Makes that of the second, in its thread, when it is first needed; None: there is none.
    threads : Threads
        How many compute, for one frame alone and for each of two.
    expected : tuple of exception types
        Errors whose message is a sentence for the user; see `Worker`.
    """

    def __init__(
        self,
        network: Compute,
        open_second: Callable[[], Compute | None],
        threads: Threads,
        expected: tuple[type[Exception], ...] = (),
    ) -> None:
        self._counts, self._expected = threads, expected
        self._changed = threading.Condition()
        self._lanes = [_Lane(network)]
        self._pending: NetRequest | None = None
        self._outcomes: deque[Outcome[NetRequest, NetResult]] = deque()
        self._keyed = -math.inf
        self._begun = self._delivered = 0  # frames begun; the newest that was handed out
        self._closing = False
        works = [partial(self._run, self._lanes[0])]
        works += [partial(self._run_second, open_second)] if threads.each_of_two else []
        self._threads = [threading.Thread(target=w, name=NAME, daemon=True) for w in works]
        for thread in self._threads:
            thread.start()

    # ------------------------------------------------------------ for the app

    def submit(self, request: NetRequest) -> None:
        """Ask for work; a request that has not been begun is replaced."""
        with self._changed:
            self._pending = request
            self._changed.notify_all()

    def key(self) -> None:
        """Take it that something was pressed."""
        with self._changed:
            self._keyed = time.perf_counter()

    @property
    def under_way(self) -> tuple[NetRequest, ...]:
        """The requests being worked on."""
        with self._changed:
            return tuple(lane.current for lane in self._lanes if lane.current is not None)

    def follow(self, current: NetRequest, request: NetRequest) -> None:
        """Say what is wanted now of a frame under way; nothing happens where it is past.

        Parameters
        ----------
        current : NetRequest
            One of `under_way`.
        request : NetRequest
            Of the same frame; answered before the lane begins another frame.
        """
        with self._changed:
            lane = next((each for each in self._lanes if each.current is current), None)
            if lane is not None and (_is_plain(request) or lane is self._lanes[0]):
                lane.behind = request if lane.dropped or request != current else None

    def outcomes(self) -> list[Outcome[NetRequest, NetResult]]:
        """Take what is done since the last call, oldest first, without waiting."""
        with self._changed:
            done = list(self._outcomes)
            self._outcomes.clear()
            return done

    @property
    def busy(self) -> bool:
        """Whether a request is waiting, being worked on, or its outcome not taken."""
        with self._changed:
            return self._is_at_work() or bool(self._outcomes)

    def _is_at_work(self) -> bool:
        return self._pending is not None or any(la.current or la.behind for la in self._lanes)

    def wait(self, seconds: float) -> bool:
        """Wait until an outcome can be taken, at most so long; return whether there is one."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._outcomes), seconds)

    def let_pass(self, seconds: float) -> None:
        """Wait until no request waits or is being worked on, at most so long; for other threads."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_at_work(), seconds)

    def close(self, seconds: float = 2.0) -> bool:
        """Stop soon, and join the threads; see `Worker.close`."""
        with self._changed:
            self._closing = True
            self._pending = None
            self._changed.notify_all()
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    # ------------------------------------------------------------ in the threads

    def _run_second(self, open_second: Callable[[], Compute | None]) -> None:
        """Open the second lane when a frame waits for the first."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._is_crowded())
            if self._closing:
                return
        network = None
        try:
            network = open_second()
        except Exception as problem:  # noqa: BLE001 - the first lane goes on alone
            sentence_of(problem, (*self._expected, MemoryError), NAME)
        if network is not None:
            lane = _Lane(network)
            with self._changed:
                self._lanes.append(lane)
            self._run(lane)

    def _is_crowded(self) -> bool:
        first, request = self._lanes[0], self._pending
        if request is None or first.current is None or request.frame is first.frame:
            return False
        return _is_plain(request)

    def _run(self, lane: _Lane) -> None:
        while (found := self._next(lane)) is not None:
            self._work_at(lane, *found)

    def _next(self, lane: _Lane) -> tuple[NetRequest, int] | None:
        """Wait for a lane's next request, and how many threads compute it; None: it is over."""
        with self._changed:
            while not self._closing:
                if lane.behind is not None:
                    return lane.behind, self._begin(lane, lane.behind, first=False)
                pause, request = self._pause(lane), self._pending
                if request is not None and pause is not None and pause <= 0:
                    self._pending = None
                    return request, self._begin(lane, request, first=True)
                self._changed.wait(pause)
        return None

    def _pause(self, lane: _Lane) -> float | None:
        """Return in how many seconds a lane may begin what waits; None: it is not for it."""
        request, first = self._pending, self._lanes[0]
        if request is None:
            return None
        if not _is_plain(request):
            return 0.0 if lane is first else None
        holders = [each for each in self._lanes if each.frame is request.frame]
        if holders:  # a frame does not go forward twice
            return 0.0 if lane in holders else None
        if lane is not first and first.current is None:
            return None
        others = [each for each in self._lanes if each is not lane and each.current is not None]
        due = [each.begun + APART * each.seconds for each in others]
        due += [] if lane is first else [self._keyed + KEY_SECONDS]
        return max(due, default=0.0) - time.perf_counter()

    def _begin(self, lane: _Lane, request: NetRequest, first: bool) -> int:
        """Note what a lane is at; return how many threads compute."""
        if request.frame is not lane.frame:
            self._begun += 1
            lane.frame, lane.number, lane.begun = request.frame, self._begun, time.perf_counter()
        alone = all(each is lane or each.current is None for each in self._lanes)
        lane.current, lane.behind = request, None
        lane.first, lane.dropped = first, False
        return self._counts.alone if alone else self._counts.each_of_two

    def _work_at(self, lane: _Lane, request: NetRequest, threads: int) -> None:
        begun, value, error = time.perf_counter(), None, None
        try:
            value = lane.network(request, partial(self._is_superseded, lane), threads)
        except Superseded:
            pass
        except Exception as problem:  # noqa: BLE001 - it becomes a sentence
            error = sentence_of(problem, self._expected, NAME)
        with self._changed:
            if lane.first and value is not None:
                lane.seconds = time.perf_counter() - begun
            # A frame that another lane has overtaken is not shown any more.
            if (value or error) is not None and lane.number >= self._delivered:
                seconds = time.perf_counter() - begun
                self._outcomes.append(Outcome(request, value, error, seconds))
                self._delivered = lane.number
            lane.current = None
            self._changed.notify_all()

    def _is_superseded(self, lane: _Lane) -> bool:
        """Whether what a lane is at is not wanted any more.

        A second view of a frame is given up only for another layer, which comes without a back
        pass: keys that are pressed faster than back passes end would else stop all pictures.
        """
        with self._changed:
            current, behind = lane.current, lane.behind
            other = behind is not None and (
                lane.first or current is None or behind.layer != current.layer
            )
            lane.dropped = other or self._closing or lane.number < self._delivered
            return lane.dropped


def _is_plain(request: NetRequest) -> bool:
    """Whether only a layer, and what goes back from a unit, are wanted of the frame itself."""
    return request == NetRequest(request.frame, request.layer, request.back, request.fields)
