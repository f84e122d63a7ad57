"""Initial values of parameters, by Caffe's filler types."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from torchcaffe.blobs.blob import Shape
from torchcaffe.errors import DefinitionError
from torchcaffe.proto.caffe_pb2 import FillerParameter

FILLERS: dict[str, Callable[[FillerParameter, Shape], Tensor]] = {}


def filler(name: str) -> Callable[[Callable], Callable]:
    """Register a filler under its prototxt name."""

    def register(function: Callable) -> Callable:
        FILLERS[name] = function
        return function

    return register


def make_filler(param: FillerParameter, layer: str) -> Callable[[Shape], Tensor]:
    """Return a function shape -> tensor for a filler message.

    Raises
    ------
    DefinitionError
        The type is not one of Caffe's.
    """
    function = FILLERS.get(param.type)
    if function is None:
        raise DefinitionError(
            f"layer {layer!r} has a filler of type {param.type!r}; "
            f"accepted are {', '.join(sorted(FILLERS))}"
        )

    def fill(shape: Shape) -> Tensor:
        try:
            return function(param, shape)
        except (RuntimeError, OverflowError) as error:  # min or std that are no numbers
            raise DefinitionError(
                f"layer {layer!r} has a filler {param.type!r} that can't fill {shape}: {error}"
            ) from error

    return fill


def _fan(param: FillerParameter, shape: Shape) -> float:
    count = math.prod(shape)
    fan_in = count / max(shape[0], 1) if shape else 1.0
    fan_out = count / max(shape[1], 1) if len(shape) > 1 else float(count)
    fan = {
        FillerParameter.FAN_IN: fan_in,
        FillerParameter.FAN_OUT: fan_out,
        FillerParameter.AVERAGE: (fan_in + fan_out) / 2,
    }[param.variance_norm]
    return max(fan, 1.0)


@filler("constant")
def _constant(param: FillerParameter, shape: Shape) -> Tensor:
    return torch.full(shape, param.value)


@filler("uniform")
def _uniform(param: FillerParameter, shape: Shape) -> Tensor:
    return torch.empty(shape).uniform_(min(param.min, param.max), max(param.min, param.max))


@filler("gaussian")
def _gaussian(param: FillerParameter, shape: Shape) -> Tensor:
    out = torch.empty(shape).normal_(param.mean, abs(param.std))
    if param.sparse >= 0 and shape:
        keep = min(param.sparse / max(shape[0], 1), 1.0)
        out = out * torch.bernoulli(torch.full(shape, keep))
    return out


@filler("xavier")
def _xavier(param: FillerParameter, shape: Shape) -> Tensor:
    scale = math.sqrt(3.0 / _fan(param, shape))
    return torch.empty(shape).uniform_(-scale, scale)


@filler("msra")
def _msra(param: FillerParameter, shape: Shape) -> Tensor:
    return torch.empty(shape).normal_(0.0, math.sqrt(2.0 / _fan(param, shape)))


@filler("positive_unitball")
def _positive_unitball(param: FillerParameter, shape: Shape) -> Tensor:
    out = torch.rand(shape)
    if not shape:
        return torch.ones(shape)
    rows = out.reshape(shape[0], -1)
    return (rows / rows.sum(1, keepdim=True)).reshape(shape)


@filler("bilinear")
def _bilinear(param: FillerParameter, shape: Shape) -> Tensor:
    """Upsampling weights for Deconvolution: the same tent in every channel."""
    if len(shape) != 4 or shape[2] != shape[3]:
        raise DefinitionError(
            f"the bilinear filler fits square 4-D weights, this parameter has the shape {shape}"
        )
    half = math.ceil(shape[3] / 2)
    centre = (2 * half - 1 - half % 2) / (2.0 * half)
    tent = 1 - (torch.arange(shape[3]) / half - centre).abs()
    return (tent[:, None] * tent).expand(shape).contiguous()
