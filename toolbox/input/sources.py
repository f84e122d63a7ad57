"""Turns the window's state (files or camera, which file) into frames.

Files are decoded in a worker, cameras and videos are read in a thread, so
nothing here ever waits. Whatever fails becomes a message and the next file.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from toolbox.input.files import FileQuery, is_video
from toolbox.input.frame import Frame
from toolbox.input.lists import FilesError, Paths
from toolbox.input.video import Capture, MovingError, MovingSource, Spec, open_capture
from toolbox.input.viewers import DEVICE, FromViewers
from toolbox.input.wanted import CAMERA, FILES, VIEWER, Wanted
from toolbox.pictures.crop import to_aspect
from toolbox.pictures.image_file import ImageError, read_image
from toolbox.pictures.images import Image
from toolbox.workers.worker import Worker, close_all

StateT = TypeVar("StateT", bound=Wanted)

LOOK_AGAIN_SECONDS = 1.0  # how often a folder that is not there is looked for


@dataclass(frozen=True)
class FileRequest:
    """A file to decode, or the two of a pair, and which aspect to give them and how."""

    paths: Paths
    stretch: bool
    aspect: float = 1.0


def name_of(paths: Paths) -> str:
    """Name a file or a pair for the status line."""
    return " + ".join(os.path.basename(path) for path in paths)


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
    aspect : float
        Width over height of the frames.
    viewers : FromViewers, optional
        What viewers in browsers send.
    """

    def __init__(
        self,
        query: FileQuery,
        camera: Spec | None,
        single: bool = False,
        opener: Callable[[int | str], Capture] = open_capture,
        aspect: float = 1.0,
        viewers: FromViewers | None = None,
    ) -> None:
        self._aspect = aspect
        self._viewers = viewers
        self._message = self._no_files = ""
        self._query = query
        self._camera = camera
        self._single = single
        self._opener = opener
        self._files: list[Paths] = []
        self._looked_at = -math.inf
        self._at: tuple[str, int] | None = None
        self._tries = 0
        self._asked: FileRequest | None = None
        self._moving: MovingSource | None = None
        self._left: list[MovingSource] = []
        self._waiting = True
        self._frame: Frame | None = None
        self._count = 0
        self._loader: Worker[FileRequest, tuple[Image, ...]] = Worker(
            self._load, "file loader", expected=(ImageError,)
        )

    @property
    def message(self) -> str:
        """What went wrong last, or which camera is waited for; empty when all is well."""
        if self._moving is not None and self._waiting and not self._message:
            return f"waiting for {self._moving.spec.label}"
        return "; ".join(text for text in (self._message, self._no_files) if text)

    def follow(self, state: StateT) -> StateT:
        """Do what the state asks for, as far as it goes without waiting.

        Parameters
        ----------
        state : Wanted
            What the user wants.

        Returns
        -------
        Wanted
            The same, or where something failed: the next file, or files
            instead of the camera.
        """
        state = self._with_viewers(state)
        if (state.mode, state.position) != self._at:
            self._arrive(state)
        followed = self._follow_files(state) if state.mode == FILES else self._follow_camera(state)
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
        self._leave_moving()
        return close_all([*(source.close for source in self._left), self._loader.close])

    def _arrive(self, state: Wanted) -> None:
        """Look for files anew when the user goes somewhere else."""
        self._at = (state.mode, state.position)
        self._leave_moving()
        self._message, self._no_files, self._tries = "", "", 0
        self._asked, self._waiting = None, True
        self._files, self._looked_at = [], -math.inf

    def _look_for_files(self) -> None:
        """List the files; where there are none, say so and look again after a while."""
        if time.monotonic() - self._looked_at < LOOK_AGAIN_SECONDS:
            return
        try:
            self._files = self._query.find()
            self._no_files, self._waiting = "", True
        except FilesError as error:
            self._no_files, self._waiting = str(error), False
            self._looked_at = time.monotonic()
        if self._viewers is not None:
            sent = [(path,) for path in self._viewers.pictures.paths()]
            self._files = [*self._files, *sent]
            if sent:
                self._no_files, self._waiting = "", True

    def _with_viewers(self, state: StateT) -> StateT:
        """Put a viewer's camera into the round, and go to the picture that one has sent."""
        if self._viewers is None:
            return state
        modes = (FILES, VIEWER, CAMERA) if self._viewers.camera.available else (FILES, CAMERA)
        if state.modes != modes:
            state = replace(state, modes=modes)
        newest = self._viewers.pictures.take_newest()
        if newest is None:
            return state
        self._arrive(state)
        self._look_for_files()
        position = self._files.index((newest,)) if (newest,) in self._files else 0
        self._at = None
        return replace(state, mode=FILES, position=position, direction=1)

    def _load(self, request: FileRequest) -> tuple[Image, ...]:
        """Decode a file or a pair and give them the aspect; raises `ImageError`."""
        return tuple(
            to_aspect(self._picture(path), request.stretch, request.aspect)
            for path in request.paths
        )

    def _picture(self, path: str) -> Image:
        sent = self._viewers.pictures.get(path) if self._viewers else None
        return read_image(path) if sent is None else sent

    def _is_sent(self, path: str) -> bool:
        return self._viewers is not None and self._viewers.pictures.get(path) is not None

    def _follow_camera(self, state: StateT) -> StateT:
        camera = Spec(DEVICE, DEVICE, paced=True) if state.mode == VIEWER else self._camera
        if camera is None:
            self._message = "no camera is set (input_updater_capture_device)"
            return replace(state, mode=FILES)
        if self._moving is None:
            self._start_moving(replace(camera, single=self._single))
        try:
            self._take_moving(state)
        except MovingError as error:
            self._leave_moving()
            self._message = f"{error}; showing files"
            return replace(state, mode=FILES)
        return state

    def _follow_files(self, state: StateT) -> StateT:
        if not self._files:
            self._look_for_files()
        if not self._files:
            return state
        paths = self._files[state.position % len(self._files)]
        if len(paths) == 1 and is_video(paths[0]) and not self._is_sent(paths[0]):
            return self._follow_video(state, paths[0])
        request = FileRequest(paths, state.stretch, self._aspect)
        if request != self._asked:
            self._asked, self._waiting = request, True
            self._loader.submit(request)
        for outcome in self._loader.outcomes():
            if outcome.request != request or not self._waiting:
                continue  # stale, or asked for twice on the way to and fro
            if outcome.value is None:
                return self._skip(state, outcome.error or "")
            self._emit(outcome.value, name_of(paths))
        return state

    def _follow_video(self, state: StateT, path: str) -> StateT:
        if self._moving is None:
            name = os.path.basename(path)
            self._start_moving(Spec(path, name, loops=True, single=self._single))
        try:
            self._take_moving(state)
        except MovingError as error:
            self._leave_moving()
            return self._skip(state, str(error))
        return state

    def _take_moving(self, state: Wanted) -> None:
        if self._moving is None or (state.frozen and not self._waiting):
            return
        image = self._moving.latest()
        if image is not None:
            self._emit((to_aspect(image, False, self._aspect),), self._moving.spec.label)

    def _skip(self, state: StateT, reason: str) -> StateT:
        """Name the unreadable file and go on to the next one, once around at most."""
        self._tries += 1
        if self._tries >= len(self._files):
            self._waiting = False
            alone = len(self._files) == 1
            self._message = reason if alone else f"{reason}; no file can be read"
            return state
        self._message = f"skipped: {reason}"
        return replace(state, position=state.position + state.direction)

    def _emit(self, images: tuple[Image, ...], name: str) -> None:
        self._count += 1
        second = images[1] if len(images) > 1 else None
        self._frame = Frame(self._count, images[0], name, second)
        self._waiting = False

    def _start_moving(self, spec: Spec) -> None:
        """Start to read; earlier sources of the device must let go of it first."""
        same = [source for source in self._left if source.spec.device == spec.device]
        self._moving = MovingSource(spec, self._open, same)

    def _open(self, device: int | str) -> Capture:
        if device == DEVICE and self._viewers is not None:
            return self._viewers.camera.open()
        return self._opener(device)

    def _leave_moving(self) -> None:
        """Tell a camera or video to end. It may hang: `close` waits for it, nothing else does."""
        if self._moving is not None:
            self._moving.stop()
            if self._moving.spec.device == DEVICE and self._viewers is not None:
                self._viewers.camera.refuse("")  # whoever waits for the viewer's answer ends
            self._left.append(self._moving)
            self._moving = None
        self._left = [source for source in self._left if not source.ended]
