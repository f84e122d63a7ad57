"""Convolutions of stride 1 with fewer multiplications (Winograd; Lavin and Gray 2015).

oneDNN has no such algorithm for x86 processors any more; here it does the products in between,
one grouped convolution with laid-out weights, and small matrices do the transforms. There are two
ways: 3x3 filters on tiles of 4x4 or 5x5 outputs (`Tiles`: 4 or 4.6 times fewer products), and 5x5
filters along rows alone, four outputs at a time (`Rows`: 2.5 times fewer, and no copies, as a
whole row of the picture is transformed at once). Rounding errors are 2 to 10 times those of the
direct way, at most some 1e-5 of the largest value. Transforms and larger filters take time too, so
that only some shapes are quicker this way: `way` knows which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from torchcaffe.blobs.blob import Shape

# Where the polynomials are evaluated, besides infinity: the first as many as are needed. These
# give a third of the rounding errors of the usual 0, 1, -1, 2, -2.
_POINTS = (0.0, 1.0, -1.0, 0.5, -2.0, 2.0, -0.5)
_ONE = 1  # the number of the point 1, from which all outputs get the same

_PAYS = 0.9  # of the direct way's time
_CALLS = 3e6  # multiplications in the time of some more calls
_MOST_TILES = 512  # at once, but one image's: the memory for what is between the transforms
_MOST_PIECES = 4096  # of rows


@cache
def _matrices(outputs: int, taps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the transforms of one axis, in double precision.

    Returns
    -------
    outgoing, filters, incoming : ndarray
        (outputs, n), (n, taps) and (n, n) with n = outputs + taps - 1.
    """
    count = outputs + taps - 1
    points = np.array(_POINTS[: count - 1])

    def powers(width: int) -> np.ndarray:
        infinity = np.eye(1, width, width - 1)
        return np.concatenate([np.vander(points, width, increasing=True), infinity])

    incoming = np.linalg.inv(powers(count)).T
    scale = np.ones((count, 1))  # moves the denominators to the filters
    scale[:-1, 0] = [np.prod([p - q for q in points if q != p]) for p in points]
    return powers(outputs).T, powers(taps) / scale, incoming * scale


def _tensor(matrix: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(matrix, np.float32))


@lru_cache(64)
def _of_tiles(outputs: int) -> tuple[Tensor, Tensor]:
    """Return what takes tiles of both axes in (n*n, n*n) and out (outputs^2, n*n)."""
    outgoing, _, incoming = _matrices(outputs, 3)
    return _tensor(np.kron(incoming, incoming)), _tensor(np.kron(outgoing, outgoing))


@lru_cache(64)
def _of_rows(outputs: int, taps: int, width: int) -> tuple[Tensor, Tensor]:
    """Return what takes whole rows, padded to keep their width, in (pieces*n, width) and out."""
    outgoing, _, incoming = _matrices(outputs, taps)
    count, pieces, pad = len(incoming), -(-width // outputs), taps // 2
    into = np.zeros((pieces * count, pieces * outputs + taps - 1))
    out = np.zeros((pieces * outputs, pieces * count))
    for k in range(pieces):
        rows, first = slice(k * count, (k + 1) * count), k * outputs
        into[rows, first : first + count] = incoming
        out[first : first + outputs, rows] = outgoing
    return _tensor(into[:, pad : pad + width]), _tensor(out[:width])


def _images_at_once(images: int, each: int, most: int) -> int:
    """Return a divisor of the batch's size: so many images have at most `most`."""
    fitting = [k for k in range(1, images + 1) if images % k == 0 and k * each <= most]
    return max(fitting, default=1)


def _laid_out(filters: Tensor, pad: Shape, groups: int, shape: Shape) -> Tensor:
    return torch.ops.mkldnn._reorder_convolution_weight(
        filters.float().contiguous(), list(pad), [1, 1], [1, 1], groups, list(shape)
    )


def _products(x: Tensor, filters: Tensor, bias: Tensor | None, pad: Shape, groups: int) -> Tensor:
    """Convolve (N, H, W, C), channels last in and out."""
    top = torch.ops.mkldnn._convolution_pointwise(
        x.permute(0, 3, 1, 2), filters, bias, list(pad), [1, 1], [1, 1], groups, "none", [], ""
    )
    return top.permute(0, 2, 3, 1)


def _at_one(bias: Tensor | None, points: int, at: int) -> Tensor | None:
    """Put the bias where the way out adds it to every output."""
    if bias is None:
        return None
    wide = bias.new_zeros(points, len(bias))
    wide[at] = bias
    return wide.view(-1)


@dataclass(frozen=True)
class Tiles:
    """3x3 filters, one pixel of padding, on square tiles.

    Attributes
    ----------
    images : int
        How many go together.
    channels, outs, group : int
        Of the bottom, of the top, and groups.
    size : (int, int)
        Height and width.
    side : int
        Outputs of a tile's side.
    """

    images: int
    channels: int
    outs: int
    group: int
    size: Shape
    side: int

    @property
    def _points(self) -> int:
        return (self.side + 2) ** 2

    @property
    def _grid(self) -> Shape:
        return tuple(-(-size // self.side) for size in self.size)

    @property
    def _count(self) -> int:
        return self.images * math.prod(self._grid)

    def work(self) -> float:
        """Return the time for these images, in the direct way's multiplications (by timing)."""
        points, products = self._points, self.outs * self.channels // self.group
        transforms = points * (points * self.channels + self.side**2 * self.outs)
        among = points * products * (1.1 * self._count + 15)  # weights come from memory once
        return among + 3.5 * self._count * transforms + _CALLS

    def filters(self, weight: Tensor) -> Tensor:
        """Return filters (outs, channels / group, 3, 3) transformed and laid out."""
        one = torch.from_numpy(_matrices(self.side, 3)[1])
        flat = torch.einsum("ai,bj,ocij->aboc", one, one, weight.double())
        groups = self._points * self.group
        shape = (1, self._points * self.channels, self._count, 1)
        return _laid_out(flat.reshape(groups * self.outs // self.group, -1, 1, 1), (0, 0), groups,
                         shape)  # fmt: skip

    def convolve(self, x: Tensor, filters: Tensor, bias: Tensor | None) -> Tensor:
        """Return the convolution of (N, channels, *size), (N, outs, *size)."""
        top = x.new_empty(len(x), *self.size, self.outs)
        bias = _at_one(bias, self._points, _ONE * (self.side + 2) + _ONE)
        parts = zip(x.permute(0, 2, 3, 1).split(self.images), top.split(self.images), strict=True)
        for images, part in parts:
            self._convolve(images, filters, bias, part)
        return top.permute(0, 3, 1, 2)

    def _convolve(self, x: Tensor, filters: Tensor, bias: Tensor | None, top: Tensor) -> None:
        (h, w), (rows, columns), side = self.size, self._grid, self.side
        wide = F.pad(x, (0, 0, 1, columns * side + 1 - w, 1, rows * side + 1 - h))
        strides = wide.stride()
        tiles = wide.as_strided(
            (self.images, rows, columns, side + 2, side + 2, self.channels),
            (strides[0], side * strides[1], side * strides[2], *strides[1:]),
        ).reshape(self._count, self._points, -1)
        into, out = _of_tiles(side)
        inputs = torch.bmm(into.expand(self._count, -1, -1), tiles).view(1, self._count, 1, -1)
        found = _products(inputs, filters, bias, (0, 0), self._points * self.group)
        found = found.reshape(self._count, self._points, -1)
        tops = torch.bmm(out.expand(self._count, -1, -1), found)
        parts = tops.view(self.images, rows, columns, side, side, -1).permute(0, 1, 3, 2, 4, 5)
        if (rows * side, columns * side) == self.size:
            top.view(parts.shape).copy_(parts)
        else:
            top.copy_(parts.reshape(self.images, rows * side, columns * side, -1)[:, :h, :w])


@dataclass(frozen=True)
class Rows:
    """Filters that keep the map's size, transformed along rows alone.

    Attributes
    ----------
    images, channels, outs, group, size
        As of `Tiles`.
    taps : int
        The filters' side.
    """

    images: int
    channels: int
    outs: int
    group: int
    size: Shape
    taps: int

    SIDE = 4  # outputs of a piece of a row

    @property
    def _points(self) -> int:
        return self.SIDE + self.taps - 1

    @property
    def _pieces(self) -> int:
        return -(-self.size[1] // self.SIDE)

    def work(self) -> float:
        """Return the time for these images, in the direct way's multiplications (by timing)."""
        along = self._pieces * self._points
        products = along * self.taps * self.outs * self.channels // self.group
        transforms = along * self.size[1] * (self.channels + self.outs)
        slower = 1.05 + 3 / self._pieces  # oneDNN's convolutions are, where maps are narrow
        return self.images * self.size[0] * (slower * products + 2 * transforms) + _CALLS

    def filters(self, weight: Tensor) -> Tensor:
        """Return filters (outs, channels / group, taps, taps) transformed and laid out."""
        one = torch.from_numpy(_matrices(self.SIDE, self.taps)[1])
        flat = torch.einsum("aj,ocij->aoci", one, weight.double())
        shape = (self.images, self._points * self.channels, self.size[0], self._pieces)
        groups = self._points * self.group
        return _laid_out(flat.reshape(self._points * self.outs, -1, self.taps, 1), self._pad,
                         groups, shape)  # fmt: skip

    @property
    def _pad(self) -> Shape:
        return self.taps // 2, 0

    def convolve(self, x: Tensor, filters: Tensor, bias: Tensor | None) -> Tensor:
        """Return the convolution of (N, channels, *size), (N, outs, *size)."""
        bias = _at_one(bias, self._points, _ONE)
        parts = x.permute(0, 2, 3, 1).split(self.images)
        tops = [self._convolve(images, filters, bias) for images in parts]
        return (tops[0] if len(tops) == 1 else torch.cat(tops)).permute(0, 3, 1, 2)

    def _convolve(self, x: Tensor, filters: Tensor, bias: Tensor | None) -> Tensor:
        (h, w), lines = self.size, self.images * self.size[0]
        into, out = _of_rows(self.SIDE, self.taps, w)
        inputs = torch.bmm(into.expand(lines, -1, -1), x.reshape(lines, w, -1))
        inputs = inputs.view(self.images, h, self._pieces, -1)
        found = _products(inputs, filters, bias, self._pad, self._points * self.group)
        tops = torch.bmm(out.expand(lines, -1, -1), found.reshape(lines, len(out[0]), -1))
        return tops.view(self.images, h, w, -1)


@lru_cache(1024)
def way(shape: Shape, weight: Shape, stride: Shape, pad: Shape, group: int) -> Tiles | Rows | None:
    """Return the quickest way of a convolution, None where that is the direct one.

    Parameters
    ----------
    shape : (int, int, int, int)
        The bottom's.
    weight : (int, int, int, int)
        (out, in / group, kh, kw).
    stride, pad, group
        The convolution's.
    """
    images, channels, *size = shape
    taps = weight[2]
    keeps_size = weight[2:] == (taps, taps) and pad == (taps // 2, taps // 2)
    if taps not in (3, 5) or not keeps_size or stride != (1, 1) or not math.prod(shape):
        return None
    rest = channels, weight[0], group, tuple(size)
    ways: list[Tiles | Rows]
    if taps == 3:
        ways = [
            Tiles(_images_at_once(images, math.prod(-(-s // side) for s in size), _MOST_TILES),
                  *rest, side)
            for side in (4, 5)
        ]  # fmt: skip
    else:
        pieces = size[0] * -(-size[1] // Rows.SIDE)
        ways = [Rows(_images_at_once(images, pieces, _MOST_PIECES), *rest, taps)]
    direct = math.prod(size) * math.prod(weight)
    best = min(ways, key=lambda found: found.work() / found.images)
    return best if best.work() / best.images < _PAYS * direct else None
