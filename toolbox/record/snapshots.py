"""Pictures of the window, saved under names of their own by a worker."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from toolbox.pictures.image_file import ImageError, write_image
from toolbox.pictures.images import Image
from toolbox.workers.worker import Worker

WAITING_AT_MOST = 16  # pictures kept in memory until they are written
CLOSE_SECONDS = 5.0
_NAMES_A_SECOND = 1000


@dataclass(frozen=True, eq=False)
class PictureRequest:
    """What to save.

    Parameters
    ----------
    picture : ndarray of uint8, shape (h, w, 3)
        RGB, a copy.
    stamp : str
        When it was taken, as in the file's name.
    """

    picture: Image
    stamp: str


def time_stamp() -> str:
    """Return the local time as in a picture's name, like 20150630-174501."""
    return time.strftime("%Y%m%d-%H%M%S")


def save_picture(folder: Path, request: PictureRequest) -> Path:
    """Write a picture as `dvt_<time>_<nn>.png`, whatever names are taken already.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    request : PictureRequest
        The picture and its time.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    ImageError
        The file system refuses.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        path = _claim(folder, request.stamp)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise ImageError(f"no picture can be saved in {folder}: {reason}") from error
    try:
        write_image(path, request.picture)
    except ImageError:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    return path


def _claim(folder: Path, stamp: str) -> Path:
    """Make an empty file under the first free name: from then on it is ours to replace."""
    for number in range(1, _NAMES_A_SECOND):
        path = folder / f"dvt_{stamp}_{number:02d}.png"
        with contextlib.suppress(FileExistsError):
            path.open("xb").close()
            return path
    raise ImageError(f"no picture can be saved in {folder}: every name of this second is taken")


class PictureSaver:
    """Saves pictures one after the other, without the caller waiting.

    Parameters
    ----------
    folder : str or Path
        Where they go.
    stamp : callable
        Returns the time for a file's name.
    """

    def __init__(self, folder: str | Path, stamp: Callable[[], str] = time_stamp) -> None:
        self._folder = Path(folder)
        self._stamp = stamp
        self._waiting: deque[PictureRequest] = deque()
        self._worker: Worker[PictureRequest, Path] | None = None
        self._message = ""

    @property
    def message(self) -> str:
        """What was saved last, or why it was not; empty after `forget`."""
        return self._message

    def forget(self) -> None:
        """Take the message away: the user has gone on."""
        self._message = ""

    def save(self, picture: Image) -> None:
        """Save a copy of an RGB picture as soon as the earlier ones are written."""
        if len(self._waiting) >= WAITING_AT_MOST:
            self._message = "not saved: earlier pictures are still being written"
            return
        self._waiting.append(PictureRequest(picture.copy(), self._stamp()))
        self.update()

    def update(self) -> None:
        """Take what is done, and go on with the next picture."""
        if self._worker is None and self._waiting:  # most runs save none and need no thread
            self._worker = Worker(self._save, "picture saver", expected=(ImageError,))
        if self._worker is None:
            return
        for outcome in self._worker.outcomes():
            if outcome.value is None:
                self._message = f"not saved: {outcome.error}"
            else:
                self._message = f"saved {_short(outcome.value)}"
        if self._waiting and not self._worker.busy:
            self._worker.submit(self._waiting.popleft())

    def settled(self) -> bool:
        """Whether every picture is written, or could not be."""
        return not self._waiting and (self._worker is None or not self._worker.busy)

    def close(self) -> bool:
        """Write what was asked for and join the thread; False where that takes too long."""
        if self._worker is None:
            return True
        deadline = time.monotonic() + CLOSE_SECONDS
        while not self.settled() and time.monotonic() < deadline:
            self._worker.wait(0.1)
            self.update()
        return self._worker.close()

    def _save(self, request: PictureRequest) -> Path:
        return save_picture(self._folder, request)


def _short(path: Path) -> Path:
    """Leave the current folder out of a path, as where it is named on a command line."""
    with contextlib.suppress(ValueError, OSError):
        return path.relative_to(Path.cwd())
    return path
