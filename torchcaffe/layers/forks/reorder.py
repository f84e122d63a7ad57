"""Reorg, Transpose, Reverse: one blob comes in; out goes it with its values in another order."""

from __future__ import annotations

import torch
from torch import Tensor

from torchcaffe.blobs.blob import Shape
from torchcaffe.layers.base import Layer, Span, layer


@layer("Reorg")
class Reorg(Layer):
    """Move blocks of `stride` x `stride` positions into channels, or back (YOLO v2).

    As in Darknet the two are not each other's inverse: forward reads the bottom's values as
    maps of C / stride**2 channels, stride times as wide and high.
    """

    def setup(self, shapes: list[Shape]) -> None:
        p = self.param.reorg_param
        self.stride, self.is_reverse = p.stride, p.reverse
        if self.stride < 1:
            raise self.error("reorg_param needs a stride of 1 or more")

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.need_axes(shapes[0], 4, 4)
        n, channels, height, width = shapes[0]
        s = self.stride
        if channels % s**2 or (not self.is_reverse and (height % s or width % s)):
            raise self.shape_error(
                f"its bottom {shapes[0]} does not divide by stride {s} (channels by {s**2})"
            )
        if self.is_reverse:
            return [(n, channels // s**2, height * s, width * s)]
        return [(n, channels * s**2, height // s, width // s)]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        (x,) = bottoms
        (n, channels, height, width), s = x.shape, self.stride
        shape = self.reshape([tuple(x.shape)])[0]
        if self.is_reverse:
            split = x.reshape(n, s, s, channels // s**2, height, width)
            return [split.permute(0, 3, 4, 1, 5, 2).reshape(shape)]
        split = x.reshape(n, channels // s**2, height, s, width, s)
        return [split.permute(0, 3, 5, 1, 2, 4).reshape(shape)]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        s = self.stride
        return (span[0] // s, span[1] // s) if self.is_reverse else None


@layer("Transpose")
class Transpose(Layer):
    """Reorder all axes: axis i of the top is axis `dim[i]` of the bottom (CTPN, CRNN)."""

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.order = list(self.param.transpose_param.dim)
        if sorted(self.order) != list(range(len(shapes[0]))):
            raise self.error(f"dim {self.order} must name each axis of its bottom {shapes[0]} once")
        return [tuple(shapes[0][axis] for axis in self.order)]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        return [bottoms[0].permute(self.order).contiguous()]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        keeps = len(self.order) == 4 and self.order[axis + 2] == axis + 2
        return span if keeps else None


@layer("Reverse")
class Reverse(Layer):
    """Turn the order along `axis` round (CTPN, CRNN: the second direction of an LSTM)."""

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.along = self.axis(self.param.reverse_param.axis, shapes[0])
        return [shapes[0]]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        return [torch.flip(bottoms[0], [self.along]) if bottoms[0].ndim else bottoms[0].clone()]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        # a mirrored position is no field that slides along with its unit
        return None if self.along == axis + 2 else super().field(span, axis, bottom, shapes)
