"""Regularisers that change what the net is shown: shifted, turned, scaled.

An image that pleases a unit only at one exact place and angle is less like a photo; so each
iteration shows another (Mordvintsev et al. 2015, Olah et al. 2017). The changes are drawn
from the member's own seed, so a member sees the same ones in any batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from optimize.params import FindParams
from optimize.regularise.regularisers import Place, Regulariser


class _Drawn(Regulariser):
    """Base: numbers from -1 to 1 for every member and iteration."""

    name = ""
    stream = 0  # tells the draws of the regularisers apart
    per_iteration = 1

    def __init__(self, members: Sequence[FindParams], place: Place) -> None:
        super().__init__(members, place)
        self.extent = np.array([getattr(p, self.name) for p in members], float)[:, None]
        self._draws = [
            np.random.default_rng([p.rand_seed, self.stream]).uniform(
                -1, 1, (p.max_iter, self.per_iteration)
            )
            for p in members
        ]

    @classmethod
    def is_on(cls, params: FindParams) -> bool:
        """Whether a member uses it."""
        return bool(getattr(params, cls.name) > 0)

    def drawn(self, iteration: int) -> np.ndarray:
        """Return this iteration's numbers, (n, per_iteration)."""
        return np.stack([d[iteration] for d in self._draws])


class Jitter(_Drawn):
    """Shift by whole pixels, round the border."""

    name = "jitter"
    stream = 1
    per_iteration = 2

    @classmethod
    def reach(cls, params: FindParams, field: tuple[int, int]) -> int:
        """Return the largest shift."""
        return params.jitter

    def before(self, x: Tensor, iteration: int) -> Tensor:
        """Return the shifted images."""
        shifts = np.rint(self.drawn(iteration) * self.extent).astype(np.int64)
        moved = torch.from_numpy(shifts).to(x.device)
        n, channels, height, width = x.shape
        rows = (torch.arange(height, device=x.device) + moved[:, :1]) % height
        columns = (torch.arange(width, device=x.device) + moved[:, 1:]) % width
        x = x.gather(2, rows.view(n, 1, height, 1).expand(n, channels, height, width))
        return x.gather(3, columns.view(n, 1, 1, width).expand(n, channels, height, width))


class _Affine(_Drawn):
    """Base: a linear map around what the unit sees, bilinear, with the border continued."""

    def maps(self, iteration: int) -> np.ndarray:
        """Return each member's 2x2 matrix from shown to stored (x, y), shape (n, 2, 2)."""
        raise NotImplementedError

    def before(self, x: Tensor, iteration: int) -> Tensor:
        """Return the changed images."""
        n, _, height, width = x.shape
        linear = torch.from_numpy(self.maps(iteration)).to(x.device, x.dtype)
        row, column = self.place.centre
        ys = torch.arange(height, device=x.device, dtype=x.dtype) - row
        xs = torch.arange(width, device=x.device, dtype=x.dtype) - column
        at = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), -1).view(1, -1, 2)
        at = (at @ linear.transpose(1, 2)).view(n, height, width, 2)
        middle = torch.tensor([column, row], device=x.device, dtype=x.dtype)
        sizes = torch.tensor([width, height], device=x.device, dtype=x.dtype)
        grid = (2 * (at + middle) + 1) / sizes - 1  # pixel centres, as align_corners=False
        return F.grid_sample(x, grid, "bilinear", "border", align_corners=False)


class Rotate(_Affine):
    """Turn by up to so many degrees."""

    name = "rotate"
    stream = 2

    @classmethod
    def reach(cls, params: FindParams, field: tuple[int, int]) -> int:
        """Return how far the corners of what the unit sees swing out."""
        return math.ceil(0.5 * (math.hypot(*field) - min(field))) + 1

    def maps(self, iteration: int) -> np.ndarray:
        """Return the rotations."""
        angle = np.deg2rad(self.drawn(iteration) * self.extent)[:, 0]
        cos, sin = np.cos(angle), np.sin(angle)
        return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)


class Scale(_Affine):
    """Scale both sides by 1 minus to 1 plus a share."""

    name = "scale"
    stream = 3

    @classmethod
    def reach(cls, params: FindParams, field: tuple[int, int]) -> int:
        """Return how far the smallest scale looks beyond what the unit sees."""
        return math.ceil(0.5 * max(field) * params.scale / (1 - params.scale)) + 1

    def maps(self, iteration: int) -> np.ndarray:
        """Return the scalings."""
        factor = 1 / (1 + self.drawn(iteration) * self.extent)[:, 0]
        return factor[:, None, None] * np.eye(2)
