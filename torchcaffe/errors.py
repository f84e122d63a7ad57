"""Exceptions: each also is the kind of exception that pycaffe raises in its place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CaffeError(Exception):
    """Base of every error of this package; its text is one sentence for the user."""

    def __str__(self) -> str:
        """Return the sentence, one line whatever names it holds (KeyError would quote it)."""
        text = str(self.args[0]) if self.args else ""
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class FileError(CaffeError, RuntimeError):
    """A file is missing, unreadable, or not what it should be."""


class DefinitionError(CaffeError, ValueError):
    """The net's definition (prototxt) cannot be built."""


class ShapeError(CaffeError, ValueError):
    """An array, a blob or a parameter has a shape that does not fit."""


class ArgumentError(CaffeError, ValueError):
    """An argument of a call does not fit the net."""


class KindError(CaffeError, TypeError):
    """An argument is of another kind than the call takes."""


class LayerError(CaffeError, RuntimeError):
    """A layer could not compute: out of memory, or sizes that its operator refuses."""


class UnknownNameError(CaffeError, KeyError, ValueError):
    """A layer or blob of that name does not exist.

    pycaffe looks blobs up in a dictionary (KeyError) and `start` and `end` in a list
    (ValueError).
    """


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """Build the error for a name that is not among `known`, naming the nearest."""
    names = list(known)
    near = difflib.get_close_matches(str(name), names, 3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names[:40])}"
    return UnknownNameError(f"there is no {kind} {name!r} in this net; {hint}")
