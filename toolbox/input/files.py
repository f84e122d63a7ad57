"""Which files there are to show: a folder, a list file, or paths given by name."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from toolbox.input.lists import FilesError, Paths, read_list
from toolbox.pictures.image_file import PICTURES

# fmt: off
VIDEOS = frozenset([
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ogv", ".3gp",
])
# fmt: on


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
        A folder whose matching files are shown, or one file. A list's paths are
        looked up there too.
    regexp : str
        Which names of the folder match, from their beginning.
    ignore_case : bool
        For `regexp`.
    list_file : str or None
        A list of paths, one a line, instead of the folder.
    pairs : bool
        The list has two paths a line, for a siamese network.
    """

    paths: tuple[str, ...] = ()
    folder: str | None = None
    regexp: str = ".*"
    ignore_case: bool = True
    list_file: str | None = None
    pairs: bool = False

    def find(self) -> list[Paths]:
        """List the files now.

        Returns
        -------
        list of tuple of str
            One path an entry, or two of a pair; a folder's in the order of their
            names.

        Raises
        ------
        FilesError
            The folder or the list cannot be read, or holds nothing to show.
        """
        if self.paths:
            return [(file,) for path in self.paths for file in _expand(path)]
        if self.list_file is not None:
            return read_list(self.list_file, self.pairs, self.folder)
        folder = str(self.folder)
        if os.path.isfile(folder):
            return [(folder,)]
        pattern = re.compile(self.regexp, re.IGNORECASE if self.ignore_case else 0)
        found = [name for name in _names(folder) if pattern.match(name)]
        if not found:
            raise FilesError(
                f"The folder {folder} holds no file whose name matches {self.regexp} "
                "(settings static_files_dir and static_files_regexp)."
            )
        return [(os.path.join(folder, name),) for name in found]


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
