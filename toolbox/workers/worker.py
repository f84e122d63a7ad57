"""One thread for slow work: the latest frozen request in, a result with it out.

There are no flags under locks. A request is a frozen value; whoever holds a
result compares its request with the one wanted now, and if they differ, the
result is stale.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

Request = TypeVar("Request")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)


def close_all(closers: Iterable[Callable[[], bool]]) -> bool:
    """Call functions that join threads side by side: as long as the slowest, not the sum.

    Parameters
    ----------
    closers : iterable of callable
        Each returns whether its thread has ended.

    Returns
    -------
    bool
        Whether all have.
    """
    waiting = list(closers)
    with ThreadPoolExecutor(max(len(waiting), 1)) as pool:
        return all(list(pool.map(lambda close: close(), waiting)))


def sentence_of(problem: Exception, expected: tuple[type[Exception], ...], name: str) -> str:
    """Return what to tell the user of an exception; one that nobody expected is logged.

    Parameters
    ----------
    problem : Exception
        Being handled.
    expected : tuple of exception types
        Their messages are sentences.
    name : str
        Of the thread.
    """
    if isinstance(problem, expected):
        return str(problem)
    logger.exception("%s met a defect", name)
    return f"internal error: {type(problem).__name__}: {problem}"


@dataclass(frozen=True, eq=False)
class Outcome(Generic[Request, Result]):
    """What came of a request.

    Parameters
    ----------
    request : object
        The request, unchanged.
    value : object or None
        The result; None where there was an error.
    error : str or None
        One sentence.
    seconds : float
        How long the work took.
    """

    request: Request
    value: Result | None
    error: str | None
    seconds: float


class Worker(Generic[Request, Result]):
    """Runs a function on the latest request, one at a time, in its own thread.

    Parameters
    ----------
    work : callable
        From request to result; runs only in the worker's thread.
    name : str
        The thread's name.
    expected : tuple of exception types
        Errors whose message is a sentence for the user. Any other exception is
        a defect: it is logged with its traceback, and the worker goes on.
    """

    def __init__(
        self,
        work: Callable[[Request], Result],
        name: str,
        expected: tuple[type[Exception], ...] = (),
    ) -> None:
        self._work = work
        self._expected = expected
        self._changed = threading.Condition()
        self._pending: Request | None = None
        self._current: Request | None = None
        self._outcomes: deque[Outcome[Request, Result]] = deque()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> None:
        """Ask for work; a request that has not been begun is replaced."""
        with self._changed:
            self._pending = request
            self._changed.notify_all()

    def outcomes(self) -> list[Outcome[Request, Result]]:
        """Take what is done since the last call, oldest first, without waiting."""
        with self._changed:
            done = list(self._outcomes)
            self._outcomes.clear()
            return done

    @property
    def current(self) -> Request | None:
        """The request being worked on, None while idle."""
        with self._changed:
            return self._current

    @property
    def busy(self) -> bool:
        """Whether a request is waiting, being worked on, or its outcome not taken."""
        with self._changed:
            return self._pending is not None or self._current is not None or bool(self._outcomes)

    def wait(self, seconds: float) -> bool:
        """Wait until an outcome can be taken.

        Parameters
        ----------
        seconds : float
            At most this long.

        Returns
        -------
        bool
            Whether there is one.
        """
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._outcomes), seconds)

    def close(self, seconds: float = 2.0) -> bool:
        """Stop after the request being worked on, and join the thread.

        Parameters
        ----------
        seconds : float
            How long to wait for it.

        Returns
        -------
        bool
            Whether the thread has ended (it is a daemon, so that a request
            that hangs cannot keep the process alive).
        """
        with self._changed:
            self._closing = True
            self._pending = None
            self._changed.notify_all()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._pending is not None)
                if self._closing or self._pending is None:
                    return
                request, self._pending = self._pending, None
                self._current = request
            outcome = self._outcome(request)
            with self._changed:
                self._outcomes.append(outcome)
                self._current = None
                self._changed.notify_all()

    def _outcome(self, request: Request) -> Outcome[Request, Result]:
        begun = time.perf_counter()
        value, error = None, None
        try:
            value = self._work(request)
        except Exception as problem:  # noqa: BLE001 - it becomes a sentence
            error = sentence_of(problem, self._expected, self._thread.name)
        return Outcome(request, value, error, time.perf_counter() - begun)
