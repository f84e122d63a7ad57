"""Convolution3D, Pooling3D: clips (N, C, length, height, width) come in; out go maps of clips."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from torchcaffe.blobs.blob import Shape, checked_shape
from torchcaffe.layers.base import Layer, Span, layer, spatial
from torchcaffe.layers.convolution import Convolution
from torchcaffe.layers.pooling import LOWEST, pooled_size
from torchcaffe.proto.caffe_pb2 import PoolingParameter


@layer("Convolution3D")
class Convolution3D(Convolution):
    """C3D's convolution: `kernel_depth`, `temporal_stride` and `temporal_pad` go along time."""

    def _geometry(self, shape: Shape) -> None:
        self.need_axes(shape, 5, 5)
        super()._geometry(shape)
        p = self.param.convolution_param
        self.kernel = (p.kernel_depth or self.kernel[0], *self.kernel[1:])
        self.stride = (p.temporal_stride, *self.stride[1:])
        self.pad = (p.temporal_pad, *self.pad[1:])
        if min(self.stride) < 1:
            raise self.error(f"stride is {self.stride}; 1 or more is accepted")


@layer("Pooling3D")
class Pooling3D(Layer):
    """C3D's maximum or average over windows of three axes; sizes are rounded up as in 2-D."""

    def setup(self, shapes: list[Shape]) -> None:
        p = self.param.pooling_param
        if p.pool == PoolingParameter.STOCHASTIC:
            raise self.error("MAX and AVE are accepted")
        kernel = spatial(p, "kernel_size", 2, 0, self)
        self.kernel = (p.kernel_depth or kernel[0], *kernel)
        self.stride = (p.temporal_stride, *spatial(p, "stride", 2, 1, self))
        self.pad = (p.temporal_pad, *spatial(p, "pad", 2, 0, self))
        if min(*self.kernel, *self.stride) < 1:
            raise self.error(f"kernel {self.kernel} and stride {self.stride} must be 1 or more")
        if any(pad >= kernel for pad, kernel in zip(self.pad, self.kernel, strict=True)):
            raise self.error(f"pad {self.pad} must be smaller than the kernel {self.kernel}")

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.need_axes(shapes[0], 5, 5)
        sizes = shapes[0][2:]
        rows = zip(sizes, self.kernel, self.stride, self.pad, strict=True)
        padded = max(self.pad) > 0
        self.size = tuple(pooled_size(*row, floor=False, padded=padded) for row in rows)
        if min(*self.size, *sizes) < 1:
            raise self.shape_error(
                f"a window of {self.kernel} does not fit into its bottom of shape {shapes[0]}"
            )
        last = [
            (out - 1) * stride + kernel  # where the last window ends, from the padded beginning
            for out, stride, kernel in zip(self.size, self.stride, self.kernel, strict=True)
        ]
        self._edges = [
            (pad, max(end - size - pad, pad))
            for end, size, pad in zip(last, sizes, self.pad, strict=True)
        ]
        wide = [size + sum(edge) for size, edge in zip(sizes, self._edges, strict=True)]
        checked_shape((*shapes[0][:2], *wide), f"layer {self.name!r}: its padded bottom")
        return [(*shapes[0][:2], *self.size)]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        (x,) = bottoms
        edges = [amount for edge in reversed(self._edges) for amount in edge]
        is_max = self.param.pooling_param.pool == PoolingParameter.MAX
        wide = F.pad(x, edges, value=LOWEST if is_max else 0.0)
        if is_max:
            return [self._cut(F.max_pool3d(wide, self.kernel, self.stride))]
        # divided by the window clipped to the bottom and its own padding
        own = [size + 2 * pad for size, pad in zip(x.shape[2:], self.pad, strict=True)]
        rest = [(0, w - o) for w, o in zip(wide.shape[2:], own, strict=True)]
        ones = F.pad(x.new_ones(1, 1, *own), [n for pair in reversed(rest) for n in pair])
        sums, counts = (
            F.avg_pool3d(values, self.kernel, self.stride, divisor_override=1)
            for values in (wide, ones)
        )
        return [self._cut(sums / counts.clamp_min(1))]

    def _cut(self, top: Tensor) -> Tensor:
        length, height, width = self.size
        return top[:, :, :length, :height, :width]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        return None
