"""Interleaved timing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median

WARM_UP = 2
MIN_ROUNDS = 5
MAX_ROUNDS = 200


def _nothing() -> None:
    pass


def interleaved(
    contenders: Mapping[str, Callable[[], object]],
    budget: float,
    before: Callable[[], None] = _nothing,
) -> dict[str, float]:
    """Run the contenders in turns and return each one's median seconds.

    Parameters
    ----------
    contenders : mapping of str to callable
        What to time, by name.
    budget : float
        Seconds after which no further round starts; five rounds always run.
    before : callable
        Called before each run, not timed.
    """
    for run in contenders.values():
        for _ in range(WARM_UP):
            before()
            run()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    end = time.perf_counter() + budget
    for done in range(MAX_ROUNDS):
        if done >= MIN_ROUNDS and time.perf_counter() > end:
            break
        for name, run in contenders.items():
            before()
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in times.items()}
