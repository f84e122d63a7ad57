"""Pictures read and made into inputs by worker processes, in groups, in order.

The workers write into memory they share with this process; only names and reasons travel
through pipes. They import no torch, ignore Ctrl-C (this process stops them), and end when
this process does, however it ends. A file on which a worker dies is a bad file.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from types import TracebackType

import cv2
import numpy as np

from find_maxes.errors import FindMaxesError, reason_of
from find_maxes.photos.net_input import FloatArray, Recipe, reason_it_is_bad
from toolbox.pictures.image_file import ImageError

DIED = "the process that decoded it died"
Reasons = list[str | None]


@dataclass(frozen=True, eq=False)
class Group:
    """Pictures that go through the net together.

    Attributes
    ----------
    inputs : ndarray of float32, shape (size, height, width, channels)
        Zero where there is no picture. Valid until the next group is asked for, or as many
        groups more as the decoder holds.
    reasons : list of str or None
        For each picture: None, or why it is bad.
    seconds : float
        What reading them took.
    """

    inputs: FloatArray
    reasons: Reasons
    seconds: float


def fill(out: FloatArray, paths: Sequence[str], recipe: Recipe) -> Group:
    """Read pictures into the rows of `out`; the rest of it becomes zero."""
    begun = time.perf_counter()
    reasons: Reasons = []
    for row, path in zip(out, paths, strict=False):
        reason = None
        try:
            row[...] = recipe.to_input(recipe.picture(path))
        except ImageError as error:
            reason = reason_it_is_bad(error, path)
            row[...] = 0
        reasons.append(reason)
    out[len(paths) :] = 0
    return Group(out, reasons, time.perf_counter() - begun)


# ---------------------------------------------------------------- in a worker


class _Here:
    """What a worker keeps between calls."""

    memory: SharedMemory  # kept, or the view below would point nowhere
    ring: FloatArray
    recipe: Recipe


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _begin(name: str, shape: tuple[int, ...], recipe: Recipe) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    _Here.memory = SharedMemory(name)
    _Here.ring = np.ndarray(shape, np.float32, _Here.memory.buf)
    _Here.recipe = recipe


def _fill_slot(slot: int, paths: Sequence[str], at: int | None = None) -> tuple[Reasons, float]:
    """Fill a slot, or only one row of it."""
    rows = _Here.ring[slot] if at is None else _Here.ring[slot, at : at + 1]
    group = fill(rows, paths, _Here.recipe)
    return group.reasons, group.seconds


# ---------------------------------------------------------------- in this process


class Decoder:
    """A context in which files become inputs.

    Parameters
    ----------
    recipe : Recipe
        From file to input.
    size : int
        Pictures of a group.
    workers : int
        Processes that decode; 0: this one does.
    ahead : int
        Pictures held in memory at once, at least; workers decode ahead of the net by that.
    held : int
        Groups that stay valid at a time.

    Raises
    ------
    FindMaxesError
        There is no room in shared memory, or the processes do not start.
    """

    def __init__(
        self, recipe: Recipe, size: int, workers: int, ahead: int = 64, held: int = 1
    ) -> None:
        self._recipe, self._workers, self._held = recipe, workers, held
        slots = max(workers + held, -(-ahead // size)) if workers else held
        self._shape = (slots, size, recipe.height, recipe.width, recipe.channels)
        self._memory: SharedMemory | None = None
        self._pool: ProcessPoolExecutor | None = None
        self._ring = np.zeros((0,), np.float32)

    def __enter__(self) -> Decoder:
        if not self._workers:
            self._ring = np.zeros(self._shape, np.float32)
            return self
        size = 4 * int(np.prod(self._shape))
        try:
            self._memory = SharedMemory(create=True, size=size)
            self._ring = np.ndarray(self._shape, np.float32, self._memory.buf)
            _reserve(self._memory.name, size)
            self._start()
        except OSError as error:
            self._close()
            raise FindMaxesError(
                f"there is no shared memory of {size / 2**20:.0f} MiB for decoded pictures "
                f"({reason_of(error)}); a smaller --batch-size or --workers needs less, "
                "--workers 0 none"
            ) from error
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        """End the processes and give the memory back: nobody may hold a group any more."""
        try:
            if self._pool is not None:
                self._pool.shutdown(wait=True, cancel_futures=True)
                self._pool = None
        finally:  # also where Ctrl-C did not wait for them
            self._ring = np.zeros((0,), np.float32)
            if self._memory is not None:
                memory, self._memory = self._memory, None
                memory.unlink()
                memory.close()

    def _start(self) -> None:
        """Start the processes, anew where there were some."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        if self._memory is None:
            raise FindMaxesError("the decoder is closed")
        self._pool = ProcessPoolExecutor(
            self._workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(self._memory.name, self._shape, self._recipe),
        )
        try:
            self._pool.submit(os.getpid).result()
        except BrokenExecutor as error:
            raise FindMaxesError(
                "the processes that decode pictures do not start; --workers 0 does without them"
            ) from error

    def groups(self, groups: Iterable[Sequence[str]]) -> Iterator[Group]:
        """Decode groups of at most `size` paths, in order."""
        if not self._workers:
            for slot, paths in zip(itertools.cycle(range(self._held)), groups, strict=False):
                yield fill(self._ring[slot], paths, self._recipe)
            return
        waiting: deque[_Task] = deque()
        free, held = deque(range(self._shape[0])), deque[int]()
        source = iter(groups)
        while True:
            while len(held) >= self._held:
                free.append(held.popleft())
            for paths in itertools.islice(source, len(free)):
                waiting.append(_Task(free.popleft(), paths))
                self._submit(waiting[-1])
            if not waiting:
                return
            task = waiting.popleft()
            reasons, seconds = self._result(task, waiting)
            yield Group(self._ring[task.slot], reasons, seconds)
            held.append(task.slot)

    def _submit(self, task: _Task) -> None:
        task.future = None
        if self._pool is not None:
            try:
                task.future = self._pool.submit(_fill_slot, task.slot, task.paths)
            except BrokenExecutor:
                return  # found out again when its result is asked for

    def _result(self, task: _Task, waiting: Iterable[_Task]) -> tuple[Reasons, float]:
        try:
            if task.future is not None:
                return task.future.result()
        except BrokenExecutor:
            pass
        # A worker died. Go through this group one by one to find on which file.
        self._start()
        reasons = [self._alone(task.slot, at, path) for at, path in enumerate(task.paths)]
        self._ring[task.slot, len(task.paths) :] = 0
        for other in waiting:
            self._submit(other)
        return reasons, 0.0

    def _alone(self, slot: int, at: int, path: str) -> str | None:
        if self._pool is None:
            raise FindMaxesError("the decoder is closed")
        try:
            return self._pool.submit(_fill_slot, slot, [path], at).result()[0][0]
        except BrokenExecutor:
            self._ring[slot, at] = 0
            self._start()
            return DIED


@dataclass(eq=False)
class _Task:
    slot: int
    paths: Sequence[str]
    future: Future[tuple[Reasons, float]] | None = None


def _reserve(name: str, size: int) -> None:
    """Take shared memory now: where there is too little, writing later would be a crash."""
    reserve: Callable[[int, int, int], None] | None = getattr(os, "posix_fallocate", None)
    path = f"/dev/shm/{name}"
    if reserve is None or not os.path.exists(path):
        return
    handle = os.open(path, os.O_RDWR)
    try:
        reserve(handle, 0, size)
    finally:
        os.close(handle)
