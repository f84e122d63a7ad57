"""Sums that do not depend on the order of what is added, so that any way of merging gives them.

Sums of floats depend on their order in the last bits. Here a value is cut into slices of 24
bits at fixed places (the bits worth 2 ** (24 * b) to 2 ** (24 * b + 23) are slice b), and slices
are added as whole numbers. Of each unit two slices are kept: the highest that any value has
reached, and the next. A value that reaches a higher one drops the lowest, which the sum of all
values in any order would not have kept either. What is lost is less than 2 ** -24 of the unit's
largest value, each time towards zero. The idea is the binned summation of Demmel and Nguyen
(Fast reproducible floating-point summation, 2013).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SLICE = 24  # bits
_LEAST = -12  # slice below any that matters: 2 ** -288, where squares of float32 end


@dataclass
class ExactSums:
    """Sums of the values of some units, one sum for each row of images.

    Attributes
    ----------
    slices : Tensor of int64, shape (units,)
        Number of the highest slice kept.
    high, low : Tensor of int64, shape (rows, units)
        Sum of that slice, and of the one below.
    """

    slices: Tensor
    high: Tensor
    low: Tensor

    @classmethod
    def empty(cls, rows: int, units: int, device: torch.device | None = None) -> ExactSums:
        """Return sums of nothing."""
        zero = torch.zeros((rows, units), dtype=torch.int64, device=device)
        least = torch.full((units,), _LEAST, dtype=torch.int64, device=device)
        return cls(least, zero, zero.clone())

    def add(self, values: Tensor, rows: Tensor) -> None:
        """Add values to the sums of some rows.

        Parameters
        ----------
        values : Tensor of float64, shape (entries, units)
            Finite.
        rows : Tensor of int64, shape (entries,)
            Which sum each goes to.
        """
        if not len(rows):
            return
        _, exponents = torch.frexp(values.abs().amax(0))  # below 2 ** exponent
        reached = torch.div(exponents.long() - 1, SLICE, rounding_mode="floor")
        self._rise(torch.maximum(self.slices, reached))
        unit = torch.exp2(-float(SLICE) * (self.slices - 1).double())
        whole = (values * unit).trunc()  # 48 bits
        high = (whole / 2.0**SLICE).trunc()
        self.high.index_add_(0, rows, high.long())
        self.low.index_add_(0, rows, (whole - high * 2.0**SLICE).long())

    def _rise(self, slices: Tensor) -> None:
        """Drop what is below the new slices."""
        if bool((slices == self.slices).all()):
            return
        step = slices - self.slices
        self.low = torch.where(step == 0, self.low, torch.where(step == 1, self.high, 0))
        self.high = torch.where(step == 0, self.high, 0)
        self.slices = slices

    def merged(self, other: ExactSums) -> ExactSums:
        """Return the sums of both."""
        slices = torch.maximum(self.slices, other.slices.to(self.slices.device))
        parts = []
        for one in (self, other):
            copy = ExactSums(*(value.to(slices.device) for value in vars(one).values()))
            copy._rise(slices)
            parts.append(copy)
        return ExactSums(slices, parts[0].high + parts[1].high, parts[0].low + parts[1].low)

    def part(self, start: int, stop: int) -> ExactSums:
        """Return the sums of the units from `start` up to `stop`."""
        units = slice(start, stop)
        return ExactSums(self.slices[units], self.high[:, units], self.low[:, units])

    def totals(self) -> Tensor:
        """Return the sums as float64, shape (rows, units)."""
        unit = torch.exp2(float(SLICE) * (self.slices - 1).double())
        return (self.high.double() * 2.0**SLICE + self.low.double()) * unit
