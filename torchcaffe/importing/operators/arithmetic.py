"""Sums, products and maxima of two values, or of a value and a number or parameter."""

from __future__ import annotations

from torchcaffe.importing.operators.neurons import affine
from torchcaffe.importing.operators.registry import Constant, Matched, Part, layer, row
from torchcaffe.proto.caffe_pb2 import EltwiseParameter


def _number(m: Matched) -> float | None:
    """Return `other` where it is a number."""
    other = m["other"]
    if isinstance(other, int | float) and not isinstance(other, bool):
        return float(other)
    found = m.tensor("other")
    return float(found) if found is not None and found.numel() == 1 and found.ndim == 0 else None


def _eltwise(m: Matched, operation: int, coeff: list[float] | None = None) -> list[Part] | None:
    first, second = m.blob("self"), m.blob("other")
    if first is None or second is None or m.shape_of(first) != m.shape_of(second):
        return None
    if not (m.is_float(first) and m.is_float(second)):
        return None
    part = Part(layer("Eltwise"), [first, second])
    part.param.eltwise_param.operation = operation  # type: ignore[assignment]
    part.param.eltwise_param.coeff.extend(coeff or [])
    return [part]


def _per_channel(m: Matched, type: str) -> list[Part] | None:
    """Return Scale or Bias where one side is a parameter with a number a channel."""
    for blob_name, other in (("self", "other"), ("other", "self")):
        bottom, values = m.blob(blob_name), m.tensor(other)
        if bottom is None or values is None or not values.is_floating_point():
            continue
        shape = m.shape_of(bottom)
        wide = (*[1] * (len(shape) - values.ndim), *values.shape)
        if len(shape) < 2 or len(wide) != len(shape) or wide[1] != shape[1]:
            continue
        if any(size != 1 for size in (wide[0], *wide[2:])) or m.output() != shape:
            continue
        blobs: list[Constant] = [values.reshape(-1)]
        return [Part(layer(type), [bottom], blobs)]
    return None


def _sum(m: Matched, sign: float) -> list[Part] | None:
    alpha = sign * (1.0 if m["alpha"] is None else float(m["alpha"]))
    number = _number(m)
    if number is not None:
        return affine(m, 1.0, alpha * number)
    both = _eltwise(m, EltwiseParameter.SUM, None if alpha == 1 else [1.0, alpha])
    return both if both or alpha != 1 else _per_channel(m, "Bias")


@row("add.Tensor", "add.Scalar")
def add(m: Matched) -> list[Part] | None:
    """Eltwise SUM, or Power with a number, or Bias with a parameter."""
    return _sum(m, 1.0)


@row("sub.Tensor", "sub.Scalar")
def subtract(m: Matched) -> list[Part] | None:
    """Eltwise SUM with coefficients 1 and -1, or Power with a number."""
    return _sum(m, -1.0)


@row("rsub.Scalar")
def subtract_from(m: Matched) -> list[Part] | None:
    """A number minus the value: Power."""
    number = _number(m)
    return None if number is None or m["alpha"] != 1 else affine(m, -1.0, number)


@row("mul.Tensor", "mul.Scalar")
def multiply(m: Matched) -> list[Part] | None:
    """Eltwise PROD, or Power with a number, or Scale with a parameter."""
    number = _number(m)
    if number is not None:
        return affine(m, number, 0.0)
    return _eltwise(m, EltwiseParameter.PROD) or _per_channel(m, "Scale")


@row("div.Scalar", "div.Tensor")
def divide(m: Matched) -> list[Part] | None:
    """A value divided by a number: Power."""
    number = _number(m)
    return None if not number else affine(m, 1.0 / number, 0.0)


@row("maximum.default", "max.other")
def maximum(m: Matched) -> list[Part] | None:
    """Eltwise MAX."""
    return _eltwise(m, EltwiseParameter.MAX)
