"""Coordinates of one top in terms of another, as pycaffe's `caffe.coord_map`.

Fully convolutional nets crop what they have upsampled to the size of a blob before. Where
to crop follows from the layers between: `crop(n.upscore, n.data)` works it out.

A map is (axis, scale, shift): position x in one blob is scale * x + shift in the other, from
the spatial axes after `axis` on (None: any).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from torchcaffe.errors import CaffeError
from torchcaffe.net_spec import Function, Top, layers

Map = tuple[int | None, Any, Any]
IDENTITY: Map = (None, 1, 0)
PASS_THROUGH_LAYERS = (
    "AbsVal", "BatchNorm", "Bias", "BNLL", "Clip", "Dropout", "Eltwise", "ELU", "Exp", "Log",
    "LRN", "MVN", "Power", "PReLU", "ReLU", "ReLU6", "Scale", "Sigmoid", "Split", "Swish",
    "TanH", "Threshold",
)  # fmt: skip


class UndefinedMapException(CaffeError):
    """A layer keeps no coordinates."""


class AxisMismatchException(CaffeError):
    """Two layers on the way count their spatial axes from different ones on."""


class UnconnectedError(CaffeError, RuntimeError):
    """No way along layers that keep coordinates leads from one top to the other."""


class CropError(CaffeError, AssertionError, ValueError):
    """The maps say that a crop is impossible (pycaffe asserts here)."""


def _numbers(settings: dict[str, Any], name: str, default: int) -> np.ndarray:
    return np.array(settings.get(name, default), ndmin=1)


def _window(fn: Function) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Return axis, stride, extent of the kernel (with its dilation) and pad of a layer."""
    own = "pooling_param" if fn.type_name == "Pooling" else "convolution_param"
    settings = fn.params.get(own, fn.params)
    legacy = [name for name in settings if name.endswith(("_h", "_w"))]
    if legacy:
        raise CropError(
            f"a {fn.type_name} layer has {', '.join(sorted(legacy))}, which give no map; "
            "write lists: kernel_size=[3, 5]"
        )
    if "kernel_size" not in settings:
        raise UndefinedMapException(f"a {fn.type_name} layer has no kernel_size, so no map")
    kernel = _numbers(settings, "kernel_size", 1)
    extent = (kernel - 1) * _numbers(settings, "dilation", 1) + 1
    return (
        settings.get("axis", 1),
        _numbers(settings, "stride", 1),
        extent,
        _numbers(settings, "pad", 0),
    )


def _down(fn: Function) -> Map:
    axis, stride, extent, pad = _window(fn)
    return axis, 1 / stride, (pad - (extent - 1) / 2) / stride


def _up(fn: Function) -> Map:
    axis, stride, extent, pad = _window(fn)
    return axis, stride, (extent - 1) / 2 - pad


def _cropped(fn: Function) -> Map:
    settings = fn.params.get("crop_param", fn.params)
    return settings.get("axis", 2) - 1, 1, -_numbers(settings, "offset", 0)


_MAPS: dict[str, Callable[[Function], Map]] = {
    "Convolution": _down,
    "Crop": _cropped,
    "Deconvolution": _up,
    "Im2col": _down,
    "Pooling": _down,
    **dict.fromkeys(PASS_THROUGH_LAYERS, lambda fn: IDENTITY),
}


def coord_map(fn: Function) -> Map:
    """Return the map of one layer, from its bottoms' positions to its tops'.

    Raises
    ------
    UndefinedMapException
        The layer keeps no coordinates (InnerProduct, Softmax, ...).
    """
    if fn.type_name not in _MAPS:
        raise UndefinedMapException(f"a {fn.type_name} layer keeps no coordinates")
    return _MAPS[fn.type_name](fn)


def compose(base_map: Map, next_map: Map) -> Map:
    """Return the map that applies `next_map` first and `base_map` to its result."""
    (first, scale, shift), (second, next_scale, next_shift) = base_map, next_map
    if first is not None and second is not None and first != second:
        raise AxisMismatchException(
            f"one layer's spatial axes begin after axis {first}, another's after {second}"
        )
    return (
        second if first is None else first,
        scale * next_scale,
        scale * next_shift + shift,
    )


def inverse(coord_map: Map) -> Map:
    """Return the map the other way round."""
    axis, scale, shift = coord_map
    return axis, 1 / scale, -shift / scale


def _ancestors(top: Top) -> dict[Top, Map]:
    """Return the tops before (and with) `top` whose positions map to its own, nearest first."""
    maps: dict[Top, Map] = {top: IDENTITY}
    waiting = [top]
    while waiting:
        here = waiting.pop(0)
        fn = here.fn
        if not fn.inputs or fn.type_name not in _MAPS:
            continue
        step = compose(maps[here], coord_map(fn))
        # the second bottom of a Crop only lends its size
        for bottom in fn.inputs[:1] if fn.type_name == "Crop" else fn.inputs:
            if bottom not in maps:
                maps[bottom] = step
                waiting.append(bottom)
    return maps


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """Return the map between two tops of one net.

    Returns
    -------
    (axis, scale, shift)
        scale * x + shift is the position in `top_to` of position x in `top_from`, by way of
        an ancestor of both.

    Raises
    ------
    UnconnectedError
        They have no such ancestor (it is a RuntimeError, as in pycaffe).
    """
    ours = _ancestors(top_from)
    for ancestor, theirs in _ancestors(top_to).items():
        if ancestor in ours:
            return compose(theirs, inverse(ours[ancestor]))
    raise UnconnectedError(
        f"the tops of {top_from.fn.type_name} and {top_to.fn.type_name} are not connected by "
        "layers that keep coordinates"
    )


def crop(top_from: Top, top_to: Top) -> Any:
    """Return the top of a Crop layer that cuts `top_from` to the place and size of `top_to`.

    Raises
    ------
    CropError
        Their scales differ, or it would begin before the first or between two positions (an
        AssertionError, as in pycaffe).
    """
    axis, scale, shift = coord_map_from_to(top_from, top_to)
    scale, shift = np.array(scale, ndmin=1), np.array(shift, ndmin=1)
    if (scale != 1).any():
        raise CropError(f"scale mismatch on crop (scale {scale}): the strides must be equal")
    if (shift > 0).any():
        raise CropError(f"cannot crop a negative width (shift {shift}): pad more before")
    if (np.round(shift) != shift).any():
        raise CropError(f"cannot crop a noninteger width (shift {shift})")
    offsets = (-shift).astype(int).tolist()
    first = 2 if axis is None else axis + 1
    return layers.Crop(top_from, top_to, crop_param={"axis": first, "offset": offsets})
