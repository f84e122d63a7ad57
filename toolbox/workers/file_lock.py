"""A lock that the system lets go of when its process ends, however it ends."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from typing import IO, Any

_fcntl: Any = None
with contextlib.suppress(ImportError):  # Windows has none
    _fcntl = importlib.import_module("fcntl")


def take(file: IO[Any], wait: bool = False) -> bool:
    """Lock an open file against other processes until it is closed.

    Parameters
    ----------
    file : file
        Open.
    wait : bool
        Wait until it is free.

    Returns
    -------
    bool
        False where another process has it, or the system has no such locks.
    """
    if _fcntl is None:
        return False
    try:
        _fcntl.flock(file, _fcntl.LOCK_EX | (0 if wait else _fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def wait_for(file: IO[Any], tell: Callable[[], None]) -> bool:
    """Lock an open file, and where another process has it, wait.

    Parameters
    ----------
    file : file
        Open.
    tell : callable
        Called before waiting.

    Returns
    -------
    bool
        Whether it had to wait; False where the system has no such locks.
    """
    waits = there_are_locks() and not take(file)
    if waits:
        tell()
        take(file, wait=True)
    return waits


def there_are_locks() -> bool:
    """Tell whether the system has them."""
    return _fcntl is not None
