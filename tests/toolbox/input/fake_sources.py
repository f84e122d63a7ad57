"""Stand-ins for cameras, and what waits for frames, shared by the tests of sources."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from toolbox.app.core import CoreState
from toolbox.input.frame import Frame
from toolbox.input.sources import Inputs


class FakeCapture:
    """Gives frames of rising brightness; `frames` of them, then nothing."""

    def __init__(self, frames: int | None = None, opened: bool = True, rate: float = 0) -> None:
        self.frames, self.opened, self.rate = frames, opened, rate
        self.count, self.released, self.rewound = 0, False, 0

    def isOpened(self) -> bool:
        return self.opened

    def read(self):
        if self.frames is not None and self.count >= self.frames:
            return False, None
        self.count += 1
        return True, np.full((4, 6, 3), (0, 0, self.count % 256), np.uint8)

    def get(self, _: int) -> float:
        return self.rate

    def set(self, _: int, value: float) -> bool:
        self.count, self.rewound = int(value), self.rewound + 1
        return True

    def release(self) -> None:
        self.released = True


class HangingCapture(FakeCapture):
    """Gives one frame and then hangs in `read` until `gate` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def read(self):
        if self.count:
            self.gate.wait(30)
            return False, None
        return super().read()


def follow(inputs: Inputs, state: CoreState) -> tuple[CoreState, Frame | None]:
    """Follow until the frame is there or cannot come; return the state and the frame."""
    deadline = time.monotonic() + 10
    while True:
        state = inputs.follow(state)
        frame = inputs.take()
        if frame is not None or inputs.settled():
            return state, frame
        assert time.monotonic() < deadline
        time.sleep(0.002)


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def write_video(path: Path, levels: list[int], codec: str = "MJPG", rate: float = 25) -> Path:
    """Write a video of flat frames."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, (32, 32))
    for level in levels:
        writer.write(np.full((32, 32, 3), level, np.uint8))
    writer.release()
    return path
