"""Layers that normalise: LRN, BatchNorm, MVN, Normalize, Softmax."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from torchcaffe.blobs.blob import Kept, Shape
from torchcaffe.layers.base import Diffs, Layer, Span, layer
from torchcaffe.proto.caffe_pb2 import TRAIN, FillerParameter, LRNParameter


def window_sums(x: Tensor, size: int) -> Tensor:
    """Sum over `size` neighbouring channels (axis 1), centred, zero outside."""
    half = size // 2
    out = x.clone()
    for shift in range(1, min(half, x.shape[1] - 1) + 1):
        out[:, shift:] += x[:, :-shift]
        out[:, :-shift] += x[:, shift:]
    return out


def to_minus(scale: Tensor, beta: float) -> Tensor:
    """Return scale ** -beta; the usual 0.75 by square roots, which are much faster."""
    if beta == 0.75:
        root = scale.sqrt()
        return (root * root.sqrt()).reciprocal_()
    return scale.pow(-beta)


@layer("LRN")
class LRN(Layer):
    """Local response normalisation; alpha is divided by the window's size (Caffe).

    In the deconvnet pass its derivative is used, or, with `deconv_ignore`, nothing is.
    """

    def setup(self, shapes: list[Shape]) -> None:
        self.need_axes(shapes[0], 4, 4)
        p: LRNParameter = self.param.lrn_param
        if p.local_size % 2 == 0:
            raise self.error(f"local_size is {p.local_size}; an odd number is accepted")
        self.size, self.beta, self.k = p.local_size, p.beta, p.k
        self.within = p.norm_region == LRNParameter.WITHIN_CHANNEL
        self.alpha = p.alpha / self.size ** (2 if self.within else 1)
        if self.within:
            self.k = 1.0  # Caffe builds this form from Power(shift 1), without k

    def _scale(self, x: Tensor) -> Tensor:
        if not self.within:
            return window_sums(x.square(), self.size).mul_(self.alpha).add_(self.k)
        sums = F.avg_pool2d(x.square(), self.size, 1, self.size // 2, divisor_override=1)
        # Caffe averages over the window clipped to the padded image, which here is whole
        return 1.0 + self.alpha * sums

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        (x,) = bottoms
        return [x * to_minus(self._scale(x), self.beta)]

    def forward(self, bottoms: list[Tensor]) -> list[Tensor]:
        (x,) = bottoms
        scale = self._scale(x)
        factor = to_minus(scale, self.beta)
        self._kept = scale, factor  # roots are dear
        return [x * factor]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        if self.within:
            return super().backward(top_diffs, bottoms, tops)
        (x,), (diff,), (scale, factor) = bottoms, top_diffs, self._kept
        below = diff * factor
        ratio = window_sums((x * below).div_(scale), self.size)
        return [below.addcmul_(ratio, x, value=-2 * self.alpha * self.beta)]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        half = self.size // 2 if self.within else 0
        return span[0] - half, span[1] + half


@layer("BatchNorm")
class BatchNorm(Layer):
    """Normalise every channel; no scale and bias (that is a Scale layer's).

    Blobs: sums of mean and variance, and the factor both are to be divided by. In NVIDIA's
    fork, with `scale_bias` or one of their fillers, scale and bias follow as blobs 3 and 4.
    """

    def setup(self, shapes: list[Shape]) -> None:
        p = self.param.batch_norm_param
        channels = shapes[0][1] if len(shapes[0]) > 1 else 1
        zero = FillerParameter(type="constant", value=0.0)
        for shape in ((channels,), (channels,), (1,)):
            self.add_param(shape, zero)
        self.is_fused = p.scale_bias or p.HasField("scale_filler") or p.HasField("bias_filler")
        if self.is_fused:
            one = FillerParameter(type="constant", value=1.0)
            self.add_param((channels,), p.scale_filler if p.HasField("scale_filler") else one)
            self.add_param((channels,), p.bias_filler if p.HasField("bias_filler") else zero)
        self.use_stored = p.use_global_stats if p.HasField("use_global_stats") else (
            self.phase != TRAIN
        )  # fmt: skip
        self.eps, self.decay = p.eps, p.moving_average_fraction
        self._kept = Kept()

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        channels = shapes[0][1] if len(shapes[0]) > 1 else 1
        if channels != self.blobs[0].shape[0]:
            raise self.shape_error(
                f"its bottom has the shape {shapes[0]}, its statistics are for "
                f"{self.blobs[0].shape[0]} channels"
            )
        return [shapes[0]]

    def _stored(self, params: list[Tensor]) -> tuple[Tensor, Tensor]:
        factor = params[2]
        scale = torch.where(factor == 0, torch.zeros_like(factor), 1 / factor)
        return params[0] * scale, params[1] * scale

    def stored(self) -> tuple[Tensor, ...]:
        """Return mean, variance and 1 / deviation as they are stored, each (C,)."""

        def make() -> tuple[Tensor, ...]:
            mean, variance = self._stored([blob.tensor for blob in self.blobs])
            return mean, variance, (variance + self.eps).rsqrt()

        return self._kept.of(self.blobs[:3], make)

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        (x,) = bottoms
        view = (1, -1, *[1] * (x.ndim - 2)) if x.ndim > 1 else (1,)
        if self.use_stored:
            is_own = all(p is blob.tensor for p, blob in zip(params[:3], self.blobs, strict=False))
            mean, variance = self.stored()[:2] if is_own else self._stored(params)
            # PyTorch's own goes over the values once; it has no derivative by the statistics.
            if x.ndim > 1 and x.numel() and not mean.requires_grad:
                scale, bias = params[3:5] if self.is_fused else (None, None)
                top = torch.batch_norm(x, scale, bias, mean, variance, False, 0.0, self.eps, False)
                return [top]
        else:
            axes = [0, *range(2, x.ndim)]
            mean = x.mean(axes)
            variance = (x - mean.view(view)).square().mean(axes)
        factor = (variance + self.eps).rsqrt()
        top = (x - mean.view(view)) * factor.view(view)
        if self.is_fused:
            top = top * params[3].view(view) + params[4].view(view)
        return [top]

    def forward(self, bottoms: list[Tensor]) -> list[Tensor]:
        if not self.use_stored:
            self._update(bottoms[0])
        return super().forward(bottoms)

    def _update(self, x: Tensor) -> None:
        """Move the stored sums towards this batch's statistics (training)."""
        axes = [0, *range(2, x.ndim)]
        count = x.numel() / max(self.blobs[0].shape[0], 1)
        unbiased = count / (count - 1) if count > 1 else 1.0
        news = (x.mean(axes), x.var(axes, unbiased=False) * unbiased, x.new_ones(1))
        for blob, new in zip(self.blobs[:3], news, strict=True):
            blob.set_tensor(blob.tensor * self.decay + new)

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        if not self.use_stored:
            return super().backward(top_diffs, bottoms, tops)
        view = (1, -1, *[1] * (top_diffs[0].ndim - 2)) if top_diffs[0].ndim > 1 else (1,)
        factor = self.stored()[2]
        if self.is_fused:
            factor = factor * self.blobs[3].tensor
        return [top_diffs[0] * factor.view(view)]

    def param_diffs(
        self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]
    ) -> Diffs:
        if not self.is_fused:
            return [None] * 3  # statistics are not learned
        return [None] * 3 + list(super().param_diffs(top_diffs, bottoms, tops))[3:]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        return super().field(span, axis, bottom, shapes) if self.use_stored else None


@layer("MVN")
class MVN(Layer):
    """Subtract the mean and divide by the deviation of each channel or each image."""

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.need_axes(shapes[0], 1, 4)
        # Caffe's top always has four axes here
        self.top_shape = (*shapes[0], *[1] * (4 - len(shapes[0])))
        return [self.top_shape]

    def _rows(self, x: Tensor) -> Tensor:
        """Return one row for what is normalised together: a channel, or an image."""
        lead = self.top_shape[: 1 if self.param.mvn_param.across_channels else 2]
        return x.reshape(math.prod(lead), math.prod(self.top_shape[len(lead) :]))

    def _normalised(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows normalised, and their deviations plus eps."""
        rows = self._rows(x)
        rows = rows - rows.mean(1, keepdim=True)
        if not self.param.mvn_param.normalize_variance:
            return rows, rows.new_ones(len(rows), 1)
        scale = rows.square().mean(1, keepdim=True).sqrt() + self.param.mvn_param.eps
        return rows / scale, scale

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        return [self._normalised(bottoms[0])[0].reshape(self.top_shape)]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        # Caffe's own: eps is part of the deviation, but the derivative takes it as small
        rows, scale = self._normalised(bottoms[0])
        diff = self._rows(top_diffs[0])
        out = diff - diff.mean(1, keepdim=True)
        if self.param.mvn_param.normalize_variance:
            out = (out - rows * (diff * rows).mean(1, keepdim=True)) / scale
        return [out.reshape(bottoms[0].shape)]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        return None


@layer("Normalize")
class Normalize(Layer):
    """Divide by the L2 norm over channels (or over the whole image); learned scale (SSD)."""

    def setup(self, shapes: list[Shape]) -> None:
        self.need_axes(shapes[0], 2)
        p = self.param.norm_param
        one = FillerParameter(type="constant", value=1.0)
        shape = () if p.channel_shared else (shapes[0][1],)  # one number has no axes (SSD)
        self.add_param(shape, p.scale_filler if p.HasField("scale_filler") else one)

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        (x,), p = bottoms, self.param.norm_param
        axes = list(range(1, x.ndim)) if p.across_spatial else [1]
        # SSD's own two places for eps: inside the root over a point, and over an image too
        norm = (x.square().sum(axes, keepdim=True) + p.eps).sqrt()
        return [x / norm * params[0].reshape(1, -1, *[1] * (x.ndim - 2))]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        return None if self.param.norm_param.across_spatial else span


@layer("Softmax")
class Softmax(Layer):
    """exp(x) / sum(exp(x)) along an axis."""

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.along = self.axis(self.param.softmax_param.axis, shapes[0])
        return [shapes[0]]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        return [torch.softmax(bottoms[0], self.along)]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        inner = (top_diffs[0] * tops[0]).sum(self.along, keepdim=True)
        return [(top_diffs[0] - inner) * tops[0]]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        return None if self.along == axis + 2 else super().field(span, axis, bottom, shapes)
