"""A file that is there whole, or is not there."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_whole(path: Path, data: bytes | str) -> None:
    """Write a file beside its place and rename it; its folder is made where missing.

    Parameters
    ----------
    path : Path
        Where. What a killed process left beside it is written over.
    data : bytes or str
        Text becomes UTF-8, with escapes for what that cannot hold.

    Raises
    ------
    OSError
        The system refuses; what was there before is intact.
    """
    content = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    beside = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
