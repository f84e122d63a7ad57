"""Activations, and sums and products with a number."""

from __future__ import annotations

from torchcaffe.importing.operators.registry import Matched, Part, one, row


def _plain(type: str) -> None:
    def make(m: Matched) -> list[Part] | None:
        part = one(type, m.blob("self"))
        return None if part is None else [part]

    make.__doc__ = f"What {type} computes."
    row(*_PLAIN[type])(make)


_PLAIN = {
    "ReLU": ("relu.default",),
    "ReLU6": ("relu6.default",),
    "Sigmoid": ("sigmoid.default",),
    "TanH": ("tanh.default",),
    "Swish": ("silu.default",),
    "AbsVal": ("abs.default",),
    "Exp": ("exp.default",),
}
for _type in _PLAIN:
    _plain(_type)


@row("hardtanh.default", "clamp.default", "clamp_min.default")
def bounded(m: Matched) -> list[Part] | None:
    """Bounds 0 and 6 are ReLU6, 0 alone ReLU, any two others Clip."""
    low, high = m["min_val"], m["max_val"]
    if low is None and high is None:
        low, high = m["min"], m["max"]
    if low is None or not m.is_float(m["self"].name if m.blob("self") else "") or low != low:
        return None
    if high is None and low != 0:
        return None
    kind = "ReLU" if high is None else "ReLU6" if (low, high) == (0, 6) else "Clip"
    part = one(kind, m.blob("self"))
    if part is not None and kind == "Clip":
        part.param.clip_param.min, part.param.clip_param.max = low, high
    return None if part is None else [part]


@row("leaky_relu.default")
def leaky_relu(m: Matched) -> list[Part] | None:
    """ReLU with its slope for negative values."""
    part = one("ReLU", m.blob("self"))
    if part is None:
        return None
    part.param.relu_param.negative_slope = m["negative_slope"]
    return [part]


@row("prelu.default", "_prelu_kernel.default")
def prelu(m: Matched) -> list[Part] | None:
    """PReLU, with one slope a channel or one for all."""
    slopes = m.tensor("weight")
    if slopes is None or len(m.shape("self")) < 2:
        return None
    shared = slopes.numel() == 1
    part = one("PReLU", m.blob("self"), slopes.reshape(() if shared else -1))
    if part is None:
        return None
    part.param.prelu_param.channel_shared = shared
    return [part]


@row("elu.default")
def elu(m: Matched) -> list[Part] | None:
    """ELU without further factors."""
    part = one("ELU", m.blob("self"))
    if part is None or (m["scale"], m["input_scale"]) != (1, 1):
        return None
    part.param.elu_param.alpha = m["alpha"]
    return [part]


@row("dropout.default", "feature_dropout.default")
def dropout(m: Matched) -> list[Part] | None:
    """Dropout, which does nothing when testing."""
    part = one("Dropout", m.blob("input"))
    if part is None or m["train"]:
        return None
    part.param.dropout_param.dropout_ratio = min(m["p"], 0.999)
    return [part]


@row("softmax.int", "_softmax.default")
def softmax(m: Matched) -> list[Part] | None:
    """Softmax along an axis."""
    part = one("Softmax", m.blob("self"))
    if part is None:
        return None
    part.param.softmax_param.axis = m["dim"] % len(m.shape("self"))
    return [part]


def affine(m: Matched, scale: float, shift: float) -> list[Part] | None:
    """Return Power for scale * x + shift."""
    part = one("Power", m.blob("self"))
    if part is None or not m.is_float(part.bottoms[0]):
        return None
    part.param.power_param.scale, part.param.power_param.shift = scale, shift
    return [part]


@row("neg.default")
def negative(m: Matched) -> list[Part] | None:
    """The value with its sign changed."""
    return affine(m, -1.0, 0.0)
