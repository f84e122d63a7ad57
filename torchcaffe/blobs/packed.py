"""Convolutions and products on the CPU with weights laid out once for oneDNN.

Eager PyTorch brings a convolution's weights into the processor's layout at every call; at
batch 1 that is a third of the time of CaffeNet's later layers. Here the laid-out weights are
kept beside the parameter as long as it is unchanged and nobody holds a NumPy view of it. The
gradient of the input uses kept weights too, those of the transposed convolution. For the few
channels of a picture and a stride s that would leave most of the processor's lanes empty: there
the flipped filters are split into s*s phases, each a channel of its own in one convolution,
whose outputs are interleaved afterwards (a third of the time of AlexNet's first layer).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from torchcaffe.blobs import winograd
from torchcaffe.blobs.blob import Blob, Shape

_ROWS = 8  # of a product with a matrix, from which on a layout pays: fewer wait for memory alone
_FEW_CHANNELS = 8  # below, a transposed convolution wastes more than phases do


def _is_available() -> bool:
    needed = (
        "_convolution_pointwise",
        "_reorder_convolution_weight",
        "_convolution_transpose_pointwise",
        "_reorder_convolution_transpose_weight",
        "_linear_pointwise",
        "_reorder_linear_weight",
    )
    found = torch.backends.mkldnn.is_available()
    return found and all(hasattr(torch.ops.mkldnn, name) for name in needed)


AVAILABLE = _is_available()


@dataclass(frozen=True)
class Geometry:
    """What a 2-D convolution without dilation is made of."""

    stride: Shape
    pad: Shape
    group: int


@dataclass(frozen=True)
class Fold:
    """What follows a convolution, made part of it: its outputs are to be multiplied, each (C,).

    Attributes
    ----------
    factor, bias : Tensor
        One value a filter.
    mark : hashable
        Tells the states of that apart.
    """

    factor: Tensor
    bias: Tensor
    mark: Hashable


def _filters(weight: Tensor, fold: Fold | None) -> Tensor:
    return weight if fold is None else weight * fold.factor.view(-1, 1, 1, 1)


def _kept(
    weight: Blob, fold: Fold | None, key: tuple[Hashable, ...], make: Callable[[Tensor], Tensor]
) -> Tensor | None:
    """Return the filters as `make` lays them out, or None where they can't be kept."""
    mark = None if fold is None else fold.mark
    return weight.memory.derived(
        (*key, fold is None), lambda w: make(_filters(w, fold).contiguous()), mark
    )


def _laid_out(weight: Tensor, pad: Shape, stride: Shape, group: int, shape: Shape) -> Tensor:
    return torch.ops.mkldnn._reorder_convolution_weight(
        weight, list(pad), list(stride), [1, 1], group, list(shape)
    )


def _run(
    x: Tensor, weight: Tensor, bias: Tensor | None, pad: Shape, stride: Shape, group: int
) -> Tensor:
    x = x.contiguous(memory_format=torch.channels_last)
    return torch.ops.mkldnn._convolution_pointwise(
        x, weight, bias, list(pad), list(stride), [1, 1], group, "none", [], ""
    )


def convolve(
    x: Tensor,
    weight: Blob,
    bias: Tensor | None,
    geometry: Geometry,
    fold: Fold | None = None,
) -> Tensor | None:
    """Return the convolution (N, C, H, W), or None where the plain way must be taken.

    Parameters
    ----------
    x : Tensor
        (N, C, H, W).
    weight : Blob
        (C_out, C / group, kh, kw).
    bias : Tensor, optional
        (C_out,), that of the fold where there is one.
    geometry : Geometry
        Stride, padding and groups.
    fold : Fold, optional
        What the outputs are multiplied by.
    """
    g, shape = geometry, tuple(x.shape)
    way = winograd.way(shape, weight.dims, g.stride, g.pad, g.group)
    if way is not None:
        filters = _kept(weight, fold, (way,), way.filters)
        return None if filters is None else way.convolve(x, filters, bias)
    laid_out = _kept(
        weight,
        fold,
        ("forward", g, shape),
        lambda w: _laid_out(w, g.pad, g.stride, g.group, shape),
    )
    if laid_out is None:
        return None
    return _run(x, laid_out, bias, g.pad, g.stride, g.group)


def _phases(weight: Tensor, geometry: Geometry) -> Tensor:
    """Turn filters (out, in/group, kh, kw) into those that carry a diff back.

    Returns (in * sh * sw, out/group, ceil(kh/sh), ceil(kw/sw)): for each input channel one
    flipped filter for each position modulo the stride.
    """
    (sh, sw), group = geometry.stride, geometry.group
    out, inner, kh, kw = weight.shape
    jh, jw = -(-kh // sh), -(-kw // sw)
    wide = F.pad(weight, (0, jw * sw - kw, 0, jh * sh - kh))
    split = wide.reshape(group, out // group, inner, jh, sh, jw, sw).flip(3, 5)
    return split.permute(0, 2, 4, 6, 1, 3, 5).reshape(group * inner * sh * sw, -1, jh, jw)


def _interleaved(phases: Tensor, geometry: Geometry, size: Shape) -> Tensor:
    """Put the phases of each channel side by side and cut the padding off."""
    (sh, sw), (ph, pw) = geometry.stride, geometry.pad
    n, channels, h, w = phases.shape
    split = phases.reshape(n, channels // (sh * sw), sh, sw, h, w)
    whole = split.permute(0, 1, 4, 2, 5, 3).reshape(n, -1, h * sh, w * sw)
    part = whole[:, :, ph : ph + size[0], pw : pw + size[1]]
    short = (size[0] - part.shape[2], size[1] - part.shape[3])
    return F.pad(part, (0, short[1], 0, short[0])) if any(short) else part


def carry_back(
    diff: Tensor, weight: Blob, size: Shape, geometry: Geometry, fold: Fold | None = None
) -> Tensor | None:
    """Return the input's diff (N, C, *size), or None where the plain way must be taken."""
    strides, group = geometry.stride, geometry.group
    out, inner, *kernel = weight.dims
    turned_dims = (inner * group, out // group, *kernel)
    way = winograd.way(tuple(diff.shape), turned_dims, strides, geometry.pad, group)
    if way is not None:
        filters = _kept(weight, fold, (way, "back"), lambda w: way.filters(_turned(w, group)))
        return None if filters is None else way.convolve(diff, filters, None)
    few = weight.shape[1] < _FEW_CHANNELS and max(strides) > 1
    # a stride above the kernel has more phases than taps
    if few and all(s <= k for s, k in zip(strides, kernel, strict=True)):
        return _by_phases(diff, weight, size, geometry, fold)
    if kernel == [3, 3] and max(strides) == 1 and max(geometry.pad) < 3:
        return _by_turned(diff, weight, geometry, fold)
    return _transposed(diff, weight, size, geometry, fold)


def _by_turned(diff: Tensor, weight: Blob, geometry: Geometry, fold: Fold | None) -> Tensor | None:
    """Carry back through 3x3 filters of stride 1.

    With one column more on each side than there is, oneDNN adds up in an order whose rounding
    errors are 0.6 of the usual, by which ascents follow real Caffe's for longest
    (tests/optimize/ascent).
    """
    rows, columns = (2 - pad for pad in geometry.pad)
    pad, shape, group = (rows, columns + 1), tuple(diff.shape), geometry.group
    laid_out = _kept(
        weight,
        fold,
        ("turned", geometry, shape),
        lambda w: _laid_out(_turned(w, group), pad, (1, 1), group, shape),
    )
    if laid_out is None:
        return None
    return _run(diff, laid_out, None, pad, (1, 1), group)[..., 1:-1]


def _turned(weight: Tensor, group: int) -> Tensor:
    """Return the filters whose convolution, of stride 1, carries a diff back."""
    split = weight.flip(2, 3).unflatten(0, (group, -1))
    return split.transpose(1, 2).flatten(0, 1)


def _transposed(
    diff: Tensor, weight: Blob, size: Shape, geometry: Geometry, fold: Fold | None
) -> Tensor | None:
    diff, g = _without_border(diff, weight, geometry)
    shape = list(diff.shape)
    sides = zip(size, g.pad, weight.shape[2:], g.stride, strict=True)
    rest = [(side + 2 * pad - kernel) % stride for side, pad, kernel, stride in sides]
    steps = (list(g.pad), rest, list(g.stride), [1, 1], g.group)
    laid_out = _kept(
        weight,
        fold,
        ("back", g, tuple(rest), tuple(shape)),
        lambda w: torch.ops.mkldnn._reorder_convolution_transpose_weight(w, *steps, shape),
    )
    if laid_out is None:
        return None
    diff = diff.contiguous(memory_format=torch.channels_last)
    return torch.ops.mkldnn._convolution_transpose_pointwise(
        diff, laid_out, None, *steps, "none", [], ""
    )


def _without_border(diff: Tensor, weight: Blob, geometry: Geometry) -> tuple[Tensor, Geometry]:
    """Cut off what has seen nothing but padding, which oneDNN is slow at."""
    (top, left) = (
        max(pad - kernel + 1, 0) if stride == 1 else 0
        for pad, kernel, stride in zip(geometry.pad, weight.shape[2:], geometry.stride, strict=True)
    )
    if not top and not left:
        return diff, geometry
    (h, w), (ph, pw) = diff.shape[2:], geometry.pad
    cut = diff[:, :, top : h - top, left : w - left]
    return cut, replace(geometry, pad=(ph - top, pw - left))


def _by_phases(
    diff: Tensor, weight: Blob, size: Shape, geometry: Geometry, fold: Fold | None
) -> Tensor | None:
    taps = [-(-k // s) for k, s in zip(weight.shape[2:], geometry.stride, strict=True)]
    pad, shape, group = tuple(t - 1 for t in taps), tuple(diff.shape), geometry.group
    laid_out = _kept(
        weight,
        fold,
        ("phases", geometry, shape),
        lambda w: _laid_out(_phases(w, geometry), pad, (1, 1), group, shape),
    )
    if laid_out is None:
        return None
    return _interleaved(_run(diff, laid_out, None, pad, (1, 1), group), geometry, size)


def multiply(rows: Tensor, weight: Blob, bias: Tensor | None) -> Tensor | None:
    """Return rows (n, in) times weight (out, in), or None where the plain way must be taken.

    For few rows oneDNN reads the weights as they are, as quickly as memory gives them; for more it
    lays them out, a second copy, and takes half the time of PyTorch's product.
    """
    if len(rows) < _ROWS and weight.tensor.is_contiguous():
        return torch.ops.mkldnn._linear_pointwise(rows, weight.tensor, bias, "none", [], "")
    return _of_laid_out(rows, weight, bias, "rows", lambda w: w)


def multiply_back(rows: Tensor, weight: Blob) -> Tensor | None:
    """Return rows (n, out) times weight (out, in), or None where the plain way must be taken.

    That is the quickest for few rows; with more, laid-out weights take half its time.
    """
    if len(rows) < _ROWS:
        return None
    return _of_laid_out(rows, weight, None, "rows back", torch.t)


def _of_laid_out(
    rows: Tensor, weight: Blob, bias: Tensor | None, key: str, turn: Callable[[Tensor], Tensor]
) -> Tensor | None:
    laid_out = weight.memory.derived(
        key, lambda w: torch.ops.mkldnn._reorder_linear_weight(turn(w).contiguous(), 2 * _ROWS)
    )
    if laid_out is None:
        return None
    return torch.ops.mkldnn._linear_pointwise(rows, laid_out, bias, "none", [], "")
