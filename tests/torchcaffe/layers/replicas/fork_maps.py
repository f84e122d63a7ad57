"""Layers of forks that work on maps: BN, Upsample, poolings of regions, orders, clips.

They follow the C++ (for PSROIPooling the CUDA) layers of the forks named at each.
"""

from __future__ import annotations

import math

import numpy as np

from tests.torchcaffe.layers.replicas.case import array, maker
from tests.torchcaffe.layers.replicas.spatial import geometry, out_sizes, places

S = (2, 3, 2, 4)


def _channels(p, x):
    along = 2 if p.bn_param.axis == 2 else 1
    return along, [-1 if i == along else 1 for i in range(x.ndim)]


def _batch(p, x):
    along, view = _channels(p, x)
    axes = tuple(i for i in range(x.ndim) if i != along)
    return x.mean(axes).reshape(view), x.var(axes).reshape(view)


def bn_affine(p, bottoms, params):
    """SegNet's, bn_mode INFERENCE: statistics are folded into scale and shift."""
    return [bottoms[0] * params[0] + params[1]]


def bn_segnet(p, bottoms, params):
    """SegNet's, bn_mode LEARN: of the batch, with an epsilon of its own; it can give them too."""
    (x,) = bottoms
    mean, variance = _batch(p, x)
    y = (x - mean) / np.sqrt(variance + 1e-9) * params[0] + params[1]
    return [y, mean, variance][: len(p.top)]


def bn_stored(p, bottoms, params):
    """PSPNet's with moving_average, and yjxiong's: by blobs 2 and 3."""
    (x,) = bottoms
    q = p.bn_param
    eps = q.var_eps if q.HasField("moving_average") else q.eps
    _, view = _channels(p, x)
    scale, shift, mean, variance = (param.reshape(view) for param in params)
    return [(x - mean) / np.sqrt(variance + eps) * scale + shift]


def bn_stored_gradient(p, bottoms, params, diffs):
    """Statistics get no diff."""
    (x,) = bottoms
    along, view = _channels(p, x)
    axes = tuple(i for i in range(x.ndim) if i != along)
    ones = [np.ones_like(params[0]), np.zeros_like(params[0]), *params[2:]]
    normal = bn_stored(p, bottoms, ones)[0]
    eps = p.bn_param.var_eps if p.bn_param.HasField("moving_average") else p.bn_param.eps
    slope = params[0].reshape(view) / np.sqrt(params[3].reshape(view) + eps)
    shape, none = params[0].shape, np.zeros_like(params[2])
    learned = [(diffs[0] * normal).sum(axes).reshape(shape), diffs[0].sum(axes).reshape(shape)]
    return [diffs[0] * slope], [*learned, none, none]


def bn_pspnet_batch(p, bottoms, params):
    """PSPNet's without moving_average: of the batch, also when testing."""
    (x,) = bottoms
    _, view = _channels(p, x)
    mean, variance = _batch(p, x)
    scale, shift = (param.reshape(view) for param in params[:2])
    return [(x - mean) / np.sqrt(variance + p.bn_param.var_eps) * scale + shift]


def statistics(number, shape, rng):
    """Fill BN's blobs: the fourth is a variance."""
    return rng.uniform(0.5, 3, shape) if number == 3 else rng.normal(size=shape)


def upsample(p, bottoms, params):
    """SegNet's, by a mask; YOLO's, by repetition."""
    q, x = p.upsample_param, bottoms[0]
    n, channels, height, width = x.shape
    if len(bottoms) == 1:
        out = np.zeros((n, channels, height * q.scale, width * q.scale))
        for h in range(out.shape[2]):
            for w in range(out.shape[3]):
                out[:, :, h, w] = x[:, :, h // q.scale, w // q.scale]
        return [out]
    size = [q.upsample_h, q.upsample_w]
    if not q.HasField("upsample_h"):
        down, across = (q.scale_h, q.scale_w) if q.HasField("scale_h") else (q.scale, q.scale)
        size = [height * down - q.pad_out_h, width * across - q.pad_out_w]
    out = np.zeros((n, channels, size[0] * size[1]))
    for at in np.ndindex(x.shape):
        out[(*at[:2], int(bottoms[1][at]))] = x[at]
    return [out.reshape(n, channels, *size)]


def _mask(shape, count, seed):
    rng = np.random.default_rng(seed)
    rows = [
        rng.choice(count, shape[2] * shape[3], replace=False) for _ in range(shape[0] * shape[1])
    ]
    return np.array(rows).reshape(shape)


def _round(value):
    return math.copysign(math.floor(abs(value) + 0.5), value)


def roi_pooling(p, bottoms, params):
    """Fast R-CNN's."""
    q, (x, rois) = p.roi_pooling_param, bottoms
    height, width = x.shape[2:]
    out = np.zeros((len(rois), x.shape[1], q.pooled_h, q.pooled_w))
    for n, (image, *corners) in enumerate(rois.reshape(-1, 5)):
        left, upper, right, lower = (_round(c * q.spatial_scale) for c in corners)
        step_h = max(lower - upper + 1, 1) / q.pooled_h
        step_w = max(right - left + 1, 1) / q.pooled_w
        for c, i, j in np.ndindex(out.shape[1:]):
            rows = [int(v + upper) for v in (math.floor(i * step_h), math.ceil((i + 1) * step_h))]
            cols = [int(v + left) for v in (math.floor(j * step_w), math.ceil((j + 1) * step_w))]
            rows, cols = ([min(max(v, 0), end) for v in pair] for pair, end in
                          ((rows, height), (cols, width)))  # fmt: skip
            if rows[1] > rows[0] and cols[1] > cols[0]:
                out[n, c, i, j] = x[int(image), c, rows[0] : rows[1], cols[0] : cols[1]].max()
    return [out]


def psroi_pooling(p, bottoms, params):
    """R-FCN's (its CUDA layer: there is no other)."""
    q, (x, rois) = p.psroi_pooling_param, bottoms
    height, width = x.shape[2:]
    g = q.group_size
    out = np.zeros((len(rois), q.output_dim, g, g))
    for n, (image, *corners) in enumerate(rois.reshape(-1, 5)):
        left, upper = (_round(c) * q.spatial_scale for c in corners[:2])
        right, lower = ((_round(c) + 1) * q.spatial_scale for c in corners[2:])
        step_h, step_w = max(lower - upper, 0.1) / g, max(right - left, 0.1) / g
        for c, i, j in np.ndindex(out.shape[1:]):
            top, bottom = math.floor(i * step_h + upper), math.ceil((i + 1) * step_h + upper)
            start, end = math.floor(j * step_w + left), math.ceil((j + 1) * step_w + left)
            top, bottom = (min(max(v, 0), height) for v in (top, bottom))
            start, end = (min(max(v, 0), width) for v in (start, end))
            if bottom > top and end > start:
                part = x[int(image), (c * g + i) * g + j, top:bottom, start:end]
                out[n, c, i, j] = part.mean()
    return [out]


def reorg(p, bottoms, params):
    """Darknet's loops, on flat memory."""
    q, (x,) = p.reorg_param, bottoms
    s, (n, channels, height, width) = q.stride, x.shape
    few = channels // s**2
    flat, out = x.ravel(), np.zeros(x.size)
    for b, c, h, w in np.ndindex(x.shape):
        near = w + width * (h + height * (c + channels * b))
        offset = c // few
        far = (w * s + offset % s) + width * s * (
            (h * s + offset // s) + height * s * (c % few + few * b)
        )
        if q.reverse:
            out[far] = flat[near]
        else:
            out[near] = flat[far]
    if q.reverse:
        return [out.reshape(n, few, height * s, width * s)]
    return [out.reshape(n, channels * s**2, height // s, width // s)]


def transpose(p, bottoms, params):
    """Axis i of the top is axis dim[i] of the bottom."""
    (x,) = bottoms
    order = list(p.transpose_param.dim)
    out = np.zeros([x.shape[axis] for axis in order])
    for at in np.ndindex(x.shape):
        out[tuple(at[axis] for axis in order)] = x[at]
    return [out]


def reverse(p, bottoms, params):
    """The last first."""
    (x,) = bottoms
    axis = p.reverse_param.axis
    out = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        to = list(at)
        to[axis] = x.shape[axis] - 1 - at[axis]
        out[tuple(to)] = x[at]
    return [out]


def _clip(q, kernel, stride, pad):
    """Return kernel, stride and pad of three axes: time has settings of its own."""
    times = (q.kernel_depth, q.temporal_stride, q.temporal_pad)
    return [[time, *rest] for time, rest in zip(times, (kernel, stride, pad), strict=True)]


def convolution3d(p, bottoms, params):
    """C3D's."""
    q, (x,) = p.convolution_param, bottoms
    kernel, stride, pad = _clip(q, *geometry(q, 2)[:3])
    out = out_sizes(x.shape[2:], kernel, stride, pad, [1, 1, 1])
    y = np.zeros((len(x), q.num_output, *out))
    for o, k, at in places(out, kernel, stride, pad, [1, 1, 1], x.shape[2:]):
        y[(slice(None), slice(None), *o)] += (
            x[(slice(None), slice(None), *at)] @ params[0][(slice(None), slice(None), *k)].T
        )
    return [y + params[1].reshape(-1, 1, 1, 1) if q.bias_term else y]


def pooling3d(p, bottoms, params):
    """C3D's: sizes up, windows cut to the padded bottom (mean) or the bottom (maximum)."""
    q, (x,) = p.pooling_param, bottoms
    kernel, stride, pad = _clip(q, [q.kernel_size] * 2, [q.stride] * 2, [q.pad] * 2)
    rows = list(zip(x.shape[2:], kernel, stride, pad, strict=True))
    out = [math.ceil((n + 2 * d - k) / s) + 1 for n, k, s, d in rows]
    if max(pad):
        out = [o - ((o - 1) * s >= n + d) for o, (n, _, s, d) in zip(out, rows, strict=True)]
    y = np.zeros((*x.shape[:2], *out))
    for o in np.ndindex(*out):
        starts = [i * s - d for i, s, d in zip(o, stride, pad, strict=True)]
        ends = [min(a + k, n + d) for a, (n, k, _, d) in zip(starts, rows, strict=True)]
        area = math.prod(b - a for a, b in zip(starts, ends, strict=True))
        part = x[(slice(None), slice(None), *[slice(max(a, 0), b) for a, b in
                                              zip(starts, ends, strict=True)])]  # fmt: skip
        at = (slice(None), slice(None), *o)
        y[at] = part.sum((2, 3, 4)) / area if q.pool == 1 else part.max((2, 3, 4))
    return [y]


FOUR = [(1, 3, 1, 1)] * 4
PSP_STORED = maker("BN", bn_stored, params=statistics, gradient=bn_stored_gradient, in_place=True)
UP = maker("Upsample", upsample)
ROI = maker("ROIPooling", roi_pooling, labels=(1,))
PSROI = maker("PSROIPooling", psroi_pooling, labels=(1,))
REORG = maker("Reorg", reorg)
CONV3D, POOL3D = maker("Convolution3D", convolution3d), maker("Pooling3D", pooling3d)

# image, x1, y1, x2, y2: inside, over the edge, outside (empty bins), one pixel, halves, upside down
REGIONS = array(
    [0, 0, 0, 47, 31], [1, 10, 5, 60, 40], [0, 90, 90, 120, 99], [1, 17, 9, 17, 9],
    [1, 4, 12, 20, 28], [0, 30, 20, 10, 5], [1, -20, -9, 14, 22],
)  # fmt: skip
CASES = [
    PSP_STORED("pspnet", "bn_param { moving_average: true decay: 0.05 var_eps: 0.01 }", S,
               param_shapes=FOUR),
    PSP_STORED("action_frozen", "bn_param { slope_filler { value: 1 } frozen: true }", S,
               param_shapes=FOUR),
    PSP_STORED("action_matrix", "bn_param { eps: 0.1 }", (4, 3)),
    PSP_STORED("pspnet_rows", "bn_param { moving_average: true axis: 2 }", S,
               param_shapes=[(1, 1, 2, 1)] * 4),
    maker("BN", bn_pspnet_batch, params=statistics)(
        "pspnet_batch", "bn_param { moving_average: false var_eps: 0.2 }", S),
    maker("BN", bn_affine, in_place=True)(
        "segnet_inference", "bn_param { bn_mode: INFERENCE scale_filler { value: 1 } }", S,
        param_shapes=FOUR[:2]),
    maker("BN", bn_segnet)("segnet_batch", "bn_param { scale_filler { value: 1 } }", S,
                           param_shapes=FOUR[:2]),
    maker("BN", bn_segnet)("segnet_statistics", "bn_param { bn_mode: LEARN }", S, tops=3,
                           diff_tops=(0, 1, 2)),
    UP("nearest", "upsample_param { scale: 3 }", (2, 2, 2, 3)),
    UP("mask", "upsample_param { scale: 2 }", (2, 2, 2, 3), _mask((2, 2, 2, 3), 24, 1),
       labels=(1,)),
    UP("mask_size", "upsample_param { scale: 2 upsample_h: 3 upsample_w: 7 }", (1, 2, 2, 3),
       _mask((1, 2, 2, 3), 21, 2), labels=(1,)),
    UP("mask_pad_out", "upsample_param { scale: 2 pad_out_h: true }", (1, 2, 2, 3),
       _mask((1, 2, 2, 3), 18, 3), labels=(1,)),
    UP("mask_rectangle", "upsample_param { scale_h: 3 scale_w: 2 }", (1, 1, 2, 2),
       _mask((1, 1, 2, 2), 24, 4), labels=(1,)),
    ROI("several", "roi_pooling_param { pooled_h: 2 pooled_w: 3 spatial_scale: 0.125 }",
        (2, 3, 4, 6), REGIONS),
    ROI("four_axes", "roi_pooling_param { pooled_h: 3 pooled_w: 2 spatial_scale: 0.1 }",
        (2, 2, 4, 6), REGIONS.reshape(-1, 5, 1, 1)),
    PSROI("several", "psroi_pooling_param { spatial_scale: 0.125 output_dim: 3 group_size: 2 }",
          (2, 12, 4, 6), REGIONS),
    PSROI("one_bin", "psroi_pooling_param { spatial_scale: 0.25 output_dim: 4 group_size: 1 }",
          (2, 4, 4, 6), REGIONS),
    REORG("forward", "reorg_param { stride: 2 }", (2, 8, 4, 6)),
    REORG("forward_three", "reorg_param { stride: 3 }", (1, 9, 3, 6)),
    REORG("reverse", "reorg_param { stride: 2 reverse: true }", (2, 8, 3, 2)),
    maker("Transpose", transpose)("ctpn", "transpose_param { dim: 3 dim: 2 dim: 0 dim: 1 }", S),
    maker("Transpose", transpose)("matrix", "transpose_param { dim: 1 dim: 0 }", (3, 4)),
    maker("Reverse", reverse)("default", "", S),
    maker("Reverse", reverse)("last", "reverse_param { axis: -1 }", S),
    CONV3D("padded", "convolution_param { num_output: 3 kernel_size: 3 kernel_depth: 2 pad: 1 "
           "temporal_pad: 1 stride: 2 }", (1, 2, 3, 5, 4), param_shapes=[(3, 2, 2, 3, 3), (3,)]),
    CONV3D("strided", "convolution_param { num_output: 2 kernel_size: 2 kernel_depth: 3 "
           "temporal_stride: 2 bias_term: false }", (2, 2, 5, 3, 3)),
    POOL3D("first", "pooling_param { kernel_size: 2 kernel_depth: 1 stride: 2 }", (2, 2, 3, 5, 4)),
    POOL3D("max", "pooling_param { kernel_size: 2 kernel_depth: 2 stride: 2 temporal_stride: 2 "
           "pad: 1 }", (1, 2, 5, 4, 5)),
    POOL3D("mean", "pooling_param { pool: AVE kernel_size: 3 kernel_depth: 2 stride: 2 "
           "temporal_stride: 2 temporal_pad: 1 pad: 1 }", (1, 2, 4, 6, 5)),
]  # fmt: skip
