"""Films of the window: its pictures at a constant rate, live or from a script."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

import cv2

from toolbox.pictures.images import Image
from toolbox.record.film_file import RATE, FilmError, FilmFile

STILL_FRAMES = RATE  # how long a scripted film stays at each picture
QUEUE_LENGTH = 16  # pictures that wait for the encoder; of more, the newest replaces the last


class Film(Protocol):
    """What is shown the window's pictures, and makes a film of them."""

    @property
    def message(self) -> str:
        """What went wrong, empty while all is well."""

    def show(self, picture: Image) -> None:
        """Take a picture of the window (RGB), which may change afterwards."""


class ScriptedFilm:
    """A film that stays a second at each picture, the same however fast they come.

    Parameters
    ----------
    file : FilmFile
        Written at once.
    """

    message = ""

    def __init__(self, file: FilmFile) -> None:
        self._file = file

    def __enter__(self) -> ScriptedFilm:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.finish()

    def show(self, picture: Image) -> None:
        """Add a second of a picture (RGB); raises `FilmError`."""
        for _ in range(STILL_FRAMES):
            self._file.write(picture)


class LiveFilm:
    """A film at the speed that the user saw, encoded in its own thread.

    Frame n has the newest picture that was shown up to the end of its slot, the
    time from n / 25 s to (n + 1) / 25 s after the first picture. Where nothing is
    shown the last picture is repeated; where several are shown in a slot, the
    earlier ones are dropped.

    Parameters
    ----------
    file : FilmFile
        Touched only by the thread.
    clock : callable
        Seconds.
    """

    def __init__(self, file: FilmFile, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock
        self._changed = threading.Condition()
        self._queue: deque[tuple[int, Image]] = deque()  # slot, RGB
        self._start: float | None = None
        self._last: int | None = None  # the slot in which it was closed
        self._message = ""
        self._thread = threading.Thread(target=self._run, name="film", daemon=True)
        self._thread.start()

    @property
    def message(self) -> str:
        """Why the film has ended early, empty while all is well."""
        return self._message

    def __enter__(self) -> LiveFilm:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if self._message and (kind is None or kind is KeyboardInterrupt):
            raise FilmError(self._message)

    def show(self, picture: Image) -> None:
        """Note that a picture (RGB) is shown from now on."""
        with self._changed:
            if self._message or self._last is not None:
                return
            if self._start is None:
                self._start = self._clock()
                self._changed.notify_all()
            slot = self._slot()
            if self._queue and (self._queue[-1][0] == slot or len(self._queue) >= QUEUE_LENGTH):
                slot, _ = self._queue.pop()
            self._queue.append((slot, picture.copy()))

    def close(self) -> None:
        """End the film now, and wait until it is written."""
        with self._changed:
            if self._last is None:
                self._last = self._slot()
            self._changed.notify_all()
        self._thread.join()

    def _slot(self) -> int:
        """Return the frame that this moment belongs to, -1 before the first picture."""
        if self._start is None:
            return -1
        return math.floor((self._clock() - self._start) * RATE + 1e-6)

    def _run(self) -> None:
        try:
            try:
                self._write_all()
            finally:
                self._file.finish()
        except (FilmError, OSError, cv2.error) as error:
            sentence = str(error) if isinstance(error, FilmError) else f"recording failed: {error}"
            with self._changed:
                self._message = " ".join(sentence.split())
                self._queue.clear()

    def _write_all(self) -> None:
        """Write each frame when its slot is over."""
        number, frame = 0, None
        while True:
            with self._changed:
                while self._last is None and self._slot() <= number:
                    self._changed.wait(None if self._start is None else 1 / RATE)
                if self._last is not None and number > self._last:
                    return
                while self._queue and self._queue[0][0] <= number:
                    _, frame = self._queue.popleft()
            if frame is not None:
                self._file.write(frame)
            number += 1
