"""Receptive fields of the operators that layers of the type ATen call.

An operator that is no row here is taken to see everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

from torchcaffe.blobs.blob import Shape
from torchcaffe.layers.base import Span


class Called(Protocol):
    """What is asked of a layer of the type ATen."""

    operator_name: str

    def argument(self, name: str) -> Any:
        """Return an argument of the call."""


Field = Callable[[Called, Span, int, Shape], Span | None]
FIELDS: dict[str, Field] = {}


def _row(*names: str) -> Callable[[Field], Field]:
    def register(rule: Field) -> Field:
        FIELDS.update(dict.fromkeys(names, rule))
        return rule

    return register


def is_known(layer: Called) -> bool:
    """Return whether the fields of a layer's operator are followed."""
    return layer.operator_name.split(".")[1] in FIELDS


def field(layer: Called, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
    """Return what a layer of the type ATen sees; arguments as for `Layer.field`."""
    rule = FIELDS.get(layer.operator_name.split(".")[1])
    if rule is None or len(shapes[bottom]) != 4:
        return None
    return rule(layer, span, axis, shapes[bottom])


@_row(
    "abs", "add", "alias", "atan", "celu", "clamp", "clone", "contiguous", "cos", "detach", "div",
    "elu", "erf", "exp", "expm1", "floor", "gelu", "ge", "gt", "hardshrink", "hardsigmoid",
    "hardswish", "hardtanh", "le", "leaky_relu", "log", "log1p", "log_sigmoid", "lt", "maximum",
    "minimum", "mish", "mul", "neg", "pow", "prelu", "reciprocal", "relu", "relu6", "rrelu",
    "rsqrt", "rsub", "selu", "sigmoid", "sign", "silu", "sin", "softplus", "softshrink",
    "softsign", "sqrt", "square", "sub", "tanh", "threshold", "to", "_to_copy", "where",
)  # fmt: skip
def _point_by_point(layer: Called, span: Span, axis: int, shape: Shape) -> Span | None:
    return (0, 0) if shape[2 + axis] == 1 else span  # one value for all is spread over them


@_row("pixel_shuffle")
def _pixel_shuffle(layer: Called, span: Span, axis: int, shape: Shape) -> Span | None:
    factor = layer.argument("upscale_factor")
    return span[0] // factor, span[1] // factor


@_row("pixel_unshuffle")
def _pixel_unshuffle(layer: Called, span: Span, axis: int, shape: Shape) -> Span | None:
    factor = layer.argument("downscale_factor")
    return span[0] * factor, span[1] * factor + factor - 1


@_row(
    "batch_norm", "cat", "channel_shuffle", "chunk", "log_softmax", "narrow", "softmax", "split",
    "split_with_sizes", "_softmax",
)  # fmt: skip
def _along_an_axis(layer: Called, span: Span, axis: int, shape: Shape) -> Span | None:
    return None if layer.argument("dim") in (2 + axis, axis - 2) else span


@_row("slice")
def _slice(layer: Called, span: Span, axis: int, shape: Shape) -> Span | None:
    if layer.argument("dim") not in (2 + axis, axis - 2):
        return span
    size, start, step = shape[2 + axis], layer.argument("start") or 0, layer.argument("step") or 1
    first = max(start + size, 0) if start < 0 else min(start, size)
    return first + span[0] * step, first + span[1] * step


@_row("flip")
def _flip(layer: Called, span: Span, axis: int, shape: Shape) -> Span | None:
    if {2 + axis, axis - 2}.isdisjoint(layer.argument("dims")):
        return span
    return shape[2 + axis] - 1 - span[1], shape[2 + axis] - 1 - span[0]


def _pads(layer: Called, axis: int) -> tuple[int, int]:
    pads = layer.argument("pad") or layer.argument("padding") or []
    at = 2 * (1 - axis)  # the last axis comes first
    return tuple(pads[at : at + 2]) if len(pads) > at else (0, 0)


@_row("constant_pad_nd")
def _zero_pad(layer: Called, span: Span, axis: int, shape: Shape) -> Span | None:
    before, _ = _pads(layer, axis)
    return span[0] - before, span[1] - before


@_row("pad", "reflection_pad2d", "replication_pad2d")
def _edge_pad(layer: Called, span: Span, axis: int, shape: Shape) -> Span | None:
    kind = layer.argument("mode") or layer.operator_name.split(".")[1].removesuffix("ion_pad2d")
    before, size = _pads(layer, axis)[0], shape[2 + axis]
    if kind == "constant":
        return span[0] - before, span[1] - before
    if not kind.startswith(("reflect", "replic")):
        return None
    places = [p - before for p in range(span[0], span[1] + 1)]
    if kind.startswith("replic"):
        seen = [min(max(p, 0), size - 1) for p in places]
    else:
        seen = [size - 1 - abs(size - 1 - abs(p)) for p in places]
    return min(seen), max(seen)


@_row("adaptive_avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d")
def _adaptive(layer: Called, span: Span, axis: int, shape: Shape) -> Span | None:
    size, out = shape[2 + axis], layer.argument("output_size")[axis]
    if out is None:
        return span
    return span[0] * size // out, -(-(span[1] + 1) * size // out) - 1


@_row("avg_pool2d", "max_pool2d", "max_pool2d_with_indices")
def _pool(layer: Called, span: Span, axis: int, shape: Shape) -> Span | None:
    def of(name: str, default: int) -> int:
        values = layer.argument(name) or []
        values = values if isinstance(values, list) else [values]
        return int(values[axis % len(values)]) if values else default

    kernel = of("kernel_size", 1)
    stride, pad = of("stride", kernel), of("padding", 0)
    reach = of("dilation", 1) * (kernel - 1)
    return span[0] * stride - pad, span[1] * stride - pad + reach


def _ratio(layer: Called, axis: int, size: int) -> tuple[float, int]:
    """Return how far apart in the bottom neighbours of the top are, and the top's size."""
    out, factors = layer.argument("output_size"), layer.argument("scale_factors")
    if out:
        return size / out[axis], out[axis]
    return 1 / factors[axis], math.floor(size * factors[axis])


@_row("upsample_nearest2d")
def _nearest(layer: Called, span: Span, axis: int, shape: Shape) -> Span | None:
    size = shape[2 + axis]
    ratio, _ = _ratio(layer, axis, size)
    first, last = (min(math.floor(p * ratio), size - 1) for p in span)
    return first, last


@_row("upsample_bilinear2d", "upsample_bicubic2d", "_upsample_bilinear2d_aa")
def _bilinear(layer: Called, span: Span, axis: int, shape: Shape) -> Span | None:
    name, size = layer.operator_name.split(".")[1], shape[2 + axis]
    if name.endswith("aa"):
        return None
    ratio, out = _ratio(layer, axis, size)
    if layer.argument("align_corners"):
        ratio = (size - 1) / max(out - 1, 1)
        places = [p * ratio for p in span]
    else:
        places = [(p + 0.5) * ratio - 0.5 for p in span]
        if "bicubic" not in name:
            places = [max(p, 0.0) for p in places]
    low, high = math.floor(places[0] + 1e-6), math.ceil(places[1] - 1e-6)
    if "bicubic" in name:
        low, high = low - 1, math.floor(places[1]) + 2
    return max(low, 0), min(high, size - 1)
