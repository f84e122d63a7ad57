"""A video to show to the app: photos in motion, each frame with a number that can be read back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from bench.lab.nets import PHOTO
from toolbox.pictures.images import FloatArray, Image

WIDTH, HEIGHT = 640, 480
FRAMES = 100
BITS = 12  # so many blocks across the square that the app cuts out of the middle
_BLOCK, _LEFT = HEIGHT // BITS, (WIDTH - HEIGHT) // 2


def _views() -> Iterator[Image]:
    """Cut windows of 640x480 out of enlarged photos, on a circle."""
    photos = sorted(PHOTO.parent.glob("*.jpg"))
    for index in range(FRAMES):
        photo = cv2.imread(str(photos[index * 4 // FRAMES]))
        if photo is None:
            raise SystemExit(f"{photos[0].parent} holds photos that cannot be read")
        large = cv2.resize(photo, (WIDTH * 5 // 4, HEIGHT * 5 // 4))
        angle = 2 * np.pi * index * 4 / FRAMES
        x = int((1 + np.cos(angle)) / 2 * WIDTH / 4)
        y = int((1 + np.sin(angle)) / 2 * HEIGHT / 4)
        yield np.asarray(large[y : y + HEIGHT, x : x + WIDTH], dtype=np.uint8)


def write_video(path: Path) -> None:
    """Write a video of 640x480, Motion JPEG, as cheap cameras send it."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (WIDTH, HEIGHT))
    if not writer.isOpened():
        raise SystemExit("this OpenCV cannot write Motion JPEG, which the live benchmark shows")
    for view in _views():
        writer.write(view)
    writer.release()


def draw_number(frame: Image, number: int) -> None:
    """Draw a frame's number as black and white blocks along its upper edge."""
    for bit in range(BITS):
        x = _LEFT + bit * _BLOCK
        frame[:_BLOCK, x : x + _BLOCK] = 255 * (number >> bit & 1)


def read_number(square: Image | FloatArray) -> int:
    """Read the number from a square picture of any size, shape (side, side, channels)."""
    block = square.shape[0] / BITS
    row = square[int(block / 2), :, 0]
    values = [row[int((bit + 0.5) * block)] for bit in range(BITS)]
    return sum(1 << bit for bit, value in enumerate(values) if value > 127)


class PacedVideo:
    """A `Capture` that reads a video round and round, a frame whenever one is wanted.

    Parameters
    ----------
    path : str
        The video.
    wanted : Semaphore
        Released once for each frame to read, so that reading is as fast as the net and no
        frame is decoded for nothing.
    """

    def __init__(self, path: str, wanted: threading.Semaphore) -> None:
        self._video = cv2.VideoCapture(path)
        self._wanted = wanted
        self._number = 0

    def isOpened(self) -> bool:
        """Whether frames can be read."""
        return self._video.isOpened()

    def read(self) -> tuple[bool, np.ndarray]:
        """Wait until a frame is wanted, and read it."""
        self._wanted.acquire()
        read, frame = self._video.read()
        if not read:
            self._video.set(cv2.CAP_PROP_POS_FRAMES, 0)
            read, frame = self._video.read()
        if read:
            self._number = (self._number + 1) % (1 << BITS)
            draw_number(np.asarray(frame, dtype=np.uint8), self._number)
        return read, frame

    def get(self, property_id: int) -> float:
        """Return a property."""
        return self._video.get(property_id)

    def set(self, property_id: int, value: float) -> bool:
        """Change a property."""
        return self._video.set(property_id, value)

    def release(self) -> None:
        """Close the file."""
        self._video.release()
