"""The whole app on a video, watched: when what is drawn, and whether it belongs together."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np

import settings as declared
from bench.lab.nets import MEAN, PHOTO, Model, photo
from bench.lab.video import PacedVideo, read_number
from caffevis.app import CaffeVisApp
from toolbox.input.files import FileQuery
from toolbox.input.sources import Inputs
from toolbox.input.video import Spec
from toolbox.pictures.images import Image
from toolbox.run.drive import run_live, run_script
from toolbox.run.loop import Loop
from toolbox.serve.window import ServedWindow
from toolbox.settings import config
from toolbox.window.highgui import Window
from toolbox.window.pointer import MouseEvent
from toolbox.workers.heap import hold_little

LAYER = "conv5"
MOVES = {"a unit": "lj", "a layer": "ou"}  # kind of move -> keys there and back
COUNTING = threading.Lock()
PRESS_EVERY = (0.04, 0.07)  # seconds; each press is drawn before the next


def forward_and_deconv(model: Model, batch: int = 1) -> Callable[[], np.ndarray]:
    """Return what runs a photo forward and back by deconv from a unit, and gives the input's."""
    net, x = model.load(), np.repeat(photo(), batch, axis=0)
    net.blobs["data"].reshape(*x.shape)
    net.reshape()
    net.forward(data=x)
    diff = np.zeros(net.blobs[LAYER].shape, np.float32)
    diff[:, 1] = net.blobs[LAYER].data[:, 1]

    def run() -> np.ndarray:
        net.blobs["data"].data[...] = x
        net.forward()
        return np.asarray(net.deconv_from_layer(LAYER, diff, zero_higher=True)["data"])

    return run


class Checked:
    """A net that notes of each forward pass which frame it was, and what came out.

    Parameters
    ----------
    net : Net
        The engine's net; everything else is handed on to it.
    wanted : Semaphore
        Released when a frame's forward pass begins: the next may be read.
    """

    def __init__(self, net: Any, wanted: threading.Semaphore) -> None:
        self._net, self._wanted = net, wanted
        self._recent: deque[int] = deque(maxlen=1000)  # numbers come round again
        self.sums: dict[int, float] = {}
        self.processed = self.twice = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._net, name)

    @property
    def between_layers(self) -> Callable[[], None] | None:
        """What the engine calls between layers; see `torchcaffe.Net`."""
        call: Callable[[], None] | None = self._net.between_layers
        return call

    @between_layers.setter
    def between_layers(self, call: Callable[[], None] | None) -> None:
        self._net.between_layers = call

    def twin(self) -> Checked:
        """Return the net's twin, which notes its frames in the same places."""
        other = _Second(self._net.twin(), self._wanted)
        other.first, other._recent, other.sums = self, self._recent, self.sums
        return other

    def forward(self) -> None:
        """Run the net; remember the frame's number with a sum of its activations."""
        blue = self._net.blobs["data"].data[0, :1] + MEAN[0]
        number = read_number(blue.transpose(1, 2, 0))
        self._wanted.release()
        self._net.forward()
        self._count(number)
        self.sums[number] = float(self._net.blobs[LAYER].data.sum())

    def _count(self, number: int) -> None:
        with COUNTING:
            self.processed += 1
            self.twice += number in self._recent
            self._recent.append(number)


class _Second(Checked):
    """A twin, whose frames the first counts."""

    first: Checked

    def _count(self, number: int) -> None:
        self.first._count(number)


@dataclass
class Watched:
    """What one stretch of the app's running gave.

    Attributes
    ----------
    seconds : float
        How long it ran.
    shown : int
        Different frames drawn.
    mixed : int
        Pictures whose frame and activations do not belong together.
    drawn : dict of str to list of float
        Kind of move -> seconds from each press until the picture showed it.
    """

    seconds: float = 0.0
    shown: int = 0
    mixed: int = 0
    drawn: dict[str, list[float]] = field(default_factory=dict)


class Audience(Window):
    """In the window's place, or around it: watches the pictures and presses keys.

    Parameters
    ----------
    app : CaffeVisApp
        Whose state and result the pictures are held against.
    net : Checked
        What the frames' activations were.
    window : Window, ServedWindow or None
        A real one to show the pictures in; without it they are only converted.
    """

    def __init__(
        self, app: CaffeVisApp, net: Checked, window: Window | ServedWindow | None
    ) -> None:
        self.app = self._app = app
        self._net, self._window = net, window
        self._random = random.Random(0)
        self._until = self._press_at = 0.0
        self._frames: int | None = None
        self._keys = [(kind, key) for kind, keys in MOVES.items() for key in keys]
        self._next = 0
        self._pressed: tuple[str, float, object] | None = None
        self._last: object = None
        self.watched = Watched()

    def attend(
        self, loop: Loop, seconds: float, presses: bool = False, frames: int | None = None
    ) -> Watched:
        """Run the app for so long, or until so many frames were shown; press keys if told to.

        Where keys are pressed, it ends when they have led back to where they began.
        """
        self.watched = Watched()
        moving = cast(Any, loop.inputs)._moving
        if moving is not None:  # nobody asked for frames meanwhile: it does not hang
            moving._read_at = time.monotonic()
        begun = time.perf_counter()
        self._until, self._frames = begun + seconds, frames
        self._press_at = begun + PRESS_EVERY[1] if presses else float("inf")
        run_live(loop, self)
        self.watched.seconds = time.perf_counter() - begun
        return self.watched

    def show(self, buffer: Image) -> None:
        """Show or convert a picture, and check it."""
        if self._window is None:
            cv2.cvtColor(buffer, cv2.COLOR_RGB2BGR)
        else:
            self._window.show(buffer)
        result, state = self._app.result, self._app.state
        if result is None:
            return
        self.watched.shown += result.request.frame is not self._last
        self._last = result.request.frame
        if result.request.layer == LAYER and result.request.frame.name != PHOTO.name:
            number = read_number(buffer[:300, :300])
            self.watched.mixed += self._net.sums.get(number) != float(result.activations.sum())
        if self._pressed is None:
            return
        kind, since, before = self._pressed
        if state is not before and result.request.layer == state.layer.name:
            self.watched.drawn.setdefault(kind, []).append(time.perf_counter() - since)
            self._pressed = None

    def poll(self, milliseconds: int) -> list[int | MouseEvent]:
        """Wait like the window; a key that is due counts from when it was due."""
        events: list[int | MouseEvent] = []
        if self._window is None:
            time.sleep(milliseconds / 1000)
        else:
            events = self._window.poll(milliseconds)
        if time.perf_counter() < self._press_at:
            return events
        if self._pressed is None:
            kind, key = self._keys[self._next]
            self._next = (self._next + 1) % len(self._keys)
            self._pressed = (kind, self._press_at, self._app.state)
            events.append(ord(key))
        self._press_at = time.perf_counter() + self._random.uniform(*PRESS_EVERY)
        return events

    def is_open(self) -> bool:
        """Tell whether there is time left, and frames are still wanted."""
        if self._next or self._pressed:
            return True
        enough = self._frames is not None and self.watched.shown >= self._frames
        return not enough and time.perf_counter() < self._until

    def close(self) -> None:
        """Leave the window to whoever opened it."""


@dataclass(frozen=True)
class Stage:
    """An app running on a video, and who watches it."""

    loop: Loop
    net: Checked
    audience: Audience


@contextmanager
def stage(
    model: Model, video: Path, window: Window | None = None, threads: int | None = None
) -> Iterator[Stage]:
    """Start the app on a video with a unit of conv5 and its deconv selected.

    Parameters
    ----------
    model : Model
        The net.
    video : Path
        Read as fast as the net takes frames.
    window : Window or None
        See `Audience`.
    threads : int, optional
        `caffevis_compute_threads`; with one, there is one lane.
    """
    hold_little()  # as the window does
    settings = config.load(declared.TABLE, None).replaced(caffevis_compute_threads=threads)
    wanted = threading.Semaphore(1)
    net = Checked(model.load(), wanted)
    app = CaffeVisApp(settings, net=net)
    inputs = Inputs(
        FileQuery(paths=(str(PHOTO),)),
        Spec(str(video), "video"),
        opener=lambda device: PacedVideo(str(device), wanted),
    )
    loop = Loop(settings, [app], inputs)
    opencv_threads = cv2.getNumThreads()
    try:
        run_script(loop, ["esc"])
        while app.state.layer.name != LAYER:
            run_script(loop, ["o"])
        run_script(loop, ["down", "right", "n", "n"])
        net.processed = net.twice = 0
        loop.press("c")
        yield Stage(loop, net, Audience(app, net, window))
    finally:
        wanted.release(2)  # whoever still waits for a frame ends
        loop.close()
        cv2.setNumThreads(opencv_threads)
