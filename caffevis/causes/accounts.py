"""Where a number comes from: the account of a unit's value, and where its largest part leads."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffevis.causes.asked import Account, Part, Question
from caffevis.causes.below import way_down
from caffevis.causes.engine import account, is_bundled
from caffevis.causes.units import Units, finite
from caffevis.keys.causes import Place

TOP = 5
NOT_HERE = "where a number comes from is known of the bundled engine only"


def explain(net: Any, units: Units, question: Question, held: bool = False) -> Account:
    """Explain a value by the layer below.

    Parameters
    ----------
    net : NetLike
        After a forward pass.
    units : Units
        Where its units are.
    question : Question
        Of kind `SOURCE`.
    held : bool
        Whether a lesion sets the unit.
    """
    if not is_bundled(net):
        return Account(question, note=NOT_HERE)
    if held:
        return Account(question, note=f"a lesion sets {question.layer}:{question.unit}")
    place = question.place or _strongest(units, question)
    way = way_down(net, units, place)
    if way.stop:
        return Account(question, at=place, note=f"no account: {way.stop}")
    at = way.place
    found = account(net, way.layer, at.unit, at.row, at.column)
    if not np.isfinite(found.parts).all():
        return Account(question, at=at, note=f"{found.below} or its weights have no numbers")
    order = np.argsort(-np.abs(found.parts), kind="stable")[:TOP]
    chosen = [int(unit) for unit in order if found.parts[unit]]
    parts = tuple(
        Part(unit, float(found.parts[unit]), found.patch[unit], found.kernel[unit])
        for unit in chosen
    )
    below = _named(net, found.below)
    down, down_way = None, ""
    if parts:
        down, down_way = _lead(net, units, found.below, found.corner, parts[0])
    return Account(
        question=question,
        at=at,
        way=way.text(),
        value=found.value,
        bias=found.bias,
        shown=float(units.data(at.layer)[at.unit, at.row, at.column]),
        below=below,
        parts=parts,
        rest=float(found.parts.sum()) - sum(part.value for part in parts),
        others=int(np.count_nonzero(found.parts)) - len(parts),
        down=down,
        down_way=down_way,
    )


def _strongest(units: Units, question: Question) -> Place:
    """Return where the unit's map is largest."""
    unit_map = finite(units.data(question.layer)[question.unit])
    row, column = divmod(int(unit_map.argmax()), unit_map.shape[1])
    return Place(question.layer, question.unit, row, column)


def _named(net: Any, blob: str) -> str:
    """Return a blob's own name, where it is one of the copies that the engine makes."""
    for layer, tops in net.top_names.items():
        if blob in tops and net.layer_dict[layer].type == "Split":
            return str(net.bottom_names[layer][0])
    return blob


def _lead(
    net: Any, units: Units, blob: str, corner: tuple[int, int], part: Part
) -> tuple[Place | None, str]:
    """Follow the largest product of a part down to the layer that made its value."""
    products = np.abs(part.patch * part.kernel)
    row, column = divmod(int(products.argmax()), products.shape[1])
    place = Place(blob, part.unit, corner[0] + row, corner[1] + column)
    way = way_down(net, units, place)
    if way.stop:
        return None, way.stop
    return way.place, way.text()
