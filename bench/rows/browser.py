"""The window in a browser: frames a second against the window's, keys, bytes, encoding, memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.lab import browser_client
from bench.lab.live_stage import Audience, Stage, stage
from bench.lab.nets import CALTECH, YOS, Model
from bench.lab.video import write_video
from bench.registry import Table, benchmark, goal
from bench.rows.live import GROWTH_MB, MANY, few_cores, memory_mb, on_display
from toolbox.input.viewers import FromViewers
from toolbox.serve.door import parse_address
from toolbox.serve.hall import Hall
from toolbox.serve.limits import Log
from toolbox.serve.server import Rules, Server
from toolbox.serve.window import ServedWindow
from toolbox.window.highgui import Display, Window

SHARE = 0.8  # of the window's frames a second
KEY_MS = 80.0
ROUNDS = 3
KEYS = "ljou"
MODELS = {model.name: model for model in (CALTECH, YOS)}
WINDOW, BARE, VIEWER, CHROMIUM = "window", "no window", "a viewer", "Chromium"
# Of Chromium's window: the page in it shows the picture pixel for pixel, as it does where the
# window may follow the page's size. Scaling 1500x930 pixels would cost a processor 4 ms a frame.
ROOM = (1520, 1140)
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def _served(on: Stage) -> Iterator[tuple[ServedWindow, Server, Hall]]:
    """Serve the stage's loop on a free port."""
    hall = Hall(FromViewers(), Log(lambda line: None))
    server = Server(Rules(parse_address("127.0.0.1:0"), "bench-token"), hall)
    try:
        layout, rows = on.loop.screen.layout, on.loop.bindings
        yield ServedWindow("bench", layout, None, rows, hall, server), server, hall
    finally:
        server.close()


@contextmanager
def _client(url: str, hall: Hall, keys: str = "") -> Iterator[subprocess.Popen[str]]:
    """Have a viewer of another process look on."""
    command = [sys.executable, browser_client.__file__, url, keys]  # as a file: without torch
    before = hall.count
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        _wait_for_viewer(hall, before)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@contextmanager
def _chromium(url: str, hall: Hall) -> Iterator[bool]:
    """Have a headless Chromium look on; False where there is none."""
    program = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if program is None:
        yield False
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-dev-shm-usage", "--disable-background-networking",
            f"--window-size={ROOM[0]},{ROOM[1]}", f"--user-data-dir={profile}", url,
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_for_viewer(hall, 0)
            yield True
        finally:
            process.terminate()
            process.wait()


def _wait_for_viewer(hall: Hall, before: int) -> None:
    end = time.monotonic() + 60
    while hall.count <= before:
        if time.monotonic() > end:
            raise SystemExit("the benchmark's viewer does not come")
        time.sleep(0.01)


def measure(model: Model, video: Path, seconds: float, window: Window | None) -> dict[str, Any]:
    """Show a video in the window and to viewers in turns, then press keys.

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
        Frames a second of each contender (a list of rounds), `keys` (seconds of each press),
        `lost` presses, `bytes` a second and `encoding`, the share of a core spent on it.
    """
    rates: dict[str, list[float]] = {WINDOW if window else BARE: [], VIEWER: [], CHROMIUM: []}
    part = seconds / ROUNDS / len(rates)
    with stage(model, video, window) as on, _served(on) as (served, server, hall):
        audience = Audience(on.audience.app, on.net, served)
        on.audience.attend(on.loop, part)
        for _ in range(ROUNDS):
            watched = on.audience.attend(on.loop, part)
            rates[WINDOW if window else BARE].append(watched.shown / watched.seconds)
            with _client(server.url, hall) as client:
                found = _attended(audience, on, part, client)
                rates[VIEWER].append(found["frames"] / found["seconds"])
            with _chromium(server.url, hall) as there:
                if there:
                    audience.attend(on.loop, 1.0)
                    before = sum(viewer.confirmed for viewer in hall.people)
                    watched = audience.attend(on.loop, part)
                    shown = sum(viewer.confirmed for viewer in hall.people) - before
                    rates[CHROMIUM].append(min(shown, watched.shown) / watched.seconds)
        begun, spent = time.monotonic(), served.encoder.seconds
        with _client(server.url, hall, KEYS) as client:
            found = _attended(audience, on, seconds, client)
        encoding = (served.encoder.seconds - spent) / (time.monotonic() - begun)
    times = [time for kind in found["keys"].values() for time in kind]
    return {
        "rates": {name: each for name, each in rates.items() if each},
        "keys": times, "lost": found["lost"], "encoding": encoding,
        "bytes": found["bytes"] / found["seconds"],
    }  # fmt: skip


def _attended(
    audience: Audience, on: Stage, seconds: float, client: subprocess.Popen[str]
) -> dict[str, Any]:
    """Run the loop for so long, and return what the viewer saw meanwhile."""
    audience.attend(on.loop, seconds)
    out, _ = client.communicate(timeout=60)
    return dict(json.loads(out))


def _tables(model: Model, found: dict[str, Any]) -> list[Table]:
    """Lay out rates and keys, with the goals."""
    rates = {name: median(each) for name, each in found["rates"].items()}
    reference = next(iter(rates))
    notes = [
        goal(f"{name}: of the frames of the {reference}", rate / rates[reference], SHARE,
             at_least=True)
        for name, rate in rates.items() if name != reference
    ]  # fmt: skip
    notes.append(
        f"a viewer whose keys move the cursor gets {found['bytes'] / 1e6:.1f} MB a second; "
        f"encoding takes {100 * found['encoding']:.0f} % of a core"
    )
    seconds = {name: 1 / rate for name, rate in rates.items()}
    title = f"frames shown in a browser, video of 640x480, deconv from a unit, {model.title}"
    tables = [Table(title, seconds, reference, notes=notes)]
    if found["keys"]:
        pressed = {
            "median": float(np.median(found["keys"])),
            "95th percentile": float(np.percentile(found["keys"], 95)),
        }
        counted = f"{len(found['keys'])} keys, {found['lost']} without a picture in 2 s"
        title = f"from a key to its picture at a viewer on loopback, the net busy, {model.title}"
        tables.append(Table(title, pressed, limit_ms=KEY_MS, notes=[counted]))
    return tables


@benchmark("browser", "the window in a browser: frames a second, keys, bytes, encoding")
def run(budget: float) -> list[Table]:
    """Run both nets, in a window where a display can be had."""
    tables = []
    with few_cores(), tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "video.avi"
        write_video(video)
        for model in MODELS.values():
            shown = on_display("bench.rows.browser", model.name, str(video), str(budget))
            tables += _tables(model, shown or measure(model, video, budget, None))
    return tables


@benchmark("browser-memory", "memory over 10,000 frames with two viewers (minutes)", long=True)
def run_memory(budget: float) -> list[Table]:
    """Show so many frames to two viewers, and look at the memory held."""
    with few_cores(), tempfile.TemporaryDirectory() as folder, ExitStack() as left:
        video = Path(folder) / "video.avi"
        write_video(video)
        on = left.enter_context(stage(CALTECH, video))
        served, server, hall = left.enter_context(_served(on))
        audience = Audience(on.audience.app, on.net, served)
        for _ in range(2):
            left.enter_context(_client(server.url, hall))
        audience.attend(on.loop, 600, frames=MANY // 20)
        before = memory_mb()
        watched = audience.attend(on.loop, 3600, frames=MANY)
        grown = memory_mb() - before
    notes = [goal(f"memory in MB, more after {watched.shown} frames", grown, GROWTH_MB,
                  at_least=False)]  # fmt: skip
    seconds = {"two viewers": watched.seconds / watched.shown}
    return [Table(f"memory, {CALTECH.title}", seconds, notes=notes)]


def _child(name: str, video: str, seconds: str) -> None:
    """Measure beside a window and print the numbers; then end at once, display or not."""
    with Window("bench", (1500, 930), Display()) as window:
        found = measure(MODELS[name], Path(video), float(seconds), window)
    print(json.dumps(found), flush=True)
    os._exit(0)


if __name__ == "__main__":
    _child(*sys.argv[1:])
