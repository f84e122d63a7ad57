"""What is measured of pictures and of what a network makes of them: NumPy alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

_LUMA = (0.299, 0.587, 0.114)
_LOWEST = 2  # cycles an image: below it a picture has too few coefficients to average
_LEAST_APART = 0.02  # of two mean cosines: below it their quotient says nothing
LEAST_SIDE = 24  # pixels: of a smaller picture no slope is taken


def contrast(rgb: npt.NDArray[np.uint8]) -> float:
    """Return the standard deviation of a picture's values, in grey levels."""
    return float(rgb.std())


def spectrum_slope(rgb: npt.NDArray[np.uint8]) -> float:
    """Return the slope of the power spectrum of a picture's luma, both in logarithms.

    A straight line is fitted to the mean power at 2, 3, ... cycles an image, up to half a cycle
    a pixel. Photos have about -2.8 to -3 at 224 pixels. NaN for a picture under 24 pixels.
    """
    side = min(rgb.shape[:2])
    if side < LEAST_SIDE:
        return float("nan")
    luma = rgb.astype(np.float64) @ np.array(_LUMA)
    power = np.abs(np.fft.fft2(luma - luma.mean())) ** 2
    rows, columns = (np.fft.fftfreq(size) for size in luma.shape)
    ring = np.rint(np.hypot(rows[:, None], columns) * side).astype(int)
    sums, counts = np.bincount(ring.ravel(), power.ravel()), np.bincount(ring.ravel())
    cycles = np.arange(_LOWEST, side // 2)
    means = sums[cycles] / counts[cycles]
    return float(np.polyfit(np.log(cycles), np.log(np.maximum(means, 1e-12)), 1)[0])


def cosines(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the cosine of each row of `a` (n, k) with each of `b` (m, k): (n, m)."""
    a, b = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (a, b))
    return np.asarray(a @ b.T)


def mean_between(rows: FloatArray) -> float:
    """Return the mean cosine of different rows (n, k); NaN for a single one."""
    n = len(rows)
    if n < 2:
        return float("nan")
    found = cosines(rows, rows)
    return float((found.sum() - np.trace(found)) / (n * (n - 1)))


def likeness(images: FloatArray, top: FloatArray, others: FloatArray) -> FloatArray:
    """Return mean cosines of images, of other photos, and of top photos, each with top photos.

    Parameters
    ----------
    images, top, others : ndarray, shape (n, channels)
        A layer's activations for a unit's images, its top photos, and photos taken at random.

    Returns
    -------
    ndarray, shape (3,)
    """
    return np.array([cosines(images, top).mean(), cosines(others, top).mean(), mean_between(top)])


def path_similarity(found: Sequence[FloatArray]) -> float:
    """Return how much a layer takes images of units for the units' top photos.

    0 where they are no more like these than any photos are, 1 where they are as like them as
    they are among themselves; after Geirhos et al. (2023), whose measure is of classes. NaN where
    the layer hardly tells top photos from others.

    Parameters
    ----------
    found : sequence of ndarray, shape (3,)
        Each unit's `likeness`.
    """
    images, usual, own = np.mean(found, axis=0)
    return float((images - usual) / (own - usual)) if own - usual > _LEAST_APART else float("nan")


def diversity(maps: FloatArray) -> float:
    """Return how images differ in style: 1 - mean cosine of their Gram matrices.

    Parameters
    ----------
    maps : ndarray, shape (n, channels, positions)
        A layer's activations.
    """
    grams = maps @ maps.transpose(0, 2, 1)
    return 1 - mean_between(grams.reshape(len(grams), -1))


def names(label: str) -> frozenset[str]:
    """Return the names in a line of labels: `n02106662 German shepherd, alsatian` has two."""
    text = re.sub(r"^n\d{8}\s+", "", label.strip()).replace("_", " ").lower()
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def rank(values: FloatArray, labels: Sequence[str], wanted: str) -> int | None:
    """Return how many classes are stronger than those that share a name with `wanted`.

    None where no class does.
    """
    same = [i for i, label in enumerate(labels[: len(values)]) if names(label) & names(wanted)]
    return int((values > values[same].max()).sum()) if same else None
