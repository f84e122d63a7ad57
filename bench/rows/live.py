"""How smooth the whole app is: frames a second on a video, keys, and what belongs together."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import torchcaffe as caffe
from bench.lab.live_stage import Stage, Watched, forward_and_deconv, stage
from bench.lab.nets import CALTECH, YOS, Model
from bench.lab.timing import interleaved
from bench.lab.video import write_video
from bench.registry import Table, benchmark, goal
from bench.rows.busy import beside
from caffevis.model.threads import compute_threads
from toolbox.window.highgui import Display, Window
from toolbox.workers.cores import cores

CORES = 2
GOALS = {CALTECH.name: 45.0, YOS.name: 30.0}  # frames a second
SHARE = 0.85  # of what the net alone reaches in one thread, in one lane
GAIN = {YOS.name: 1.3}  # frames in two lanes, of those in one
BUSY_SHARE = 0.5  # of the frames, beside one busy process
KEY_MS = 50.0
GROWTH_MB = 20.0
MANY = 10_000
MODELS = {model.name: model for model in (CALTECH, YOS)}
BARE, WINDOW = "no window", "window"
ONE, TWO = "one lane", "two lanes"
WAYS = {ONE: 1, TWO: None}  # the setting `caffevis_compute_threads`


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


@dataclass
class Way:
    """What was seen of the app in one of `WAYS`: seconds a frame, of each press, and counts."""

    on: Stage
    frames: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)  # a busy process
    keys: dict[str, list[float]] = field(default_factory=dict)
    shown: int = 0
    mixed: int = 0

    def attend(self, seconds: float, presses: bool = False) -> Watched:
        """Run the app for so long; count."""
        watched = self.on.audience.attend(self.on.loop, seconds, presses)
        self.shown, self.mixed = self.shown + watched.shown, self.mixed + watched.mixed
        return watched

    def numbers(self) -> dict[str, Any]:
        """Return medians and counts."""
        return {
            "app": median(self.frames),
            "beside": median(self.beside) if self.beside else None,
            "keys": self.keys,
            "shown": self.shown,
            "twice": self.on.net.twice,
            "mixed": self.mixed,
        }


def _rate(watched: Watched) -> float:
    return watched.seconds / max(watched.shown, 1)


def measure(model: Model, video: Path, seconds: float, window: Window | None) -> dict[str, Any]:
    """Run net and app in turns, the app in one lane and in two, without and with keys.

    Parameters
    ----------
    model : Model
        The net.
    video : Path
        What the app is shown.
    seconds : float
        For the frames, and again for the keys.
    window : Window or None
        A real one, or none.

    Returns
    -------
    dict
        `alone` (threads -> seconds a frame), `ways` (way -> `Way.numbers`), and `growth` of
        memory in megabytes, once each way had run with keys.
    """
    counts = sorted({compute_threads(None).alone, cores()})
    runs = {str(threads): _net_alone(model, threads) for threads in counts}
    rounds = max(1, round(seconds / 2.5))
    part = seconds / rounds / (len(runs) + 4 * len(WAYS))
    alone: dict[str, list[float]] = {threads: [] for threads in runs}
    with ExitStack() as open_:
        stages = {
            way: open_.enter_context(stage(model, video, window, threads))
            for way, threads in WAYS.items()
        }
        ways = {name: Way(on) for name, on in stages.items()}
        for way in ways.values():
            way.attend(part, presses=True)
        before = memory_mb()
        for _ in range(rounds):
            for threads, run in runs.items():
                alone[threads].append(interleaved({threads: run}, part)[threads])
            for way in ways.values():
                way.frames.append(_rate(way.attend(3 * part)))
            with beside(1):
                ways[TWO].beside.append(_rate(ways[TWO].attend(2 * part)))
            for way in ways.values():
                watched = way.attend(seconds / rounds / len(WAYS), presses=True)
                for kind, times in watched.drawn.items():
                    way.keys.setdefault(kind, []).extend(times)
        return {
            "alone": {threads: median(times) for threads, times in alone.items()},
            "ways": {name: way.numbers() for name, way in ways.items()},
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


def _goals(model: Model, where: str, found: dict[str, Any]) -> list[str]:
    """Say what of the goals for frame rates is met."""
    threads, most = str(compute_threads(None).alone), max(found["alone"], key=int)
    one, two = (found["ways"][way] for way in (ONE, TWO))
    gain = one["app"] / two["app"]
    more = f"{where}: frames in two lanes, of those in one"
    said = (
        goal(more, gain, GAIN[model.name], at_least=True)
        if model.name in GAIN
        else f"{more}: {gain:.2f}"
    )
    return [
        goal(f"{where}: frames a second", 1 / two["app"], GOALS[model.name], at_least=True),
        said,
        goal(f"{where}: of the frames, beside one busy process", two["app"] / two["beside"],
             BUSY_SHARE, at_least=True),
        goal(f"{where}: in one lane, of the net alone in as many threads ({threads})",
             found["alone"][threads] / one["app"], SHARE, at_least=True),
        f"{where}: in two lanes, of the net alone in all {most} threads: "
        f"{found['alone'][most] / two['app']:.2f}",
    ]  # fmt: skip


def _tables(model: Model, results: dict[str, dict[str, Any]]) -> list[Table]:
    """Lay out frame rates and keys, with the goals."""
    seconds: dict[str, float] = {}
    keys: dict[str, float] = {}
    notes, counts = [], []
    for where, found in results.items():
        for count, time in found["alone"].items():
            seconds.setdefault(f"forward and deconv alone, {count} threads", time)
        for way, of in found["ways"].items():
            seconds[f"app, {where}, {way}"] = of["app"]
            for kind, times in of["keys"].items():
                name = f"{where}, {way}, to {kind}"
                keys[f"{name}, median"] = float(np.median(times))
                keys[f"{name}, 95th percentile"] = float(np.percentile(times, 95))
            pressed = sum(map(len, of["keys"].values()))
            counts.append(
                f"{where}, {way}: {of['shown']} frames shown, {of['twice']} processed twice, "
                f"{of['mixed']} shown with another's activations, {pressed} keys"
            )
        seconds[f"app, {where}, {TWO}, beside a busy process"] = found["ways"][TWO]["beside"]
        notes += _goals(model, where, found)
        counts.append(f"{where}: memory grew by {found['growth']:.1f} MB")
    title = f"whole app on a video of 640x480, deconv from a unit of conv5, {model.title}"
    pressed_title = f"from a key to the picture that shows it, the net busy, {model.title}"
    reference = f"forward and deconv alone, {compute_threads(None).alone} threads"
    return [
        Table(title, seconds, reference, notes=notes),
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
