"""Which class a unit answers to: the one of highest d', chosen on one half of the photos.

d' (d-prime, of signal detection) is how far the mean of a class's maxima lies above that of all
other classes, in standard deviations:

    d' = (mean of the class - mean of the rest) / sqrt((variance of the class + of the rest) / 2)

The class is chosen on the first half of the photos and its d' measured on the second, so that the
best of many classes is not flattered by chance. The same is done with classes handed out at
random (`lots.py`). On the second half, d' of a random class of n photos among m others scatters
around zero as sqrt(1/n + 1/m); in these units, a label must lie above 99 % of the layer's
shuffled classes, and above the same share of a normal distribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from find_maxes.labels.class_sums import ClassSums
from find_maxes.labels.lots import LEAST

TOP = 100  # images of which the label's share is counted
SHARE = 99  # per cent of the shuffled classes that a label must lie above
NORMAL = 2.326  # the same of a normal distribution
MOST = 99.0  # d' is cut there: a class and a rest without any variance differ infinitely
_FLAT = 1e-5  # of the largest mean square: variances below are rounding

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of the units of a layer.

    Attributes
    ----------
    classes : ndarray of int64, shape (units,)
        Dense number of the class; -1 for none.
    dprime : ndarray of float32, shape (units,)
        Its d' on the second half; NaN where there is no label.
    share : ndarray of float32, shape (units,)
        Of the unit's `TOP` images, how many are of the class; NaN where there is no label.
    shuffled : float
        Share of the units that would get a label from shuffled classes.
    """

    classes: NDArray[np.int64]
    dprime: NDArray[np.float32]
    share: NDArray[np.float32]
    shuffled: float


@dataclass(frozen=True, eq=False)
class Half:
    """Both kinds of classes on one half of the photos.

    Attributes
    ----------
    dprime : ndarray of float64, shape (classes, units)
        Of each class against the rest.
    counts : ndarray of float64, shape (classes,)
        Photos.
    total : float
        Photos of all classes.
    """

    dprime: Floats
    counts: Floats
    total: float

    def z(self) -> Floats:
        """Return d' in standard deviations of what chance gives; minus infinity where too few."""
        enough = self.counts >= LEAST
        others = np.maximum(self.total - self.counts, 1)
        scatter = np.sqrt(1 / np.maximum(self.counts, 1) + 1 / others)
        return np.where(enough[:, None], self.dprime / scatter[:, None], -np.inf)


def halves(sums: ClassSums) -> tuple[list[Half], list[Half]]:
    """Return the true classes on both halves of the photos, and the shuffled ones."""
    counts = sums.counts.cpu().numpy().astype(np.float64)
    added, squares = (s.totals().cpu().numpy() for s in (sums.sums, sums.squares))
    step = len(counts) // 2
    true: list[Half] = []
    mixed: list[Half] = []
    for start in (0, step):
        middle, stop = start + sums.classes, start + step
        whole = tuple(part[start:middle].sum(0) for part in (counts, added, squares))
        for found, (first, last) in ((true, (start, middle)), (mixed, (middle, stop))):
            own = (counts[first:last], added[first:last], squares[first:last])
            found.append(Half(dprime(own, whole), own[0], float(whole[0])))
    return true, mixed


def dprime(own: tuple[Floats, Floats, Floats], whole: tuple[Floats, Floats, Floats]) -> Floats:
    """Work out d' of classes against the rest.

    Parameters
    ----------
    own : (ndarray, ndarray, ndarray), of shapes (classes,), (classes, units), (classes, units)
        Number of images, sum and sum of squares of their maxima.
    whole : (ndarray, ndarray, ndarray), of shapes (), (units,), (units,)
        The same of all images.

    Returns
    -------
    ndarray of float64, shape (classes, units)
        Between `-MOST` and `MOST`; zero where nothing varies.
    """
    count = own[0][:, None]
    mean, spread = _moments(count, own[1], own[2])
    others, scatter = _moments(whole[0] - count, whole[1] - own[1], whole[2] - own[2])
    least = _FLAT**2 * np.abs(whole[2]) / max(float(whole[0]), 1.0)
    scale = np.sqrt((spread + scatter) / 2 + least)
    apart = mean - others
    found = np.divide(apart, scale, out=np.zeros_like(apart), where=scale > 0)
    return np.asarray(found.clip(-MOST, MOST))


def _moments(count: Floats, added: Floats, squares: Floats) -> tuple[Floats, Floats]:
    """Return mean and variance; zero where there is no image."""
    count = np.maximum(count, 1)
    mean = added / count
    return mean, np.maximum(squares / count - mean**2, 0)


def name_units(sums: ClassSums, top_classes: NDArray[np.int64]) -> Labels:
    """Find the labels of a layer's units.

    Parameters
    ----------
    sums : ClassSums
        Of the layer's units.
    top_classes : ndarray of int64, shape (units, TOP or fewer)
        Dense class numbers of each unit's top images, -1 where there is none.
    """
    true, mixed = halves(sums)
    alive = ~sums.broken.cpu().numpy()
    bar = _bar(mixed[1])
    label, passed = _choose(true, bar)
    passed &= alive
    _, luck = _choose(mixed, bar)
    label = np.where(passed, label, -1)
    units = np.arange(len(label))
    measured = true[1].dprime[label, units] if len(true[1].dprime) else np.zeros(len(label))
    known = np.maximum((top_classes >= 0).sum(1), 1)
    share = (top_classes == label[:, None]).sum(1) / known
    none = np.float32(np.nan)
    return Labels(
        label.astype(np.int64),
        np.where(passed, measured, none).astype(np.float32),
        np.where(passed, share, none).astype(np.float32),
        float(luck[alive].mean()) if alive.any() else 0.0,
    )


def _bar(mixed: Half) -> float:
    """Return how many standard deviations of chance a label must be above zero."""
    found = mixed.z()
    found = found[np.isfinite(found)]
    return max(NORMAL, float(np.percentile(found, SHARE))) if found.size else NORMAL


def _choose(both: list[Half], bar: float) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Choose each unit's class on the first half; say whether it passes on the second.

    A class must have enough images in both halves, and be above zero in the first.
    """
    first, second = both
    enough = (first.counts >= LEAST) & (second.counts >= LEAST)
    units = np.arange(first.dprime.shape[1])
    if not enough.any():
        return np.full(len(units), -1), np.zeros(len(units), bool)
    known = np.where(enough[:, None], first.dprime, -np.inf)
    best = known.argmax(0)
    passed = (known[best, units] > 0) & (second.z()[best, units] > bar)
    return best, passed
