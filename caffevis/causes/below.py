"""The way down from a value to a layer that adds up products, through layers that do not.

Only where one value below stands for one above: a pooling's largest, a rectifier's own, a
concatenation's part. Whatever mixes several (a sum of branches, attention) ends the way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from caffevis.causes.engine import SUMMING
from caffevis.causes.units import Units
from caffevis.keys.causes import Place

# Layers whose value is made of one value below; LRN and normalisations weigh it by others.
_OWN = frozenset(
    {"ReLU", "ReLU6", "PReLU", "ELU", "Sigmoid", "TanH", "Swish", "AbsVal", "BNLL", "Power", "Exp"}
    | {"Log", "Clip", "Threshold", "Dropout", "Split", "BatchNorm", "Scale", "Bias", "LRN"}
    | {"InputDeviation"}
)
_VIEWS = frozenset({"Flatten", "Reshape"})


@dataclass(frozen=True)
class Way:
    """Where a way down ends.

    Parameters
    ----------
    place : Place
        The value there.
    layer : str
        The layer that makes it: a sum of products, where `stop` is empty.
    between : tuple of str
        Names and types of the layers passed, the highest first.
    stop : str
        Why it ends at another layer.
    """

    place: Place
    layer: str
    between: tuple[str, ...] = ()
    stop: str = ""

    def text(self) -> str:
        """Say what lies between."""
        return ", ".join(self.between)


def way_down(net: Any, units: Units, place: Place) -> Way:
    """Follow a value down to the layer that adds it up.

    Parameters
    ----------
    net : torchcaffe.Net
        After a forward pass.
    units : Units
        Where its units are.
    place : Place
        In a blob.
    """
    names = list(net.layer_dict)
    between: list[str] = []
    number = max(i for i, name in enumerate(names) if place.layer in net.top_names[name])
    while True:
        layer, node = names[number], net.nodes[number]
        kind = node.layer.type
        if kind in SUMMING:
            return Way(place, layer, tuple(between))
        if node.layer.is_input:
            return Way(place, layer, tuple(between), f"{place.layer} is the input")
        if kind != "Split":
            between.append(f"{layer} ({_called(node.layer)})")
        below = _step(net, units, number, place)
        if below is None:
            stop = f"what goes into a value of {layer} ({_called(node.layer)}) is not followed"
            return Way(place, layer, tuple(between[:-1]), stop)
        place = below
        number = max(i for i in range(number) if place.layer in net.top_names[names[i]])


def _called(layer: Any) -> str:
    return str(getattr(layer, "operator_name", "") or layer.type)


def _step(net: Any, units: Units, number: int, place: Place) -> Place | None:
    """Return the value that one value of a layer's top is made of; None where they are several."""
    node, name = net.nodes[number], list(net.layer_dict)[number]
    kind, bottoms = node.layer.type, net.bottom_names[name]
    if kind in _OWN and len(bottoms) >= 1:
        return Place(bottoms[0], place.unit, place.row, place.column)
    if kind == "Pooling":
        return _largest(net, units, node, bottoms[0], place)
    if kind in _VIEWS:
        flat = units.number(place.layer, place.unit, place.row, place.column)
        found = units.at(bottoms[0], flat)
        return Place(bottoms[0], *found) if found else None
    if kind == "Concat":
        return _part(net, units, bottoms, place)
    return None


def _largest(net: Any, units: Units, node: Any, bottom: str, place: Place) -> Place | None:
    """Return the largest value of a pooling's window, of an average the one of largest amount."""
    unit_map = units.data(bottom)[place.unit]
    shapes = [tuple(blob.dims) for blob in node.bottoms]
    spans = []
    for axis, at in enumerate((place.row, place.column)):
        span = node.layer.field((at, at), axis, 0, shapes)
        last = unit_map.shape[axis] - 1
        spans.append((0, last) if span is None else (max(span[0], 0), min(span[1], last)))
    (top, bottom_row), (left, right) = spans
    window = unit_map[top : bottom_row + 1, left : right + 1]
    if not window.size:
        return None
    amounts = window if node.layer.param.pooling_param.pool == 0 else np.abs(window)
    row, column = divmod(int(amounts.argmax()), window.shape[1])
    return Place(bottom, place.unit, top + row, left + column)


def _part(net: Any, units: Units, bottoms: list[str], place: Place) -> Place | None:
    """Return the value of a concatenation's bottom, where it joins units."""
    unit = place.unit
    whole = units.data(place.layer)
    counts = [units.data(name).shape for name in bottoms]
    if sum(shape[0] for shape in counts) != len(whole):
        return None
    if any(math.prod(shape[1:]) != math.prod(whole.shape[1:]) for shape in counts):
        return None
    for name, shape in zip(bottoms, counts, strict=True):
        if unit < shape[0]:
            return Place(name, unit, place.row, place.column)
        unit -= shape[0]
    return None
