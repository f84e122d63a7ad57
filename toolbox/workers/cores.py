"""How many cores there are to work on."""

from __future__ import annotations

import os


def cores() -> int:
    """Count the cores that this process may use (`taskset` may leave it less than there are)."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
