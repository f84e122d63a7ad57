"""How many threads compute."""

from __future__ import annotations

from toolbox.workers.cores import cores


def compute_threads(wanted: int | None) -> int:
    """Choose how many threads compute: all cores but one, which the window keeps."""
    return wanted or max(1, cores() - 1)
