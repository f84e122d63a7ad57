"""`labels.csv`: a line for each unit with its label, quantiles and silence."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from find_maxes.errors import FindMaxesError, reason_of
from find_maxes.labels.card import Card
from find_maxes.labels.sample import PERCENTILES

NAME = "labels.csv"
HEAD = ("layer", "unit", "label", "d'", "share of top 100", "silent",
        *(f"p{level}" for level in PERCENTILES))  # fmt: skip


def table(cards: Mapping[str, Card], names: Sequence[str]) -> str:
    """Return the table as text: a field is empty where nothing is known."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
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


def write_table(path: Path, cards: Mapping[str, Card], names: Sequence[str]) -> None:
    """Write the table beside its place and rename it.

    Raises
    ------
    FindMaxesError
        The system refuses.
    """
    beside = path.with_name(f"{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(table(cards, names), encoding="utf-8", errors="backslashreplace")
        os.replace(beside, path)
    except OSError as error:
        raise FindMaxesError(f"{path} cannot be written: {reason_of(error)}") from error
