"""A cache of arrays that is bounded in bytes: what was used longest ago goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

import numpy.typing as npt


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
