"""Histograms of each unit's maxima, and their correlation between units, as the scan goes.

Both are of one value an image, its maximum over positions, as the top N is. A unit whose
value is the same in every image is dead; two whose values rise and fall together are redundant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SIDE_BINS = 64  # on each side of zero
BINS = 2 * SIDE_BINS
_LEAST = -126  # no bin is narrower than 2 ** -126


@dataclass
class Histogram:
    """Counts in bins whose edges are multiples of a power of two, one width a unit.

    Bin i holds values from (i - 64) * width up to (i - 63) * width, which is left out. Where
    a value falls outside, the width doubles and neighbouring bins are joined, so the result
    depends on the values alone, not on their order. Infinite values are not counted.

    Attributes
    ----------
    counts : Tensor of int64, shape (units, 128)
        How many images.
    exponents : Tensor of int64, shape (units,)
        The width is 2 ** exponent.
    lowest, highest : Tensor of float32, shape (units,)
        Of all values.
    """

    counts: Tensor
    exponents: Tensor
    lowest: Tensor
    highest: Tensor

    @classmethod
    def empty(cls, units: int, device: torch.device | None = None) -> Histogram:
        """Return one that has seen no image."""
        return cls(
            torch.zeros((units, BINS), dtype=torch.int64, device=device),
            torch.full((units,), _LEAST, dtype=torch.int64, device=device),
            torch.full((units,), float("inf"), device=device),
            torch.full((units,), float("-inf"), device=device),
        )

    def update(self, maxima: Tensor) -> None:
        """Take in maxima (images, units); infinite ones are passed over."""
        values = maxima.T.double()
        counted = values.isfinite()
        self.lowest = torch.minimum(self.lowest, _least(values, counted).float())
        self.highest = torch.maximum(self.highest, -_least(-values, counted).float())
        values = values.where(counted, 0.0)
        self._widen(torch.maximum(self.exponents, _needed(values)))
        bins = (values * 2.0 ** -self.exponents[:, None].double()).floor().long() + SIDE_BINS
        self.counts.scatter_add_(1, bins, counted.long())

    def _widen(self, exponents: Tensor) -> None:
        """Join neighbouring bins until each unit has its new width."""
        shift = (exponents - self.exponents)[:, None].clamp(max=7)  # all joined
        old = torch.arange(BINS, device=self.counts.device)[None] - SIDE_BINS
        new = torch.div(old, 2**shift, rounding_mode="floor") + SIDE_BINS
        self.counts = torch.zeros_like(self.counts).scatter_add_(1, new, self.counts)
        self.exponents = exponents

    def merged(self, other: Histogram) -> Histogram:
        """Return the counts of both."""
        exponents = torch.maximum(self.exponents, other.exponents)
        parts = []
        for one in (self, other):
            copy = Histogram(one.counts, one.exponents, one.lowest, one.highest)
            copy._widen(exponents)
            parts.append(copy)
        return Histogram(
            parts[0].counts + parts[1].counts,
            exponents,
            torch.minimum(self.lowest, other.lowest),
            torch.maximum(self.highest, other.highest),
        )

    def dead(self) -> np.ndarray:
        """Return which units have one value in all images (or none): bool (units,)."""
        return np.asarray((self.lowest >= self.highest).cpu().numpy())

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the tensors as arrays, by name."""
        return {name: value.cpu().numpy() for name, value in vars(self).items()}

    @classmethod
    def from_arrays(
        cls, arrays: dict[str, np.ndarray], device: torch.device | None = None
    ) -> Histogram:
        """Return the histogram that `arrays` describes."""
        names = ("counts", "exponents", "lowest", "highest")
        return cls(*(torch.from_numpy(arrays[name]).to(device) for name in names))


def _least(values: Tensor, counted: Tensor) -> Tensor:
    return values.where(counted, float("inf")).amin(1)


def _needed(values: Tensor) -> Tensor:
    """Return the least exponents with all values (units, images) within the bins."""
    largest = values.abs().amax(1)
    _, exponent = torch.frexp(largest)  # largest < 2 ** exponent
    return torch.where(largest > 0, exponent.long() - 6, _LEAST).clamp(min=_LEAST)


@dataclass
class Correlation:
    """Sums from which the correlation between units follows.

    Images in which any unit of the layer has no finite value are left out.

    Attributes
    ----------
    count : Tensor of float64, shape ()
        Images.
    sums : Tensor of float64, shape (units,)
        Of the values.
    products : Tensor of float64, shape (units, units)
        Of the products of two units' values.
    """

    count: Tensor
    sums: Tensor
    products: Tensor

    @classmethod
    def empty(cls, units: int, device: torch.device | None = None) -> Correlation:
        """Return one that has seen no image."""
        return cls(
            *(
                torch.zeros(shape, dtype=torch.float64, device=device)
                for shape in ((), (units,), (units, units))
            )
        )

    def update(self, maxima: Tensor) -> None:
        """Take in maxima (images, units)."""
        values = maxima.double()
        whole = values.isfinite().all(1)
        values = values.where(whole[:, None], 0.0)
        self.count = self.count + whole.sum()
        self.sums = self.sums + values.sum(0)
        self.products.addmm_(values.T, values)

    def merged(self, other: Correlation) -> Correlation:
        """Return the sums of both."""
        return Correlation(
            self.count + other.count, self.sums + other.sums, self.products + other.products
        )

    def matrix(self) -> np.ndarray:
        """Return Pearson's correlation, float32 (units, units); zero for a dead unit's."""
        count = max(float(self.count), 1.0)
        mean = self.sums / count
        covariance = self.products / count - mean[:, None] * mean[None]
        variance = covariance.diagonal().clamp(min=0)
        # rounding leaves about 1e-16 of the mean square where the variance is zero
        alive = variance > 1e-12 * self.products.diagonal() / count
        scale = torch.where(alive, variance, 1.0).rsqrt() * alive
        found = (covariance * scale[:, None] * scale[None]).clamp(-1, 1)
        return np.asarray(found.float().cpu().numpy())

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the tensors as arrays, by name."""
        return {name: value.cpu().numpy() for name, value in vars(self).items()}

    @classmethod
    def from_arrays(
        cls, arrays: dict[str, np.ndarray], device: torch.device | None = None
    ) -> Correlation:
        """Return the sums that `arrays` describes."""
        names = ("count", "sums", "products")
        return cls(*(torch.from_numpy(np.asarray(arrays[n])).to(device) for n in names))
