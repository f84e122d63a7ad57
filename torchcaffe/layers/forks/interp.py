"""Resizing: Interp."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

from torchcaffe.blobs.blob import Shape
from torchcaffe.layers.base import Layer, Span, layer


@layer("Interp")
class Interp(Layer):
    """Bilinear resizing with aligned corners (DeepLab, PSPNet)."""

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.need_axes(shapes[0], 4, 4)
        p = self.param.interp_param
        sizes = [size + p.pad_beg + p.pad_end for size in shapes[0][2:]]
        if p.shrink_factor < 1 or p.zoom_factor < 1 or p.pad_beg > 0 or p.pad_end > 0:
            raise self.error("factors must be 1 or more, pads 0 or less (they crop)")
        # one factor alone goes before height and width, both together behind them
        one_factor = p.HasField("shrink_factor") != p.HasField("zoom_factor")
        if p.height and p.width and not one_factor:
            out = [p.height, p.width]
        else:
            out = [(size - 1) // p.shrink_factor + 1 for size in sizes]
            out = [size + (size - 1) * (p.zoom_factor - 1) for size in out]
        if min(*out, *sizes) < 1:
            raise self.shape_error(f"would resize {shapes[0]} to {out}")
        self.out = (out[0], out[1])
        return [(*shapes[0][:2], *out)]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        p = self.param.interp_param
        x = F.pad(bottoms[0], (p.pad_beg, p.pad_end, p.pad_beg, p.pad_end))
        return [F.interpolate(x, self.out, mode="bilinear", align_corners=True)]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        p = self.param.interp_param
        size = shapes[bottom][axis + 2] + p.pad_beg + p.pad_end
        ratio = (size - 1) / max(self.out[axis] - 1, 1)
        low, high = math.floor(span[0] * ratio + 1e-9), math.ceil(span[1] * ratio - 1e-9)
        return low - p.pad_beg, high - p.pad_beg
