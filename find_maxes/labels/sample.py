"""How a unit's maxima are distributed over the photos: quantiles from a sample, and silence.

The maxima of the sample's images (`lots.py` draws it by a hash of names) are kept with their
places, so that the images at a quantile can be shown. Silence is counted over all images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from find_maxes.labels.lots import Lots

PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99)
SHOWN = (99, 90, 50)  # percentiles at which images are shown
IMAGES = 3  # at each of them

Places = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass
class Sample:
    """Maxima of some images; those of disjoint sets merge.

    Attributes
    ----------
    seen : int
        How many good images there were.
    silent : Tensor of int64, shape (units,)
        In how many of them no value was above zero.
    rows : dict of int to (Tensor of float32, Tensor of int32), each of shape (units,)
        Image of the sample -> maxima, and their places in the map, counted row by row.
    """

    silent: Tensor
    seen: int = 0
    rows: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @classmethod
    def empty(cls, units: int, device: torch.device | None = None) -> Sample:
        """Return one of no image."""
        return cls(torch.zeros(units, dtype=torch.int64, device=device))

    def update(
        self, maxima: Tensor, good: NDArray[np.bool_], lots: Lots, first: int, places: Places
    ) -> None:
        """Take in a group of images.

        Parameters
        ----------
        maxima : Tensor of float32, shape (images, units)
            Minus infinity where there is no value.
        good : ndarray of bool, shape (images,)
            Which are images.
        lots : Lots
            Of these images.
        first : int
            Number of the first.
        places : callable
            As `top_n.Maxima.places`.
        """
        self.seen += int(good.sum())
        quiet = maxima <= 0
        if not good.all():
            quiet &= torch.from_numpy(good).to(quiet.device)[:, None]
        self.silent += quiet.sum(0)
        for row in np.flatnonzero(good & lots.sampled).tolist():
            units = torch.arange(maxima.shape[1], device=maxima.device)
            found = places(torch.full_like(units, row), units, maxima[row])
            self.rows[first + row] = maxima[row].clone(), found.int()

    def merged(self, other: Sample) -> Sample:
        """Return the sample of both sets of images."""
        silent = self.silent + other.silent.to(self.silent.device)
        return Sample(silent, self.seen + other.seen, {**self.rows, **other.rows})

    def part(self, start: int, stop: int) -> Sample:
        """Return what is known of the units from `start` up to `stop`."""
        rows = {i: (v[start:stop], p[start:stop]) for i, (v, p) in self.rows.items()}
        return Sample(self.silent[start:stop], self.seen, rows)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays, images in order; `from_arrays` reads them."""
        rows = [self.rows[image] for image in sorted(self.rows)]
        shape = (len(rows), len(self.silent))
        return {
            "silent": self.silent.cpu().numpy(),
            "seen": np.array(self.seen),
            "images": np.array(sorted(self.rows), np.int64),
            "values": np.array([v.cpu().numpy() for v, _ in rows], np.float32).reshape(shape),
            "places": np.array([p.cpu().numpy() for _, p in rows], np.int32).reshape(shape),
        }

    @classmethod
    def from_arrays(
        cls, arrays: dict[str, np.ndarray], device: torch.device | None = None
    ) -> Sample:
        """Return what `arrays` describes."""
        values, places = (torch.from_numpy(arrays[n]).to(device) for n in ("values", "places"))
        numbered = enumerate(arrays["images"].tolist())
        rows = {image: (values[i], places[i]) for i, image in numbered}
        silent = torch.from_numpy(arrays["silent"]).to(device)
        return cls(silent, int(arrays["seen"]), rows)


@dataclass(frozen=True, eq=False)
class Quantiles:
    """What a sample says of some units.

    Attributes
    ----------
    levels : ndarray of float32, shape (units, len(PERCENTILES))
        Value at each of the percentiles, linear between images as NumPy has it.
    silent : ndarray of float32, shape (units,)
        Share of images with no value above zero.
    values, images, places : ndarray, shape (units, len(SHOWN) * IMAGES)
        At each of `SHOWN`, the images nearest to it in rank, from highest down: maximum
        (float32), number and place in the map (int64). Minus infinity and -1 where there are
        fewer.
    """

    levels: NDArray[np.float32]
    silent: NDArray[np.float32]
    values: NDArray[np.float32]
    images: NDArray[np.int64]
    places: NDArray[np.int64]


def quantiles(sample: Sample) -> Quantiles:
    """Work out the quantiles of a sample; NaN where it holds no image."""
    found = sample.arrays()
    values, units = found["values"], len(found["silent"])
    silent = np.float32(1 / max(sample.seen, 1)) * found["silent"].astype(np.float32)
    wide = (units, len(SHOWN) * IMAGES)
    if not len(values):
        levels = np.full((units, len(PERCENTILES)), np.nan, np.float32)
        nothing = np.full(wide, -1, np.int64)
        return Quantiles(
            levels, silent, np.full(wide, -np.inf, np.float32), nothing, nothing.copy()
        )
    with np.errstate(invalid="ignore"):  # between minus infinity and a number
        levels = np.percentile(values.astype(np.float64), PERCENTILES, axis=0).T
    # equal values in the order of the images, as the top N
    order = np.argsort(-values, axis=0, kind="stable")
    at = [rank for level in SHOWN for rank in _ranks(level, len(values))]
    picked = order[[max(rank, 0) for rank in at]].T  # (units, ranks)
    there = np.array([rank >= 0 for rank in at])[None] & np.isfinite(
        np.take_along_axis(values.T, picked, 1)
    )
    return Quantiles(
        levels.astype(np.float32),
        silent,
        np.where(there, np.take_along_axis(values.T, picked, 1), np.float32(-np.inf)),
        np.where(there, found["images"][picked], -1),
        np.where(there, np.take_along_axis(found["places"].T, picked, 1).astype(np.int64), -1),
    )


def _ranks(percentile: int, count: int) -> list[int]:
    """Return the ranks, from the top, nearest to a percentile; -1 where there are too few."""
    middle = round((1 - percentile / 100) * (count - 1))
    first = max(0, min(middle - IMAGES // 2, count - IMAGES))
    return [rank if rank < count else -1 for rank in range(first, first + IMAGES)]
