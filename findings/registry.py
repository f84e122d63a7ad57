"""The findings by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from findings.lab import Lab
from toolbox.pictures.images import Image


@dataclass(frozen=True)
class Found:
    """What a finding shows.

    Parameters
    ----------
    head : sequence of str
        Names of the table's columns.
    rows : sequence of sequences
        Its cells; numbers are printed with three digits.
    said : str
        The finding in a sentence or two, with the numbers in it.
    picture : ndarray of uint8, shape (h, w, 3), optional
        RGB.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    said: str
    picture: Image | None = field(default=None)

    def table(self) -> str:
        """Lay the rows out for the terminal."""
        lines = [list(self.head), *([_cell(value) for value in row] for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.head))]
        return "\n".join(
            "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "-" if value != value else f"{value:.3g}"
    return str(value)


@dataclass(frozen=True)
class Finding:
    """A row of the registry."""

    name: str
    question: str
    find: Callable[[Lab], Found]


FINDINGS: dict[str, Finding] = {}


def finding(name: str, question: str) -> Callable[[Callable[[Lab], Found]], Callable[[Lab], Found]]:
    """Return a decorator that puts a finding into the registry."""

    def register(find: Callable[[Lab], Found]) -> Callable[[Lab], Found]:
        FINDINGS[name] = Finding(name, question, find)
        return find

    return register
