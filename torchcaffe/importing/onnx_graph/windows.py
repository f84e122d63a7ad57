"""Operators with sliding windows, and normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from torchcaffe.importing.onnx_graph.table import Input, Node, listed, op, optional, tensor


def _pads(node: Node, x: Tensor, kernel: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the padding before and after each spatial axis."""
    axes = len(kernel)
    kind = node.get("auto_pad", "NOTSET")
    if kind in ("NOTSET", "VALID"):
        pads = node.get("pads") or [0] * (2 * axes)
        return (pads[:axes], pads[axes:]) if kind == "NOTSET" else ([0] * axes, [0] * axes)
    before, after = [], []
    strides, spread = node.get("strides") or [1] * axes, node.get("dilations") or [1] * axes
    for size, k, stride, d in zip(x.shape[2:], kernel, strides, spread, strict=True):
        out = -(-int(size) // stride)
        need = max((out - 1) * stride + d * (k - 1) + 1 - int(size), 0)
        less, more = need // 2, need - need // 2
        before.append(less if kind == "SAME_UPPER" else more)
        after.append(more if kind == "SAME_UPPER" else less)
    return before, after


def _padded(
    x: Tensor, before: list[int], after: list[int], value: float
) -> tuple[Tensor, list[int]]:
    """Return the input, padded by hand where its sides differ, and the padding that is left."""
    if before == after:
        return x, before
    pads = [side for pair in reversed(list(zip(before, after, strict=True))) for side in pair]
    return F.pad(x, pads, value=value), [0] * len(before)


def _spatial(node: Node, axes: int) -> tuple[list[int], list[int]]:
    return node.get("strides") or [1] * axes, node.get("dilations") or [1] * axes


@op("Conv")
def _conv(node: Node, inputs: Sequence[Input]) -> Tensor:
    x, weight, bias = tensor(inputs[0]), tensor(inputs[1]), optional(inputs, 2)
    kernel = list(weight.shape[2:])
    x, pad = _padded(x, *_pads(node, x, kernel), 0.0)
    stride, dilation = _spatial(node, len(kernel))
    call: Any = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[len(kernel)]
    return call(x, weight, bias, stride, pad, dilation, node.get("group", 1))


@op("ConvTranspose")
def _conv_transpose(node: Node, inputs: Sequence[Input]) -> Tensor:
    x, weight, bias = tensor(inputs[0]), tensor(inputs[1]), optional(inputs, 2)
    axes = weight.ndim - 2
    stride, dilation = _spatial(node, axes)
    before, after = _pads(node, x, list(weight.shape[2:]))
    if before != after or node.get("output_shape"):
        raise ValueError("padding that differs between the sides is not known here")
    call: Any = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}[axes]
    outer = node.get("output_padding") or [0] * axes
    return call(x, weight, bias, stride, before, outer, node.get("group", 1), dilation)


@op("MaxPool")
def _max_pool(node: Node, inputs: Sequence[Input]) -> Tensor:
    x, kernel = tensor(inputs[0]), node.get("kernel_shape")
    x, pad = _padded(x, *_pads(node, x, kernel), -math.inf)
    stride, dilation = _spatial(node, len(kernel))
    call: Any = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[len(kernel)]
    return call(x, kernel, stride, pad, dilation, bool(node.get("ceil_mode", 0)))


@op("AveragePool")
def _average_pool(node: Node, inputs: Sequence[Input]) -> Tensor:
    x, kernel = tensor(inputs[0]), node.get("kernel_shape")
    before, after = _pads(node, x, kernel)
    counted = bool(node.get("count_include_pad", 0))
    if before != after and not counted:
        raise ValueError("uneven padding that does not count is not known here")
    x, pad = _padded(x, before, after, 0.0)
    stride, _ = _spatial(node, len(kernel))
    call: Any = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[len(kernel)]
    return call(x, kernel, stride, pad, bool(node.get("ceil_mode", 0)), counted)


@op("GlobalAveragePool")
def _global_average(node: Node, inputs: Sequence[Input]) -> Tensor:
    x = tensor(inputs[0])
    if x.ndim == 4:
        return F.adaptive_avg_pool2d(x, 1)
    return x.mean(list(range(2, x.ndim)), True)


@op("GlobalMaxPool")
def _global_maximum(node: Node, inputs: Sequence[Input]) -> Tensor:
    x = tensor(inputs[0])
    if x.ndim == 4:
        return F.adaptive_max_pool2d(x, 1)
    return x.amax(list(range(2, x.ndim)), True)


@op("BatchNormalization")
def _batch_norm(node: Node, inputs: Sequence[Input]) -> Tensor:
    x, weight, bias, mean, variance = map(tensor, inputs)
    return F.batch_norm(x, mean, variance, weight, bias, False, 0.1, node.get("epsilon", 1e-5))


@op("InstanceNormalization")
def _instance_norm(node: Node, inputs: Sequence[Input]) -> Tensor:
    x, weight, bias = map(tensor, inputs)
    return F.instance_norm(x, None, None, weight, bias, eps=node.get("epsilon", 1e-5))


@op("LayerNormalization")
def _layer_norm(node: Node, inputs: Sequence[Input]) -> Tensor:
    x, weight, bias = tensor(inputs[0]), tensor(inputs[1]), optional(inputs, 2)
    shape = list(x.shape[node.get("axis", -1) :])
    return F.layer_norm(x, shape, weight, bias, node.get("epsilon", 1e-5))


@op("GroupNormalization")
def _group_norm(node: Node, inputs: Sequence[Input]) -> Tensor:
    x, weight, bias = map(tensor, inputs)
    groups = node.get("num_groups")
    if weight.numel() != x.shape[1]:  # before opset 21: one number a group
        weight, bias = (t.repeat_interleave(x.shape[1] // groups) for t in (weight, bias))
    return F.group_norm(x, groups, weight, bias, node.get("epsilon", 1e-5))


@op("LRN")
def _lrn(node: Node, inputs: Sequence[Input]) -> Tensor:
    return F.local_response_norm(
        tensor(inputs[0]), node.get("size"), node.get("alpha", 1e-4), node.get("beta", 0.75),
        node.get("bias", 1.0),
    )  # fmt: skip


@op("Resize", "Upsample")
def _resize(node: Node, inputs: Sequence[Input]) -> Tensor:
    x = tensor(inputs[0])
    scales, sizes = optional(inputs, len(inputs) - 1 if node.kind == "Upsample" else 2), None
    if node.kind == "Resize" and optional(inputs, 3) is not None:
        scales, sizes = None, listed(inputs[3])[2:]
    factors = None if scales is None or np.size(scales) == 0 else listed(scales)[2:]
    mode, place = (
        node.get("mode", "nearest"),
        node.get("coordinate_transformation_mode", "half_pixel"),
    )
    if mode == "nearest":
        known = place == "asymmetric" and node.get("nearest_mode", "floor") == "floor"
        if not known and node.kind != "Upsample":
            raise ValueError(f"mode nearest with {place} is not known here")
        return F.interpolate(x, sizes, factors, mode="nearest")
    kind = {"linear": "bilinear", "cubic": "bicubic"}.get(mode)
    if kind is None or place not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        raise ValueError(f"mode {mode} with {place} is not known here")
    return F.interpolate(x, sizes, factors, mode=kind, align_corners=place == "align_corners")


@op("DepthToSpace")
def _depth_to_space(node: Node, inputs: Sequence[Input]) -> Tensor:
    x, size = tensor(inputs[0]), node.get("blocksize")
    if node.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, size)
    n, channels, height, width = x.shape
    split = x.reshape(n, size, size, channels // size**2, height, width)
    moved = split.permute(0, 3, 4, 1, 5, 2)
    return moved.reshape(n, channels // size**2, height * size, width * size)


@op("SpaceToDepth")
def _space_to_depth(node: Node, inputs: Sequence[Input]) -> Tensor:
    x, size = tensor(inputs[0]), node.get("blocksize")
    n, channels, height, width = x.shape
    split = x.reshape(n, channels, height // size, size, width // size, size)
    return split.permute(0, 3, 5, 1, 2, 4).reshape(
        n, channels * size**2, height // size, width // size
    )


@op("Dropout", "Identity")
def _same(node: Node, inputs: Sequence[Input]) -> Input:
    return inputs[0]


@op("MatMul")
def _matmul(node: Node, inputs: Sequence[Input]) -> Tensor:
    a, b = tensor(inputs[0]), tensor(inputs[1])
    if isinstance(inputs[1], torch.nn.Parameter) and b.ndim == 2:
        return F.linear(a, b.t())
    return a @ b


@op("Einsum")
def _einsum(node: Node, inputs: Sequence[Input]) -> Tensor:
    equation = node.get("equation")
    text = equation.decode() if isinstance(equation, bytes) else equation
    return torch.einsum(text, *map(tensor, inputs))


@op("Gemm")
def _gemm(node: Node, inputs: Sequence[Input]) -> Tensor:
    a, b, c = tensor(inputs[0]), tensor(inputs[1]), optional(inputs, 2)
    a = a.t() if node.get("transA", 0) else a
    b = b if node.get("transB", 0) else b.t()
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    b = b * alpha if alpha != 1 else b
    bias = None if c is None else tensor(c) * beta if beta != 1 else tensor(c)
    if bias is None or bias.ndim == 1:
        return F.linear(a, b, bias)
    return F.linear(a, b) + bias
