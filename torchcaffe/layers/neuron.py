"""Layers that work value by value (Caffe's neuron layers)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from torchcaffe.blobs.blob import Shape
from torchcaffe.layers.base import Diffs, Layer, layer
from torchcaffe.proto.caffe_pb2 import TRAIN, FillerParameter


@layer("ReLU")
class ReLU(Layer):
    """y = max(x, 0) + negative_slope * min(x, 0)."""

    saves_input = False  # the output's sign is the input's

    def setup(self, shapes: list[Shape]) -> None:
        self.slope = self.param.relu_param.negative_slope
        # with a negative slope below zero the output no longer tells the input's sign
        self.saves_input = self.slope < 0

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        if self.slope:
            return [F.leaky_relu(bottoms[0], self.slope)]
        return [torch.relu(bottoms[0])]

    def forward_in_place(self, bottom: Tensor) -> Tensor | None:
        return torch.relu_(bottom) if not self.slope else None

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        if not self.slope:
            return [torch.ops.aten.threshold_backward(top_diffs[0], bottoms[0], 0)]
        return [torch.where(bottoms[0] > 0, top_diffs[0], top_diffs[0] * self.slope)]

    def backward_in_place(self, diff: Tensor, bottom: Tensor) -> bool:
        if not self.slope:
            torch.ops.aten.threshold_backward.grad_input(diff, bottom, 0, grad_input=diff)
        return not self.slope


@layer("PReLU")
class PReLU(Layer):
    """ReLU with learned slopes for negative values, one a channel or one for all."""

    def setup(self, shapes: list[Shape]) -> None:
        self.need_axes(shapes[0], 2)
        param = self.param.prelu_param
        start = FillerParameter(type="constant", value=0.25)
        shape = () if param.channel_shared else (shapes[0][1],)
        self.add_param(shape, param.filler if param.HasField("filler") else start)

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        (x,) = bottoms
        slope = params[0].reshape(-1, *[1] * (x.ndim - 2))
        return [torch.where(x > 0, x, x * slope)]


@layer("Dropout")
class Dropout(Layer):
    """Identity when testing; when training, zeroes a share and scales up the rest.

    With `sample_weights_test` (SegNet's fork: Bayesian SegNet, PoseNet) it does so always.
    """

    saves_input = False

    def setup(self, shapes: list[Shape]) -> None:
        self.ratio = self.param.dropout_param.dropout_ratio
        self.scale_train = self.param.dropout_param.scale_train
        if not 0 <= self.ratio < 1:
            raise self.error(f"dropout_ratio is {self.ratio}; 0 or more, below 1, is accepted")
        self.samples = self.phase == TRAIN or self.param.dropout_param.sample_weights_test
        self._factor: Tensor | float = 1.0

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        (x,) = bottoms
        keep = 1.0 - self.ratio
        if self.samples:
            self._factor = torch.bernoulli(torch.full_like(x, keep))
            if self.scale_train:
                self._factor = self._factor / keep
        elif not self.scale_train:
            self._factor = keep
        else:
            return [x]
        return [x * self._factor]

    def forward_in_place(self, bottom: Tensor) -> Tensor | None:
        return bottom if not self.samples and self.scale_train else None

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        if isinstance(self._factor, float) and self._factor == 1.0:
            return [top_diffs[0]]
        return [top_diffs[0] * self._factor]


@layer("Threshold")
class Threshold(Layer):
    """1 where the value is above the threshold, else 0; nothing goes backward."""

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        return [(bottoms[0] > self.param.threshold_param.threshold).to(bottoms[0])]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        return [torch.zeros_like(bottoms[0])]  # Caffe stops the program here


def _base(value: float, owner: Layer) -> float:
    """Return the natural logarithm of the base of Exp or Log (-1 stands for e)."""
    if value == -1:
        return 1.0
    if value <= 0:
        raise owner.error(f"base is {value}; a base above 0, or -1 for e, is accepted")
    return math.log(value)


@layer("Exp")
class Exp(Layer):
    """y = base ** (shift + scale * x)."""

    def setup(self, shapes: list[Shape]) -> None:
        self.log_base = _base(self.param.exp_param.base, self)

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        p = self.param.exp_param
        return [torch.exp(self.log_base * (p.shift + p.scale * bottoms[0]))]


@layer("Log")
class Log(Layer):
    """y = log_base(shift + scale * x)."""

    def setup(self, shapes: list[Shape]) -> None:
        self.log_base = _base(self.param.log_param.base, self)
        if self.log_base == 0:
            raise self.error("base is 1; a logarithm to the base 1 does not exist")

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        p = self.param.log_param
        return [torch.log(p.shift + p.scale * bottoms[0]) / self.log_base]


@layer("Power")
class Power(Layer):
    """y = (shift + scale * x) ** power."""

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        p = self.param.power_param
        if p.power == 0 or p.scale == 0:  # a constant: its derivative is zero, not NaN
            value = torch.tensor(p.shift).pow(p.power)  # 0 ** -1 and the like: infinite, NaN
            return [torch.full_like(bottoms[0], float(value))]
        inner = p.shift + p.scale * bottoms[0]
        return [inner if p.power == 1 else inner**p.power]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        if self.param.power_param.power * self.param.power_param.scale == 0:
            return [torch.zeros_like(bottoms[0])]
        return super().backward(top_diffs, bottoms, tops)


@layer("Clip")
class Clip(Layer):
    """Values below min or above max are set to them."""

    def setup(self, shapes: list[Shape]) -> None:
        p = self.param.clip_param
        if not (p.HasField("min") and p.HasField("max")):
            raise self.error("clip_param needs min and max")

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        return [bottoms[0].clamp(self.param.clip_param.min, self.param.clip_param.max)]


@layer("ReLU6")
class ReLU6(Layer):
    """y = min(max(x, 0), 6), of mobile nets."""

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        return [bottoms[0].clamp(0.0, 6.0)]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        # nothing passes at 0 and 6 themselves, as with ReLU
        return [torch.ops.aten.hardtanh_backward(top_diffs[0], bottoms[0], 0.0, 6.0)]


@layer("ELU")
class ELU(Layer):
    """y = x where positive, else alpha * (exp(x) - 1)."""

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        return [F.elu(bottoms[0], self.param.elu_param.alpha)]


@layer("Swish")
class Swish(Layer):
    """y = x * sigmoid(beta * x)."""

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        return [bottoms[0] * torch.sigmoid(self.param.swish_param.beta * bottoms[0])]


def _plain(name: str, formula: str, function: Callable[[Tensor], Tensor]) -> type[Layer]:
    """Make and register the class of a neuron layer without settings."""

    def compute(self: Layer, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        return [function(bottoms[0])]

    cls = type(name, (Layer,), {"__doc__": formula, "compute": compute, "__module__": __name__})
    return layer(name)(cls)


AbsVal = _plain("AbsVal", "y = |x|.", torch.abs)
BNLL = _plain("BNLL", "y = log(1 + exp(x)).", lambda x: F.softplus(x, threshold=50.0))
Sigmoid = _plain("Sigmoid", "y = 1 / (1 + exp(-x)).", torch.sigmoid)
TanH = _plain("TanH", "y = tanh(x).", torch.tanh)
