"""Poolings, and means over the whole image."""

from __future__ import annotations

from torchcaffe.importing.operators.registry import Matched, Part, layer, one, pair, row
from torchcaffe.proto.caffe_pb2 import PoolingParameter


def _windows(m: Matched, method: int) -> list[Part] | None:
    """Return Pooling with the windows of a call; None where Caffe rounds otherwise."""
    kernel = pair(m["kernel_size"], 1)
    stride, pad = pair(m["stride"] or m["kernel_size"], 1), pair(m["padding"], 0)
    part = one("Pooling", m.blob("self"))
    if part is None or kernel is None or stride is None or pad is None:
        return None
    if len(m.shape("self")) != 4 or any(s > k for s, k in zip(stride, kernel, strict=True)):
        return None
    _fill(part, method, kernel, stride, pad, floor=not m["ceil_mode"])
    return [part]


def _fill(
    part: Part, method: int, kernel: list[int], stride: list[int], pad: list[int], *, floor: bool
) -> None:
    p = part.param.pooling_param
    p.pool = method  # type: ignore[assignment]
    for name, (high, wide) in (("kernel", kernel), ("stride", stride), ("pad", pad)):
        if high == wide:
            setattr(p, "kernel_size" if name == "kernel" else name, high)
        else:
            setattr(p, f"{name}_h", high)
            setattr(p, f"{name}_w", wide)
    if floor:
        p.round_mode = PoolingParameter.FLOOR


@row("max_pool2d.default", "max_pool2d_with_indices.default")
def max_pool(m: Matched) -> list[Part] | None:
    """Max pooling without gaps, where nobody asks for the positions."""
    if not m.only_output() or pair(m["dilation"], 1) != [1, 1]:
        return None
    return _windows(m, PoolingParameter.MAX)


@row("avg_pool2d.default")
def average_pool(m: Matched) -> list[Part] | None:
    """Average pooling that counts the padding, as Caffe does."""
    counts_less = not m["count_include_pad"] and pair(m["padding"], 0) != [0, 0]
    if counts_less or m["divisor_override"] is not None:
        return None
    return _windows(m, PoolingParameter.AVE)


def _global(m: Matched, method: int) -> Part | None:
    part = one("Pooling", m.blob("self"))
    if part is not None:
        part.param.pooling_param.pool = method  # type: ignore[assignment]
        part.param.pooling_param.global_pooling = True
    return part


def _adaptive(m: Matched, method: int) -> list[Part] | None:
    """Return Pooling where all windows are of one size: global, or an even division."""
    out, shape = pair(m["output_size"], 1), m.shape("self")
    if out is None or len(shape) != 4 or not m.only_output():
        return None
    if out == [1, 1]:
        part = _global(m, method)
        return None if part is None else [part]
    part = one("Pooling", m.blob("self"))
    if part is None or any(size % n for size, n in zip(shape[2:], out, strict=True)):
        return None
    kernel = [size // n for size, n in zip(shape[2:], out, strict=True)]
    _fill(part, method, kernel, kernel, [0, 0], floor=False)
    return [part]


@row("adaptive_avg_pool2d.default", "_adaptive_avg_pool2d.default")
def adaptive_average(m: Matched) -> list[Part] | None:
    """Average pooling to a given size."""
    return _adaptive(m, PoolingParameter.AVE)


@row("adaptive_max_pool2d.default")
def adaptive_maximum(m: Matched) -> list[Part] | None:
    """Max pooling to a given size."""
    return _adaptive(m, PoolingParameter.MAX)


@row("mean.dim", "amax.default")
def over_the_image(m: Matched) -> list[Part] | None:
    """Mean or maximum over rows and columns: global Pooling, and Flatten without these axes."""
    shape, axes = m.shape("self"), m["dim"] or []
    if len(shape) != 4 or sorted(axis % 4 for axis in axes) != [2, 3] or m["dtype"] is not None:
        return None
    is_mean = "mean" in str(m.call.operator)
    part = _global(m, PoolingParameter.AVE if is_mean else PoolingParameter.MAX)
    if part is None or m["keepdim"]:
        return None if part is None else [part]
    part.suffix = ".pool"
    return [part, Part(layer("Flatten"), [])]
