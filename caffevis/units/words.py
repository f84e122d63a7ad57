"""What units answer to, in words: the table `labels/labels.csv` beside the images of units.

`python -m find_maxes.crop_max_patches --unit-jpg-dir` writes it of a scan with `--labels` or
`--quantiles` (docs/find_maxes.md).
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from caffevis.units.image_paths import UnitFolder
from toolbox.pictures.stamp import StampError, made_from_another, read_stamp, stamp_of

FOLDER, NAME = "labels", "labels.csv"
_FIXED = ("layer", "unit", "label", "d'", "share of top 100", "silent")
LEVELS = ("p1", "p10", "p50", "p90", "p99")  # that are told


@dataclass(frozen=True)
class Words:
    """What is known of a unit; NaN where a number is not.

    Parameters
    ----------
    label : str
        The class that it answers to; empty for none.
    dprime, share : float
        d' of the class, and its share of the unit's 100 strongest photos.
    silent : float
        Share of photos on which it is silent.
    levels : tuple of float
        Its maxima at the percentiles of `LEVELS`.
    """

    label: str = ""
    dprime: float = math.nan
    share: float = math.nan
    silent: float = math.nan
    levels: tuple[float, ...] = ()

    def parts(self) -> list[str]:
        """Return what is known, in a few words each."""
        found = []
        if self.label:
            found.append(f"{self.label} (d' {self.dprime:.1f})")
        if not math.isnan(self.silent):
            found.append(f"silent on {100 * self.silent:.0f} % of photos")
        return found

    def lines(self) -> tuple[str, ...]:
        """Return all of it, a line each."""
        found = []
        if self.label:
            found.append(f"answers to {self.label}: d' {self.dprime:.1f}")
            found.append(f"{100 * self.share:.0f} of its 100 strongest photos")
        elif not math.isnan(self.silent):
            found.append("no class above chance")
        found += self.parts()[1:] if self.label else self.parts()
        if not any(map(math.isnan, self.levels)):
            found += [
                f"{name[1:]} % of photos are below {level:.3g}"
                for name, level in zip(LEVELS, self.levels, strict=False)
            ]
        return tuple(found)


Table = Mapping[str, Mapping[int, Words]]


def read_words(folder: UnitFolder) -> tuple[Table, str]:
    """Read the table of a folder of unit images.

    Returns
    -------
    dict of str to dict of int to Words, str
        By layer and unit; empty where there is none. And what is wrong with it, in a sentence.
    """
    if folder.root is None:
        return {}, ""
    place = Path(folder.root) / FOLDER
    path = place / NAME
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}, ""
    except (OSError, UnicodeDecodeError) as error:
        return {}, f"{path} cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}"
    try:
        if foreign := _foreign(place, folder):
            return {}, f"{path} was {foreign}; {_CURE}"
        return parse(text), ""
    except StampError as error:
        return {}, str(error)
    except (ValueError, KeyError, csv.Error):
        return {}, f"{path} is no table of labels; {_CURE}"


_CURE = "python -m find_maxes.crop_max_patches --unit-jpg-dir makes it anew"


def _foreign(place: Path, folder: UnitFolder) -> str:
    """Say from which other network the table was made; empty where not."""
    model = folder.model
    if model is None or not all(Path(name).is_file() for name in model):
        return ""
    root = folder.root or ""
    return made_from_another(place, root, stamp_of(*model)) if read_stamp(place, root) else ""


def parse(text: str) -> Table:
    """Read the table's text.

    Raises
    ------
    ValueError, KeyError
        It is none.
    """
    rows = csv.reader(io.StringIO(text))
    head = next(rows, [])
    at = {name: head.index(name) for name in (*_FIXED, *LEVELS)}
    found: dict[str, dict[int, Words]] = {}
    for row in rows:
        if len(row) != len(head):
            raise ValueError("a line has another number of fields")
        dprime, share, silent, *levels = (
            float(row[at[name]] or "nan") for name in (*_FIXED[3:], *LEVELS)
        )
        words = Words(row[at["label"]], dprime, share, silent, tuple(levels))
        found.setdefault(row[at["layer"]], {})[int(row[at["unit"]])] = words
    return found
