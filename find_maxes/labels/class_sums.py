"""What is kept of each unit for each class: how many images, the sum, and the sum of squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from find_maxes.labels.exact_sums import ExactSums
from find_maxes.labels.lots import Lots, count_shuffled


@dataclass
class ClassSums:
    """Of each image's maximum, by half of the images and by class; disjoint sets merge.

    Rows are the true classes and then the shuffled ones, for the first half, and again for the
    second.

    Attributes
    ----------
    counts : Tensor of int64, shape (rows,)
        Images.
    sums, squares : ExactSums
        Of the maxima.
    broken : Tensor of bool, shape (units,)
        Which units were infinite, or had no number, in some image: they get no label.
    classes : int
        How many true ones.
    """

    counts: Tensor
    sums: ExactSums
    squares: ExactSums
    broken: Tensor
    classes: int

    @classmethod
    def empty(cls, classes: int, units: int, device: torch.device | None = None) -> ClassSums:
        """Return what is known of no image."""
        rows = 2 * (classes + count_shuffled(classes))
        return cls(
            torch.zeros(rows, dtype=torch.int64, device=device),
            ExactSums.empty(rows, units, device),
            ExactSums.empty(rows, units, device),
            torch.zeros(units, dtype=torch.bool, device=device),
            classes,
        )

    def update(self, maxima: Tensor, lots: Lots) -> None:
        """Take in maxima (images, units) of some images."""
        entries, rows = self._places(lots)
        values = maxima.double()
        finite = values.isfinite()
        if not bool(finite.all()):
            self.broken = self.broken | ~finite.all(0)
            values = values.where(finite, 0.0)
        device = values.device
        values, where = values[torch.from_numpy(entries).to(device)], torch.from_numpy(rows)
        where = where.to(device)
        self.counts.index_add_(0, where, torch.ones_like(where))
        self.sums.add(values, where)
        self.squares.add(values * values, where)

    def _places(self, lots: Lots) -> tuple[np.ndarray, np.ndarray]:
        """Return which image goes into which row."""
        step = self.classes + count_shuffled(self.classes)
        true, mixed = np.flatnonzero(lots.classes >= 0), np.flatnonzero(lots.shuffled >= 0)
        rows = [lots.classes[true], self.classes + lots.shuffled[mixed]]
        entries = np.concatenate([true, mixed])
        return entries, np.concatenate(rows) + step * lots.halves[entries]

    def merged(self, other: ClassSums) -> ClassSums:
        """Return the sums of both sets of images."""
        device = self.counts.device
        return ClassSums(
            self.counts + other.counts.to(device),
            self.sums.merged(other.sums),
            self.squares.merged(other.squares),
            self.broken | other.broken.to(device),
            self.classes,
        )

    def part(self, start: int, stop: int) -> ClassSums:
        """Return what is known of the units from `start` up to `stop`."""
        return ClassSums(
            self.counts,
            self.sums.part(start, stop),
            self.squares.part(start, stop),
            self.broken[start:stop],
            self.classes,
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays; `from_arrays` reads them."""
        out = {"counts": self.counts, "broken": self.broken}
        for name, sums in (("sums", self.sums), ("squares", self.squares)):
            out |= {f"{name}_{part}": value for part, value in vars(sums).items()}
        found = {name: value.cpu().numpy() for name, value in out.items()}
        return {**found, "classes": np.array(self.classes)}

    @classmethod
    def from_arrays(
        cls, arrays: dict[str, np.ndarray], device: torch.device | None = None
    ) -> ClassSums:
        """Return what `arrays` describes."""

        def tensor(name: str) -> Tensor:
            return torch.from_numpy(arrays[name]).to(device)

        sums, squares = (
            ExactSums(*(tensor(f"{name}_{part}") for part in ("slices", "high", "low")))
            for name in ("sums", "squares")
        )
        return cls(tensor("counts"), sums, squares, tensor("broken"), int(arrays["classes"]))
