"""What making unit images while one looks costs the window: frames a second, and keys."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

import numpy as np

from bench.lab.live_stage import Stage, stage
from bench.lab.nets import CALTECH
from bench.lab.video import write_video
from bench.registry import Table, benchmark, goal
from bench.rows.live import KEY_MS, few_cores

ALONE, ASCENT = "nothing made", "an ascent"
SHARE = 0.8  # of its frames a second the window keeps


def _begin(on: Stage, what: str) -> None:
    """Start what is to run beside the frames, or end it."""
    if on.loop.apps[0].state.ascends != (what == ASCENT):  # type: ignore[attr-defined]
        on.loop.press("2" if what == ASCENT else "esc")
    elif what == ASCENT:
        on.loop.press("2")  # the next way: one that ended would cost nothing


def _measure(
    on: Stage, budget: float
) -> tuple[dict[str, list[float]], dict[str, dict[str, list[float]]]]:
    """Return seconds a frame, and seconds of each press, by what was made beside."""
    kinds = (ALONE, ASCENT)
    rounds = max(2, round(budget / 5))
    part = budget / rounds / (2 * len(kinds))
    frames: dict[str, list[float]] = {kind: [] for kind in kinds}
    keys: dict[str, dict[str, list[float]]] = {kind: {} for kind in kinds}
    on.audience.attend(on.loop, part, presses=True)
    for _ in range(rounds):
        for kind in kinds:
            _begin(on, kind)
            watched = on.audience.attend(on.loop, part)
            frames[kind].append(watched.seconds / max(watched.shown, 1))
            watched = on.audience.attend(on.loop, part, presses=True)
            for move, times in watched.drawn.items():
                keys[kind].setdefault(move, []).extend(times)
    _begin(on, ALONE)
    return frames, keys


@benchmark("live-images", "the window on a video while it makes a unit's images")
def run(budget: float) -> list[Table]:
    """Run the window on a video, in turns with and without an ascent."""
    with few_cores(), tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "video.avi"
        write_video(video)
        with stage(CALTECH, video) as on:
            frames, keys = _measure(on, 4 * budget)
    seconds = {f"frames, {kind}": median(times) for kind, times in frames.items()}
    share = median(frames[ALONE]) / median(frames[ASCENT])
    late = {
        f"to {move}, {kind}, {name}": float(np.percentile(times, rank))
        for kind, moves in keys.items()
        for move, times in moves.items()
        for name, rank in (("median", 50), ("95th percentile", 95))
    }
    note = goal("frames a second, share of the window's alone", share, SHARE, at_least=True)
    return [
        Table(f"whole app on a video, {CALTECH.title}", seconds, notes=[note]),
        Table("from a key to the picture that shows it", late, limit_ms=KEY_MS),
    ]
