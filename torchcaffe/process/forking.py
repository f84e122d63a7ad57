"""Nets go on computing in a forked process, as in Caffe.

OpenMP keeps its threads waiting for the next operator. A fork copies their book-keeping, not
the threads, and the child would wait for them for ever. So before a fork they are sent home;
both sides start new ones when they next compute (well under a millisecond).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

import torch

_PAUSE_HARD = 2  # omp_pause_hard of OpenMP 5.0
_LIBRARIES = ("libgomp*", "libiomp*", "libomp*")  # GCC's, Intel's, LLVM's


def find_pauses() -> list[Callable[[int], int]]:
    """Return `omp_pause_resource_all` of each OpenMP that PyTorch brings along."""
    found: list[Callable[[int], int]] = []
    folder = Path(torch.__file__).with_name("lib")
    for path in sorted(path for name in _LIBRARIES for path in folder.glob(name)):
        try:
            found.append(ctypes.CDLL(str(path)).omp_pause_resource_all)
        except (OSError, AttributeError):
            continue  # no OpenMP, or one from before version 5
    return found


def survive_forks() -> None:
    """Let OpenMP's threads end before each fork of this process; to be called once."""
    if not hasattr(os, "register_at_fork"):
        return  # as on Windows, which has no fork
    pauses = find_pauses()

    def pause() -> None:
        for call in pauses:
            call(_PAUSE_HARD)

    if pauses:
        os.register_at_fork(before=pause)
    else:  # the child then computes on its one thread, which waits for no others
        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
