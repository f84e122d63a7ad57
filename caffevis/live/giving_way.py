"""How the thread that makes images gives way: to keys first, and to moving frames."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from caffevis.net.lanes import KEY_SECONDS

REST = 4.0  # times as long as it computed, it rests beside moving frames: a fifth of a core
LONGEST = 0.2  # seconds of rest


class GiveWay:
    """Called between two iterations, in the thread that makes images; `key` in the window's."""

    def __init__(self) -> None:
        self._let_pass: Callable[[float], None] = lambda seconds: None
        self._keyed = -math.inf
        self._spent = 0.0

    def to(self, let_pass: Callable[[float], None]) -> None:
        """Say what waits until no frame is being computed, at most so many seconds."""
        self._let_pass = let_pass

    def key(self) -> None:
        """Take it that something was pressed."""
        self._keyed = time.monotonic()

    def __call__(self) -> None:
        """Rest as is due, or until nobody wants the machine."""
        rest = min(REST * (time.thread_time() - self._spent), LONGEST)
        self._let_pass(max(rest, self._keyed + KEY_SECONDS - time.monotonic()))
        self._spent = time.thread_time()
