"""Upsample: maps (N, C, H, W), and masks of their size, come in; out go larger maps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from torchcaffe.blobs.blob import Shape
from torchcaffe.layers.base import Diffs, Layer, Span, layer


@layer("Upsample")
class Upsample(Layer):
    """With a mask: values go back to where max pooling took them from (SegNet's).

    The mask, the second top of a Pooling layer, holds flat positions in the top; elsewhere are
    zeros. Without a mask every value is repeated `scale` times across and down (YOLO's).
    """

    bottoms = (1, 2)

    def setup(self, shapes: list[Shape]) -> None:
        p = self.param.upsample_param
        self.has_mask = len(shapes) == 2
        self.scale = (p.scale_h, p.scale_w) if p.HasField("scale_h") else (p.scale, p.scale)
        if not self.has_mask and not p.HasField("scale"):
            self.scale = (1, 1)
        if min(self.scale) < 1:
            raise self.error(f"scale is {self.scale}; 1 or more is accepted")

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        p = self.param.upsample_param
        self.need_axes(shapes[0], 4, 4)
        self.need_same(shapes)
        n, channels, height, width = shapes[0]
        self.size = (height * self.scale[0], width * self.scale[1])
        if self.has_mask:
            self.size = (self.size[0] - p.pad_out_h, self.size[1] - p.pad_out_w)
            if p.HasField("upsample_h") and p.HasField("upsample_w"):
                self.size = (p.upsample_h, p.upsample_w)
        if min(self.size) < 1:
            raise self.shape_error(f"its bottom {shapes[0]} would become {self.size}")
        return [(n, channels, *self.size)]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        x = bottoms[0]
        if not self.has_mask:
            return [x.repeat_interleave(self.scale[0], 2).repeat_interleave(self.scale[1], 3)]
        at = bottoms[1].detach().flatten(2).long()
        count = self.size[0] * self.size[1]
        if at.numel() and not 0 <= int(at.min()) <= int(at.max()) < count:
            raise self.shape_error(
                f"its mask names positions {int(at.min())} to {int(at.max())}, its top has "
                f"{count}; upsample_h and upsample_w must be the size of the pooling's bottom"
            )
        flat = torch.zeros(*x.shape[:2], count, dtype=x.dtype, device=x.device)
        return [flat.scatter(2, at, x.flatten(2)).reshape(*x.shape[:2], *self.size)]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        diff = top_diffs[0]
        if self.has_mask:
            at = bottoms[1].flatten(2).long()
            return [diff.flatten(2).gather(2, at).reshape(bottoms[0].shape), None]
        sums = F.avg_pool2d(diff, self.scale, self.scale, divisor_override=1)
        return [sums]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        size = shapes[bottom][axis + 2]
        return (span[0] * size // self.size[axis], span[1] * size // self.size[axis])
