"""What making images and seeking patches while one looks costs the window: frames, and keys."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np

from bench.lab.live_stage import Stage, stage
from bench.lab.nets import CALTECH, PHOTO
from bench.lab.video import write_video
from bench.registry import Table, benchmark, goal
from bench.rows.live import KEY_MS, few_cores
from caffevis.live.unit_patches import PhotoPatches

KINDS = {  # what runs beside the frames: an ascent, the scan of photos
    "nothing else": (False, False),
    "an ascent": (True, False),
    "a scan": (False, True),
    "both": (True, True),
}
ALONE = next(iter(KINDS))
SHARES = {"an ascent": 0.8, "a scan": 0.9, "both": 0.8}  # of its frames the window keeps
PHOTOS = 20_000  # more than are scanned meanwhile
START_SECONDS = 60


class _Beside:
    """Turns ascents and the scan on and off.

    Parameters
    ----------
    on : Stage
        The app.
    photos : Path
        What is scanned, from now on: a script that sets the stage would wait for its end.
    """

    def __init__(self, on: Stage, photos: Path) -> None:
        self._on, self._app = on, cast(Any, on.loop.apps[0])
        own = {"caffevis_photos_dir": str(photos), "caffevis_keep_scans": False}
        patches = PhotoPatches(on.loop.settings.replaced(**own), CALTECH.load())
        self._app._images._patches = patches
        patches.start()
        scan = cast(Any, patches)._scan
        while not scan.far.done and not scan.far.finished:
            scan.wait(START_SECONDS, scan.far)
        self._scan = scan._process

    def run(self, ascent: bool, scan: bool) -> None:
        """Let run what is to run."""
        if ascent:
            self._on.loop.press("2")  # also where one runs: in the next way, or it might end
        elif self._app.state.ascends:
            self._on.loop.press("esc")
        self._scan.send_signal(signal.SIGCONT if scan else signal.SIGSTOP)


def _measure(
    on: Stage, photos: Path, budget: float
) -> tuple[dict[str, list[float]], dict[str, dict[str, list[float]]]]:
    """Return seconds a frame, and seconds of each press, by what ran beside."""
    beside = _Beside(on, photos)
    rounds = max(2, round(budget / 10))
    part = budget / rounds / (2 * len(KINDS))
    frames: dict[str, list[float]] = {kind: [] for kind in KINDS}
    keys: dict[str, dict[str, list[float]]] = {kind: {} for kind in KINDS}
    on.audience.attend(on.loop, part, presses=True)
    for _ in range(rounds):
        for kind, what in KINDS.items():
            beside.run(*what)
            watched = on.audience.attend(on.loop, part)
            frames[kind].append(watched.seconds / max(watched.shown, 1))
            watched = on.audience.attend(on.loop, part, presses=True)
            for move, times in watched.drawn.items():
                keys[kind].setdefault(move, []).extend(times)
    beside.run(False, True)
    return frames, keys


@benchmark("live-images", "the window on a video while it makes images and scans photos")
def run(budget: float) -> list[Table]:
    """Run the window on a video, in turns with and without an ascent and a scan."""
    with few_cores(), tempfile.TemporaryDirectory() as folder:
        video, photos = Path(folder) / "video.avi", Path(folder) / "photos"
        write_video(video)
        photos.mkdir()
        sources = sorted(PHOTO.parent.glob("*.jpg"))
        for number in range(PHOTOS):
            link = photos / f"{number:06d}.jpg"
            link.symlink_to(sources[number % len(sources)].resolve())
        with stage(CALTECH, video) as on:
            frames, keys = _measure(on, photos, 4 * budget)
    seconds = {f"frames, beside {kind}": median(times) for kind, times in frames.items()}
    alone = median(frames[ALONE])
    notes = []
    for kind, share in SHARES.items():
        kept = alone / median(frames[kind])
        notes.append(goal(f"share of its frames beside {kind}", kept, share, at_least=True))
    late = {
        f"to {move}, beside {kind}, {name}": float(np.percentile(times, rank))
        for kind, moves in keys.items()
        for move, times in moves.items()
        for name, rank in (("median", 50), ("95th percentile", 95))
    }
    title = f"whole app on a video, deconv from a unit of conv5, {CALTECH.title}"
    return [
        Table(title, seconds, notes=notes),
        Table("from a key to the picture that shows it", late, limit_ms=KEY_MS),
    ]
