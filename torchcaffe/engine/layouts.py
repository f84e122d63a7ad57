"""Which axis of a blob holds its units, where that is not Caffe's axis 1.

Vision transformers keep tokens, (images, tokens, channels), and nets of the kind of ConvNeXt
reorder (images, channels, rows, columns) to put the channels last. Of either, a unit is a channel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from torchcaffe.blobs.blob import Shape
from torchcaffe.engine.node import Node
from torchcaffe.layers import Layer

EXTRA = (0, 1, 5)  # tokens beside the square: none, a class, a class and four registers


@dataclass(frozen=True)
class Layout:
    """Where the units of a blob are.

    Attributes
    ----------
    axis : int
        The units', with the images as axis 0.
    shape : tuple of int
        The blob's.
    """

    axis: int
    shape: Shape

    @property
    def units(self) -> int:
        """How many units there are."""
        return self.shape[self.axis]

    @property
    def left_out(self) -> int | None:
        """How many tokens in front are no part of the square; None where there is no square."""
        if len(self.shape) != 3 or self.axis != 2:
            return None
        for extra in EXTRA:
            rest = self.shape[1] - extra
            if rest > 0 and math.isqrt(rest) ** 2 == rest:
                return extra
        return None

    @property
    def size(self) -> tuple[int, ...]:
        """Rows and columns of a unit's map, as `maps` makes it."""
        extra = self.left_out
        if extra is not None:
            return (math.isqrt(self.shape[1] - extra),) * 2
        return self.shape[1 : self.axis] + self.shape[self.axis + 1 :]

    def units_first(self, image: np.ndarray) -> np.ndarray:
        """Return a view of one image's values (no axis of images) with the units first."""
        return np.moveaxis(image, self.axis - 1, 0)

    def maps(self, image: np.ndarray) -> np.ndarray:
        """Return one image's values as (units, rows, columns)."""
        first = self.units_first(image)
        extra = self.left_out
        if extra is None:
            return first
        side = math.isqrt(self.shape[1] - extra)
        return first[:, extra:].reshape(self.units, side, side)

    def about(self) -> str:
        """Say what of the blob is not shown."""
        extra = self.left_out
        if extra is None:
            return ""
        side = math.isqrt(self.shape[1] - extra)
        more = f", {extra} more not shown" if extra else ""
        return f"{side}x{side} tokens{more}"


def find_layouts(nodes: list[Node], names: Mapping[int, str]) -> dict[str, Layout]:
    """Return the layouts of the blobs whose units are not on axis 1; of imported nets only.

    A net of Caffe's own is shown as it always was. One with layers of the type ATen has been
    imported; all that have tokens, or channels last, have such a layer (a normalisation).

    Parameters
    ----------
    nodes : list of Node
        Of a net, in order.
    names : mapping of int to str
        From a blob's id to its name.
    """
    axes: dict[int, int] = {}
    found: dict[str, Layout] = {}
    if not any(node.layer.type == "ATen" for node in nodes):
        return found
    for node in nodes:
        below = [(axes.get(id(blob)), blob.dims) for blob in node.bottoms]
        for top in node.tops:
            axis = _axis(node.layer, below, top.dims)
            if axis is None:
                axis = _guess(top.dims)
            if len(top.dims) > axis:
                axes[id(top)] = axis
            if axis > 1:
                found[names[id(top)]] = Layout(axis, top.dims)
    return found


def _guess(shape: Shape) -> int:
    """Return the axis of units of a blob whose history says nothing."""
    return 2 if Layout(2, shape).left_out is not None else 1


def _axis(layer: Layer, below: list[tuple[int | None, Shape]], top: Shape) -> int | None:
    """Return the axis of a top's units for those of the bottoms, or None."""
    if not below or layer.type in ("Convolution", "Deconvolution", "Pooling"):
        return 1
    if layer.type == "InnerProduct":
        return len(top) - 1
    axis, shape = next(((a, s) for a, s in below if a is not None), (None, below[0][1]))
    if axis is None:
        return None
    if layer.type == "Permute":
        order = [*layer.param.permute_param.order]
        return order.index(axis)
    if layer.type in ("Flatten", "Reshape"):
        same = axis < len(top) and top[axis] == shape[axis] and top[:axis] == shape[:axis]
        return axis if same else None
    return axis if len(top) == len(shape) else None
