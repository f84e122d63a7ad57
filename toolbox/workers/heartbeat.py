"""A sign of life: something said again and again while long work goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

SECONDS = 8.0  # who waits ten without a word thinks that nothing happens


class Heartbeat:
    """A context that calls a function every few seconds, in a thread of its own.

    Parameters
    ----------
    say : callable
        What to call; it must not fail.
    every : float
        Seconds between calls; the first comes after as many.
    """

    def __init__(self, say: Callable[[], None], every: float = SECONDS) -> None:
        self._say, self._every = say, every
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Heartbeat:
        self.start()
        return self

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(self._every):
            self._say()
