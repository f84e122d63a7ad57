"""How often the selected unit took which values, over the frames seen.

Bins are powers of two wide and lie at multiples of their width. Where values fall
outside, the bins double and pairs of them are joined: no value counted before is
lost or moved to another bin than it would be counted in now.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caffevis.keys.state import Origin, State
from caffevis.net.request import NetResult
from toolbox.drawing.tiles import as_maps
from toolbox.input.frame import Frame
from toolbox.pictures.images import FloatArray

BINS = 64  # at most; at least half as many once the values differ
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counted values.

    Parameters
    ----------
    width : float
        Of a bin, a power of two.
    first : int
        The first bin begins at `first * width`.
    counts : ndarray of int64, shape (bins,)
        How many values each bin holds; neither the first nor the last is empty.
    frames : int
        How many frames they are of.
    """

    width: float
    first: int
    counts: Counts
    frames: int

    @property
    def low(self) -> float:
        """Where the first bin begins."""
        return self.first * self.width

    @property
    def high(self) -> float:
        """Where the last bin ends."""
        return (self.first + len(self.counts)) * self.width


def add(histogram: Histogram | None, values: FloatArray) -> Histogram:
    """Count the values of one more frame.

    Parameters
    ----------
    histogram : Histogram or None
        Of the frames before.
    values : ndarray of float32, any shape
        At least one; NaN and infinity count as zero, as they are drawn.

    Returns
    -------
    Histogram
        Of all of them.
    """
    flat = np.nan_to_num(values.astype(np.float64).ravel(), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(flat.min()), float(flat.max())
    if histogram is None:
        width = _first_width(low, high)
        histogram = Histogram(width, math.floor(low / width), np.zeros(0, np.int64), 0)
    first, last = _reach(histogram, low, high)
    while last - first >= BINS:
        histogram = _doubled(histogram)
        first, last = _reach(histogram, low, high)
    indices = (np.floor(flat / histogram.width) - first).astype(np.int64)
    counts = np.bincount(indices, minlength=last - first + 1).astype(np.int64)
    before = histogram.first - first
    counts[before : before + len(histogram.counts)] += histogram.counts
    return Histogram(histogram.width, first, counts, histogram.frames + 1)


def _first_width(low: float, high: float) -> float:
    """Choose a width that gives `BINS` bins or more; of equal values, far more."""
    span = high - low or max(abs(high), 1e-6) / BINS
    return 2.0 ** math.floor(math.log2(span / BINS))


def _reach(histogram: Histogram, low: float, high: float) -> tuple[int, int]:
    """Return the first and the last bin that old and new values need."""
    first, last = math.floor(low / histogram.width), math.floor(high / histogram.width)
    if len(histogram.counts):
        first = min(first, histogram.first)
        last = max(last, histogram.first + len(histogram.counts) - 1)
    return first, last


def _doubled(histogram: Histogram) -> Histogram:
    """Make the bins twice as wide, each of two that were."""
    lead = histogram.first % 2
    tail = (lead + len(histogram.counts)) % 2
    pairs = np.pad(histogram.counts, (lead, tail)).reshape(-1, 2).sum(axis=1)
    return Histogram(histogram.width * 2, histogram.first // 2, pairs, histogram.frames)


@dataclass(frozen=True, eq=False)
class Record:
    """The histogram of a unit, and the last frame counted."""

    unit: Origin
    frame: Frame
    histogram: Histogram


def follow(record: Record | None, state: State, result: NetResult) -> Record | None:
    """Count a result, if it is of another frame than the last.

    Parameters
    ----------
    record : Record or None
        What was counted so far.
    state : State
        With the selected unit; another one than the record's begins anew.
    result : NetResult
        Of the state's layer.

    Returns
    -------
    Record or None
        None while no histogram is wanted.
    """
    if not state.wants_histogram:
        return None
    unit, frame = state.selected, result.request.frame
    before = record.histogram if record is not None and record.unit == unit else None
    if record is not None and before is not None and record.frame is frame:
        return record
    return Record(unit, frame, add(before, as_maps(result.activations)[state.unit]))
