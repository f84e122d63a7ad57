"""What photos are like: their colours' correlation, and their magnitude spectrum.

Both are of log-odds (see `series`), so that what is made of them is between black and white. The
spectrum is kept by distance from frequency zero, so that it serves images of any size.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from optimize.errors import OptimizeError

DEFAULT = Path(__file__).with_name("photos.json")  # of the repository's input_images
_RINGS = 24
_CURE = "python -m optimize.photos FOLDER --out FILE measures and writes them"

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PhotoStatistics:
    """What photos are like.

    Parameters
    ----------
    colour : tuple of tuple of float
        3x3: columns are the directions in which the log-odds of red, green and blue vary
        independently, as long as they vary; the longest has length 1.
    rings : tuple of float
        Frequencies in cycles a pixel, rising.
    amplitudes : tuple of tuple of float
        For each direction the mean magnitude of its coefficients at these frequencies, in the
        norm that keeps the sum of squares.
    means : tuple of float
        For each direction the mean.
    """

    colour: tuple[tuple[float, ...], ...]
    rings: tuple[float, ...]
    amplitudes: tuple[tuple[float, ...], ...]
    means: tuple[float, ...]

    def magnitudes(self, frequencies: Tensor, channels: int) -> Tensor:
        """Return the coefficients' magnitudes, (channels, *frequencies.shape).

        An input of other than three channels gets those of grey.
        """
        at = np.log(np.maximum(frequencies.numpy(), self.rings[0]))
        rows = np.array(self.amplitudes)
        if channels != len(rows):
            mixed = np.square(self.colour) @ np.square(rows)
            rows = np.repeat(np.sqrt(mixed.mean(0, keepdims=True)), channels, 0)
        known = np.log(self.rings)
        found = [np.exp(np.interp(at, known, np.log(row))) for row in rows]
        return torch.from_numpy(np.stack(found).astype(np.float32))

    def mean(self, channels: int) -> Tensor:
        """Return the channels' means, (channels,)."""
        means = np.array(self.means)
        if channels != len(means):
            means = np.repeat((np.array(self.colour) @ means).mean(), channels)
        return torch.from_numpy(means.astype(np.float32))

    def to_json(self) -> str:
        """Return the numbers as a JSON object, to six digits."""
        values = {
            name: np.vectorize(lambda v: float(f"{v:.6g}"))(np.array(value)).tolist()
            for name, value in vars(self).items()
        }
        return json.dumps(values, indent=1) + "\n"


def log_odds(rgb: npt.NDArray[Any]) -> FloatArray:
    """Return the log-odds of grey levels 0 to 255, black and white half a level inside."""
    share = (np.asarray(rgb, np.float64) + 0.5) / 256
    return np.asarray(np.log(share / (1 - share)))


def colour_matrix(odds: FloatArray) -> FloatArray:
    """Return the matrix C with C C^T proportional to the covariance of (n, 3) values.

    Its columns are the covariance's eigenvectors, as long as the values' standard deviation
    along them, together divided by the longest one's length. Gray photos have but one
    direction: the others are a hundredth as long.
    """
    values, vectors = np.linalg.eigh(np.cov(odds.T))
    matrix = (vectors * np.sqrt(np.maximum(values, 1e-4 * values[-1])))[:, ::-1]
    signs = np.where(matrix.sum(0) < 0, -1, 1)  # brighter is more
    return np.asarray(matrix * signs / np.linalg.norm(matrix[:, 0]))


def measure(photos: Iterable[npt.NDArray[np.uint8]]) -> PhotoStatistics:
    """Measure photos.

    Parameters
    ----------
    photos : iterable of ndarray of uint8, shape (h, w, 3)
        RGB.

    Returns
    -------
    PhotoStatistics

    Raises
    ------
    OptimizeError
        There is no photo, or all are of one colour.
    """
    odds = [log_odds(photo) for photo in photos]
    if not odds:
        raise OptimizeError("there is no photo to measure")
    pixels = np.concatenate([one.reshape(-1, 3) for one in odds])
    if not (np.ptp(pixels, axis=0) > 0).all():
        raise OptimizeError("the photos are of one colour, so that there is nothing to measure")
    colour = colour_matrix(pixels)
    plain = [np.linalg.solve(colour, one.reshape(-1, 3).T).reshape(3, *one.shape[:2])
             for one in odds]  # fmt: skip
    edges = np.geomspace(1 / 256, 0.75, _RINGS + 1)
    sums, counts = np.zeros((3, _RINGS)), np.zeros(_RINGS)
    for one in plain:
        magnitudes, ring = _rings(one, edges)
        counts += np.bincount(ring, minlength=_RINGS)
        sums += [np.bincount(ring, row, minlength=_RINGS) for row in magnitudes]
    seen = counts > 0
    centres = np.sqrt(edges[1:] * edges[:-1])[seen]
    amplitudes = np.maximum(sums[:, seen] / counts[seen], 1e-9)
    means = np.mean([one.mean((1, 2)) for one in plain], 0)
    return _made(colour, centres, amplitudes, means)


def _rings(plain: FloatArray, edges: FloatArray) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Return the magnitudes (3, n) of all coefficients but the mean, and each one's ring."""
    height, width = plain.shape[1:]
    away = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    magnitudes = np.abs(np.fft.fft2(plain, norm="ortho"))
    ring = np.clip(np.searchsorted(edges, away, "right") - 1, 0, _RINGS - 1)
    return magnitudes.reshape(3, -1)[:, 1:], ring.reshape(-1)[1:]


def read(path: Path) -> PhotoStatistics:
    """Read what `python -m optimize.photos` wrote.

    Raises
    ------
    OptimizeError
        The file can't be read, or holds something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        colour, rings = np.array(values["colour"], float), np.array(values["rings"], float)
        amplitudes = np.array(values["amplitudes"], float)
        means = np.array(values["means"], float)
    except OSError as error:
        raise OptimizeError(
            f"the photos' statistics {path} cannot be read: {error.strerror}; {_CURE}"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise _no_statistics(path) from error
    shapes = (colour.shape, amplitudes.shape, means.shape)
    fits = shapes == ((3, 3), (3, len(rings)), (3,)) and rings.ndim == 1
    every = np.concatenate([a.reshape(-1) for a in (colour, rings, amplitudes, means)])
    if not fits or not np.isfinite(every).all() or not (amplitudes > 0).all() or rings[0] <= 0:
        raise _no_statistics(path)
    if abs(np.linalg.det(colour)) < 1e-9 or not (np.diff(rings) > 0).all():
        raise _no_statistics(path)
    return _made(colour, rings, amplitudes, means)


@lru_cache(maxsize=1)
def default() -> PhotoStatistics:
    """Return those of the repository's own photos."""
    return read(DEFAULT)


def _made(
    colour: FloatArray, rings: FloatArray, amplitudes: FloatArray, means: FloatArray
) -> PhotoStatistics:
    rows = [tuple(tuple(row) for row in matrix.tolist()) for matrix in (colour, amplitudes)]
    return PhotoStatistics(rows[0], tuple(rings.tolist()), rows[1], tuple(means.tolist()))


def _no_statistics(path: Path) -> OptimizeError:
    return OptimizeError(f"{path} does not hold the statistics of photos; {_CURE}")
