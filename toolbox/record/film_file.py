"""A film on disk: an MP4 or AVI file, written frame by frame.

It is written beside its place, as `out.<pid>.part.mp4`, and renamed when it is whole.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from toolbox.pictures.image_file import check_writable, opencv_quiet
from toolbox.pictures.images import Image

RATE = 25  # frames a second
ROOM_BYTES = 16 * 2**20  # left free on the disk: the end of a film needs some
ROOM_EVERY = RATE  # frames between two looks at the disk


@dataclass(frozen=True)
class Format:
    """A kind of film: OpenCV's four letters for it, and who may encode it, in order."""

    code: str
    encoders: tuple[int, ...]


FORMATS = {
    ".mp4": Format("mp4v", (cv2.CAP_FFMPEG,)),
    ".avi": Format("MJPG", (cv2.CAP_FFMPEG, cv2.CAP_OPENCV_MJPEG)),
}


class FilmError(Exception):
    """A film that cannot be written; the message is one sentence."""


def free_bytes(folder: Path) -> int:
    """Return how much can be written to the disk that a folder is on."""
    return shutil.disk_usage(folder).free


def check_film(path: str | Path) -> None:
    """Make sure early that a film can be written there, by beginning one.

    Parameters
    ----------
    path : str or Path
        Where the film is to go; a file of that name would be replaced.

    Raises
    ------
    ImageError
        The ending names no known format, or the folder is missing.
    FilmError
        The folder cannot be written to, or OpenCV has no encoder.
    """
    check_writable(path, tuple(FORMATS))
    path = Path(path).absolute()
    part = _claim(path)
    try:
        _open(path, part, (64, 48)).release()
    finally:
        part.unlink(missing_ok=True)


def _claim(path: Path) -> Path:
    """Make an empty file beside a film's place; its ending tells OpenCV the format."""
    for number in range(1, 1000):
        tag = f"{os.getpid()}" if number == 1 else f"{os.getpid()}-{number}"
        part = path.with_name(f"{path.stem}.{tag}.part{path.suffix}")
        try:
            part.open("xb").close()
        except FileExistsError:  # left by a process that was killed: somebody may want it
            continue
        except OSError as error:
            raise FilmError(f"{path} cannot be written: {_reason(error)}") from error
        return part
    raise FilmError(f"{path} cannot be written: there are too many .part files beside it")


def _open(path: Path, part: Path, size: tuple[int, int]) -> cv2.VideoWriter:
    """Begin a film of so many pixels (width, height) at its part file."""
    if free_bytes(path.parent) < ROOM_BYTES:
        raise FilmError(f"{path} cannot be written: the disk is nearly full")
    form = FORMATS[path.suffix.lower()]
    with opencv_quiet():
        for encoder in form.encoders:
            code = cv2.VideoWriter.fourcc(*form.code)
            writer = cv2.VideoWriter(str(part), encoder, code, RATE, size)
            if writer.isOpened():
                return writer
    others = " or ".join(ending for ending in FORMATS if ending != path.suffix.lower())
    raise FilmError(
        f"{path} cannot be written: this OpenCV has no encoder for {path.suffix} "
        f"({form.code}); try {others}"
    )


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


class FilmFile:
    """A film on disk, written frame by frame; opened with the first one.

    Parameters
    ----------
    path : str or Path
        Where it is when it is finished.
    free : callable
        Returns the free bytes of a folder's disk.
    """

    def __init__(self, path: str | Path, free: Callable[[Path], int] = free_bytes) -> None:
        self.path = Path(path).absolute()
        self.frames = 0
        self._free = free
        self._part: Path | None = None
        self._writer: cv2.VideoWriter | None = None

    def write(self, picture: Image) -> None:
        """Add one frame.

        Parameters
        ----------
        picture : ndarray of uint8, shape (h, w, 3)
            RGB; a side of an odd length grows by one pixel, which MPEG-4 needs.

        Raises
        ------
        FilmError
            The film cannot be begun, or the disk is nearly full.
        """
        height, width = picture.shape[:2]
        if self._writer is None:
            self._part = _claim(self.path)
            self._writer = _open(self.path, self._part, (width + width % 2, height + height % 2))
        elif self.frames % ROOM_EVERY == 0 and self._free(self.path.parent) < ROOM_BYTES:
            raise FilmError(
                f"recording has stopped: the disk is nearly full; "
                f"{self.path.name} has the film so far"
            )
        if width % 2 or height % 2:
            picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        self._writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        self.frames += 1

    def finish(self) -> None:
        """End the film and give it its name; without a frame there is none.

        Raises
        ------
        FilmError
            What was written is not a whole film. Its part file stays.
        """
        writer, part = self._writer, self._part
        self._writer = self._part = None
        if writer is not None:
            writer.release()
        if part is None:
            return
        if not self.frames:
            part.unlink(missing_ok=True)
            return
        # OpenCV tells nobody when writing failed, so look at what is there.
        readable = _count_frames(part)
        if readable < self.frames:
            raise FilmError(
                f"{self.path} is not whole: of {self.frames} frames {readable} can be read; "
                f"what there is stays in {part.name}"
            )
        try:
            os.replace(part, self.path)
        except OSError as error:
            raise FilmError(
                f"{self.path} cannot be written: {_reason(error)}; the film stays in {part.name}"
            ) from error


def _count_frames(path: Path) -> int:
    """Return how many frames a film has by its own account, 0 where it cannot be read."""
    with opencv_quiet():
        capture = cv2.VideoCapture(str(path))
        try:
            return round(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        finally:
            capture.release()
