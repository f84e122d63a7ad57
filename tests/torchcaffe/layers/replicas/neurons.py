"""Layers that work value by value, and those that normalise."""

from __future__ import annotations

import itertools

import numpy as np

from tests.torchcaffe.layers.replicas.case import TRAIN, Case, array, maker


def pointwise(function):
    """Return a replica of one function of a value and the settings."""

    def replica(p, bottoms, params):
        return [np.vectorize(lambda v: float(function(v, p)), otypes=[float])(bottoms[0])]

    return replica


def _power(v, p):
    q = p.power_param
    if q.power * q.scale == 0:
        return 1.0 if q.power == 0 else q.shift**q.power
    return (q.shift + q.scale * v) ** q.power


def _elu(v, p):
    return v if v > 0 else p.elu_param.alpha * (np.exp(v) - 1)


def _exp(v, p):
    q = p.exp_param
    base = np.e if q.base == -1 else q.base
    return base ** (q.shift + q.scale * v)


def _log(v, p):
    q = p.log_param
    return np.log(q.shift + q.scale * v) / (1.0 if q.base == -1 else np.log(q.base))


def _dropout(v, p):
    q = p.dropout_param
    return v if q.scale_train else v * (1 - q.dropout_ratio)


def prelu(p, bottoms, params):
    """Slopes below zero, one a channel or one for all."""
    (x,) = bottoms
    slope = np.broadcast_to(params[0].reshape(-1), (x.shape[1],))
    slope = slope.reshape(1, -1, *[1] * (x.ndim - 2))
    return [np.where(x > 0, x, x * slope)]


def lrn(p, bottoms, params):
    """Local response normalisation of either kind."""
    q, (x,) = p.lrn_param, bottoms
    half, y = (q.local_size - 1) // 2, np.zeros_like(x)
    for n, c, h, w in itertools.product(*map(range, x.shape)):
        if q.norm_region == 0:
            window, area, k = x[n, max(c - half, 0) : c + half + 1, h, w], q.local_size, q.k
        else:
            rows = slice(max(h - half, 0), h + half + 1)
            window, area, k = x[n, c, rows, max(w - half, 0) : w + half + 1], q.local_size**2, 1
        y[n, c, h, w] = x[n, c, h, w] * (k + q.alpha / area * (window**2).sum()) ** -q.beta
    return [y]


def _channels(x):
    """Return the shape that spreads one value a channel over `x`."""
    return (1, -1, *[1] * (x.ndim - 2)) if x.ndim > 1 else (1,)


def batch_norm(p, bottoms, params):
    """Normalise with stored sums, or (`use_global_stats: false`) with the batch's own."""
    q, (x,) = p.batch_norm_param, bottoms
    if q.HasField("use_global_stats") and not q.use_global_stats:
        axes = tuple(i for i in range(x.ndim) if i != 1)
        mean, variance = x.mean(axes), x.var(axes)
    else:
        factor = 0 if params[2][0] == 0 else 1 / params[2][0]
        mean, variance = params[0] * factor, params[1] * factor
    to = _channels(x)
    y = (x - mean.reshape(to)) / np.sqrt(variance.reshape(to) + q.eps)
    if len(params) == 5:  # NVIDIA's, with scale and bias
        y = y * params[3].reshape(to) + params[4].reshape(to)
    return [y]


def fused_gradient(p, bottoms, params, diffs):
    """Statistics get no diff; scale and bias do."""
    (x,), to = bottoms, _channels(bottoms[0])
    axes = tuple(i for i in range(x.ndim) if i != 1)
    normal = batch_norm(p, bottoms, params[:3])[0]
    slope = params[3] / np.sqrt(params[1] / params[2] + p.batch_norm_param.eps)
    none = [np.zeros_like(param) for param in params[:3]]
    return [diffs[0] * slope.reshape(to)], [
        *none,
        (diffs[0] * normal).sum(axes),
        diffs[0].sum(axes),
    ]


def statistics(number, shape, rng):
    """Fill BatchNorm's blobs: sums of means and variances, and the factor."""
    if number == 2:
        return np.full(shape, 2.5)
    return rng.normal(size=shape) if number == 0 else rng.uniform(1, 4, shape)


def _rows(p, x):
    lead = x.shape[:1] if p.mvn_param.across_channels else (*x.shape, 1)[:2]
    return x.reshape(int(np.prod(lead)), -1)


def mvn(p, bottoms, params):
    """Mean and deviation of a channel or an image; the top has four axes."""
    (x,) = bottoms
    rows = _rows(p, x)
    rows = rows - rows.mean(1, keepdims=True)
    if p.mvn_param.normalize_variance:
        rows = rows / (np.sqrt((rows**2).mean(1, keepdims=True)) + p.mvn_param.eps)
    return [rows.reshape(*x.shape, *[1] * (4 - x.ndim))]


def mvn_gradient(p, bottoms, params, diffs):
    """Caffe's own: the derivative as if eps were tiny."""
    (x,) = bottoms
    rows, diff = _rows(p, x), diffs[0].reshape(_rows(p, x).shape)
    y = _rows(p, mvn(p, bottoms, params)[0].reshape(x.shape))
    out = diff - diff.mean(1, keepdims=True)
    if p.mvn_param.normalize_variance:
        out = out - y * (diff * y).mean(1, keepdims=True)
        out = out / (rows.std(1, keepdims=True) + p.mvn_param.eps)
    return [out.reshape(x.shape)], []


def normalize(p, bottoms, params):
    """L2 norm over channels, or over the image; eps inside the root (SSD)."""
    q, (x,) = p.norm_param, bottoms
    axes = tuple(range(1, x.ndim)) if q.across_spatial else (1,)
    norm = np.sqrt((x**2).sum(axes, keepdims=True) + q.eps)
    return [x / norm * params[0].reshape(1, -1, *[1] * (x.ndim - 2))]


def softmax(p, bottoms, params):
    """exp(x) / sum(exp(x)) along an axis."""
    (x,), axis = bottoms, p.softmax_param.axis
    e = np.exp(x - x.max(axis, keepdims=True))
    return [e / e.sum(axis, keepdims=True)]


S = (2, 3, 4, 5)
EDGES = array([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 6.0, 7.0])
ABOVE = np.abs(np.random.default_rng(1).normal(size=S)) + 0.2
SIMPLE = {
    "AbsVal": lambda v, p: abs(v),
    "BNLL": lambda v, p: np.log1p(np.exp(-abs(v))) + max(v, 0),
    "Sigmoid": lambda v, p: 1 / (1 + np.exp(-v)),
    "TanH": lambda v, p: np.tanh(v),
    "ReLU6": lambda v, p: min(max(v, 0), 6),
}


def _derivative(function):
    """Return the gradient of a pointwise layer whose kinks need Caffe's choice."""

    def gradient(p, bottoms, params, diffs):
        return [diffs[0] * np.vectorize(lambda v: float(function(v, p)))(bottoms[0])], []

    return gradient


def _relu(v, p):
    return max(v, 0) + p.relu_param.negative_slope * min(v, 0)


RELU = maker("ReLU", pointwise(_relu), in_place=True)
POWER = maker("Power", pointwise(_power), in_place=True)
EXP = maker("Exp", pointwise(_exp), in_place=True)
LOG = maker("Log", pointwise(_log), in_place=True)
ELU = maker("ELU", pointwise(_elu), in_place=True)
PRELU = maker("PReLU", prelu, in_place=True)
LRN = maker("LRN", lrn, in_place=True)
NORM = maker("BatchNorm", batch_norm, params=statistics, in_place=True, frozen=True)
MVN = maker("MVN", mvn)
L2 = maker("Normalize", normalize)
SOFTMAX = maker("Softmax", softmax, in_place=True)

CASES = [
    *[Case(t, "plain", pointwise(f), bottoms=[S], in_place=True) for t, f in SIMPLE.items()],
    *[Case(t, "vector", pointwise(f), bottoms=[(7,)]) for t, f in SIMPLE.items()],
    Case("BNLL", "far", pointwise(SIMPLE["BNLL"]), bottoms=[array(-90.0, -50.0, 40.0, 80.0)]),
    Case("AbsVal", "edges", pointwise(SIMPLE["AbsVal"]), bottoms=[EDGES],
         gradient=_derivative(lambda v, p: np.sign(v))),
    Case("ReLU6", "edges", pointwise(SIMPLE["ReLU6"]), bottoms=[EDGES],
         gradient=_derivative(lambda v, p: 0 < v < 6)),
    RELU("edges", "", EDGES, gradient=_derivative(lambda v, p: v > 0)),
    RELU("leaky_edges", "relu_param { negative_slope: 0.2 }", EDGES,
         gradient=_derivative(lambda v, p: 1 if v > 0 else p.relu_param.negative_slope)),
    RELU("negative_slope_below_zero", "relu_param { negative_slope: -0.7 }", S),
    ELU("alpha", "elu_param { alpha: 0.3 }", S),
    ELU("negative_alpha", "elu_param { alpha: -0.5 }", S),
    Case("Swish", "beta", pointwise(lambda v, p: v / (1 + np.exp(-p.swish_param.beta * v))),
         "swish_param { beta: 1.7 }", [S], in_place=True),
    Case("Clip", "edges", pointwise(lambda v, p: min(max(v, p.clip_param.min), p.clip_param.max)),
         "clip_param { min: -1 max: 2 }", [EDGES], in_place=True,
         gradient=_derivative(lambda v, p: -1 <= v <= 2)),
    Case("Threshold", "at", pointwise(lambda v, p: v > p.threshold_param.threshold),
         "threshold_param { threshold: 0.5 }", [EDGES], gradient="zero"),
    POWER("square", "power_param { power: 2 scale: -3 shift: 0.5 }", S),
    POWER("linear", "power_param { scale: -3 shift: 0.5 }", S),
    POWER("no_shift", "power_param { power: 3 scale: 0.5 }", S),
    POWER("fraction", "power_param { power: 0.4 scale: 2 shift: 0.1 }", ABOVE),
    POWER("inverse", "power_param { power: -1.5 }", ABOVE),
    POWER("zero_power", "power_param { power: 0 scale: 2 shift: 3 }", S),
    POWER("zero_scale", "power_param { power: 3 scale: 0 shift: -1.5 }", S),
    EXP("base", "exp_param { base: 2 scale: 0.7 shift: 0.3 }", S),
    EXP("natural", "exp_param { scale: -0.5 shift: 1 }", S),
    EXP("base_one", "exp_param { base: 1 }", S),
    LOG("base", "log_param { base: 2 scale: 3 shift: 0.5 }", ABOVE),
    LOG("natural", "log_param { scale: 0.5 }", ABOVE),
    LOG("base_below_one", "log_param { base: 0.3 }", ABOVE),
    Case("Dropout", "test", pointwise(_dropout), "dropout_param { dropout_ratio: 0.3 }", [S],
         in_place=True),
    Case("Dropout", "unscaled_test", pointwise(_dropout),
         "dropout_param { dropout_ratio: 0.3 scale_train: false }", [S], in_place=True),
    Case("Dropout", "nothing_dropped", pointwise(_dropout), "dropout_param { dropout_ratio: 0 }",
         [S], phase=TRAIN),
    PRELU("per_channel", "", S, param_shapes=[(3,)]),
    PRELU("shared", "prelu_param { channel_shared: true }", S, param_shapes=[()]),
    PRELU("matrix", "", (4, 6)),
    PRELU("five_axes", "", (2, 3, 2, 2, 2)),
    LRN("size_3", "lrn_param { local_size: 3 alpha: 0.8 beta: 0.6 k: 2 }", (2, 5, 3, 3)),
    LRN("wider_than_channels", "lrn_param { local_size: 9 alpha: 2 beta: 0.75 }", (2, 4, 2, 3)),
    LRN("size_1", "lrn_param { local_size: 1 alpha: 2 }", (1, 3, 2, 2)),
    LRN("within", "lrn_param { local_size: 5 alpha: 3 beta: 0.6 norm_region: WITHIN_CHANNEL }",
        (2, 2, 6, 4)),
    LRN("within_ignores_k", "lrn_param { local_size: 3 alpha: 3 k: 7 norm_region: WITHIN_CHANNEL }",
        (1, 2, 4, 4)),
    LRN("within_small_bottom", "lrn_param { local_size: 7 alpha: 3 norm_region: WITHIN_CHANNEL }",
        (1, 2, 3, 2)),
    NORM("stored", "", S, param_shapes=[(3,), (3,), (1,)]),
    NORM("eps", "batch_norm_param { eps: 0.5 }", (4, 3)),
    NORM("factor_zero", "", S, params=lambda i, shape, rng: np.full(shape, 0.0 if i == 2 else 3.0)),
    NORM("fused", "batch_norm_param { scale_bias: true eps: 0.01 }", S, frozen=False,
         gradient=fused_gradient, param_shapes=[(3,), (3,), (1,), (3,), (3,)]),
    NORM("fused_by_filler", "batch_norm_param { bias_filler { value: 2 } }", (4, 3), frozen=False,
         gradient=fused_gradient),
    NORM("batch", "batch_norm_param { use_global_stats: false eps: 0.01 }", S),
    NORM("batch_matrix", "batch_norm_param { use_global_stats: false }", (5, 3)),
    NORM("batch_five_axes", "batch_norm_param { use_global_stats: false }", (2, 2, 2, 3, 2)),
    MVN("channels", "", S),
    MVN("across", "mvn_param { across_channels: true }", S),
    MVN("mean_only", "mvn_param { normalize_variance: false }", S),
    MVN("mean_only_across", "mvn_param { normalize_variance: false across_channels: true }", S),
    MVN("large_eps", "mvn_param { eps: 0.5 }", S, gradient=mvn_gradient),
    MVN("constant_bottom", "mvn_param { eps: 0.1 }", np.ones(S), gradient=mvn_gradient),
    MVN("matrix_across", "mvn_param { across_channels: true }", (3, 8)),
    MVN("matrix", "mvn_param { normalize_variance: false }", (3, 8)),
    MVN("three_axes", "", (2, 3, 6)),
    L2("point", "norm_param { across_spatial: false channel_shared: false }", S,
       param_shapes=[(3,)]),
    L2("image", "norm_param { eps: 0.3 }", S, param_shapes=[()]),
    L2("image_per_channel", "norm_param { channel_shared: false }", S),
    L2("point_eps", "norm_param { across_spatial: false eps: 0.5 }", S),
    L2("filler", "norm_param { across_spatial: false scale_filler { value: 20 } }", S,
       params=lambda i, shape, rng: np.full(shape, 20.0)),
    SOFTMAX("axis_2", "softmax_param { axis: 2 }", S),
    SOFTMAX("last", "softmax_param { axis: -1 }", S),
    SOFTMAX("first", "softmax_param { axis: 0 }", (5, 2)),
    SOFTMAX("large", "", np.random.default_rng(2).normal(size=(3, 4)) * 300),
    SOFTMAX("five_axes", "softmax_param { axis: 3 }", (2, 1, 2, 3, 2)),
]  # fmt: skip
