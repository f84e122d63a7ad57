"""How much one viewer may send, and how often the log says the same."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

MESSAGES_A_SECOND = 300  # keys that repeat, the wheel, confirmations
BYTES_A_SECOND = 8 * 2**20  # of a camera
BURST_SECONDS = 5.0
QUIET_SECONDS = 5.0


class Allowance:
    """Messages and bytes that may still come: so many a second, and some in advance.

    Parameters
    ----------
    clock : callable
        Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock()
        self._messages = MESSAGES_A_SECOND * BURST_SECONDS
        self._bytes = BYTES_A_SECOND * BURST_SECONDS

    def take(self, size: int) -> bool:
        """Count a message of so many bytes; False where it is too much."""
        now = self._clock()
        gone, self._at = now - self._at, now
        self._messages = _filled(self._messages, MESSAGES_A_SECOND, gone) - 1
        self._bytes = _filled(self._bytes, BYTES_A_SECOND, gone) - size
        return self._messages >= 0 and self._bytes >= 0


def _filled(left: float, rate: float, seconds: float) -> float:
    return min(left + rate * seconds, rate * BURST_SECONDS)


class Log:
    """Says in one line what happened; what happens again and again only once in a while.

    Parameters
    ----------
    write : callable
        Takes a line.
    clock : callable
        Seconds.
    """

    def __init__(
        self,
        write: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._clock = clock
        self._said: dict[str, float] = {}
        self._more: dict[str, int] = {}

    def say(self, what: str, who: str = "") -> None:
        """Write a line, or count it where the same was written just now.

        Parameters
        ----------
        what : str
            The same words for the same thing; there are few of them.
        who : str
            Whom it happened to.
        """
        now = self._clock()
        if now - self._said.get(what, -QUIET_SECONDS) < QUIET_SECONDS:
            self._more[what] = self._more.get(what, 0) + 1
            return
        self._said[what] = now
        more = self._more.pop(what, 0)
        self._write(f"serve: {who + ': ' if who else ''}{what}{_again(more)}")

    def flush(self, at_end: bool = False) -> None:
        """Say what was only counted, where it has become quiet, or at the end."""
        now = self._clock()
        for what in [w for w in self._more if at_end or now - self._said[w] >= QUIET_SECONDS]:
            self._write(f"serve: {what}{_again(self._more.pop(what))}")


def _again(times: int) -> str:
    return f" ({times} more like it)" if times else ""
