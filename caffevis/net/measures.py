"""What is counted and found in a layer's activations: dead units, range, strongest places."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from toolbox.pictures.images import FloatArray

TOP = 5  # how many units and positions are marked
FAINT = 0.1  # a position counts from this share of the way from the map's minimum to its maximum


@dataclass(frozen=True)
class LayerStats:
    """A layer's activations on one picture, in short.

    Parameters
    ----------
    units : int
        Number of units.
    dead : int or None
        How many units are dead on this picture: their map is nowhere above
        zero. Counted only where the layer has no negative value, as behind a
        ReLU: elsewhere a value below zero is as much an answer as one above,
        and this is None.
    low, high : float
        Smallest and largest value of the layer.
    """

    units: int
    dead: int | None
    low: float
    high: float

    def text(self) -> str:
        """Say it for the status line: `dead 12/256, 0 to 5.2`."""
        dead = "" if self.dead is None else f"dead {self.dead}/{self.units}, "
        return f"{dead}{self.low:.3g} to {self.high:.3g}"


def layer_stats(maps: FloatArray) -> LayerStats:
    """Measure a layer, in one pass for the maxima and one for the minimum.

    Parameters
    ----------
    maps : ndarray of float32, shape (units, h, w)
        One picture's activations.

    Returns
    -------
    LayerStats
        Where a broken net computed NaN, the range is NaN, and no unit is called dead.
    """
    peaks = maps.reshape(len(maps), -1).max(axis=1)
    low = float(maps.min())
    dead = int(np.count_nonzero(peaks <= 0)) if low >= 0 else None
    return LayerStats(len(maps), dead, low, float(peaks.max()))


def top_units(maps: FloatArray, count: int = TOP) -> list[int]:
    """Find the units with the highest activation anywhere in their map.

    Parameters
    ----------
    maps : ndarray of float32, shape (units, h, w)
        One picture's activations.
    count : int
        At most so many.

    Returns
    -------
    list of int
        Highest first, equal ones in their order; none whose map is everywhere
        the layer's minimum.
    """
    finite = np.nan_to_num(maps, nan=0.0, posinf=0.0, neginf=0.0)
    peaks = finite.reshape(len(maps), -1).max(axis=1)
    order = np.argsort(-peaks, kind="stable")[:count]
    low = finite.min()
    return [int(unit) for unit in order if peaks[unit] > low]


def top_positions(unit_map: FloatArray, count: int = TOP) -> list[tuple[int, int]]:
    """Find the strongest positions of a unit: the highest of its local maxima.

    A position counts where none of its eight neighbours is higher, so that one
    blob is marked once, and where the map is not faint (`FAINT`).

    Parameters
    ----------
    unit_map : ndarray of float32, shape (h, w)
        One unit's activations.
    count : int
        At most so many.

    Returns
    -------
    list of (int, int)
        Row and column, highest first; none in a map that is the same everywhere.
    """
    values = np.nan_to_num(unit_map, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    around = cv2.dilate(values, np.ones((3, 3), np.uint8))
    faint = low + FAINT * (high - low)
    places = np.flatnonzero((values == around) & (values > faint))
    order = places[np.argsort(-values.flat[places], kind="stable")[:count]]
    return [(int(place) // values.shape[1], int(place) % values.shape[1]) for place in order]


def strongest(unit_map: FloatArray) -> tuple[int, int]:
    """Return row and column of a unit's largest value, the first where several are equal."""
    values = np.nan_to_num(unit_map, nan=0.0, posinf=0.0, neginf=0.0)
    row, column = divmod(int(values.argmax()), values.shape[1])
    return row, column
