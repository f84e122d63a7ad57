"""Files that must stay as they are while they are used: a network's, and photos."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

Version = tuple[int, int]


def version(path: str | Path) -> Version:
    """Tell a file's content from an earlier one without reading it.

    Returns
    -------
    (int, int)
        When it was changed (nanoseconds) and its size (bytes); (-1, -1) where there is none.
        Only whether two are equal counts, so the clock may be wrong.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return -1, -1
    return found.st_mtime_ns, found.st_size


class FileVersions:
    """Files as they were at a moment: when this was made, or when another process looked.

    What is read after that moment and found unchanged after the reading is of that moment.

    Parameters
    ----------
    paths : iterable of str or Path
        The files; those that do not exist have to stay away.
    versions : mapping of str to (int, int), optional
        Others than those of now.
    """

    def __init__(
        self, paths: Iterable[str | Path], versions: Mapping[str, Version] | None = None
    ) -> None:
        self.versions = {os.path.abspath(path): version(path) for path in paths}
        self.versions |= {path: (then[0], then[1]) for path, then in (versions or {}).items()}

    def changed(self) -> str:
        """Say in a sentence which file is another one now; empty where none is."""
        for path, before in self.versions.items():
            if version(path) != before:
                return f"{path} has changed since the network was opened"
        return ""
