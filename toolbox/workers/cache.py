"""What is kept is bounded in bytes: what was used longest ago goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy.typing as npt

Kept = TypeVar("Kept")


def drop_oldest(kept: OrderedDict[Any, Kept], limit: int, held_by: Callable[[Kept], int]) -> None:
    """Drop what was used longest ago until the rest is within a limit; the newest always stays.

    Parameters
    ----------
    kept : OrderedDict
        The last was used last.
    limit : int
        Bytes that all of it may hold together.
    held_by : callable
        Says how many bytes one of them holds.
    """
    held = sum(map(held_by, kept.values()))
    while len(kept) > 1 and held > limit:
        _, dropped = kept.popitem(last=False)
        held -= held_by(dropped)


class ByteCache:
    """Keeps arrays up to a number of bytes, for one thread.

    Parameters
    ----------
    limit : int
        Bytes that all arrays together may take; 0 keeps nothing.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._arrays: OrderedDict[Hashable, npt.NDArray[Any]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._arrays)

    def get(self, key: Hashable) -> npt.NDArray[Any] | None:
        """Return an array that is kept, which makes it the last to go."""
        if key not in self._arrays:
            return None
        self._arrays.move_to_end(key)
        return self._arrays[key]

    def put(self, key: Hashable, array: npt.NDArray[Any]) -> None:
        """Keep an array, and drop others for it; one above the limit is not kept.

        Parameters
        ----------
        key : hashable
            What it is found by; an array of the same key is replaced.
        array : ndarray
            With memory of its own: a view would keep more than its bytes.
        """
        if key in self._arrays:
            self.used -= self._arrays.pop(key).nbytes
        if array.nbytes > self.limit:
            return
        self._arrays[key] = array
        self.used += array.nbytes
        while self.used > self.limit:
            _, dropped = self._arrays.popitem(last=False)
            self.used -= dropped.nbytes
