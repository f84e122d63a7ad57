"""Where the ascent starts: the original's three starts, and facets of a unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.cluster.vq import kmeans2

from optimize.errors import OptimizeError

FloatArray = npt.NDArray[np.floating]
Draw = Callable[[np.random.RandomState, FloatArray, float], FloatArray]


def _normal(random: np.random.RandomState, mean: FloatArray, grey: float) -> FloatArray:
    return random.normal(0, 10, mean.shape) * grey


def _uniform(random: np.random.RandomState, mean: FloatArray, grey: float) -> FloatArray:
    return (random.uniform(0, 255, mean.shape)) * grey - mean


def _mean(random: np.random.RandomState, mean: FloatArray, grey: float) -> FloatArray:
    return np.zeros(mean.shape)


DRAWS: dict[str, Draw] = {"mean_plus_rand": _normal, "randu": _uniform, "mean": _mean}


def start(name: str, seed: int, mean: FloatArray, grey: float = 1.0) -> FloatArray:
    """Return the image an ascent starts from, minus the mean.

    Parameters
    ----------
    name : str
        `mean_plus_rand`, `randu` or `mean`.
    seed : int
        Of NumPy's legacy generator: the same draws as the original's.
    mean : ndarray, shape (channels, h, w)
        The mean image, in units of the net's input.
    grey : float
        One grey level in these units.

    Returns
    -------
    ndarray, shape (channels, h, w)
        float64.
    """
    # The original seeds the global generator; its draws are those of RandomState.
    return DRAWS[name](np.random.RandomState(seed), mean, grey)


def facets(
    images: Sequence[FloatArray],
    count: int,
    seed: int = 0,
    features: FloatArray | None = None,
    nearest: int = 15,
) -> list[FloatArray]:
    """Return one start for each facet of a unit, from its top images.

    The images are clustered; a facet's start is the mean of the images nearest to its
    cluster's centre (Nguyen, Yosinski and Clune 2016, multifaceted feature visualisation).

    Parameters
    ----------
    images : sequence of ndarray, shape (channels, h, w)
        The unit's top images, minus the mean.
    count : int
        How many facets.
    seed : int
        Of the clustering.
    features : ndarray, shape (images, n), optional
        What to cluster by, such as a layer's activations; default: the images, coarse.
    nearest : int
        How many images a start is the mean of, at most.

    Returns
    -------
    list of ndarray, shape (channels, h, w)
        At most `count` (a cluster without images is left out), the largest cluster first.

    Raises
    ------
    OptimizeError
        There are fewer images than facets, or they differ in shape.
    """
    if not 1 <= count <= len(images):
        raise OptimizeError(f"{count} facets of {len(images)} images: 1 to that many are accepted")
    if len({image.shape for image in images}) != 1:
        raise OptimizeError("the images for facets must have one size")
    stack = np.stack([np.asarray(image, np.float64) for image in images])
    rows = _coarse(stack) if features is None else np.asarray(features, np.float64)
    centres, labels = kmeans2(rows, count, minit="++", rng=seed, missing="warn")
    sizes = np.bincount(labels, minlength=count)
    starts = []
    for k in np.argsort(-sizes, kind="stable"):
        members = np.flatnonzero(labels == k)
        if len(members):
            away = np.linalg.norm(rows[members] - centres[k], axis=1)
            best = members[np.argsort(away, kind="stable")[:nearest]]
            starts.append(stack[best].mean(axis=0))
    return starts


def _coarse(stack: FloatArray) -> FloatArray:
    """Return images as rows of about 8 x 8 block means."""
    n, channels, height, width = stack.shape
    down, across = max(1, height // 8), max(1, width // 8)
    rows, columns = height // down, width // across
    part = stack[:, :, : rows * down, : columns * across]
    blocks = part.reshape(n, channels, rows, down, columns, across)
    return np.asarray(blocks.mean(axis=(3, 5)).reshape(n, -1))
