"""How a process holds its memory: a window, which runs for days, little; a batch tool all it had.

glibc gives each thread a heap of its own (an arena), so that none waits for another, and keeps
there what was freed, up to 64 MB a heap and more in its gaps. With a dozen threads that compute
now and then a window held 200 to 300 MB that were free, and more of it for thousands of frames.
With one heap for all, from which large pieces (the images of ascents) stay apart and go back at
once, it stays as large as what it holds. Nets ask for few and large pieces, so hardly anybody
waits. What comes in each frame must not be apart: the system clears such pieces anew each time,
which takes a third of the time of VGG-16's forward pass.

A batch tool asks for the same pieces for hours. Those above 32 MB, the blobs of 16 photos, would
go back and be cleared anew with each batch, a seventh of the time of SqueezeNet's and VGG-16's.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping

ARENA_MAX, MMAP_MAX, MMAP_THRESHOLD, TRIM_THRESHOLD = -8, -4, -3, -1  # of glibc's malloc.h
APART = 12 << 20  # bytes: two of nine images of 227 x 227, as ascents have them
MOST = 32 << 20  # glibc takes no more
# Any of them says that the user has chosen.
NAMES = (
    "MALLOC_ARENA_MAX", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_",
    "GLIBC_TUNABLES",
)  # fmt: skip


def hold_little(environment: Mapping[str, str] = os.environ) -> bool:
    """Let all threads take memory from one heap; to be asked for before there are several.

    Parameters
    ----------
    environment : mapping
        Where it says anything of the heap, all stays as it is.

    Returns
    -------
    bool
        Whether it was done; other C libraries than glibc have no such thing.
    """
    return _set({ARENA_MAX: 1}, environment) and keep_apart(0, environment)


def hold_all(environment: Mapping[str, str] = os.environ) -> bool:
    """Let all memory come from one heap, and stay there until the process ends.

    Parameters
    ----------
    environment : mapping
        As for `hold_little`.

    Returns
    -------
    bool
        As for `hold_little`.
    """
    return _set({ARENA_MAX: 1, MMAP_MAX: 0, TRIM_THRESHOLD: (1 << 31) - 1}, environment)


def keep_apart(usual: int, environment: Mapping[str, str] = os.environ) -> bool:
    """Let pieces of memory that are larger than those of each frame stay out of the heap.

    Parameters
    ----------
    usual : int
        Bytes of the largest that comes in each frame, such as a net's largest blob; what is four
        times as large, and at least `APART`, is apart.
    environment : mapping
        As for `hold_little`.

    Returns
    -------
    bool
        As for `hold_little`.
    """
    least = min(max(APART, 4 * usual), MOST)
    return _set({MMAP_THRESHOLD: least, TRIM_THRESHOLD: 4 * least}, environment)


def _set(options: Mapping[int, int], environment: Mapping[str, str]) -> bool:
    if sys.platform != "linux" or any(name in environment for name in NAMES):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(*each) == 1 for each in options.items())
