"""The window on a video with random keys and clicks, from a seed: 100,000 frames by `make soak`.

Nothing is logged as a defect, memory stays flat, threads and open files stay as many, and at the
end it closes within two seconds.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import cv2
import pytest

import settings as declared
from bench.lab.nets import CALTECH, PHOTO
from bench.lab.video import PacedVideo, write_video
from bench.rows.live import memory_mb
from caffevis.app import CaffeVisApp
from toolbox.input.files import FileQuery
from toolbox.input.sources import Inputs
from toolbox.input.video import Spec
from toolbox.pictures.images import Image
from toolbox.run.drive import run_live
from toolbox.run.loop import Loop
from toolbox.settings import config
from toolbox.window.highgui import Window
from toolbox.window.key_codes import LABELS_BY_CODE
from toolbox.window.pointer import CLICK, RIGHT_CLICK, WHEEL_DOWN, WHEEL_UP, MouseEvent

SAMPLE, SOAK = 150, 100_000  # frames
WARM, PART, GROWTH_MB = 10_000, 1_000, 20.0  # frames, and of each part the median memory
LOOKS = 50  # frames between two looks at what the process holds
CACHE = 8 << 20  # bytes of units' images: as many as are full before the frames that count
SECONDS_TO_QUIT = 2.0
LEFT_OUT = {"q", "p"}  # quitting, and a file a press
EVERY = 0.05  # seconds between keys
KINDS = (CLICK, CLICK, RIGHT_CLICK, WHEEL_UP, WHEEL_DOWN)


Wait = Callable[[int, float], bool]  # whether so many frames and seconds after a key the next comes

# What takes the most memory comes first, so that all later frames are held against it: nine images
# of a class grow, a photo is covered part by part, each layer's units are gone back from, pushed
# and filled with images, and the photo is covered again. Keys, and how many frames they have.
CLASS = "O O O O down 2"
MOST = 5_000  # frames until nine images grow
STILL = 4.0  # seconds: where nothing moves there are no frames
LAYER = (("b b b", 4), ("u s", 8), ("s 2", 16), ("2 f6", 6), ("f6", 2))
COVERED = (("c f8", 200), ("f8 c", 2))


def opening(layers: int, nine: Callable[[], bool]) -> Iterator[tuple[str, Wait]]:
    """Say what is pressed at first, one key after the other, and what is waited for after it.

    Parameters
    ----------
    layers : int
        How many there are.
    nine : callable
        Whether nine images of a unit grow.
    """
    for key in CLASS.split():
        yield key, _after(1)
    yield "x", lambda frames, seconds: nine() or frames >= MOST
    for keys, frames in (*COVERED, *LAYER * layers, ("o", 1), *COVERED):
        *others, last = keys.split()
        yield from ((key, _after(1)) for key in others)
        yield last, _after(frames)


def _after(least: int) -> Wait:
    return lambda frames, seconds: frames >= least or seconds > STILL


class Rate:
    """A camera's: what is asked before each frame lets 30 of them through in a second."""

    def acquire(self) -> None:
        """Wait for the next frame."""
        time.sleep(1 / 30)


class Fingers(Window):
    """In the window's place: presses keys and the mouse at random, and counts what it is shown.

    Parameters
    ----------
    labels : list of str
        Keys to choose from.
    frames : int
        After so many it ends.
    seed : int
        Of chance.
    first : iterable of (str, callable)
        Keys that are pressed before, and what is waited for after each.
    """

    def __init__(
        self, labels: list[str], frames: int, seed: int, first: Iterable[tuple[str, Wait]] = ()
    ) -> None:
        self._code = {label: code for code, label in LABELS_BY_CODE.items()}
        self._first, self._wait = iter(first), _after(0)
        self._pressed, self._pressed_at = 0, 0.0
        self._codes = [self._code[label] for label in labels]
        self._random, self._frames = random.Random(seed), frames
        self._due = 0.0
        self.shown = 0
        self.held: dict[int, tuple[float, int, int]] = {}

    def show(self, buffer: Image) -> None:
        """Count a picture, and look at what the process holds now and then."""
        self._room = buffer.shape[:2]
        self.shown += 1
        if self.shown % LOOKS == 0:
            files = len(os.listdir("/proc/self/fd"))
            held = self.held[self.shown] = (memory_mb(), threading.active_count(), files)
            if self.shown % max(PART, self._frames // 100) == 0:
                print(f"{self.shown} frames: {held[0]:.1f} MB, {held[1]} threads, {held[2]} files")

    def poll(self, milliseconds: int) -> list[int | MouseEvent]:
        """Wait; then a key or a click, where one is due."""
        time.sleep(milliseconds / 1000)
        if not self._wait(self.shown - self._pressed, time.perf_counter() - self._pressed_at):
            return []
        for key, wait in self._first:
            self._wait, self._pressed_at = wait, time.perf_counter()
            self._pressed = self.shown
            return [self._code[key]]
        if time.perf_counter() < self._due:
            return []
        self._due = time.perf_counter() + EVERY
        if self._random.random() < 0.8:
            return [self._random.choice(self._codes)]
        height, width = self._room
        at = (self._random.randrange(width), self._random.randrange(height))
        return [MouseEvent(self._random.choice(KINDS), *at)]

    def is_open(self) -> bool:
        """Whether frames are still wanted."""
        return self.shown < self._frames

    def close(self) -> None:
        """There is none."""


def test_random_keys(
    tmp_path: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    soak = request.config.getoption("--soak")
    video = tmp_path / "video.avi"
    write_video(video)
    settings = config.load(declared.TABLE, None).replaced(
        saved_pictures_dir=str(tmp_path), caffevis_jpg_cache_size=CACHE
    )
    inputs = Inputs(
        FileQuery(paths=(str(PHOTO),)),
        Spec(str(video), "video", loops=True),
        opener=lambda device: PacedVideo(str(device), Rate()),
    )
    threads, opencv_threads = threading.active_count(), cv2.getNumThreads()
    app = CaffeVisApp(settings, net=CALTECH.load())
    loop = Loop(settings, [app], inputs)
    labels = sorted({key for row in loop.bindings for key in row.keys} - LEFT_OUT)
    first = opening(len(app.state.layers), partial(_nine_grow, app)) if soak else ()
    fingers = Fingers(labels, SOAK if soak else SAMPLE, 1, first)
    with caplog.at_level(logging.WARNING):
        while fingers.is_open():
            loop.press("c")
            run_live(loop, fingers)
    computed = app.frames_done()
    print(f"{computed} frames of the video and the photo went through the net")
    begun = time.monotonic()
    closed = loop.close()
    seconds = time.monotonic() - begun
    cv2.setNumThreads(opencv_threads)
    assert closed
    assert seconds < SECONDS_TO_QUIT
    assert not [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert threading.active_count() <= threads + 1
    if soak:
        assert computed > SOAK / 20, "the video stood still"
        before, after = _parts(fingers.held, 0, WARM), _parts(fingers.held, WARM, SOAK)
        assert max(after) - max(before) < GROWTH_MB, (before, after)
        for kind in (1, 2):  # one more may come and go; what leaks stays
            counts = {shown: held[kind] for shown, held in fingers.held.items()}
            most = max(count for shown, count in counts.items() if shown <= WARM)
            assert min(count for shown, count in counts.items() if shown > SOAK - PART) <= most


def _nine_grow(app: CaffeVisApp) -> bool:
    growth = app._images._growth.growth
    return growth is not None and "images 1 to 9" in growth.title


def _parts(held: dict[int, tuple[float, int, int]], above: int, to: int) -> list[float]:
    """Return the median memory of each part of some of the frames: peaks that pass are none."""
    return [
        median(memory for shown, (memory, *_) in held.items() if begin < shown <= begin + PART)
        for begin in range(above, to, PART)
    ]
