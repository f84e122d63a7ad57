"""Turns the window's state (files or camera, which file) into frames.

Files are decoded in a worker, cameras and videos are read in a thread, so
nothing here ever waits. Whatever fails becomes a message and the next file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from toolbox.core import CAMERA, FILES, CoreState
from toolbox.files import FileQuery, FilesError, is_video
from toolbox.frame import Frame
from toolbox.imagefile import ImageError, read_image
from toolbox.images import Image, make_square
from toolbox.moving import Capture, MovingError, MovingSource, Spec, open_capture
from toolbox.worker import Worker, close_all


@dataclass(frozen=True)
class FileRequest:
    """A file to decode, and how to make it square."""

    path: str
    stretch: bool


def load_file(request: FileRequest) -> Image:
    """Decode a file and make it square; raises `ImageError`."""
    return make_square(read_image(request.path), request.stretch)


class Inputs:
    """All sources of frames, following the window's state.

    Parameters
    ----------
    query : FileQuery
        Which files there are.
    camera : Spec or None
        The camera; None where there is none.
    single : bool
        Take only the first frame of a camera or video (for scripted runs).
    opener : callable
        Makes captures; another one in tests.
    """

    def __init__(
        self,
        query: FileQuery,
        camera: Spec | None,
        single: bool = False,
        opener: Callable[[int | str], Capture] = open_capture,
    ) -> None:
        self.message = ""
        self._query = query
        self._camera = camera
        self._single = single
        self._opener = opener
        self._files: list[str] = []
        self._at: tuple[str, int] | None = None
        self._tries = 0
        self._asked: FileRequest | None = None
        self._moving: MovingSource | None = None
        self._waiting = True
        self._frame: Frame | None = None
        self._count = 0
        self._loader: Worker[FileRequest, Image] = Worker(
            load_file, "file loader", expected=(ImageError,)
        )

    def follow(self, state: CoreState) -> CoreState:
        """Do what the state asks for, as far as it goes without waiting.

        Parameters
        ----------
        state : CoreState
            What the user wants.

        Returns
        -------
        CoreState
            The same, or where something failed: the next file, or files
            instead of the camera.
        """
        if (state.mode, state.position) != self._at:
            self._arrive(state)
        followed = self._follow_camera(state) if state.mode == CAMERA else self._follow_files(state)
        if followed != state:
            self._at = (followed.mode, followed.position)
            self._asked, self._waiting = None, True
        return followed

    def take(self) -> Frame | None:
        """Take the newest frame that was not taken yet, None where there is none."""
        frame, self._frame = self._frame, None
        return frame

    def settled(self) -> bool:
        """Whether the source asked for has given its frame, or an error."""
        return not self._waiting and self._frame is None

    @property
    def moving(self) -> bool:
        """Whether frames come on their own, so that waiting long would miss some."""
        return self._moving is not None or self._waiting

    @property
    def playing(self) -> bool:
        """Whether a camera or video is running."""
        return self._moving is not None

    def close(self) -> bool:
        """Join all threads; False where one did not end."""
        return close_all([self._close_moving, self._loader.close])

    def _arrive(self, state: CoreState) -> None:
        """Look for files anew when the user goes somewhere else."""
        self._at = (state.mode, state.position)
        self._close_moving()
        self.message, self._tries = "", 0
        self._asked, self._waiting = None, True
        try:
            self._files = self._query.find()
        except FilesError as error:
            self._files = []
            if state.mode == FILES:
                self.message, self._waiting = str(error), False

    def _follow_camera(self, state: CoreState) -> CoreState:
        if self._camera is None:
            self.message = "no camera is set (input_updater_capture_device)"
            return replace(state, mode=FILES)
        if self._moving is None:
            spec = replace(self._camera, single=self._single)
            self._moving = MovingSource(spec, self._opener)
        try:
            self._take_moving(state)
        except MovingError as error:
            self._close_moving()
            self.message = f"{error}; showing files"
            return replace(state, mode=FILES)
        return state

    def _follow_files(self, state: CoreState) -> CoreState:
        if not self._files:
            return state
        path = self._files[state.position % len(self._files)]
        if is_video(path):
            return self._follow_video(state, path)
        request = FileRequest(path, state.stretch)
        if request != self._asked:
            self._asked, self._waiting = request, True
            self._loader.submit(request)
        for outcome in self._loader.outcomes():
            if outcome.request != request:
                continue
            if outcome.value is None:
                return self._skip(state, outcome.error or "")
            self._emit(outcome.value, os.path.basename(path))
        return state

    def _follow_video(self, state: CoreState, path: str) -> CoreState:
        if self._moving is None:
            spec = Spec(path, os.path.basename(path), loops=True, single=self._single)
            self._moving = MovingSource(spec, self._opener)
        try:
            self._take_moving(state)
        except MovingError as error:
            self._close_moving()
            return self._skip(state, str(error))
        return state

    def _take_moving(self, state: CoreState) -> None:
        if self._moving is None or (state.frozen and not self._waiting):
            return
        image = self._moving.latest()
        if image is not None:
            self._emit(make_square(image, False), self._moving.spec.label)

    def _skip(self, state: CoreState, reason: str) -> CoreState:
        """Name the unreadable file and go on to the next one, once around at most."""
        self._tries += 1
        if self._tries >= len(self._files):
            self._waiting = False
            self.message = reason if len(self._files) == 1 else f"{reason}; no file can be read"
            return state
        self.message = f"skipped: {reason}"
        return replace(state, position=state.position + state.direction)

    def _emit(self, image: Image, name: str) -> None:
        self._count += 1
        self._frame = Frame(self._count, image, name)
        self._waiting = False

    def _close_moving(self) -> bool:
        moving, self._moving = self._moving, None
        return moving is None or moving.close()
