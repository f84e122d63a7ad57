"""Who steers: one viewer has the keys, the mouse and the camera, the others watch."""

from __future__ import annotations

import time
from collections.abc import Callable

ANSWER_SECONDS = 10.0  # how long the one who steers can refuse to pass it on


class Sharing:
    """The viewers in the order they came, who of them steers and who has asked to.

    The first to come steers. Who asks is given it after `ANSWER_SECONDS`, unless the one who
    steers passes it on before or keeps it. When the one who steers leaves, the first who has
    asked follows, or the one who has watched longest.

    Parameters
    ----------
    clock : callable
        Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._viewers: list[int] = []
        self._asked: dict[int, float] = {}  # who, and when
        self.steering: int | None = None

    @property
    def viewers(self) -> tuple[int, ...]:
        """Everybody, in the order they came."""
        return tuple(self._viewers)

    @property
    def asking(self) -> tuple[int, ...]:
        """Who has asked to steer, in the order they asked."""
        return tuple(self._asked)

    def join(self, viewer: int) -> None:
        """Let a viewer in."""
        self._viewers.append(viewer)
        if self.steering is None:
            self.steering = viewer

    def leave(self, viewer: int) -> None:
        """Let a viewer go."""
        self._viewers.remove(viewer)
        self._asked.pop(viewer, None)
        if self.steering == viewer:
            self.steering = None
            self._follow([*self._asked, *self._viewers])

    def ask(self, viewer: int) -> None:
        """Note that a viewer would like to steer."""
        if viewer != self.steering and viewer in self._viewers:
            self._asked.setdefault(viewer, self._clock())

    def give(self, viewer: int) -> None:
        """Pass it on, where this viewer steers, to the first who has asked."""
        if viewer == self.steering:
            self._follow([*self._asked])

    def keep(self, viewer: int) -> None:
        """Refuse all who have asked, where this viewer steers."""
        if viewer == self.steering:
            self._asked.clear()

    def update(self) -> bool:
        """Pass it on where nobody has refused in time; whether that was so."""
        due = [v for v, asked in self._asked.items() if self._clock() - asked >= ANSWER_SECONDS]
        self._follow(due)
        return bool(due)

    def _follow(self, candidates: list[int]) -> None:
        if candidates:
            self.steering = candidates[0]
            self._asked.pop(candidates[0], None)
