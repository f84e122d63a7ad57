"""Convolution, its transpose, and im2col."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from torchcaffe.blobs import packed
from torchcaffe.blobs.blob import Shape, checked_shape
from torchcaffe.layers.base import Diffs, Layer, Span, layer, spatial
from torchcaffe.proto.caffe_pb2 import ConvolutionParameter

MOST_STRIDE = 1000  # PyTorch 2.13 crashes in the way back of some strides from 4000 on


class _Sliding(Layer):
    """What all layers with a sliding kernel share: their geometry."""

    bottoms = (1, None)
    tops = (1, None)
    transposed = False

    def _geometry(self, shape: Shape) -> None:
        p = self.param.convolution_param
        self.first = self.axis(p.axis, shape)  # the channels'; all axes before it are batch
        self.axes = len(shape) - self.first - 1
        if self.axes > 3:
            raise self.shape_error(
                f"its bottom has the shape {shape}; 0 to 3 axes are accepted behind the channels"
            )
        self.kernel = spatial(p, "kernel_size", self.axes, 0, self)
        self.stride = spatial(p, "stride", self.axes, 1, self)
        self.pad = spatial(p, "pad", self.axes, 0, self)
        # what DeepLab's fork calls hole is dilation
        has_hole = p.HasField("hole") or p.HasField("hole_h") or p.HasField("hole_w")
        self.dilation = spatial(p, "hole" if has_hole else "dilation", self.axes, 1, self)
        for name in ("kernel", "stride", "dilation"):
            if min(getattr(self, name), default=1) < 1:
                raise self.error(f"{name} is {getattr(self, name)}; 1 or more is accepted")
        if max(self.stride, default=1) > MOST_STRIDE:
            raise self.error(
                f"stride is {self.stride}; up to {MOST_STRIDE} is computed here (networks have at "
                "most some dozens)"
            )
        self._is_plain = self.first == 1 and self.axes > 0

    def _flat(self, x: Tensor) -> Tensor:
        """Return `x` as PyTorch wants it: one batch axis, channels, one spatial axis or more."""
        if self._is_plain:
            return x
        batch, rest = math.prod(x.shape[: self.first]), x.shape[self.first :]
        return x.reshape(batch, *rest, *[1] * (not self.axes))

    def _spread(self) -> tuple[Shape, Shape, Shape]:
        """Return stride, pad and dilation for at least one spatial axis."""
        return self.stride or (1,), self.pad or (0,), self.dilation or (1,)

    def _sizes(self, shape: Shape) -> list[int]:
        """Return the output's spatial sizes (Caffe rounds down)."""
        sizes = []
        spatial_sizes = shape[self.first + 1 :]
        rows = zip(spatial_sizes, self.kernel, self.stride, self.pad, self.dilation, strict=True)
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
        wide = [size + 2 * pad for size, pad in zip(spatial_sizes, self.pad, strict=True)]
        checked_shape((*shape[: self.first + 1], *wide), f"layer {self.name!r}: its padded bottom")
        return sizes

    def connects(self, top: int, bottom: int) -> bool:
        return top == bottom

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        if len(shapes[bottom]) != 4 or self.first != 1:
            return None
        reach = self.dilation[axis] * (self.kernel[axis] - 1)
        stride, pad = self.stride[axis], self.pad[axis]
        if self.transposed:
            return self._field_up((span[0] + pad, span[1] + pad), axis)
        return span[0] * stride - pad, span[1] * stride - pad + reach

    def _field_up(self, span: Span, axis: int) -> Span:
        """Return the bottom's positions that spread to the (padded) top's, if any does."""
        stride, dilation, taps = self.stride[axis], self.dilation[axis], self.kernel[axis]

        def spreads(i: int) -> bool:
            nearest = -((i * stride - span[0]) // dilation)
            return max(nearest, 0) <= min((span[1] - i * stride) // dilation, taps - 1)

        first, last = -((dilation * (taps - 1) - span[0]) // stride), span[1] // stride
        while first <= last and not spreads(first):
            first += 1
        while first <= last and not spreads(last):
            last -= 1
        return first, last


class _Weighted(_Sliding):
    """Weights (blob 0) and bias (blob 1) of convolution and deconvolution."""

    def setup(self, shapes: list[Shape]) -> None:
        p: ConvolutionParameter = self.param.convolution_param
        self._geometry(shapes[0])
        self.channels = channels = shapes[0][self.first]
        self.group = self._group(channels)
        if p.num_output < 1 or p.num_output % self.group or channels % self.group:
            raise self.error(
                f"num_output {p.num_output} and the bottom's {channels} channels must be "
                f"positive multiples of group {self.group}"
            )
        if channels < 1:
            raise self.shape_error(f"its bottom {shapes[0]} has no channels")
        ends = (channels, p.num_output) if self.transposed else (p.num_output, channels)
        self.add_param((ends[0], ends[1] // self.group, *self.kernel), p.weight_filler)
        if p.bias_term:
            self.add_param((p.num_output,), p.bias_filler)
        self.packs = (
            packed.AVAILABLE
            and self.axes == 2
            and self._is_plain
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
        axes = len(shapes[0]) - self.first - 1
        if axes != self.axes or shapes[0][self.first] != self.channels:
            raise self.shape_error(
                f"its bottom has the shape {shapes[0]}, its weights are for "
                f"{self.channels} channels and {self.axes} spatial axes"
            )
        outputs = self.param.convolution_param.num_output
        top = (*shapes[0][: self.first], outputs, *self._sizes(shapes[0]))
        return [top] * len(shapes)

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        bias = params[1] if len(params) > 1 else None
        weight = params[0] if self.axes else params[0].unsqueeze(2)
        settings = (*self._spread(), self.transposed, [0] * max(self.axes, 1), self.group)
        tops = [torch.convolution(self._flat(x), weight, bias, *settings) for x in bottoms]
        if self._is_plain:
            return tops
        shape = self.reshape([tuple(bottoms[0].shape)])[0]
        return [top.reshape(shape) for top in tops]

    def forward(self, bottoms: list[Tensor]) -> list[Tensor]:
        bias = self.blobs[1].tensor if len(self.blobs) > 1 else None
        tops = [self.packed_forward(x, bias) for x in bottoms]
        done = [top for top in tops if top is not None]
        return done if len(done) == len(bottoms) else super().forward(bottoms)

    def packed_forward(
        self, x: Tensor, bias: Tensor | None, fold: packed.Fold | None = None
    ) -> Tensor | None:
        """Return the top by kept weights, or None where the plain way must be taken."""
        if not self.packs or x.device.type != "cpu":
            return None
        return packed.convolve(x, self.blobs[0], bias, self._plan, fold)

    def packed_backward(
        self, diff: Tensor, bottom: Shape, fold: packed.Fold | None = None
    ) -> Tensor | None:
        """Return the bottom's diff by kept weights, or None where the plain way must be taken."""
        if not (self.packs and diff.numel() and diff.device.type == "cpu"):  # or it has nothing
            return None
        return packed.carry_back(diff, self.blobs[0], bottom[2:], self._plan, fold)

    def _carry_back(self, diff: Tensor, bottom: Tensor) -> Tensor | None:
        fast = self.packed_backward(diff, tuple(bottom.shape))
        if fast is not None:
            return fast
        return self._convolution_backward(diff, bottom, [True, False, False])[0]

    def _convolution_backward(
        self, diff: Tensor, bottom: Tensor, mask: list[bool]
    ) -> tuple[Tensor | None, ...]:
        weight = self.blobs[0].tensor if self.axes else self.blobs[0].tensor.unsqueeze(2)
        bias = [self.param.convolution_param.num_output]
        settings = (*self._spread(), self.transposed, [0] * max(self.axes, 1), self.group)
        diff, x = self._flat(diff), self._flat(bottom)
        # in one layout with the bottom: depthwise ones then take a third of the time
        last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
        diff = diff.contiguous(
            memory_format=torch.channels_last if last else torch.contiguous_format
        )
        found = torch.ops.aten.convolution_backward(diff, x, weight, bias, *settings, mask)
        if self._is_plain:
            return found
        shapes = (bottom.shape, self.blobs[0].shape, bias)
        return tuple(
            None if new is None else new.reshape(shape)
            for new, shape in zip(found, shapes, strict=True)
        )

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
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
        if not self.axes:
            raise self.shape_error(f"its bottom {shapes[0]} has no axis behind the channels")

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.need_same(shapes)
        if len(shapes[0]) != self.first + 1 + self.axes:
            raise self.shape_error(f"its bottom {shapes[0]} changed its number of axes")
        channels = shapes[0][self.first] * math.prod(self.kernel)
        top = (*shapes[0][: self.first], channels, *self._sizes(shapes[0]))
        return [top] * len(shapes)

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        shape = self.reshape([tuple(bottoms[0].shape)])[0]
        sizes = shape[self.first + 1 :]
        return [self._columns(self._flat(x), sizes).reshape(shape) for x in bottoms]

    def _columns(self, x: Tensor, sizes: Shape) -> Tensor:
        """Return (batch, channels, kernel..., output...): what the kernel sees everywhere."""
        x = F.pad(x, [pad for pad in reversed(self.pad) for _ in range(2)])
        for i, size in enumerate(sizes):
            starts = torch.arange(size, device=x.device) * self.stride[i]
            taps = torch.arange(self.kernel[i], device=x.device) * self.dilation[i]
            at = (taps[:, None] + starts).flatten()
            # the axes done so far are pairs (kernel, output) in front of this one
            x = x.index_select(2 + 2 * i, at).unflatten(2 + 2 * i, (self.kernel[i], size))
        n = len(sizes)
        return x.permute(0, 1, *range(2, 2 + 2 * n, 2), *range(3, 3 + 2 * n, 2))
