"""Convolutions, their transposes and fully connected layers."""

from __future__ import annotations

from torchcaffe.importing.operators.registry import Matched, Part, layer, one, row
from torchcaffe.proto.caffe_pb2 import ConvolutionParameter


def _write(p: ConvolutionParameter, field: str, values: list[int]) -> None:
    """Write sizes as prototxts have them: one for all axes, `_h` and `_w`, or a list."""
    short = field.removesuffix("_size")
    if len(set(values)) == 1:
        getattr(p, field).append(values[0])
    elif len(values) == 2 and field != "dilation":
        setattr(p, f"{short}_h", values[0])
        setattr(p, f"{short}_w", values[1])
    else:
        getattr(p, field).extend(values)


def _sizes(part: Part, m: Matched, pads: list[int]) -> None:
    p, kernel = part.param.convolution_param, list(m.shape("weight")[2:])
    _write(p, "kernel_size", kernel)
    for field, given, default in (
        ("stride", m["stride"], 1), ("dilation", m["dilation"], 1), ("pad", pads, 0)
    ):  # fmt: skip
        values = given if isinstance(given, list) else [given or default]
        values = values * len(kernel) if len(values) == 1 else values
        if set(values) != {default}:
            _write(p, field, values)
    if m["groups"] not in (None, 1):
        p.group = m["groups"]
    if m["bias"] is None:
        p.bias_term = False


def _pads(m: Matched) -> list[int] | None:
    """Return the padding, also of "same" and "valid", where it is one number a side."""
    padding = m["padding"]
    if not isinstance(padding, str):
        return padding if isinstance(padding, list) else [padding or 0]
    sizes = m.shape("weight")[2:]
    if padding == "valid":
        return [0] * len(sizes)
    spread = m["dilation"] if isinstance(m["dilation"], list) else [m["dilation"] or 1]
    spread = spread * len(sizes) if len(spread) == 1 else spread
    whole = [d * (k - 1) for d, k in zip(spread, sizes, strict=True)]
    return None if any(size % 2 for size in whole) else [size // 2 for size in whole]


@row("conv1d.default", "conv2d.default", "conv2d.padding", "conv3d.default", "convolution.default")
def convolution(m: Matched) -> list[Part] | None:
    """A convolution whose weights are parameters: Convolution, or Deconvolution."""
    weight, bottom, pads = m.constant("weight"), m.blob("input"), _pads(m)
    learned = m["bias"] is None or m.constant("bias") is not None
    if weight is None or bottom is None or pads is None or not learned:
        return None
    transposed = bool(m["transposed"])
    if len(m.shape("input")) != len(m.shape("weight")) or any(m["output_padding"] or []):
        return None
    part = Part(layer("Deconvolution" if transposed else "Convolution"), [bottom], [weight])
    if m["bias"] is not None:
        part.blobs.append(m["bias"].name)
    _sizes(part, m, pads)
    first, second = m.shape("weight")[:2]
    outputs = second * (m["groups"] or 1) if transposed else first
    part.param.convolution_param.num_output = outputs
    return [part]


@row("conv_transpose2d.input", "conv_transpose1d.default", "conv_transpose3d.input")
def transposed_convolution(m: Matched) -> list[Part] | None:
    """A transposed convolution without output padding: Deconvolution."""
    m.call.arguments["transposed"] = True
    outer = m["output_padding"]
    m.call.arguments["output_padding"] = outer if isinstance(outer, list) else [outer or 0]
    return convolution(m)


@row("linear.default")
def linear(m: Matched) -> list[Part] | None:
    """A product with learned weights over the last axis: InnerProduct."""
    weight, shape = m.constant("weight"), m.shape("input")
    if weight is None or len(shape) < 2 or (m["bias"] is not None and m.constant("bias") is None):
        return None
    part = one("InnerProduct", m.blob("input"), weight, m.constant("bias"))
    if part is None or len(m.shape("weight")) != 2:
        return None
    p = part.param.inner_product_param
    p.num_output, p.axis, p.bias_term = m.shape("weight")[0], len(shape) - 1, m["bias"] is not None
    return [part]


@row("addmm.default", "mm.default")
def matrix_product(m: Matched) -> list[Part] | None:
    """The same as exported with its parts: rows times a learned matrix, plus a learned bias."""
    rows, matrix = ("self", "mat2") if m["mat1"] is None else ("mat1", "mat2")
    weight, has_bias = m.tensor(matrix), m["mat1"] is not None
    if weight is None or {m["beta"], m["alpha"]} - {1, None}:
        return None
    bias = m.constant("self") if has_bias else None
    if has_bias and (bias is None or m.shape("self") != (weight.shape[1],)):
        return None
    part = one("InnerProduct", m.blob(rows), weight.t().contiguous(), bias)
    if part is None:
        return None
    p = part.param.inner_product_param
    p.num_output, p.bias_term = weight.shape[1], has_bias
    return [part]
