"""Operators that reshape, join, cut and reorder; and all that is done with sizes."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from torchcaffe.importing.onnx_graph.table import (
    ON_SIZES,
    Input,
    Node,
    axes_of,
    listed,
    on_sizes,
    op,
    optional,
    tensor,
)

_DTYPES = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32,
    7: torch.int64, 9: torch.bool, 10: torch.float32, 11: torch.float32, 16: torch.float32,
}  # fmt: skip


@op("Flatten")
def _flatten(node: Node, inputs: Sequence[Input]) -> Tensor:
    x, axis = tensor(inputs[0]), node.get("axis", 1)
    if axis == 1:
        return torch.flatten(x, 1)
    return x.reshape(math.prod(x.shape[:axis]), -1)


@op("Reshape")
def _reshape(node: Node, inputs: Sequence[Input]) -> Tensor:
    x, sizes = tensor(inputs[0]), listed(inputs[1])
    zero_is_zero = node.get("allowzero", 0)
    return x.reshape(
        [x.shape[i] if isinstance(n, int) and n == 0 and not zero_is_zero else n
         for i, n in enumerate(sizes)]
    )  # fmt: skip


@op("Transpose")
def _transpose(node: Node, inputs: Sequence[Input]) -> Tensor:
    x = tensor(inputs[0])
    return x.permute(node.get("perm") or list(range(x.ndim))[::-1])


@op("Concat")
def _concat(node: Node, inputs: Sequence[Input]) -> Tensor:
    return torch.cat([tensor(value) for value in inputs], node.get("axis"))


@op("Split")
def _split(node: Node, inputs: Sequence[Input]) -> list[Tensor]:
    x, axis = tensor(inputs[0]), node.get("axis", 0)
    given = optional(inputs, 1)
    sizes = listed(given) if given is not None else node.get("split")
    if sizes is None:
        return list(torch.split(x, -(-int(x.shape[axis]) // len(node.outputs)), axis))
    return list(torch.split(x, sizes, axis))


@op("Slice")
def _slice(node: Node, inputs: Sequence[Input]) -> Tensor:
    x = tensor(inputs[0])
    starts, ends = listed(inputs[1]), listed(inputs[2])
    axes = axes_of(node, inputs, 3) or list(range(len(starts)))
    steps = listed(inputs[4]) if optional(inputs, 4) is not None else [1] * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if step == -1 and start in (-1, int(x.shape[axis]) - 1) and end < -int(x.shape[axis]):
            x = x.flip(axis)
            continue
        if step < 0:
            raise ValueError("slices with negative steps are not known here, but for whole axes")
        x = torch.ops.aten.slice.Tensor(x, axis, start, end, step)
    return x


@op("Gather")
def _gather(node: Node, inputs: Sequence[Input]) -> Tensor:
    x, axis = tensor(inputs[0]), node.get("axis", 0)
    index = inputs[1]
    if not isinstance(index, Tensor) and np.ndim(index) == 0:
        return x.select(axis, int(index))
    place = tensor(index).long()
    found = torch.index_select(x, axis, place.flatten())
    return found.reshape([*x.shape[:axis], *place.shape, *x.shape[axis % x.ndim + 1 :]])


@op("ScatterND")
def _scatter_nd(node: Node, inputs: Sequence[Input]) -> Tensor:
    x, places, values = (tensor(each) for each in inputs[:3])
    how = node.get("reduction", "none")
    if how not in ("none", b"none", "add", b"add"):
        raise ValueError(f"its reduction {how!r} is none of: none, add")
    return torch.index_put(x, list(places.long().unbind(-1)), values, how in ("add", b"add"))


@op("Squeeze")
def _squeeze(node: Node, inputs: Sequence[Input]) -> Tensor:
    x, axes = tensor(inputs[0]), axes_of(node, inputs)
    return x.squeeze() if axes is None else torch.squeeze(x, axes)


@op("Unsqueeze")
def _unsqueeze(node: Node, inputs: Sequence[Input]) -> Tensor:
    x, axes = tensor(inputs[0]), axes_of(node, inputs) or []
    total = x.ndim + len(axes)
    for axis in sorted(axis % total for axis in axes):
        x = x.unsqueeze(axis)
    return x


@op("Expand")
def _expand(node: Node, inputs: Sequence[Input]) -> Tensor:
    x, sizes = tensor(inputs[0]), listed(inputs[1])
    own = [1] * (len(sizes) - x.ndim) + list(x.shape)
    return x.expand([a if isinstance(b, int) and b == 1 else b
                     for a, b in zip(own, sizes, strict=True)])  # fmt: skip


@op("Tile")
def _tile(node: Node, inputs: Sequence[Input]) -> Tensor:
    return tensor(inputs[0]).repeat(listed(inputs[1]))


@op("Pad")
def _pad(node: Node, inputs: Sequence[Input]) -> Tensor:
    x = tensor(inputs[0])
    given = optional(inputs, 1)
    pads = listed(given) if given is not None else node.get("pads")
    half = len(pads) // 2
    sides = [side for pair in reversed(list(zip(pads[:half], pads[half:], strict=True)))
             for side in pair]  # fmt: skip
    while len(sides) > 2 and sides[-2:] == [0, 0]:
        sides = sides[:-2]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}[
        node.get("mode", "constant")
    ]
    if mode != "constant":
        return F.pad(x, sides, mode=mode)
    value = optional(inputs, 2)
    return F.pad(
        x, sides, value=node.get("value", 0.0) if value is None else float(np.asarray(value))
    )


@op("Cast")
def _cast(node: Node, inputs: Sequence[Input]) -> Tensor:
    return tensor(inputs[0]).to(_DTYPES[node.get("to")])


@op("Shape")
@on_sizes("Shape")
def _shape(node: Node, inputs: Sequence[Input]) -> Any:
    return np.array(list(inputs[0].shape), dtype=object)


@op("ConstantOfShape")
@on_sizes("ConstantOfShape")
def _constant_of_shape(node: Node, inputs: Sequence[Input]) -> Any:
    value = node.get("value")
    fill = 0.0 if value is None else np.asarray(value).flatten()[0]
    sizes = listed(inputs[0])
    if len(sizes) == 1 and not isinstance(fill, float | np.floating):
        return np.array([int(fill)] * int(sizes[0]), dtype=object)
    return torch.full(sizes, float(fill))


# ---------------------------------------------------------------- sizes alone


def _divided(a: Any, b: Any) -> Any:
    return a / b if isinstance(a, float) or isinstance(b, float) else a // b


def _elementwise(name: str, call: Callable[[Any, Any], Any]) -> None:
    def run(node: Node, inputs: Sequence[Input]) -> Any:
        a, b = np.broadcast_arrays(np.asarray(inputs[0], object), np.asarray(inputs[1], object))
        out = np.empty(a.shape, object)
        for place in np.ndindex(a.shape):
            out[place] = call(a[place], b[place])
        return out

    ON_SIZES[name] = run


for _name, _call in (
    ("Add", operator.add), ("Sub", operator.sub), ("Mul", operator.mul), ("Mod", operator.mod),
    ("Div", _divided), ("Equal", operator.eq), ("Max", max), ("Min", min),
):  # fmt: skip
    _elementwise(_name, _call)


@on_sizes("Identity")
def _kept(node: Node, inputs: Sequence[Input]) -> Any:
    return inputs[0]


def _each(change: Callable[[Any], Any], values: Input) -> Any:
    array = np.asarray(values, object)
    out = np.empty(array.shape, object)
    for place in np.ndindex(array.shape):
        out[place] = change(array[place])
    return out


@on_sizes("Cast")
def _as_kind(node: Node, inputs: Sequence[Input]) -> Any:
    is_float = _DTYPES[node.get("to")].is_floating_point
    return _each(lambda v: v if isinstance(v, torch.SymInt) else float(v) if is_float else int(v),
                 inputs[0])  # fmt: skip


@on_sizes("Floor")
def _rounded_down(node: Node, inputs: Sequence[Input]) -> Any:
    return _each(lambda v: math.floor(v), inputs[0])


@on_sizes("Concat")
def _joined(node: Node, inputs: Sequence[Input]) -> Any:
    return np.concatenate([np.atleast_1d(np.asarray(v, object)) for v in inputs])


@on_sizes("Gather")
def _taken(node: Node, inputs: Sequence[Input]) -> Any:
    return np.take(
        np.asarray(inputs[0], object), np.asarray(inputs[1], np.int64), node.get("axis", 0)
    )


@on_sizes("Unsqueeze")
def _widened(node: Node, inputs: Sequence[Input]) -> Any:
    return np.expand_dims(np.asarray(inputs[0], object), tuple(axes_of(node, inputs) or ()))


@on_sizes("Squeeze")
def _narrowed(node: Node, inputs: Sequence[Input]) -> Any:
    axes = axes_of(node, inputs)
    return np.squeeze(np.asarray(inputs[0], object), None if axes is None else tuple(axes))


@on_sizes("Slice")
def _cut(node: Node, inputs: Sequence[Input]) -> Any:
    start, end = int(listed(inputs[1])[0]), int(listed(inputs[2])[0])
    step = int(listed(inputs[4])[0]) if optional(inputs, 4) is not None else 1
    return np.asarray(inputs[0], object)[start:end:step]


@on_sizes("Reshape")
def _reshaped(node: Node, inputs: Sequence[Input]) -> Any:
    return np.asarray(inputs[0], object).reshape([int(n) for n in listed(inputs[1])])


@on_sizes("Transpose")
def _turned(node: Node, inputs: Sequence[Input]) -> Any:
    return np.transpose(np.asarray(inputs[0], object), node.get("perm"))


@on_sizes("Where")
def _chosen(node: Node, inputs: Sequence[Input]) -> Any:
    which, a, b = np.broadcast_arrays(*(np.asarray(value, object) for value in inputs))
    out = np.empty(which.shape, object)
    for place in np.ndindex(which.shape):
        out[place] = a[place] if which[place] else b[place]
    return out


@on_sizes("ReduceProd")
def _product(node: Node, inputs: Sequence[Input]) -> Any:
    return np.array([math.prod(listed(inputs[0]))], object)


@on_sizes("Range")
def _range(node: Node, inputs: Sequence[Input]) -> Any:
    return np.arange(*(int(listed(value)[0]) for value in inputs)).astype(object)
