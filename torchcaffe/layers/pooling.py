"""Pooling with Caffe's own rounding and windows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from torchcaffe.blobs.blob import Shape, checked_shape
from torchcaffe.layers.base import Diffs, Layer, Span, layer, spatial
from torchcaffe.proto.caffe_pb2 import TRAIN, LayerParameter, PoolingParameter, SPPParameter

LOWEST = -3.4028234663852886e38  # what Caffe's maximum of an empty window is


def pooled_size(size: int, kernel: int, stride: int, pad: int, *, floor: bool, padded: bool) -> int:
    """Return Caffe's output size: rounded up, without windows that start in the padding.

    `padded` says that one of the two axes has padding: Caffe then looks at both.
    """
    room = size + 2 * pad - kernel
    out = (room // stride if floor else -(-room // stride)) + 1
    if padded and (out - 1) * stride >= size + pad:
        out -= 1
    return out


@layer("Pooling")
class Pooling(Layer):
    """Maximum, average or stochastic pooling over windows of the last two axes.

    Max pooling's optional second top is the mask: the flat position of the maximum.
    """

    tops = (1, 2)

    def setup(self, shapes: list[Shape]) -> None:
        p: PoolingParameter = self.param.pooling_param
        self.method = p.pool
        self._pick: Tensor | None = None  # what stochastic pooling drew
        self.is_global = p.global_pooling
        if len(self.param.top) > 1 and self.method != PoolingParameter.MAX:
            raise self.error("a second top (the mask) exists for max pooling only")
        if self.is_global:
            self._set((1, 1), (1, 1), (0, 0))
            return
        if not (p.HasField("kernel_size") or (p.HasField("kernel_h") and p.HasField("kernel_w"))):
            raise self.error("pooling_param needs kernel_size, or kernel_h and kernel_w")
        self._set(
            spatial(p, "kernel_size", 2, 0, self),
            spatial(p, "stride", 2, 1, self),
            spatial(p, "pad", 2, 0, self),
        )
        if min(self.kernel) < 1 or min(self.stride) < 1:
            raise self.error(f"kernel {self.kernel} and stride {self.stride} must be 1 or more")
        if any(pad >= kernel for pad, kernel in zip(self.pad, self.kernel, strict=True)):
            raise self.error(f"pad {self.pad} must be smaller than the kernel {self.kernel}")
        if self.method == PoolingParameter.STOCHASTIC and max(self.pad):
            raise self.error("padding exists for max and average pooling only")

    def _set(self, kernel: Shape, stride: Shape, pad: Shape) -> None:
        self.kernel, self.stride, self.pad = kernel, stride, pad

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.need_axes(shapes[0], 4, 4)
        n, channels, *sizes = shapes[0]
        if self.is_global:
            self.kernel = (sizes[0], sizes[1])
        p = self.param.pooling_param
        floor = p.round_mode == PoolingParameter.FLOOR or not p.ceil_mode
        out = self.sizes_out(sizes, floor=floor)
        if min(out) < 1 or min(sizes) < 1:
            raise self.shape_error(
                f"a window of {self.kernel} does not fit into its bottom of shape {shapes[0]}"
            )
        self.size = (out[0], out[1])
        wide = [s + 2 * p for s, p in zip(sizes, self.pad, strict=True)]
        # windows are cut to the padded bottom, so larger kernels and steps change nothing
        self._window, self._step = (
            tuple(map(min, values, wide)) for values in (self.kernel, self.stride)
        )
        checked_shape((n, channels, *wide), f"layer {self.name!r}: its padded bottom")
        return [(n, channels, *self.size)] * len(self.param.top)

    def sizes_out(self, sizes: Sequence[int], *, floor: bool) -> list[int]:
        """Return height and width of the top for the bottom's."""
        rows = zip(sizes, self.kernel, self.stride, self.pad, strict=True)
        padded = max(self.pad) > 0
        return [pooled_size(s, k, st, p, floor=floor, padded=padded) for s, k, st, p in rows]

    def _overhang(self, x: Tensor) -> tuple[int, int]:
        """Return how far the last windows reach past the bottom and its own padding."""
        reach = [
            (out - 1) * stride + kernel - size - 2 * pad
            for out, stride, kernel, size, pad in zip(
                self.size, self._step, self._window, x.shape[2:], self.pad, strict=True
            )
        ]
        return reach[0], reach[1]

    def _max(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maxima and their flat positions in the bottom."""
        over = self._overhang(x)
        geometry = (self._window, self._step, self.pad)
        self._native: bool | None = None  # PyTorch's rounding mode, where it is Caffe's
        if self._fits_torch() and max(over) <= 0:
            self._native = False
            return torch.ops.aten.max_pool2d_with_indices(x, *geometry)
        windows = zip(self.size, self._step, self.pad, x.shape[2:], strict=True)
        inside = all((out - 1) * stride < size + pad for out, stride, pad, size in windows)
        if self._fits_torch() and inside:
            top = torch.ops.aten.max_pool2d_with_indices(x, *geometry, 1, True)
            if tuple(top[0].shape[2:]) == self.size:
                self._native = True
                return top
        return self._max_padded(x, over)

    def _fits_torch(self) -> bool:
        """Return whether PyTorch takes this padding: at most half the kernel."""
        return all(2 * pad <= kernel for pad, kernel in zip(self.pad, self._window, strict=True))

    def _max_padded(self, x: Tensor, over: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Do the same where PyTorch's own rounding differs: pad by hand."""
        (ph, pw), (height, width) = self.pad, x.shape[2:]
        wide = F.pad(x, (pw, pw + max(over[1], 0), ph, ph + max(over[0], 0)), value=LOWEST)
        top, at = torch.ops.aten.max_pool2d_with_indices(wide, self._window, self._step)
        rows = torch.div(at, wide.shape[3], rounding_mode="floor") - ph
        columns = at % wide.shape[3] - pw
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        # a window beyond the bottom (stride above kernel) has no maximum: Caffe's mask is -1
        return top, torch.where(inside, rows * width + columns, -1)

    def _average(self, x: Tensor) -> Tensor:
        """Divide by the window clipped to the padded bottom, as Caffe does."""
        if self._is_whole(x):
            return x.mean((2, 3), keepdim=True)  # ten times as exact as a pooling's running sum
        over = self._overhang(x)
        if self._fits_torch() and max(over) <= 0:
            return F.avg_pool2d(x, self._window, self._step, self.pad)
        ph, pw = self.pad
        edge = (0, max(over[1], 0), 0, max(over[0], 0))
        sums = F.avg_pool2d(
            F.pad(F.pad(x, (pw, pw, ph, ph)), edge), self._window, self._step, divisor_override=1
        )
        ones = F.pad(x.new_ones(1, 1, x.shape[2] + 2 * ph, x.shape[3] + 2 * pw), edge)
        counts = F.avg_pool2d(ones, self._window, self._step, divisor_override=1)
        return sums / counts.clamp_min(1)  # a window beyond the bottom holds nothing: 0

    def _is_whole(self, x: Tensor) -> bool:
        """Return whether one window is the whole map."""
        return tuple(self._window) == tuple(x.shape[2:]) and not any(self.pad)

    def _stochastic(self, x: Tensor) -> Tensor:
        """Draw one value a window with its own weight; when testing, take their mean."""
        over = self._overhang(x)
        wide = F.pad(x, (0, max(over[1], 0), 0, max(over[0], 0)))
        windows = F.unfold(wide, self._window, stride=self._step)
        windows = windows.reshape(*x.shape[:2], math.prod(self._window), -1)
        total = windows.sum(2)
        if self.phase == TRAIN:
            if self._pick is None:
                threshold = torch.rand_like(total) * total
                self._pick = (windows.cumsum(2) < threshold.unsqueeze(2)).sum(2, keepdim=True)
            out = windows.gather(2, self._pick.clamp_max(windows.shape[2] - 1)).squeeze(2)
        else:
            safe = torch.where(total > 0, total, 1.0)
            out = torch.where(total > 0, windows.square().sum(2) / safe, 0.0)
        return out.reshape(*x.shape[:2], *self.size)

    def forget(self) -> None:
        """Draw anew in the next forward pass; the backward pass keeps to what was drawn."""
        self._pick = None

    def forward(self, bottoms: list[Tensor]) -> list[Tensor]:
        self.forget()
        return super().forward(bottoms)

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        (x,) = bottoms
        if self.method == PoolingParameter.MAX:
            top, self._at = self._max(x)
            return [top, self._at.float()][: len(self.param.top)]
        if self.method == PoolingParameter.AVE:
            return [self._average(x)]
        return [self._stochastic(x)]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        if self.method == PoolingParameter.AVE and self._is_whole(bottoms[0]):
            return [(top_diffs[0] / math.prod(self._window)).expand(bottoms[0].shape)]
        if self.method != PoolingParameter.MAX:
            return super().backward(top_diffs, bottoms, tops)
        if self._native is not None:
            geometry = (self._window, self._step, self.pad, (1, 1), self._native)
            return [
                torch.ops.aten.max_pool2d_with_indices_backward(
                    top_diffs[0], bottoms[0], *geometry, self._at
                )
            ]
        out = torch.zeros_like(bottoms[0], memory_format=torch.contiguous_format)
        at, diff = self._at.flatten(2), top_diffs[0].flatten(2)
        out.flatten(2).scatter_add_(2, at.clamp_min(0), diff * (at >= 0))
        return [out]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        if self.is_global:
            return None
        start = span[0] * self.stride[axis] - self.pad[axis]
        return start, span[1] * self.stride[axis] - self.pad[axis] + self.kernel[axis] - 1


@layer("SPP")
class SPP(Layer):
    """Spatial pyramid: poolings into 1, 2x2, 4x4, ... bins, flattened and joined."""

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.need_axes(shapes[0], 4, 4)
        height = self.param.spp_param.pyramid_height
        if not 1 <= height <= 10:
            raise self.error(f"pyramid_height is {height}; 1 to 10 is accepted")
        n, channels, *sizes = shapes[0]
        self._levels = [self._level(sizes, channels, 2**level) for level in range(height)]
        bins = sum(math.prod(pool.size) for pool in self._levels)
        # a single level is Caffe's pooling layer itself: its top keeps four axes
        return [(n, channels, 1, 1) if height == 1 else (n, channels * bins)]

    def _level(self, sizes: list[int], channels: int, bins: int) -> Pooling:
        param = LayerParameter(name=self.name, type="Pooling", top=["y"])
        kernel = [math.ceil(size / bins) for size in sizes]
        pad = [(k * bins - size + 1) // 2 for k, size in zip(kernel, sizes, strict=True)]
        p = param.pooling_param
        p.kernel_h, p.kernel_w = kernel
        p.stride_h, p.stride_w = kernel
        p.pad_h, p.pad_w = pad
        method = SPPParameter.PoolMethod.Name(self.param.spp_param.pool)
        p.pool = PoolingParameter.PoolMethod.Value(method)
        pooling = Pooling(param, self.phase)
        shape = (1, channels, sizes[0], sizes[1])
        pooling.setup([shape])
        pooling.reshape([shape])
        return pooling

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        tops = [pool.compute(bottoms, [])[0] for pool in self._levels]
        return tops if len(tops) == 1 else [torch.cat([top.flatten(1) for top in tops], 1)]

    def forward(self, bottoms: list[Tensor]) -> list[Tensor]:
        for pool in self._levels:
            pool.forget()
        return super().forward(bottoms)

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        return None
