"""`labels.csv`: a line for each unit with its label, quantiles and silence."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from find_maxes.errors import FindMaxesError, reason_of
from find_maxes.labels.card import Card
from find_maxes.labels.sample import PERCENTILES
from toolbox.pictures.stamp import Stamp, read_stamp, write_stamp
from toolbox.pictures.whole_file import write_whole

NAME, FOLDER = "labels.csv", "labels"
HEAD = ("layer", "unit", "label", "d'", "share of top 100", "silent",
        *(f"p{level}" for level in PERCENTILES))  # fmt: skip


def table(
    cards: Mapping[str, Card], names: Sequence[str], kept: Sequence[Sequence[str]] = ()
) -> str:
    """Return the table as text: rows that are kept first; a field is empty where not known."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    writer.writerows(kept)
    for layer, card in cards.items():
        for unit in range(_units(card)):
            writer.writerow([layer, unit, *_fields(card, unit, names)])
    return out.getvalue()


def _units(card: Card) -> int:
    known = card.label if card.label is not None else card.silent
    return 0 if known is None else len(known)


def _fields(card: Card, unit: int, names: Sequence[str]) -> list[str]:
    number = -1 if card.label is None else int(card.label[unit])
    levels = [math.nan] * len(PERCENTILES) if card.quantiles is None else card.quantiles[unit]
    numbers = [_at(card.label_dprime, unit), _at(card.label_share, unit), _at(card.silent, unit)]
    return [names[number] if number >= 0 else "", *map(_text, [*numbers, *levels])]


def _at(values: np.ndarray | None, unit: int) -> float:
    return math.nan if values is None else float(values[unit])


def _text(number: float) -> str:
    return "" if math.isnan(number) else f"{number:.4g}"


def add_table(path: Path, cards: Mapping[str, Card], names: Sequence[str], stamp: Stamp) -> None:
    """Write the table among the app's images, and which network it is of.

    Lines of other layers, which an earlier scan of the same network has left, are kept.
    """
    folder, kept = path.parent, []
    before = read_stamp(folder, folder)
    if before is not None and before.same(stamp) and path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        kept = [row for row in rows[1:] if len(row) == len(HEAD) and row[0] not in cards]
    write_table(path, cards, names, kept)
    write_stamp(folder, stamp)


def write_table(
    path: Path,
    cards: Mapping[str, Card],
    names: Sequence[str],
    kept: Sequence[Sequence[str]] = (),
) -> None:
    """Write the table beside its place and rename it.

    Raises
    ------
    FindMaxesError
        The system refuses.
    """
    try:
        write_whole(path, table(cards, names, kept))
    except OSError as error:
        raise FindMaxesError(f"{path} cannot be written: {reason_of(error)}") from error
