"""Moving pictures: a camera or a video, read in a thread that keeps only the latest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from toolbox.pictures.image_file import opencv_quiet
from toolbox.pictures.images import Image, to_rgb8

STALL_SECONDS = 5.0  # a camera that gives nothing for so long has stopped
RELEASE_SECONDS = 3.0  # how long a device may take to be let go before it is opened anew
_FAILURES_ALLOWED = 10  # cameras drop single frames while they adjust


class MovingError(Exception):
    """A camera or video that cannot be opened or has stopped; one sentence."""


class Capture(Protocol):
    """What is used of `cv2.VideoCapture`."""

    def isOpened(self) -> bool:
        """Whether frames can be read."""

    def read(self) -> tuple[bool, np.ndarray]:
        """Read the next frame, BGR."""

    def get(self, property_id: int) -> float:
        """Return a property such as the frame rate."""

    def set(self, property_id: int, value: float) -> bool:
        """Change a property such as the position."""

    def release(self) -> None:
        """Close the device."""


def open_capture(device: int | str) -> Capture:
    """Open a camera, URL or video with OpenCV."""
    capture: Capture = cv2.VideoCapture(device)
    return capture


def camera_label(device: int | str) -> str:
    """Name a camera for the status line; of a URL without its password and query."""
    text = str(device)
    if "://" in text:
        scheme, rest = text.split("://", 1)
        host, slash, path = rest.partition("/")
        text = f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"
    return f"camera {text}"


@dataclass(frozen=True)
class Spec:
    """What to open.

    Parameters
    ----------
    device : int or str
        A camera's index, a URL, or a video file's path.
    label : str
        What the status line calls it.
    loops : bool
        True for a video file: it is played at its own speed, over and over.
    pause : float
        Seconds to wait after each frame of a camera.
    single : bool
        Read only the first frame, so that a scripted run sees the same picture
        every time.
    paced : bool
        Read the next frame only when the last one was taken.
    """

    device: int | str
    label: str
    loops: bool = False
    pause: float = 0.0
    single: bool = False
    paced: bool = False


class MovingSource:
    """Reads frames in its own thread; `latest` gives the newest one once.

    Parameters
    ----------
    spec : Spec
        What to open. Opening happens in the thread too, since it may take
        seconds.
    opener : callable
        Makes a capture; another one in tests.
    before : sequence of MovingSource
        Earlier sources of the same device, which must let go of it first.
    """

    def __init__(
        self,
        spec: Spec,
        opener: Callable[[int | str], Capture] = open_capture,
        before: Sequence[MovingSource] = (),
    ) -> None:
        self.spec = spec
        self._opener = opener
        self._before = tuple(before)
        self._lock = threading.Lock()
        self._latest: Image | None = None
        self._error: str | None = None
        self._read_at: float | None = None
        self._closing = threading.Event()
        self._taken = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"source {spec.label}", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether the thread has ended, and the device is released."""
        return not self._thread.is_alive()

    def latest(self) -> Image | None:
        """Take the newest picture not yet taken.

        Returns
        -------
        ndarray of uint8, shape (h, w, 3), or None
            RGB; None where there is nothing new.

        Raises
        ------
        MovingError
            The device could not be opened, or has stopped.
        """
        with self._lock:
            image, self._latest = self._latest, None
            error, read_at = self._error, self._read_at
            if image is not None and self.spec.paced:  # the next is only now asked for
                self._read_at = time.monotonic()
        if image is not None:
            self._taken.set()
            return image
        if error is not None:
            raise MovingError(error)
        patience = STALL_SECONDS + self.spec.pause
        if read_at is not None and not self.ended and time.monotonic() - read_at > patience:
            raise MovingError(f"{self.spec.label} gives no more frames")
        return None

    def stop(self) -> None:
        """Tell the thread to end, without waiting for it."""
        self._closing.set()
        self._taken.set()

    def close(self, seconds: float = 1.5) -> bool:
        """Stop reading; False where the device still blocks its (daemon) thread."""
        self.stop()
        self._thread.join(seconds)
        return self.ended

    def _run(self) -> None:
        try:
            with opencv_quiet():
                self._wait_for_device()
                while not self._closing.is_set() and self._play():
                    pass
        except (MovingError, cv2.error, ValueError) as error:
            sentence = str(error) if isinstance(error, MovingError) else None
            with self._lock:
                self._error = sentence or f"{self.spec.label} failed"
        finally:
            self._before = ()

    def _wait_for_device(self) -> None:
        """Let earlier sources of the device release it."""
        until = time.monotonic() + RELEASE_SECONDS
        while not all(source.ended for source in self._before):
            if self._closing.wait(0.02):
                return
            if time.monotonic() > until:
                raise MovingError(f"{self.spec.label} does not answer")

    def _play(self) -> bool:
        """Open the device and read it to its end; whether to open it anew."""
        capture = self._opener(self.spec.device)
        try:
            if not capture.isOpened():
                kind = ": it is damaged or of an unknown kind" if self.spec.loops else ""
                raise MovingError(f"{self.spec.label} could not be opened{kind}")
            return self._read_all(capture)
        finally:
            capture.release()

    def _read_all(self, capture: Capture) -> bool:
        """Read until told to stop, or until a video cannot be wound back."""
        pause = self._pause(capture)
        seen, failures, due = 0, 0, time.monotonic()
        while not self._closing.is_set():
            read, pixels = capture.read()
            if read:
                seen, failures = seen + 1, 0
                self._taken.clear()
                self._keep(to_rgb8(pixels))
                if self.spec.single:
                    return False
                if self.spec.paced and not self._closing.is_set():
                    self._taken.wait()
            else:
                failures += 1
                if self.spec.loops and seen and failures > 1:
                    return True
                if failures > _FAILURES_ALLOWED:
                    raise MovingError(f"{self.spec.label} gives no more frames")
                self._retry(capture)
                continue
            due = max(due + pause, time.monotonic())
            self._closing.wait(due - time.monotonic())
        return False

    def _keep(self, image: Image) -> None:
        with self._lock:
            self._latest = image
            self._read_at = time.monotonic()

    def _pause(self, capture: Capture) -> float:
        """Return the seconds between frames: a video's own, or the camera's setting."""
        if not self.spec.loops:
            return self.spec.pause
        rate = capture.get(cv2.CAP_PROP_FPS)
        return 1 / rate if 1 <= rate <= 240 else 0.04

    def _retry(self, capture: Capture) -> None:
        """Rewind a video at its end; give a camera a moment."""
        if self.spec.loops:
            capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
        else:
            self._closing.wait(0.02)
