"""The table of what an export has written: `written.csv`, and whether a line still holds."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from caffevis.export.errors import ExportError

NAME = "written.csv"


@dataclass(frozen=True)
class Line:
    """One export.

    Parameters
    ----------
    photo, layer, unit, what : str
        Which.
    cam_layer : str
        Of Grad-CAM; else empty.
    value : str
        The unit's value: of a map, the highest.
    png, npy : str
        Files, below the folder; empty where there is none.
    note : str
        Why.
    """

    photo: str
    layer: str
    unit: str
    what: str
    cam_layer: str
    value: str
    png: str
    npy: str
    note: str

    @property
    def key(self) -> tuple[str, ...]:
        """What it is of."""
        return (self.photo, self.layer, self.unit, self.what, self.cam_layer)

    def holds(self, folder: Path) -> bool:
        """Whether its files are there."""
        return all((folder / name).is_file() for name in (self.png, self.npy) if name)


HEAD = tuple(field.name for field in fields(Line))


def read(folder: Path) -> dict[tuple[str, ...], Line]:
    """Read what earlier runs have written, by key; lines whose files are gone are left out.

    Raises
    ------
    ExportError
        There is a table of that name that is none of this program's.
    """
    path = folder / NAME
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ExportError(f"{path} cannot be read: {_reason(error)}") from error
    if rows[:1] != [list(HEAD)] or any(len(row) != len(HEAD) for row in rows):
        raise ExportError(f"{path} is no table of this program; --out names another folder")
    lines = [Line(*row) for row in rows[1:]]
    return {line.key: line for line in lines if line.holds(folder)}


def write(folder: Path, lines: dict[tuple[str, ...], Line]) -> None:
    """Write the table, sorted, beside its place and rename it.

    Raises
    ------
    ExportError
        The system refuses.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    writer.writerows(astuple(lines[key]) for key in sorted(lines))
    save(folder / NAME, out.getvalue().encode("utf-8", "backslashreplace"))


def save(path: Path, data: bytes) -> None:
    """Write a file beside its place and rename it.

    Raises
    ------
    ExportError
        The system refuses.
    """
    beside = path.with_name(f"{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(data)
        os.replace(beside, path)
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return (error.strerror or type(error).__name__).lower()
    return "it is no table in UTF-8"
