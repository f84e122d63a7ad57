"""How many threads compute."""

from __future__ import annotations

from typing import NamedTuple

from toolbox.workers.cores import cores


class Threads(NamedTuple):
    """How many compute: one frame alone, and each of two at the same time (0: never two)."""

    alone: int
    each_of_two: int


def compute_threads(wanted: int | None) -> Threads:
    """Choose how many threads compute.

    Parameters
    ----------
    wanted : int or None
        In all. None: one frame alone has all cores but one, which the window keeps; two share
        all of them, since drawing takes only a part of one.
    """
    return Threads(wanted or max(1, cores() - 1), (wanted or cores()) // 2)
