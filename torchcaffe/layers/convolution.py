"""Convolution, its transpose, and im2col."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from torchcaffe import packed
from torchcaffe.blob import Shape
from torchcaffe.layers.base import Diffs, Layer, Span, layer, spatial
from torchcaffe.proto.caffe_pb2 import ConvolutionParameter


class _Sliding(Layer):
    """What all layers with a sliding kernel share: their geometry."""

    bottoms = (1, None)
    tops = (1, None)
    transposed = False

    def _geometry(self, shape: Shape) -> None:
        p = self.param.convolution_param
        channel_axis = self.axis(p.axis, shape)
        if channel_axis != 1:
            raise self.error(f"axis is {p.axis}; channels are accepted at axis 1 only")
        self.axes = len(shape) - 2
        if not 1 <= self.axes <= 3:
            raise self.shape_error(f"its bottom has the shape {shape}; 3 to 5 axes are accepted")
        self.kernel = spatial(p, "kernel_size", self.axes, 0, self)
        self.stride = spatial(p, "stride", self.axes, 1, self)
        self.pad = spatial(p, "pad", self.axes, 0, self)
        self.dilation = spatial(p, "dilation", self.axes, 1, self)
        for name in ("kernel", "stride", "dilation"):
            if min(getattr(self, name)) < 1:
                raise self.error(f"{name} is {getattr(self, name)}; 1 or more is accepted")

    def _sizes(self, shape: Shape) -> list[int]:
        """Return the output's spatial sizes (Caffe rounds down)."""
        sizes = []
        rows = zip(shape[2:], self.kernel, self.stride, self.pad, self.dilation, strict=True)
        for size, kernel, stride, pad, dilation in rows:
            extent = dilation * (kernel - 1) + 1
            if self.transposed:
                out = stride * (size - 1) + extent - 2 * pad
            else:
                out = (size + 2 * pad - extent) // stride + 1
            if out < 1:
                raise self.shape_error(
                    f"a kernel of {self.kernel} does not fit into its bottom of shape {shape}"
                )
            sizes.append(out)
        return sizes

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        if len(shapes[bottom]) != 4:
            return None
        reach = self.dilation[axis] * (self.kernel[axis] - 1)
        stride, pad = self.stride[axis], self.pad[axis]
        if self.transposed:
            return -((reach - span[0] - pad) // stride), (span[1] + pad) // stride
        return span[0] * stride - pad, span[1] * stride - pad + reach


class _Weighted(_Sliding):
    """Weights (blob 0) and bias (blob 1) of convolution and deconvolution."""

    def setup(self, shapes: list[Shape]) -> None:
        p: ConvolutionParameter = self.param.convolution_param
        self._geometry(shapes[0])
        self.group = self._group(shapes[0][1])
        if p.num_output < 1 or p.num_output % self.group or shapes[0][1] % self.group:
            raise self.error(
                f"num_output {p.num_output} and the bottom's {shapes[0][1]} channels must be "
                f"positive multiples of group {self.group}"
            )
        ends = (shapes[0][1], p.num_output) if self.transposed else (p.num_output, shapes[0][1])
        self.add_param((ends[0], ends[1] // self.group, *self.kernel), p.weight_filler)
        if p.bias_term:
            self.add_param((p.num_output,), p.bias_filler)
        self.channels = shapes[0][1]
        self._kept = packed.Kept()
        self._packs = (
            packed.AVAILABLE
            and self.axes == 2
            and not self.transposed
            and self.dilation == (1, 1)
            and p.num_output > self.group  # depthwise: nothing to lay out
        )
        self._plan = packed.Geometry(self.stride, self.pad, self.group)

    def _group(self, channels: int) -> int:
        group = self.param.convolution_param.group
        if group < 1:
            raise self.error("group is 0; 1 or more is accepted")
        return group

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.need_same(shapes)
        if len(shapes[0]) != self.axes + 2 or shapes[0][1] != self.channels:
            raise self.shape_error(
                f"its bottom has the shape {shapes[0]}, its weights are for "
                f"{self.channels} channels and {self.axes} spatial axes"
            )
        top = (shapes[0][0], self.param.convolution_param.num_output, *self._sizes(shapes[0]))
        return [top] * len(shapes)

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        bias = params[1] if len(params) > 1 else None
        zeros = [0] * self.axes
        return [
            torch.convolution(
                x, params[0], bias, self.stride, self.pad, self.dilation,
                self.transposed, zeros, self.group,
            )
            for x in bottoms
        ]  # fmt: skip

    def forward(self, bottoms: list[Tensor]) -> list[Tensor]:
        if not (self._packs and bottoms[0].device.type == "cpu"):
            return super().forward(bottoms)
        bias = self.blobs[1].tensor if len(self.blobs) > 1 else None
        tops = [packed.convolve(x, self.blobs[0], bias, self._plan, self._kept) for x in bottoms]
        done = [top for top in tops if top is not None]
        return done if len(done) == len(bottoms) else super().forward(bottoms)

    def _carry_back(self, diff: Tensor, bottom: Tensor) -> Tensor | None:
        if self._packs and diff.device.type == "cpu":
            size = tuple(bottom.shape[2:])
            fast = packed.carry_back(diff, self.blobs[0], size, self._plan, self._kept)
            if fast is not None:
                return fast
        return self._convolution_backward(diff, bottom, [True, False, False])[0]

    def _convolution_backward(
        self, diff: Tensor, bottom: Tensor, mask: list[bool]
    ) -> tuple[Tensor | None, ...]:
        bias = [self.blobs[0].shape[1] * self.group if self.transposed else len(diff[0])]
        return torch.ops.aten.convolution_backward(
            diff.contiguous(), bottom, self.blobs[0].tensor, bias, self.stride, self.pad,
            self.dilation, self.transposed, [0] * self.axes, self.group, mask,
        )  # fmt: skip

    def backward(
        self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]
    ) -> Diffs:
        pairs = zip(top_diffs, bottoms, strict=True)
        return [self._carry_back(diff, bottom) for diff, bottom in pairs]

    def param_diffs(
        self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]
    ) -> Diffs:
        sums: list[Tensor | None] = [None] * len(self.blobs)
        mask = [False, True, len(self.blobs) > 1]
        for diff, bottom in zip(top_diffs, bottoms, strict=True):
            new = self._convolution_backward(diff, bottom, mask)[1 : 1 + len(self.blobs)]
            sums = [b if a is None or b is None else a + b for a, b in zip(sums, new, strict=True)]
        return sums


@layer("Convolution")
class Convolution(_Weighted):
    """Convolution over 1 to 3 spatial axes with groups and dilation."""


@layer("Deconvolution")
class Deconvolution(_Weighted):
    """The transposed convolution: upsampling with learned weights."""

    transposed = True


@layer("DepthwiseConvolution", "ConvolutionDepthwise")
class DepthwiseConvolution(_Weighted):
    """Convolution of every channel by itself (forks of mobile nets)."""

    def _group(self, channels: int) -> int:
        return max(channels, 1)


@layer("Im2col")
class Im2col(_Sliding):
    """The patches under the sliding kernel, laid out as channels."""

    def setup(self, shapes: list[Shape]) -> None:
        self._geometry(shapes[0])
        if self.axes != 2:
            raise self.shape_error(f"its bottom has the shape {shapes[0]}; 4 axes are accepted")

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        n, channels = shapes[0][:2]
        top = (n, channels * math.prod(self.kernel), *self._sizes(shapes[0]))
        return [top] * len(shapes)

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        tops = []
        for x in bottoms:
            columns = F.unfold(x, self.kernel, self.dilation, self.pad, self.stride)
            tops.append(columns.reshape(len(x), -1, *self._sizes(tuple(x.shape))))
        return tops
