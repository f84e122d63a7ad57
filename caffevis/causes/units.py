"""Units of a blob as arrays: first image, units first, as maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from caffevis.model.layer_list import NetLike, image_of
from toolbox.drawing.tiles import as_maps
from toolbox.pictures.images import FloatArray


def finite(values: FloatArray) -> FloatArray:
    """Return values with zero where there is no number, as such places are drawn."""
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)


class Units:
    """Where a net's units are.

    Parameters
    ----------
    net : NetLike
        The net.
    """

    def __init__(self, net: NetLike) -> None:
        self._net = net
        self._layouts: Mapping[str, Any] = dict(getattr(net, "layouts", {}))

    def first(self, layer: str, values: FloatArray) -> FloatArray:
        """Return a view of a blob's first image with the units first."""
        layout = self._layouts.get(layer)
        image = image_of(values)
        return image if layout is None else layout.units_first(image)

    def shown(self, layer: str, values: FloatArray) -> FloatArray:
        """Return the first image as it is shown: units first, tokens as a square."""
        layout = self._layouts.get(layer)
        image = image_of(values)
        return image if layout is None else layout.maps(image)

    def maps(self, layer: str, values: FloatArray) -> FloatArray:
        """Return the first image as (units, rows, columns)."""
        return as_maps(self.shown(layer, values))

    def data(self, layer: str) -> FloatArray:
        """Return what a blob holds as (units, rows, columns)."""
        return self.maps(layer, self._net.blobs[layer].data)

    def sums(self, layer: str, values: FloatArray) -> FloatArray:
        """Return the sum over each unit's values, of tokens in no map too."""
        first = self.first(layer, values)
        sums: FloatArray = first.reshape(len(first), -1).sum(axis=1, dtype=np.float64)
        return sums

    def at(self, layer: str, flat: int) -> tuple[int, int, int] | None:
        """Return unit, row and column of the value with a number; None where it is in no map."""
        maps = self.maps(layer, self._numbers(layer))
        found = np.argwhere(maps == flat)
        return (int(found[0][0]), int(found[0][1]), int(found[0][2])) if len(found) else None

    def number(self, layer: str, unit: int, row: int, column: int) -> int:
        """Return the number of a value in the first image."""
        return int(self.maps(layer, self._numbers(layer))[unit, row, column])

    def _numbers(self, layer: str) -> Any:
        shape = tuple(int(size) for size in self._net.blobs[layer].shape)
        image = shape if len(shape) <= 1 else shape[1:]
        return np.arange(int(np.prod(image))).reshape(shape if len(shape) <= 1 else (1, *image))
