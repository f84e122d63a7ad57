"""One thread for work that shows itself on the way: the latest request in, news of it out.

`worker.py` answers a request once. Here the work is a generator, and each thing it yields is
news. A new request ends the work on the one before after the piece being worked on.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

from toolbox.workers.worker import Outcome, sentence_of

Request = TypeVar("Request")
News = TypeVar("News")

LOW = 5  # of `nice`: others come first; much lower, others would wait for who holds Python's lock


def lower_priority(by: int) -> None:
    """Let the calling thread give way to others, where the system has priorities of threads."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            thread = threading.get_native_id()
            before = os.getpriority(os.PRIO_PROCESS, thread)
            os.setpriority(os.PRIO_PROCESS, thread, min(before + by, 19))


class Stream(Generic[Request, News]):
    """Works at the latest request, piece by piece, in its own thread and at low priority.

    Parameters
    ----------
    work : callable
        From a request to an iterator of news, or None after a piece that there is nothing to
        tell of; all of it runs only in this thread.
    name : str
        The thread's name.
    expected : tuple of exception types
        Errors whose message is a sentence for the user; see `Worker`.
    between : callable
        Called between two pieces, to let others go first.
    first : callable
        Called in the thread before the first request, to have ready what all will need.
    """

    def __init__(
        self,
        work: Callable[[Request], Iterator[News | None]],
        name: str,
        expected: tuple[type[Exception], ...] = (),
        between: Callable[[], None] = lambda: None,
        first: Callable[[], object] = lambda: None,
    ) -> None:
        self._work, self._expected, self._between = work, expected, between
        self._first = first
        self._changed = threading.Condition()
        self._wanted: Request | None = None
        self._ended: Request | None = None
        self._news: deque[Outcome[Request, News]] = deque()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, request: Request | None) -> None:
        """Ask for work in place of what is being worked on; None: only end that."""
        with self._changed:
            if request != self._wanted:
                self._wanted, self._ended = request, None
                self._changed.notify_all()

    def outcomes(self) -> list[Outcome[Request, News]]:
        """Take what is new since the last call, of each request the newest, without waiting."""
        with self._changed:
            news = list(self._news)
            self._news.clear()
            return news

    @property
    def busy(self) -> bool:
        """Whether a request is not worked out yet, or its news are not taken."""
        with self._changed:
            open_ = self._wanted is not None and self._wanted != self._ended
            return open_ or bool(self._news)

    def wait(self, seconds: float) -> bool:
        """Wait until there is news, at most so long; return whether there is."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._news), seconds)

    def close(self, seconds: float = 2.0) -> bool:
        """Stop after the piece being worked on, and join the thread; see `Worker.close`."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        lower_priority(LOW)
        try:
            self._first()
        except Exception as problem:  # noqa: BLE001 - said by the first request, which meets it too
            sentence_of(problem, self._expected, self._thread.name)
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closing or self._wanted not in (None, self._ended)
                )
                request = self._wanted
            if self._closing:
                return
            if request is not None:
                self._work_at(request)

    def _work_at(self, request: Request) -> None:
        begun, error = time.perf_counter(), None
        pieces: Iterator[News | None] | None = None
        try:
            pieces = iter(self._work(request))
            for piece in pieces:
                if not self._tell(request, piece, time.perf_counter() - begun):
                    return
                self._between()
        except Exception as problem:  # noqa: BLE001 - told by `sentence_of`, as in a worker
            error = sentence_of(problem, self._expected, self._thread.name)
        finally:
            if isinstance(pieces, Generator):
                pieces.close()
        with self._changed:
            if error is not None and self._wanted == request:
                self._put(Outcome(request, None, error, time.perf_counter() - begun))
            self._ended = request
            self._changed.notify_all()

    def _tell(self, request: Request, piece: News | None, seconds: float) -> bool:
        """Keep a piece of news; return whether its request is still wanted."""
        with self._changed:
            if self._closing or self._wanted != request:
                return False
            if piece is not None:
                self._put(Outcome(request, piece, None, seconds))
            return True

    def _put(self, outcome: Outcome[Request, News]) -> None:
        if self._news and self._news[-1].request == outcome.request:
            self._news.pop()
        self._news.append(outcome)
        self._changed.notify_all()
