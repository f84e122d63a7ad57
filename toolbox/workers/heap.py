"""How a process that runs for days holds its memory; to be asked for before it has threads.

glibc gives each thread a heap of its own (an arena), so that none waits for another, and keeps
there what was freed, up to 64 MB a heap and more in its gaps. With a dozen threads that compute
now and then a window held 200 to 300 MB that were free, and more of it for thousands of frames.
With one heap for all, from which large pieces (the images of ascents, screens) stay apart and go
back at once, it stays as large as what it holds. Nets ask for few and large pieces, so hardly
anybody waits.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping

# Numbers of glibc's malloc.h: M_ARENA_MAX, and in bytes M_MMAP_THRESHOLD, M_TRIM_THRESHOLD.
CHOICE = {-8: 1, -3: 4 << 20, -1: 16 << 20}
# Any of them says that the user has chosen.
NAMES = (
    "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES",
)  # fmt: skip


def hold_little(environment: Mapping[str, str] = os.environ) -> bool:
    """Let all threads take memory from one heap, and large pieces from none.

    Parameters
    ----------
    environment : mapping
        Where it says anything of the heap, all stays as it is.

    Returns
    -------
    bool
        Whether it was done; other C libraries than glibc have no such thing.
    """
    if sys.platform != "linux" or any(name in environment for name in NAMES):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(*each) == 1 for each in CHOICE.items())
