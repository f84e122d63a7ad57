"""Layers with windows: convolutions, pooling, LRN within a channel, Interp, PriorBox."""

from __future__ import annotations

import itertools
import math

import numpy as np

from tests.torchcaffe.layers.replicas.case import canonical, count, maker

FLT_MAX = 3.4028234663852886e38


def geometry(p, axes):
    """Return kernel, stride, pad, dilation as lists of one number an axis."""

    def of(name, short, default):
        if short and (p.HasField(f"{short}_h") or p.HasField(f"{short}_w")):
            return [getattr(p, f"{short}_h"), getattr(p, f"{short}_w")]
        values = list(getattr(p, name)) or [default]
        return values * axes if len(values) == 1 else values

    return (
        of("kernel_size", "kernel", 0),
        of("stride", "stride", 1),
        of("pad", "pad", 0),
        of("dilation", None, 1) if not p.HasField("hole") else [p.hole] * axes,
    )


def places(out, kernel, stride, pad, dilation, sizes):
    """Yield (output place, tap, input place) of a sliding kernel, inside the bottom only."""
    for o in itertools.product(*map(range, out)):
        for k in itertools.product(*map(range, kernel)):
            at = tuple(
                a * s + b * d - q for a, b, s, d, q in zip(o, k, stride, dilation, pad, strict=True)
            )
            if all(0 <= a < size for a, size in zip(at, sizes, strict=True)):
                yield o, k, at


def out_sizes(sizes, kernel, stride, pad, dilation):
    """Return a convolution's output sizes."""
    rows = zip(sizes, kernel, stride, pad, dilation, strict=True)
    return [(n + 2 * q - (d * (k - 1) + 1)) // s + 1 for n, k, s, q, d in rows]


def _setting(p, x):
    axis = canonical(p.convolution_param.axis, x.ndim)
    return axis, x.reshape(count(x.shape, 0, axis), *x.shape[axis:])


def convolution(p, bottoms, params, group=None):
    """Convolve every bottom with the same weights."""
    tops = []
    c = p.convolution_param
    for bottom in bottoms:
        axis, x = _setting(p, bottom)
        g = group or c.group
        kernel, stride, pad, dilation = geometry(c, x.ndim - 2)
        out = out_sizes(x.shape[2:], kernel, stride, pad, dilation)
        y = np.zeros((len(x), c.num_output, *out))
        ins, outs = x.shape[1] // g, c.num_output // g
        for o, k, at in places(out, kernel, stride, pad, dilation, x.shape[2:]):
            for i in range(g):
                to = slice(i * outs, (i + 1) * outs)
                part = x[(slice(None), slice(i * ins, (i + 1) * ins), *at)]
                y[(slice(None), to, *o)] += part @ params[0][(to, slice(None), *k)].T
        if c.bias_term:
            y += params[1].reshape(-1, *[1] * len(out))
        tops.append(y.reshape(*bottom.shape[:axis], *y.shape[1:]))
    return tops


def depthwise(p, bottoms, params):
    """Convolve every channel by itself."""
    return convolution(p, bottoms, params, group=bottoms[0].shape[1])


def deconvolution(p, bottoms, params):
    """Scatter every input over the kernel's taps."""
    tops = []
    c = p.convolution_param
    for bottom in bottoms:
        axis, x = _setting(p, bottom)
        kernel, stride, pad, dilation = geometry(c, x.ndim - 2)
        rows = zip(x.shape[2:], kernel, stride, pad, dilation, strict=True)
        out = [s * (n - 1) + d * (k - 1) + 1 - 2 * q for n, k, s, q, d in rows]
        y = np.zeros((len(x), c.num_output, *out))
        ins, outs = x.shape[1] // c.group, c.num_output // c.group
        for i, k, at in places(x.shape[2:], kernel, stride, pad, dilation, out):
            for g in range(c.group):
                part = slice(g * ins, (g + 1) * ins)
                add = x[(slice(None), part, *i)] @ params[0][(part, slice(None), *k)]
                y[(slice(None), slice(g * outs, (g + 1) * outs), *at)] += add
        if c.bias_term:
            y += params[1].reshape(-1, *[1] * len(out))
        tops.append(y.reshape(*bottom.shape[:axis], *y.shape[1:]))
    return tops


def im2col(p, bottoms, params):
    """Lay the patches out as channels: channel, then tap in row-major order."""
    tops = []
    for bottom in bottoms:
        axis, x = _setting(p, bottom)
        kernel, stride, pad, dilation = geometry(p.convolution_param, x.ndim - 2)
        out = out_sizes(x.shape[2:], kernel, stride, pad, dilation)
        y = np.zeros((*x.shape[:2], *kernel, *out))
        for o, k, at in places(out, kernel, stride, pad, dilation, x.shape[2:]):
            y[(slice(None), slice(None), *k, *o)] = x[(slice(None), slice(None), *at)]
        tops.append(y.reshape(*bottom.shape[:axis], x.shape[1] * count(kernel), *out))
    return tops


def pool(x, method, kernel, stride, pad, floor=False):
    """Pool as PoolingLayer does; return the values and the mask."""
    (height, width), out = x.shape[2:], []
    for n, k, s, q in zip((height, width), kernel, stride, pad, strict=True):
        size = (n + 2 * q - k) / s
        out.append((math.floor(size) if floor else math.ceil(size)) + 1)
    if pad[0] or pad[1]:
        for i, n in enumerate((height, width)):
            if (out[i] - 1) * stride[i] >= n + pad[i]:
                out[i] -= 1
    y, mask = np.zeros((*x.shape[:2], *out)), np.full((*x.shape[:2], *out), -1.0)
    for n, c, i, j in itertools.product(*map(range, y.shape)):
        top, left = i * stride[0] - pad[0], j * stride[1] - pad[1]
        bottom, right = top + kernel[0], left + kernel[1]
        area = (min(bottom, height + pad[0]) - top) * (min(right, width + pad[1]) - left)
        cells = [
            (x[n, c, h, w], h * width + w)
            for h in range(max(top, 0), min(bottom, height))
            for w in range(max(left, 0), min(right, width))
        ]
        if method == 0:
            y[n, c, i, j] = -FLT_MAX
            for value, at in cells:
                if value > y[n, c, i, j]:
                    y[n, c, i, j], mask[n, c, i, j] = value, at
        elif method == 1:
            y[n, c, i, j] = sum(value for value, _ in cells) / area if cells else 0.0
        else:  # stochastic, testing: the mean weighted with the values themselves
            total = sum(value for value, _ in cells)
            y[n, c, i, j] = sum(v * v for v, _ in cells) / total if total > 0 else 0.0
    return y, mask


def pooling(p, bottoms, params):
    """Maximum, average or stochastic pooling."""
    q = p.pooling_param
    if q.global_pooling:
        kernel, stride, pad = bottoms[0].shape[2:], (1, 1), (0, 0)
    else:
        kernel = (q.kernel_size,) * 2 if q.HasField("kernel_size") else (q.kernel_h, q.kernel_w)
        stride = (q.stride_h, q.stride_w) if q.HasField("stride_h") else (q.stride,) * 2
        pad = (q.pad_h, q.pad_w) if q.HasField("pad_h") or q.HasField("pad_w") else (q.pad,) * 2
    floor = q.round_mode == 1 or not q.ceil_mode
    return list(pool(bottoms[0], q.pool, kernel, stride, pad, floor))[: len(p.top)]


def to_the_mask(p, bottoms, params, diffs):
    """Each diff goes to the first maximum of its window (Caffe's mask), also among equals."""
    p = type(p).FromString(p.SerializeToString())
    p.top.append("mask")
    mask = pooling(p, bottoms, params)[1]
    out = np.zeros((*bottoms[0].shape[:2], count(bottoms[0].shape, 2)))
    for (n, c, i, j), at in np.ndenumerate(mask):
        if at >= 0:  # Caffe writes outside its memory for a window beyond the bottom
            out[n, c, int(at)] += diffs[0][n, c, i, j]
    return [out.reshape(bottoms[0].shape)], []


def pyramid(p, bottoms, params):
    """Spatial pyramid pooling; a pyramid of one level keeps four axes."""
    parts = []
    for level in range(p.spp_param.pyramid_height):
        bins = 2**level
        kernel = [math.ceil(n / bins) for n in bottoms[0].shape[2:]]
        rest = [k * bins - n for k, n in zip(kernel, bottoms[0].shape[2:], strict=True)]
        pad = [(r + 1) // 2 for r in rest]
        parts.append(pool(bottoms[0], p.spp_param.pool, kernel, kernel, pad)[0])
    if len(parts) == 1:
        return parts
    return [np.concatenate([part.reshape(len(part), -1) for part in parts], 1)]


def interp(p, bottoms, params):
    """Bilinear resizing with aligned corners of the cropped bottom."""
    q, x = p.interp_param, bottoms[0]
    first, last = -q.pad_beg, q.pad_end
    x = x[:, :, first : x.shape[2] + last, first : x.shape[3] + last]
    sizes = list(x.shape[2:])
    if q.HasField("shrink_factor"):
        sizes = [(n - 1) // q.shrink_factor + 1 for n in sizes]
    if q.HasField("zoom_factor"):
        sizes = [n + (n - 1) * (q.zoom_factor - 1) for n in sizes]
    if q.HasField("height") and q.HasField("shrink_factor") == q.HasField("zoom_factor"):
        sizes = [q.height, q.width]
    y = np.zeros((*x.shape[:2], *sizes))
    for i, j in itertools.product(*map(range, sizes)):
        ends, shares = [], []
        for o, n, size in zip((i, j), sizes, x.shape[2:], strict=True):
            at = o * (size - 1) / (n - 1) if n > 1 else 0.0
            low = int(at)
            ends.append((low, min(low + 1, size - 1)))
            shares.append((1 - (at - low), at - low))
        for a, b in itertools.product(range(2), repeat=2):
            y[:, :, i, j] += shares[0][a] * shares[1][b] * x[:, :, ends[0][a], ends[1][b]]
    return [y]


def prior_box(p, bottoms, params):
    """Default boxes in SSD's order: small, middle, then the aspect ratios."""
    q, (rows, columns) = p.prior_box_param, bottoms[0].shape[2:]
    height = q.img_h or q.img_size or bottoms[1].shape[2]
    width = q.img_w or q.img_size or bottoms[1].shape[3]
    down, across = q.step_h or q.step or height / rows, q.step_w or q.step or width / columns
    ratios = []
    for ratio in q.aspect_ratio:
        if all(abs(ratio - known) >= 1e-6 for known in [1.0, *ratios]):
            ratios += [ratio, 1 / ratio] if q.flip else [ratio]
    boxes = []
    for h, w in itertools.product(range(rows), range(columns)):
        x, y = (w + q.offset) * across, (h + q.offset) * down
        for i, small in enumerate(map(int, q.min_size)):
            sizes = [(small, small)]
            if q.max_size:
                sizes.append((math.sqrt(small * int(q.max_size[i])),) * 2)
            sizes += [(small * math.sqrt(r), small / math.sqrt(r)) for r in ratios]
            for a, b in sizes:
                boxes += [(x - a / 2) / width, (y - b / 2) / height]
                boxes += [(x + a / 2) / width, (y + b / 2) / height]
    boxes = np.clip(boxes, 0, 1) if q.clip else np.array(boxes)
    variances = list(q.variance) or [0.1]
    variances = variances * 4 if len(variances) == 1 else variances
    return [np.stack([boxes, np.tile(variances, len(boxes) // 4)])[None]]


def _conv(text):
    return f"convolution_param {{ {text} }}"


def _pool(text):
    return f"pooling_param {{ {text} }}"


CONV = maker("Convolution", convolution)
DECONV = maker("Deconvolution", deconvolution)
DEPTH = maker("DepthwiseConvolution", depthwise)
COLS = maker("Im2col", im2col)
POOL = maker("Pooling", pooling)
SPP = maker("SPP", pyramid)
INTERP = maker("Interp", interp)
PRIOR = maker("PriorBox", prior_box, gradient="zero")

TIES = np.round(np.random.default_rng(3).normal(size=(2, 3, 7, 6)))
POSITIVE = np.abs(np.random.default_rng(4).normal(size=(2, 2, 6, 7))) + 0.1
IMAGE = (2, 4, 6, 7)
CASES = [
    CONV("dilated", _conv("num_output: 6 kernel_size: 3 dilation: 2 pad: 2"), IMAGE),
    CONV("hole", _conv("num_output: 3 kernel_size: 3 hole: 2 pad: 1"), IMAGE),
    CONV("rectangular", _conv("num_output: 3 kernel_h: 2 kernel_w: 3 stride_h: 2 stride_w: 1"),
         IMAGE),
    CONV("pad_h_only", _conv("num_output: 3 kernel_size: 3 pad_h: 2 stride: 2"), IMAGE),
    CONV("repeated", _conv("num_output: 3 kernel_size: 1 kernel_size: 4 pad: 0 pad: 3 "
                           "stride: 2 stride: 3 dilation: 1 dilation: 2"), IMAGE),
    CONV("grouped", _conv("num_output: 6 group: 2 kernel_size: 3 pad: 1 bias_term: false"), IMAGE,
         param_shapes=[(6, 2, 3, 3)]),
    CONV("stride_over_kernel", _conv("num_output: 2 kernel_size: 1 stride: 3"), IMAGE),
    CONV("two_bottoms", _conv("num_output: 3 kernel_size: 2 stride: 2"), IMAGE, IMAGE,
         tops=2, diff_tops=(0, 1)),
    CONV("one_axis", _conv("num_output: 4 kernel_size: 3 pad: 1 stride: 2"), (2, 3, 9)),
    CONV("three_axes", _conv("num_output: 2 kernel_size: 2 stride: 2 pad: 1"), (1, 2, 3, 4, 3)),
    CONV("three_axes_each", _conv("num_output: 4 group: 2 kernel_size: 1 kernel_size: 2 "
                                  "kernel_size: 3 dilation: 1 dilation: 2 dilation: 1"), (2, 2, 2,
                                  4, 4)),
    CONV("axis_2", _conv("num_output: 3 kernel_size: 2 axis: 2"), (2, 2, 3, 4, 4)),
    CONV("axis_negative", _conv("num_output: 3 kernel_size: 2 axis: -2"), (2, 2, 3, 5)),
    CONV("axis_last", _conv("num_output: 3 axis: 3"), (2, 2, 3, 4), param_shapes=[(3, 4), (3,)]),
    DECONV("strided", _conv("num_output: 3 kernel_size: 4 stride: 2 pad: 1"), (2, 4, 3, 4),
           param_shapes=[(4, 3, 4, 4), (3,)]),
    DECONV("grouped", _conv("num_output: 4 group: 2 kernel_size: 3 stride: 2 bias_term: false"),
           (1, 6, 3, 2), param_shapes=[(6, 2, 3, 3)]),
    DECONV("depthwise_rectangle", _conv("num_output: 3 group: 3 kernel_h: 2 kernel_w: 4 "
                                        "stride_h: 1 stride_w: 3 pad_h: 0 pad_w: 2"), (2, 3, 3, 3)),
    DECONV("dilated", _conv("num_output: 2 kernel_size: 2 dilation: 3 pad: 1"), (1, 2, 3, 4)),
    DECONV("one_axis", _conv("num_output: 2 kernel_size: 3 stride: 2"), (2, 3, 4)),
    DECONV("three_axes", _conv("num_output: 2 kernel_size: 2 stride: 2"), (1, 2, 2, 3, 2)),
    DECONV("two_bottoms", _conv("num_output: 2 kernel_size: 2"), (1, 2, 2, 3), (1, 2, 2, 3),
           tops=2, diff_tops=(0, 1)),
    DEPTH("plain", _conv("num_output: 4 kernel_size: 3 pad: 1 stride: 2"), IMAGE,
          param_shapes=[(4, 1, 3, 3), (4,)]),
    DEPTH("with_group", _conv("num_output: 4 group: 4 kernel_size: 3 dilation: 2"), IMAGE),
    DEPTH("multiplier", _conv("num_output: 8 kernel_size: 2 bias_term: false"), IMAGE),
    COLS("rectangular", _conv("kernel_h: 2 kernel_w: 3 stride: 2 pad_h: 1 pad_w: 0"), (2, 3, 5, 6)),
    COLS("dilated", _conv("kernel_size: 2 dilation: 3 pad: 2"), (1, 2, 5, 4)),
    COLS("one_axis", _conv("kernel_size: 3 stride: 2"), (2, 2, 7)),
    COLS("three_axes", _conv("kernel_size: 2 stride: 1"), (1, 2, 3, 2, 3)),
    COLS("two_bottoms", _conv("kernel_size: 2"), (1, 1, 3, 3), (1, 1, 3, 3), tops=2, diff_tops=(0,
         1)),
    POOL("max_overhang", _pool("kernel_size: 3 stride: 2"), (2, 3, 6, 8)),
    POOL("max_ties", _pool("kernel_size: 3 stride: 2 pad: 1"), TIES, gradient=to_the_mask),
    POOL("max_mask", _pool("kernel_size: 2 stride: 2"), (2, 2, 5, 5), tops=2),
    POOL("max_mask_pad", _pool("kernel_size: 3 stride: 2 pad: 2"), (1, 2, 6, 7), tops=2),
    POOL("max_rectangle", _pool("kernel_h: 2 kernel_w: 4 stride_h: 3 stride_w: 2"), (2, 2, 7, 9)),
    POOL("max_wide_pad", _pool("kernel_size: 3 stride: 1 pad: 2"), (1, 2, 4, 5)),
    POOL("max_pad_w", _pool("kernel_size: 4 stride: 3 pad_h: 0 pad_w: 3"), (1, 2, 6, 8)),
    POOL("max_pad_other_axis", _pool("kernel_size: 2 stride: 4 pad_h: 1 pad_w: 0"), (1, 2, 6, 7)),
    POOL("max_stride_over_kernel", _pool("kernel_size: 1 stride: 3"), (2, 2, 7, 6),
         gradient=to_the_mask,
         tops=2),
    POOL("max_window_outside", _pool("kernel_size: 1 stride: 4"), (1, 2, 7, 6), tops=2,
         gradient=to_the_mask),
    POOL("max_floor", _pool("kernel_size: 3 stride: 2 round_mode: FLOOR"), (1, 2, 6, 8)),
    POOL("max_floor_pad", _pool("kernel_size: 3 stride: 2 pad: 1 round_mode: FLOOR"), (1, 2, 6, 8)),
    POOL("max_ceil_mode_false", _pool("kernel_size: 3 stride: 2 ceil_mode: false"), (1, 2, 6, 8)),
    POOL("max_ceil_mode_true", _pool("kernel_size: 3 stride: 2 ceil_mode: true"), (1, 2, 6, 8)),
    POOL("max_global", _pool("global_pooling: true"), (2, 3, 4, 5), tops=2),
    POOL("max_larger_than_bottom", _pool("kernel_size: 4 stride: 2 pad: 1"), (1, 2, 3, 3)),
    POOL("ave_overhang", _pool("pool: AVE kernel_size: 3 stride: 2"), (2, 2, 6, 8)),
    POOL("ave_pad_overhang", _pool("pool: AVE kernel_size: 3 stride: 2 pad: 1"), (2, 2, 6, 8)),
    POOL("ave_wide_pad", _pool("pool: AVE kernel_size: 3 stride: 2 pad: 2"), (2, 2, 5, 6)),
    POOL("ave_rectangle", _pool("pool: AVE kernel_h: 4 kernel_w: 2 stride_h: 3 stride_w: 1 "
                                "pad_h: 2 pad_w: 1"), (1, 2, 7, 5)),
    POOL("ave_stride_over_kernel", _pool("pool: AVE kernel_size: 2 stride: 3"), (2, 2, 8, 6)),
    POOL("ave_floor", _pool("pool: AVE kernel_size: 2 stride: 2 pad: 1 round_mode: FLOOR"), (1, 2,
         5, 6)),
    POOL("ave_ceil_mode_false", _pool("pool: AVE kernel_size: 2 stride: 2 ceil_mode: false"), (1, 2,
         5, 7)),
    POOL("ave_global", _pool("pool: AVE global_pooling: true"), (2, 3, 3, 5)),
    POOL("stochastic_test", _pool("pool: STOCHASTIC kernel_size: 3 stride: 2"), POSITIVE),
    SPP("three_levels", "spp_param { pyramid_height: 3 }", (2, 2, 9, 8)),
    SPP("one_level", "spp_param { pyramid_height: 1 }", (2, 2, 5, 4)),
    SPP("average", "spp_param { pyramid_height: 2 pool: AVE }", (1, 2, 7, 5)),
    INTERP("zoom", "interp_param { zoom_factor: 2 }", (1, 2, 3, 4)),
    INTERP("shrink", "interp_param { shrink_factor: 2 }", (1, 2, 6, 7)),
    INTERP("size", "interp_param { height: 5 width: 3 }", (2, 2, 3, 7)),
    INTERP("cropped", "interp_param { height: 4 width: 6 pad_beg: -1 pad_end: -2 }", (1, 2, 6, 7)),
    INTERP("both_factors", "interp_param { zoom_factor: 3 shrink_factor: 2 }", (1, 1, 5, 6)),
    INTERP("factor_before_size", "interp_param { zoom_factor: 2 height: 9 width: 9 }", (1, 1, 3,
         4)),
    INTERP("to_one", "interp_param { height: 1 width: 1 }", (1, 2, 4, 4)),
    PRIOR("small_and_large", "prior_box_param { min_size: 30.7 max_size: 60.2 aspect_ratio: 2 "
          "aspect_ratio: 3 clip: true variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 }",
          (2, 1, 3, 4), (2, 3, 40, 60)),
    PRIOR("unflipped", "prior_box_param { min_size: 8 min_size: 16 aspect_ratio: 2 aspect_ratio: 1 "
          "flip: false step: 8 offset: 0 }", (1, 1, 2, 2), (1, 3, 32, 24)),
    PRIOR("given_frame",
         "prior_box_param { min_size: 9 max_size: 20 aspect_ratio: 2 aspect_ratio: 0.5 "
          "variance: 0.3 img_h: 50 img_w: 70 step_h: 11 step_w: 13 }", (1, 1, 3, 2), (1, 3, 9, 9)),
]  # fmt: skip
