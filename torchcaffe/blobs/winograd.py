"""3x3 convolutions with 2.25 to 4 times fewer multiplications (Lavin and Gray 2015, F(4x4, 3x3)).

oneDNN has no such algorithm for x86 processors any more. Here the three transforms are products
with constant matrices, and the 36 products between them one batched one. Rounding errors are
some ten times those of the direct way, 1e-5 of the largest value. It pays for wide layers of
large maps only; the transformed filters take four times the memory.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from torchcaffe.blobs.blob import Shape

_TILE = 4  # outputs a side; six inputs
_LEAST_CHANNELS, _LEAST_SIZE, _LEAST_WORK = 128, 27, 2**26  # found by timing VGG-16's layers

_INPUT: list[list[float]] = [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
]
_FILTER: list[list[float]] = [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
]
_OUTPUT: list[list[float]] = [
    [1, 1, 1, 1, 1, 0],
    [0, 1, -1, 2, -2, 0],
    [0, 1, 1, 4, 4, 0],
    [0, 1, -1, 8, -8, 1],
]


def _both_axes(matrix: list[list[float]]) -> Tensor:
    one = torch.tensor(matrix, dtype=torch.float64)
    return torch.kron(one, one)


_INPUTS, _OUTPUTS = _both_axes(_INPUT).float(), _both_axes(_OUTPUT).float()
_FILTERS = _both_axes(_FILTER)


def pays(size: Shape, weight: Shape, stride: Shape, pad: Shape, group: int) -> bool:
    """Return whether a convolution of maps of that (height, width) is quicker this way.

    `weight` is (out, in, kh, kw).
    """
    fits = weight[2:] == (3, 3) and stride == (1, 1) and pad == (1, 1) and group == 1
    is_wide = min(weight[:2]) >= _LEAST_CHANNELS and min(size) >= _LEAST_SIZE
    return fits and is_wide and math.prod(weight[:2]) * math.prod(size) >= _LEAST_WORK


def filters(weight: Tensor) -> Tensor:
    """Return filters (out, in, 3, 3) transformed, (36, in, out)."""
    out, inner = weight.shape[:2]
    flat = weight.double().reshape(out * inner, 9)
    return (_FILTERS @ flat.t()).float().view(36, out, inner).permute(0, 2, 1).contiguous()


def convolve(x: Tensor, transformed: Tensor, bias: Tensor | None) -> Tensor:
    """Return the convolution of (N, in, H, W) with one pixel of padding, (N, out, H, W).

    Image by image, so that an image's values do not depend on what else is in the batch.
    """
    tops = [_of_one(image, transformed) for image in x.split(1)]
    top = tops[0] if len(tops) == 1 else torch.cat(tops)
    return top if bias is None else top.add_(bias.view(-1, 1, 1))


def _of_one(x: Tensor, transformed: Tensor) -> Tensor:
    _, inner, h, w = x.shape
    rows, columns = -(-h // _TILE), -(-w // _TILE)
    wide = F.pad(x, (1, columns * _TILE + 1 - w, 1, rows * _TILE + 1 - h))
    tiles = wide.unfold(2, 6, _TILE).unfold(3, 6, _TILE).permute(4, 5, 0, 2, 3, 1)
    inputs = (_INPUTS @ tiles.reshape(36, -1)).view(36, -1, inner)
    outputs = _OUTPUTS @ torch.bmm(inputs, transformed).view(36, -1)
    parts = outputs.view(_TILE, _TILE, rows, columns, -1).permute(2, 0, 3, 1, 4)
    top = parts.reshape(1, rows * _TILE, columns * _TILE, -1)[:, :h, :w]
    return top.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
