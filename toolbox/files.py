"""Which files there are to show: a folder, a list file, or paths given by name."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# fmt: off
PICTURES = frozenset([
    ".jpg", ".jpeg", ".jpe", ".jp2", ".png", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp",
    ".ppm", ".pgm", ".pbm", ".pnm", ".avif",
])
VIDEOS = frozenset([
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ogv", ".3gp",
])
# fmt: on
_SEPARATORS = re.compile(r"[ \t,;]+")


class FilesError(Exception):
    """A folder or list that cannot be read; the message is one sentence."""


def is_video(path: str | Path) -> bool:
    """Tell a video from a picture by the name's ending."""
    return Path(path).suffix.lower() in VIDEOS


@dataclass(frozen=True)
class FileQuery:
    """Where files come from; `find` looks anew each time, so changes are seen.

    Parameters
    ----------
    paths : tuple of str
        Files and folders given by name; they go before the rest.
    folder : str or None
        A folder whose matching files are shown.
    regexp : str
        Which names of the folder match, from their beginning.
    ignore_case : bool
        For `regexp`.
    list_file : str or None
        A list of paths, one a line, instead of the folder.
    """

    paths: tuple[str, ...] = ()
    folder: str | None = None
    regexp: str = ".*"
    ignore_case: bool = True
    list_file: str | None = None

    def find(self) -> list[str]:
        """List the files now.

        Returns
        -------
        list of str
            Paths, a folder's in the order of their names.

        Raises
        ------
        FilesError
            The folder or the list cannot be read, or holds nothing to show.
        """
        if self.paths:
            return [file for path in self.paths for file in _expand(path)]
        if self.list_file is not None:
            return read_list(self.list_file)
        pattern = re.compile(self.regexp, re.IGNORECASE if self.ignore_case else 0)
        folder = str(self.folder)
        found = [name for name in _names(folder) if pattern.match(name)]
        if not found:
            raise FilesError(
                f"The folder {folder} holds no file whose name matches {self.regexp} "
                "(settings static_files_dir and static_files_regexp)."
            )
        return [os.path.join(folder, name) for name in found]


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise FilesError(f"The folder {folder} cannot be read: {reason}.") from error


def _expand(path: str) -> list[str]:
    """Turn a folder into its pictures and videos; leave a file as it is."""
    if not os.path.isdir(path):
        return [path]
    endings = PICTURES | VIDEOS
    found = [name for name in _names(path) if Path(name).suffix.lower() in endings]
    if not found:
        raise FilesError(f"The folder {path} holds no picture and no video.")
    return [os.path.join(path, name) for name in found]


def read_list(list_file: str) -> list[str]:
    """Read a list of files.

    Parameters
    ----------
    list_file : str
        Text, UTF-8: one path a line, relative ones looked up beside the list.
        A class label after the path is skipped, `#` begins a comment line.

    Returns
    -------
    list of str
        The paths, in the list's order, whether they exist or not.

    Raises
    ------
    FilesError
        The list cannot be read or is empty.
    """
    try:
        lines = Path(list_file).read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise FilesError(f"The list {list_file} cannot be read: {reason}.") from error
    except UnicodeDecodeError as error:
        raise FilesError(f"The list {list_file} is not a text file (UTF-8).") from error
    base = Path(list_file).absolute().parent
    entries = [line.strip() for line in lines]
    found = [_entry(line, base) for line in entries if line and not line.startswith("#")]
    if not found:
        raise FilesError(f"The list {list_file} names no file; it needs one path a line.")
    return found


def _entry(line: str, base: Path) -> str:
    """Find the path in a line: all of it where that exists, else up to a label."""
    whole = base / line
    if whole.exists():
        return str(whole)
    parts = _SEPARATORS.split(line)
    for count in range(len(parts) - 1, 0, -1):
        begun = line[: _end_of(line, count)]
        if (base / begun).exists():
            return str(base / begun)
    return str(base / parts[0]) if _looks_labelled(parts) else str(whole)


def _end_of(line: str, count: int) -> int:
    """Return where the first `count` words of a line end."""
    ends = [match.start() for match in _SEPARATORS.finditer(line)]
    return ends[count - 1]


def _looks_labelled(parts: Sequence[str]) -> bool:
    return len(parts) == 2 and Path(parts[0]).suffix != ""
