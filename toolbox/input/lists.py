"""List files: text that names the pictures to show, one or a pair of them a line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

Paths = tuple[str, ...]
"""The file of one picture, or the two of a pair."""

_SEPARATORS = re.compile(r"[ \t,;]+")


class FilesError(Exception):
    """A folder or list that cannot be read; the message is one sentence."""


def read_list(list_file: str, pairs: bool = False, folder: str | None = None) -> list[Paths]:
    """Read a list of files.

    Parameters
    ----------
    list_file : str
        Text, UTF-8: one path a line, or two. A class label after them is
        skipped, `#` begins a comment line.
    pairs : bool
        Two paths a line, separated by a tab, a comma or spaces. Names with
        spaces need the tab, or the comma where both files exist.
    folder : str, optional
        Where relative paths are looked up that are not beside the list.

    Returns
    -------
    list of tuple of str
        One or two paths an entry, in the list's order, whether they exist or not.

    Raises
    ------
    FilesError
        The list cannot be read, is empty, or has a line with half a pair.
    """
    bases = [Path(list_file).absolute().parent, *([Path(folder)] if folder else [])]
    found: list[Paths] = []
    for number, line in _lines(list_file):
        if not pairs:
            found.append((_entry(line, bases),))
            continue
        names = _names(line, bases)
        if len(names) < 2:
            raise FilesError(
                f"Line {number} of the list {list_file} names one file, {names[0]!r}; a pair needs "
                "two, separated by a tab, a comma or spaces."
            )
        found.append((_place(names[0], bases), _place(names[1], bases)))
    if not found:
        what = "two paths" if pairs else "one path"
        raise FilesError(f"The list {list_file} names no file; it needs {what} a line.")
    return found


def _lines(list_file: str) -> Iterator[tuple[int, str]]:
    """Read the lines that name files, with their numbers from 1."""
    try:
        text = Path(list_file).read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise FilesError(f"The list {list_file} cannot be read: {reason}.") from error
    except UnicodeDecodeError as error:
        raise FilesError(f"The list {list_file} is not a text file (UTF-8).") from error
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def _names(line: str, bases: Sequence[Path]) -> list[str]:
    """Split a line of a pair list; what follows the second name is a label."""
    if "\t" in line:
        return [name.strip() for name in line.split("\t") if name.strip()]
    by_comma = [name.strip() for name in line.split(",") if name.strip()]
    if len(by_comma) > 1 and all(_exists(name, bases) for name in by_comma[:2]):
        return by_comma
    return [name for name in _SEPARATORS.split(line) if name]


def _entry(line: str, bases: Sequence[Path]) -> str:
    """Find the path in a line: all of it where that exists, else up to a label."""
    if _exists(line, bases):
        return _place(line, bases)
    parts = _SEPARATORS.split(line)
    for count in range(len(parts) - 1, 0, -1):
        begun = line[: _end_of(line, count)]
        if _exists(begun, bases):
            return _place(begun, bases)
    return _place(parts[0] if _looks_labelled(parts) else line, bases)


def _exists(name: str, bases: Sequence[Path]) -> bool:
    return any((base / name).exists() for base in bases)


def _place(name: str, bases: Sequence[Path]) -> str:
    """Look a name up in each folder; beside the list where it is in none."""
    return next(
        (str(base / name) for base in bases if (base / name).exists()), str(bases[0] / name)
    )


def _end_of(line: str, count: int) -> int:
    """Return where the first `count` words of a line end."""
    ends = [match.start() for match in _SEPARATORS.finditer(line)]
    return ends[count - 1]


def _looks_labelled(parts: Sequence[str]) -> bool:
    return len(parts) == 2 and Path(parts[0]).suffix != ""
