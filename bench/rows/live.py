"""How smooth the whole app is: frames a second on a video, keys, and what belongs together."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import torchcaffe as caffe
from bench.lab.live_stage import forward_and_deconv, stage
from bench.lab.nets import CALTECH, YOS, Model
from bench.lab.timing import interleaved
from bench.lab.video import write_video
from bench.registry import Table, benchmark, goal
from caffevis.model.threads import compute_threads
from toolbox.window.highgui import Display, Window
from toolbox.workers.cores import cores

CORES = 2
GOALS = {CALTECH.name: 45.0, YOS.name: 30.0}  # frames a second
SHARE = 0.85  # of what the net alone reaches
KEY_MS = 50.0
GROWTH_MB = 20.0
MANY = 10_000
MODELS = {model.name: model for model in (CALTECH, YOS)}
BARE, WINDOW = "no window", "window"


@contextmanager
def few_cores() -> Iterator[int]:
    """Keep this process to two cores where there are more; give the number there are now."""
    if not hasattr(os, "sched_setaffinity"):
        yield cores()
        return
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, sorted(before)[:CORES])
        yield cores()
    finally:
        os.sched_setaffinity(0, before)


def memory_mb() -> float:
    """Return the memory this process holds (resident set), in megabytes; NaN where unknown."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("nan")
    sizes = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return int(sizes[0]) / 1024 if sizes else float("nan")


def _net_alone(model: Model, threads: int) -> Callable[[], None]:
    """Return what runs forward and deconv from a unit of conv5, and nothing else."""
    passes = forward_and_deconv(model)

    def run() -> None:
        caffe.set_threads(threads)
        passes()

    return run


def measure(model: Model, video: Path, seconds: float, window: Window | None) -> dict[str, Any]:
    """Run net and app in turns, then the app with keys.

    Parameters
    ----------
    model : Model
        The net.
    video : Path
        What the app is shown.
    seconds : float
        For the turns, and again for the keys.
    window : Window or None
        A real one, or none.

    Returns
    -------
    dict
        `alone` (threads -> seconds a frame), `app` (seconds a frame), `keys` (kind -> seconds
        of each press), counts `shown`, `twice`, `mixed`, and `growth` in
        megabytes while keys were pressed.
    """
    counts = sorted({compute_threads(None), cores()})
    runs = {str(threads): _net_alone(model, threads) for threads in counts}
    rounds = max(2, round(seconds / 2.5))
    part = seconds / rounds / (len(runs) + 3)
    alone: dict[str, list[float]] = {threads: [] for threads in runs}
    app: list[float] = []
    with stage(model, video, window) as on:
        on.audience.attend(on.loop, part, presses=True)
        mixed = shown = 0
        for _ in range(rounds):
            for threads, run in runs.items():
                alone[threads].append(interleaved({threads: run}, part)[threads])
            watched = on.audience.attend(on.loop, 3 * part)
            app.append(watched.seconds / max(watched.shown, 1))
            mixed, shown = mixed + watched.mixed, shown + watched.shown
        before = memory_mb()
        watched = on.audience.attend(on.loop, seconds, presses=True)
        return {
            "alone": {threads: median(times) for threads, times in alone.items()},
            "app": median(app),
            "keys": watched.drawn,
            "shown": shown + watched.shown,
            "twice": on.net.twice,
            "mixed": mixed + watched.mixed,
            "growth": memory_mb() - before,
        }


def on_display(module: str, *arguments: str) -> dict[str, Any] | None:
    """Run a module that opens a window and prints JSON; None where no display can be had.

    A process cannot go on without a display that it once had, so it is another one.
    """
    server: subprocess.Popen[bytes] | None = None
    environment = dict(os.environ)
    try:
        if "DISPLAY" not in environment and shutil.which("Xvfb"):
            read, write = os.pipe()
            server = subprocess.Popen(
                ["Xvfb", "-displayfd", str(write), "-screen", "0", "1600x1000x24"],
                pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            os.close(write)
            with os.fdopen(read, encoding="ascii") as pipe:
                environment["DISPLAY"] = f":{pipe.readline().strip()}"
        if "DISPLAY" not in environment:
            return None
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        return dict(json.loads(done.stdout)) if done.returncode == 0 else None
    finally:
        if server is not None:
            server.terminate()
            server.wait()


def _tables(model: Model, results: dict[str, dict[str, Any]]) -> list[Table]:
    """Lay out frame rates and keys, with the goals."""
    threads = str(compute_threads(None))
    seconds: dict[str, float] = {}
    keys: dict[str, float] = {}
    notes, counts = [], []
    for where, found in results.items():
        for count, time in found["alone"].items():
            seconds.setdefault(f"forward and deconv alone, {count} threads", time)
        seconds[f"app, {where}"] = found["app"]
        share = found["alone"][threads] / found["app"]
        most = max(found["alone"], key=int)
        whole = found["alone"][most] / found["app"]
        notes += [
            goal(f"{where}: frames a second", 1 / found["app"], GOALS[model.name], at_least=True),
            goal(f"{where}: of the net alone in as many threads ({threads})", share, SHARE,
                 at_least=True),
            f"{where}: of the net alone in all {most} threads, none left for a window: {whole:.2f}",
        ]  # fmt: skip
        for kind, times in found["keys"].items():
            keys[f"{where}, to {kind}, median"] = float(np.median(times))
            keys[f"{where}, to {kind}, 95th percentile"] = float(np.percentile(times, 95))
        pressed = sum(map(len, found["keys"].values()))
        counts.append(
            f"{where}: {found['shown']} frames shown, {found['twice']} processed twice, "
            f"{found['mixed']} shown with another's activations, {pressed} keys; memory grew "
            f"by {found['growth']:.1f} MB"
        )
    title = f"whole app on a video of 640x480, deconv from a unit of conv5, {model.title}"
    pressed_title = f"from a key to the picture that shows it, the net busy, {model.title}"
    return [
        Table(title, seconds, f"forward and deconv alone, {threads} threads", notes=notes),
        Table(pressed_title, keys, limit_ms=KEY_MS, notes=counts),
    ]


@benchmark("live", "the whole app on a video: frames a second, keys, what belongs together")
def run(budget: float) -> list[Table]:
    """Run both nets, without a window and, where a display can be had, in one."""
    tables = []
    with few_cores(), tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "video.avi"
        write_video(video)
        for model in MODELS.values():
            results = {BARE: measure(model, video, budget, None)}
            shown = on_display("bench.rows.live", model.name, str(video), str(budget))
            results |= {WINDOW: shown} if shown else {}
            tables += _tables(model, results)
    return tables


@benchmark("live-memory", "memory over 10,000 frames of a video (some minutes)", long=True)
def run_memory(budget: float) -> list[Table]:
    """Show so many frames, keys pressed all the while, and look at the memory held."""
    with few_cores(), tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "video.avi"
        write_video(video)
        with stage(CALTECH, video) as on:
            on.audience.attend(on.loop, 600, presses=True, frames=MANY // 20)
            before = memory_mb()
            watched = on.audience.attend(on.loop, 3600, presses=True, frames=MANY)
            grown = memory_mb() - before
    notes = [
        goal(f"memory in MB, more after {watched.shown} frames", grown, GROWTH_MB, at_least=False),
        f"{on.net.twice} processed twice, {watched.mixed} shown with another's activations",
    ]
    seconds = {"app, no window": watched.seconds / watched.shown}
    return [Table(f"memory, {CALTECH.title}", seconds, notes=notes)]


def _child(name: str, video: str, seconds: str) -> None:
    """Measure in a window and print the numbers; then end at once, display or not."""
    model = MODELS[name]
    with Window("bench", (1500, 930), Display()) as window:
        found = measure(model, Path(video), float(seconds), window)
    print(json.dumps(found), flush=True)
    os._exit(0)


if __name__ == "__main__":
    _child(*sys.argv[1:])
