"""Layers of products and sums: InnerProduct, Embed, Eltwise, Scale, Bias, Axpy."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from torchcaffe.blobs import packed
from torchcaffe.blobs.blob import Shape
from torchcaffe.layers.base import Diffs, Layer, Span, layer
from torchcaffe.proto.caffe_pb2 import EltwiseParameter, FillerParameter


@layer("InnerProduct")
class InnerProduct(Layer):
    """Fully connected: everything from `axis` on is one vector."""

    def setup(self, shapes: list[Shape]) -> None:
        p = self.param.inner_product_param
        if p.num_output < 1:
            raise self.error("num_output is 0; 1 or more is accepted")
        self.first = self.axis(p.axis, shapes[0])
        self.length = math.prod(shapes[0][self.first :])
        ends = (p.num_output, self.length)
        self.add_param(ends[::-1] if p.transpose else ends, p.weight_filler)
        if p.bias_term:
            self.add_param((p.num_output,), p.bias_filler)
        self.packs = packed.AVAILABLE and not p.transpose and self.length > 0

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        if math.prod(shapes[0][self.first :]) != self.length or len(shapes[0]) < self.first:
            raise self.shape_error(
                f"its bottom has the shape {shapes[0]}, which is not {self.length} values from "
                f"axis {self.first} on, as its weights need; keep the input size of the prototxt"
            )
        return [(*shapes[0][: self.first], self.param.inner_product_param.num_output)]

    def _matrix(self, params: list[Tensor]) -> Tensor:
        return params[0].t() if self.param.inner_product_param.transpose else params[0]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        lead = bottoms[0].shape[: self.first]
        bias = params[1] if len(params) > 1 else None
        out = F.linear(bottoms[0].reshape(-1, self.length), self._matrix(params), bias)
        return [out.reshape(*lead, -1)]

    def forward(self, bottoms: list[Tensor]) -> list[Tensor]:
        (x,) = bottoms
        if self.packs and x.numel() and x.device.type == "cpu":
            bias = self.blobs[1].tensor if len(self.blobs) > 1 else None
            fast = packed.multiply(x.reshape(-1, self.length), self.blobs[0], bias)
            if fast is not None:
                return [fast.reshape(*x.shape[: self.first], -1)]
        return super().forward(bottoms)

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        matrix = self._matrix([self.blobs[0].tensor])
        rows, below = top_diffs[0].reshape(-1, matrix.shape[0]), None
        if self.packs and rows.numel() and rows.device.type == "cpu":
            below = packed.multiply_back(rows, self.blobs[0])
        return [(rows @ matrix if below is None else below).reshape(bottoms[0].shape)]

    def param_diffs(
        self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]
    ) -> Diffs:
        rows = top_diffs[0].reshape(-1, self.param.inner_product_param.num_output)
        inputs = bottoms[0].reshape(-1, self.length)
        weight = rows.t() @ inputs
        if self.param.inner_product_param.transpose:
            weight = weight.t()
        return [weight, rows.sum(0)][: len(self.blobs)]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        return None


@layer("Embed")
class Embed(Layer):
    """Rows of a matrix, chosen by the bottom's integers."""

    def setup(self, shapes: list[Shape]) -> None:
        p = self.param.embed_param
        if p.num_output < 1 or p.input_dim < 1:
            raise self.error("num_output and input_dim must be 1 or more")
        self.add_param((p.input_dim, p.num_output), p.weight_filler)
        if p.bias_term:
            self.add_param((p.num_output,), p.bias_filler)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        return [(*shapes[0], self.param.embed_param.num_output)]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        index = bottoms[0].detach().long()
        if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < len(params[0]):
            raise self.shape_error(f"its bottom holds indices outside 0 to {len(params[0]) - 1}")
        rows = params[0][index]
        return [rows + params[1] if len(params) > 1 else rows]


@layer("Eltwise")
class Eltwise(Layer):
    """Product, weighted sum or maximum of bottoms of one shape."""

    bottoms = (2, None)

    def setup(self, shapes: list[Shape]) -> None:
        p = self.param.eltwise_param
        self.operation = p.operation
        if len(p.coeff) not in (0, len(shapes)):
            raise self.error(f"{len(p.coeff)} coeff for {len(shapes)} bottoms; none or one each")
        if p.coeff and self.operation != EltwiseParameter.SUM:
            raise self.error("coeff is for operation SUM only")
        self.coeff = list(p.coeff) or [1.0] * len(shapes)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.need_same(shapes)
        return [shapes[0]]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        if self.operation == EltwiseParameter.SUM:
            out = bottoms[0] * self.coeff[0] if self.coeff[0] != 1 else bottoms[0].clone()
            for coeff, x in zip(self.coeff[1:], bottoms[1:], strict=True):
                out = out.add_(x, alpha=coeff)
            return [out]
        out = bottoms[0]
        for x in bottoms[1:]:
            out = out * x if self.operation == EltwiseParameter.PROD else torch.maximum(out, x)
        return [out]

    def _winner(self, bottoms: list[Tensor]) -> Tensor:
        """Which bottom is the maximum; of equal ones the second, then the earlier (Caffe)."""
        best = torch.maximum(bottoms[0], bottoms[1])
        index = (bottoms[0] <= bottoms[1]).long()
        for i, x in enumerate(bottoms[2:], 2):
            index = torch.where(x > best, torch.full_like(index, i), index)
            best = torch.maximum(best, x)
        return index

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        (diff,) = top_diffs
        if self.operation == EltwiseParameter.SUM:
            return [diff * c if c != 1 else diff for c in self.coeff]
        if self.operation == EltwiseParameter.PROD:
            return super().backward(top_diffs, bottoms, tops)
        winner = self._winner(bottoms)
        return [torch.where(winner == i, diff, 0.0) for i in range(len(bottoms))]


class _Broadcast(Layer):
    """What Scale and Bias share: the second factor, learned or a second bottom."""

    bottoms = (1, 2)

    def _second(self, shapes: list[Shape], start: float) -> None:
        p = self.param.scale_param if self.type == "Scale" else self.param.bias_param
        if len(shapes) == 1:
            self.first = self.axis(p.axis, shapes[0])
            stop = len(shapes[0]) if p.num_axes == -1 else self.first + p.num_axes
            if p.num_axes < -1 or stop > len(shapes[0]):
                raise self.error(f"num_axes {p.num_axes} reaches past its bottom {shapes[0]}")
            default = FillerParameter(type="constant", value=start)
            self.add_param(
                shapes[0][self.first : stop], p.filler if p.HasField("filler") else default
            )
        else:
            self.first = self.axis(p.axis, shapes[0]) if shapes[1] else 0

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        second = shapes[1] if len(shapes) > 1 else self.blobs[0].shape
        if shapes[0][self.first : self.first + len(second)] != second:
            raise self.shape_error(
                f"the shape {second} does not fit its bottom {shapes[0]} from axis {self.first} on"
            )
        return [shapes[0]]

    def _wide(self, x: Tensor, second: Tensor) -> Tensor:
        """Give the second factor axes of size 1 so that it broadcasts over `x`."""
        after = x.ndim - self.first - second.ndim
        return second.reshape(*second.shape, *[1] * after)

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        return span if bottom == 0 else super().field(span, axis, bottom, shapes)


@layer("Scale")
class Scale(_Broadcast):
    """Multiply along axes by a learned factor or a second bottom; optional bias."""

    def setup(self, shapes: list[Shape]) -> None:
        self._second(shapes, 1.0)
        p = self.param.scale_param
        if p.bias_term:
            shape = shapes[1] if len(shapes) > 1 else self.blobs[0].shape
            self.add_param(shape, p.bias_filler)

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        x = bottoms[0]
        factor = self._wide(x, bottoms[1] if len(bottoms) > 1 else params[0])
        if self.param.scale_param.bias_term:
            return [torch.addcmul(self._wide(x, params[-1]), x, factor)]
        return [x * factor]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        if len(bottoms) > 1:
            return super().backward(top_diffs, bottoms, tops)
        return [top_diffs[0] * self._wide(bottoms[0], self.blobs[0].tensor)]


@layer("Bias")
class Bias(_Broadcast):
    """Add along axes a learned bias or a second bottom."""

    def setup(self, shapes: list[Shape]) -> None:
        self._second(shapes, 0.0)

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        x = bottoms[0]
        return [x + self._wide(x, bottoms[1] if len(bottoms) > 1 else params[0])]


@layer("Axpy")
class Axpy(Layer):
    """a * x + y, with one factor a channel (squeeze-and-excitation nets)."""

    bottoms = (3, 3)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        factor, x, y = shapes
        if x != y or len(x) < 2 or factor[:2] != x[:2] or math.prod(factor[2:]) != 1:
            raise self.shape_error(f"needs (N, C, 1, 1), x and y of one shape, not {shapes}")
        return [x]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        factor, x, y = bottoms
        return [factor.reshape(*x.shape[:2], *[1] * (x.ndim - 2)) * x + y]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        return None if bottom == 0 else span
