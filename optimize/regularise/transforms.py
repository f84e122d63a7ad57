"""Regularisers that change what the net is shown: shifted, turned, scaled.

An image that pleases a unit only at one exact place and angle is less like a photo; so each
iteration shows another (Mordvintsev et al. 2015, Olah et al. 2017). The changes are drawn
from the member's own seed, so a member sees the same ones in any batch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from optimize.params import FindParams
from optimize.regularise.regularisers import Place, Regulariser

# Of what a unit sees, a share that a shift leaves a small unit its edge or corner: beyond it the
# ascent of a 7x7 filter finds the mean of all places, which is grey.
_SMALL = 1 / 16


_NOISE_ROOM = 64  # pixels that a table of noise is larger than an image, on each axis


class _Drawn(Regulariser):
    """Base: numbers from -1 to 1 for every member and iteration."""

    name = ""
    stream = 0  # tells the draws of the regularisers apart
    per_iteration = 1

    def __init__(self, members: Sequence[FindParams], place: Place) -> None:
        super().__init__(members, place)
        self.extent = np.array([getattr(p, self.name) for p in members], float)[:, None]
        keys = [(p.rand_seed, p.max_iter) for p in members]
        drawn = {
            (seed, count): np.random.default_rng([seed, self.stream]).uniform(
                -1, 1, (count, self.per_iteration)
            )
            for seed, count in dict.fromkeys(keys)  # units of a layer have the same ones
        }
        self._draws = [drawn[key] for key in keys]

    @classmethod
    def is_on(cls, params: FindParams) -> bool:
        """Whether a member uses it."""
        return bool(getattr(params, cls.name) > 0)

    def drawn(self, iteration: int) -> np.ndarray:
        """Return this iteration's numbers, (n, per_iteration)."""
        return np.stack([d[iteration] for d in self._draws])


class _Affine(_Drawn):
    """Base: a linear map around what the unit sees, bilinear, with the border continued.

    Several one behind the other are made as one (`together`), so that the image is resampled
    once.
    """

    def maps(self, iteration: int) -> np.ndarray:
        """Return each member's 2x2 matrix from shown to stored (x, y), shape (n, 2, 2)."""
        raise NotImplementedError

    def offsets(self, iteration: int) -> np.ndarray:
        """Return by how much what is shown lies beside the centre, (x, y), shape (n, 2)."""
        return np.zeros((len(self._draws), 2))

    def before(self, x: Tensor, iteration: int) -> Tensor:
        """Return the changed images."""
        return _resampled(x, self.place, self.maps(iteration), self.offsets(iteration))


class Jitter(_Affine):
    """Shift by whole pixels, round the border.

    Beside other parametrisations than pixels by a sixteenth of what the unit sees at most.
    Together with turns and scales it is one map with them, which continues the border.
    """

    name = "jitter"
    stream = 1
    per_iteration = 2

    def __init__(self, members: Sequence[FindParams], place: Place) -> None:
        super().__init__(members, place)
        largest = [
            np.inf if p.parametrisation == "pixels" else int(_SMALL * place.side) for p in members
        ]
        self.extent = np.minimum(self.extent, np.array(largest)[:, None])

    @classmethod
    def reach(cls, params: FindParams, field: tuple[int, int]) -> int:
        """Return the largest shift."""
        if params.parametrisation == "pixels":
            return params.jitter
        return min(params.jitter, int(_SMALL * max(field)))

    def maps(self, iteration: int) -> np.ndarray:
        """Return maps that change nothing."""
        return np.tile(np.eye(2), (len(self._draws), 1, 1))

    def offsets(self, iteration: int) -> np.ndarray:
        """Return the shifts, (x, y)."""
        return self._shifts(iteration)[:, ::-1].astype(float)

    def _shifts(self, iteration: int) -> np.ndarray:
        return np.rint(self.drawn(iteration) * self.extent).astype(np.int64)

    def before(self, x: Tensor, iteration: int) -> Tensor:
        """Return the shifted images."""
        moved = torch.from_numpy(self._shifts(iteration)).to(x.device)
        n, channels, height, width = x.shape
        rows = (torch.arange(height, device=x.device) + moved[:, :1]) % height
        columns = (torch.arange(width, device=x.device) + moved[:, 1:]) % width
        x = x.gather(2, rows.view(n, 1, height, 1).expand(n, channels, height, width))
        return x.gather(3, columns.view(n, 1, 1, width).expand(n, channels, height, width))


class _Together(Regulariser):
    """Linear maps one behind the other, as one; of what is shown alone, where that is enough."""

    def __init__(self, parts: Sequence[_Affine], *, whole: bool) -> None:
        self._parts = parts
        place = parts[0].place
        self.place = replace(place, shown=None) if whole else place

    def before(self, x: Tensor, iteration: int) -> Tensor:
        """Return the changed images."""
        # Where the last map looks in what it is given, the one before it looks again.
        linear, offset = self._parts[-1].maps(iteration), self._parts[-1].offsets(iteration)
        for part in reversed(self._parts[:-1]):
            own = part.maps(iteration)
            offset = np.einsum("nij,nj->ni", own, offset) + part.offsets(iteration)
            linear = own @ linear
        return _resampled(x, self.place, linear, offset)


def together(regularisers: Sequence[Regulariser]) -> list[Regulariser]:
    """Return the same regularisers, linear maps one behind the other put together."""
    out: list[Regulariser] = []
    left = len(regularisers)
    for _, group in itertools.groupby(regularisers, lambda r: isinstance(r, _Affine)):
        parts = list(group)
        left -= len(parts)
        maps = [part for part in parts if isinstance(part, _Affine)]
        if all(isinstance(part, Jitter) for part in maps):
            out += parts  # shifts alone resample nothing
            continue
        later = regularisers[len(regularisers) - left :]
        out.append(_Together(maps, whole=not all(r.pointwise for r in later)))
    return out


def _resampled(x: Tensor, place: Place, maps: np.ndarray, offsets: np.ndarray) -> Tensor:
    """Return images (n, c, h, w) as seen through maps (n, 2, 2) around offsets (n, 2) (x, y)."""
    top, left, height, width = place.shown or (0, 0, *x.shape[2:])
    row, column = place.centre
    sizes = np.array([x.shape[3], x.shape[2]])
    # Pixel centres in units of half the image from its middle, as align_corners=False has them:
    # a sum of what comes of the row and of the column.
    linear = maps * 2 / sizes[:, None]
    middle = (2 * (offsets + np.array([column, row])) + 1) / sizes - 1
    ys, xs = np.arange(top, top + height) - row, np.arange(left, left + width) - column
    down = linear[:, None, :, 1] * ys[:, None] + middle[:, None]
    across = linear[:, None, :, 0] * xs[:, None]
    grid = _on(down, x).unsqueeze(2) + _on(across, x).unsqueeze(1)
    return F.grid_sample(x, grid, "bilinear", "border", align_corners=False)


def _on(numbers: np.ndarray, x: Tensor) -> Tensor:
    return torch.from_numpy(numbers.astype(np.float32)).to(x.device, x.dtype)


class Rotate(_Affine):
    """Turn by up to so many degrees."""

    name = "rotate"
    stream = 2

    @classmethod
    def reach(cls, params: FindParams, field: tuple[int, int]) -> int:
        """Return how far the corners of what the unit sees swing out."""
        out = []
        for side, other in (field, field[::-1]):
            turn = min(math.radians(params.rotate), math.atan2(other, side))
            out.append(side * math.cos(turn) + other * math.sin(turn) - side)
        return math.ceil(0.5 * max(out)) + 1

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


class Crop(_Affine):
    """Enlarge a part of what the unit sees, at a random place (the crops of Fel et al. 2023).

    A unit of a map has a place, and would find what it looks for moved away from it: its image is
    shown as it is.
    """

    name = "crop"
    stream = 4
    per_iteration = 3

    def __init__(self, members: Sequence[FindParams], place: Place) -> None:
        super().__init__(members, place)
        if place.placed:
            self.extent = np.zeros_like(self.extent)

    def _shares(self, iteration: int) -> np.ndarray:
        """Return the parts' sides as shares of what the unit sees, (n, 1)."""
        return 1 - self.extent * (0.5 + 0.5 * self.drawn(iteration)[:, :1])

    def maps(self, iteration: int) -> np.ndarray:
        """Return the enlargements."""
        return self._shares(iteration)[:, :, None] * np.eye(2)

    def offsets(self, iteration: int) -> np.ndarray:
        """Return the parts' places: anywhere inside what the unit sees."""
        room = 0.5 * self.place.side * (1 - self._shares(iteration))
        return np.asarray(self.drawn(iteration)[:, 1:] * room)


class Noise(Regulariser):
    """Add normal noise to what is shown, anew in each iteration.

    There is one table of noise for all, a little larger than an image: each iteration takes
    another part of it, drawn by the member's seed, and adds or subtracts it.
    """

    stream = 5
    pointwise = True

    def __init__(self, members: Sequence[FindParams], place: Place) -> None:
        super().__init__(members, place)
        self._seeds = [(p.rand_seed, p.max_iter) for p in members]
        self._sizes = torch.tensor([p.noise for p in members], device=place.device) * place.grey
        self._table: Tensor | None = None

    @classmethod
    def is_on(cls, params: FindParams) -> bool:
        """Whether a member uses it."""
        return params.noise > 0

    def before(self, x: Tensor, iteration: int) -> Tensor:
        """Return the images with noise."""
        if self._table is None:
            self._table = self._drawn_table(x)
            self._places = _drawn_places(self._seeds, self.stream)
        draws = np.stack([places[iteration] for places in self._places])
        rows, columns = torch.from_numpy(draws[:, :2].T.copy()).to(x.device)
        signs = torch.from_numpy(2.0 * (draws[:, 2] % 2) - 1).to(x)
        noise = self._table[:, rows, columns].transpose(0, 1)
        return x + noise * (self._sizes * signs).view(-1, 1, 1, 1)

    def _drawn_table(self, x: Tensor) -> Tensor:
        """Return every part of the table, (channels, first rows, first columns, h, w), a view."""
        channels, height, width = x.shape[1:]
        shape = channels, height + _NOISE_ROOM, width + _NOISE_ROOM
        table = np.random.default_rng(self.stream).standard_normal(shape, np.float32)
        return torch.from_numpy(table).to(x).unfold(1, height, 1).unfold(2, width, 1)


def _drawn_places(seeds: Sequence[tuple[int, int]], stream: int) -> list[np.ndarray]:
    """Return whole numbers for each seed and iteration: two places in a table, and a sign."""
    drawn = {
        key: np.random.default_rng([key[0], stream]).integers(_NOISE_ROOM + 1, size=(key[1], 3))
        for key in dict.fromkeys(seeds)
    }
    return [drawn[key] for key in seeds]
