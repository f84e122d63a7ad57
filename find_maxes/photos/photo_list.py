"""Which images there are and their classes: a list, or a folder walked."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from find_maxes.errors import FindMaxesError, reason_of
from toolbox.pictures.file_versions import version
from toolbox.pictures.image_file import looks_like_picture

WALK = "-"  # in place of a list
CHANGED = "it has changed since the scan began, and is left out"
GONE = "it has gone since the scan began"
_WHOLE_NUMBER = re.compile(r"[+-]?\d{1,18}\Z")


@dataclass(frozen=True, eq=False)
class ImageList:
    """The images in order.

    Attributes
    ----------
    folder : str
        Names are relative to it.
    names : tuple of str
        Of the files, whether they exist or not.
    classes : ndarray of int64, shape (images,)
        -1 where an image has none.
    class_names : tuple of str
        Names of the classes where they have names; class i is the i-th.
    versions : ndarray of int64, shape (images, 2), or None
        The files' versions when the scan began; None: changes are not looked for.
    """

    folder: str
    names: tuple[str, ...]
    classes: np.ndarray
    class_names: tuple[str, ...] = ()
    versions: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> str:
        """Return where an image is."""
        return os.path.join(self.folder, self.names[index])

    def watched(self, versions: np.ndarray | None = None) -> ImageList:
        """Return the list with the files' versions: those given, or those of now."""
        if versions is None or versions.shape != (len(self), 2):
            found = [version(self.path(index)) for index in range(len(self))]
            versions = np.array(found, np.int64)
        return replace(self, versions=versions)

    def change(self, index: int) -> str | None:
        """Say that a photo is another one than when the scan began; None where it is not."""
        if self.versions is None:
            return None
        now, before = version(self.path(index)), tuple(self.versions[index].tolist())
        return None if now == before else (GONE if now[1] < 0 else CHANGED)

    def digest(self) -> str:
        """Return a number (hexadecimal) that names and classes together determine."""
        return names_digest(self.names, self.classes)


def names_digest(names: tuple[str, ...], classes: np.ndarray) -> str:
    """Return a number (hexadecimal) for a list's names and classes."""
    text = "\0".join(names).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text + b"\0\0" + classes.astype("<i8").tobytes()).hexdigest()


def read_images(folder: str, list_file: str) -> ImageList:
    """Read a list of images, or walk the folder where the list is `-`.

    Parameters
    ----------
    folder : str
        What the names are relative to.
    list_file : str
        Text in UTF-8, one image a line: its path and its class, or its path alone. A tab
        between the two lets paths hold spaces. Classes are whole numbers; where any is not,
        all are names and get the numbers of their sorted order.

    Returns
    -------
    ImageList
        In the order of the list; of a folder, sorted by path, class = folder.

    Raises
    ------
    FindMaxesError
        The folder or the list cannot be read or is empty, or a line is neither form.
    """
    if not os.path.isdir(folder):
        raise FindMaxesError(f"DATADIR {folder} is not a folder; name the one with the images")
    found = list(_walk(folder) if list_file == WALK else _read(list_file))
    if not found:
        what = f"the folder {folder} holds no picture" if list_file == WALK else None
        raise FindMaxesError(
            what or f"the list {list_file} is empty; it needs one line 'path class' an image"
        )
    classes, class_names = _numbered([label for _, label in found])
    return ImageList(folder, tuple(name for name, _ in found), classes, class_names)


def _read(list_file: str) -> Iterator[tuple[str, str]]:
    try:
        text = Path(list_file).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FindMaxesError(f"the list {list_file} cannot be read: {reason_of(error)}") from error
    except UnicodeDecodeError as error:
        raise FindMaxesError(f"the list {list_file} is not a text file (UTF-8)") from error
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _entry(line.rstrip("\r"), f"{list_file}, line {number}")


def _entry(line: str, where: str) -> tuple[str, str]:
    if "\0" in line:
        raise FindMaxesError(f"{where}: a zero byte can't be part of a path")
    if "\t" in line:
        name, label = line.rsplit("\t", 1)
        if not name.strip():
            raise FindMaxesError(f"{where}: there is no path before the tab")
        return name, label.strip()
    words = line.split()
    if len(words) > 2:
        raise FindMaxesError(
            f"{where} has {len(words)} words, not 'path class'; where a path holds spaces, put "
            "a tab between it and the class (or at the end)"
        )
    return words[0], words[1] if len(words) == 2 else ""


def _walk(folder: str) -> list[tuple[str, str]]:
    """List all pictures but hidden ones; folders reached by links are walked once, too."""
    found, seen = [], set()
    for here, folders, files in os.walk(folder, followlinks=True, onerror=_cannot_list):
        real = os.path.realpath(here)
        if real in seen:  # a link back up
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        label = os.path.relpath(here, folder)
        for name in files:
            if not name.startswith(".") and looks_like_picture(os.path.join(here, name)):
                path = name if label == os.curdir else os.path.join(label, name)
                found.append((path, "" if label == os.curdir else label))
    return sorted(found)


def _cannot_list(error: OSError) -> None:
    raise FindMaxesError(f"the folder {error.filename} cannot be listed: {reason_of(error)}")


def _numbered(labels: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Turn classes into numbers, and return the names where they are names."""
    if all(not label or _WHOLE_NUMBER.match(label) for label in labels):
        return np.array([int(label) if label else -1 for label in labels], np.int64), ()
    names = tuple(sorted(set(labels) - {""}))
    number = {name: i for i, name in enumerate(names)} | {"": -1}
    return np.array([number[label] for label in labels], np.int64), names
