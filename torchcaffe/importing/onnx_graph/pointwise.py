"""Operators that work value by value, and reductions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from torchcaffe.importing.onnx_graph.table import OPS, Input, Node, axes_of, op, optional, tensor

_ONE: dict[str, Callable[[Tensor], Tensor]] = {
    "Abs": torch.abs, "Ceil": torch.ceil, "Cos": torch.cos, "Erf": torch.erf, "Exp": torch.exp,
    "Floor": torch.floor, "HardSwish": F.hardswish, "Log": torch.log, "Mish": F.mish,
    "Neg": torch.neg, "Not": torch.logical_not, "Reciprocal": torch.reciprocal,
    "Relu": F.relu, "Round": torch.round, "Sigmoid": torch.sigmoid, "Sign": torch.sign,
    "Sin": torch.sin, "Softplus": F.softplus, "Softsign": F.softsign, "Sqrt": torch.sqrt,
    "Tanh": torch.tanh,
}  # fmt: skip
_TWO: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Add": torch.add, "And": torch.logical_and, "Div": torch.div, "Equal": torch.eq,
    "Greater": torch.gt, "GreaterOrEqual": torch.ge, "Less": torch.lt, "LessOrEqual": torch.le,
    "Max": torch.maximum, "Min": torch.minimum, "Mod": torch.remainder, "Mul": torch.mul,
    "Or": torch.logical_or, "Pow": torch.pow, "Sub": torch.sub, "Sum": torch.add,
}  # fmt: skip


def _number(value: Input) -> Any:
    """Return a constant of one value as a number, so that it needs no parameter."""
    known = isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind == "f"
    return float(value) if known else value


def _unary(name: str) -> None:
    OPS[name] = lambda node, inputs: _ONE[name](tensor(inputs[0]))


def _binary(name: str) -> None:
    def run(node: Node, inputs: Sequence[Input]) -> Tensor:
        if name in ("Add", "Mul", "Sub", "Div", "Pow") and len(inputs) == 2:
            first, second = inputs[0], _number(inputs[1])
            if isinstance(second, float):
                return _TWO[name](tensor(first), second)  # type: ignore[arg-type]
            first = _number(first)
            if isinstance(first, float) and name in ("Add", "Mul"):
                return _TWO[name](tensor(second), first)  # type: ignore[arg-type]
        whole = [tensor(value) for value in inputs]
        if name == "Div" and not whole[0].is_floating_point():
            return torch.div(*whole, rounding_mode="trunc")
        return reduce(_TWO[name], whole)

    OPS[name] = run


for _name in _ONE:
    _unary(_name)
for _name in _TWO:
    _binary(_name)


@op("Mean")
def _mean_of(node: Node, inputs: Sequence[Input]) -> Tensor:
    return reduce(torch.add, map(tensor, inputs)) / len(inputs)


@op("LeakyRelu")
def _leaky(node: Node, inputs: Sequence[Input]) -> Tensor:
    return F.leaky_relu(tensor(inputs[0]), node.get("alpha", 0.01))


@op("PRelu")
def _prelu(node: Node, inputs: Sequence[Input]) -> Tensor:
    x, slope = tensor(inputs[0]), tensor(inputs[1])
    return F.prelu(x, slope.reshape(-1))


@op("Elu")
def _elu(node: Node, inputs: Sequence[Input]) -> Tensor:
    return F.elu(tensor(inputs[0]), node.get("alpha", 1.0))


@op("Selu")
def _selu(node: Node, inputs: Sequence[Input]) -> Tensor:
    return F.selu(tensor(inputs[0]))


@op("Gelu")
def _gelu(node: Node, inputs: Sequence[Input]) -> Tensor:
    return F.gelu(tensor(inputs[0]), approximate=node.get("approximate", "none"))


@op("HardSigmoid")
def _hard_sigmoid(node: Node, inputs: Sequence[Input]) -> Tensor:
    slope, shift = node.get("alpha", 0.2), node.get("beta", 0.5)
    if abs(slope - 1 / 6) < 1e-6 and shift == 0.5:
        return F.hardsigmoid(tensor(inputs[0]))
    return torch.clamp(tensor(inputs[0]) * slope + shift, 0.0, 1.0)


@op("Clip")
def _clip(node: Node, inputs: Sequence[Input]) -> Tensor:
    low, high = (
        node.get(name) if optional(inputs, i) is None else float(np.asarray(inputs[i]))
        for i, name in ((1, "min"), (2, "max"))
    )
    if low == 0 and high is None:
        return F.relu(tensor(inputs[0]))
    if low == 0 and high == 6:
        return F.relu6(tensor(inputs[0]))
    return torch.clamp(tensor(inputs[0]), low, high)


@op("Softmax", "LogSoftmax")
def _softmax(node: Node, inputs: Sequence[Input]) -> Tensor:
    call = F.softmax if node.kind == "Softmax" else F.log_softmax
    return call(tensor(inputs[0]), node.get("axis", -1))


@op("Where")
def _where(node: Node, inputs: Sequence[Input]) -> Tensor:
    which, first, second = map(tensor, inputs)
    return torch.where(which, first, second)


@op("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceSumSquare",
    "ReduceL1", "ReduceLogSumExp")  # fmt: skip
def _reduced(node: Node, inputs: Sequence[Input]) -> Tensor:
    x, axes = tensor(inputs[0]), axes_of(node, inputs)
    axes = list(range(x.ndim)) if axes is None else axes
    keep = bool(node.get("keepdims", 1))
    calls: dict[str, Callable[..., Tensor]] = {
        "ReduceMean": torch.mean,
        "ReduceSum": torch.sum,
        "ReduceMax": torch.amax,
        "ReduceMin": torch.amin,
        "ReduceL2": lambda t, d, k: t.square().sum(d, k).sqrt(),
        "ReduceSumSquare": lambda t, d, k: t.square().sum(d, k),
        "ReduceL1": lambda t, d, k: t.abs().sum(d, k),
        "ReduceLogSumExp": torch.logsumexp,
    }
    return calls[node.kind](x, axes, keep)


@op("ArgMax")
def _arg_max(node: Node, inputs: Sequence[Input]) -> Tensor:
    return torch.argmax(tensor(inputs[0]), node.get("axis", 0), bool(node.get("keepdims", 1)))
