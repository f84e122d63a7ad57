"""Where a number comes from: what each unit below adds to one value of a layer.

A convolution or a fully connected layer adds up products and a bias, so one value is the sum of
what each unit of the blob below gives to it. Across layers that are no such sum (ReLU, pooling,
LRN) there is no such account.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from torchcaffe.engine.net import NO_GRAD, Net
from torchcaffe.engine.node import Node
from torchcaffe.errors import ArgumentError, unknown_name

SUMS = ("Convolution", "Deconvolution", "DepthwiseConvolution", "InnerProduct")
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Terms:
    """The account of one value.

    Attributes
    ----------
    below : str
        The blob below.
    parts : ndarray of float64, shape (units of the blob below,)
        What each unit adds.
    bias : float
        The sum with `parts` is the value, before any layer that works in place.
    corner : (int, int)
        Row and column, in the maps of the blob below, of what the kernel sees of it there.
    patch, kernel : ndarray of float64, shape (units of the blob below, rows, columns)
        What it sees, without padding, and the weights that lie over it. Their product, summed
        over rows and columns, is `parts`, but for tokens that are in no map.
    """

    below: str
    parts: Array
    bias: float
    corner: tuple[int, int]
    patch: Array
    kernel: Array

    @property
    def value(self) -> float:
        """What the layer computes."""
        return float(self.parts.sum() + self.bias)


def contributions(
    net: Net, layer: str, unit: int, row: int = 0, column: int = 0
) -> tuple[Array, float]:
    """Return what each unit of the blob below adds to one value of the first image.

    Parameters
    ----------
    net : Net
        After a forward pass.
    layer : str
        Of type Convolution, Deconvolution, DepthwiseConvolution or InnerProduct.
    unit, row, column : int
        The place in the layer's top. A value without a map is at 0, 0; one of a sequence in
        row 0. Tokens of an imported net are the square that `net.layouts` makes of them.

    Returns
    -------
    parts : ndarray of float64, shape (units of the blob below,)
        Zero for units of another group. Padding adds nothing.
    bias : float
        0 where the layer has none. `parts.sum() + bias` is what the layer computes there, before
        a ReLU in place.

    Raises
    ------
    UnknownNameError, ArgumentError
        There is no such layer or place, or the layer is no sum of products.
    """
    found = terms(net, layer, unit, row, column)
    return found.parts, found.bias


@NO_GRAD
def terms(net: Net, layer: str, unit: int, row: int = 0, column: int = 0) -> Terms:
    """Do the same, with what is multiplied; parameters and errors are those of `contributions`."""
    node = _node(net, layer)
    top, below = net.top_names[layer][0], net.bottom_names[layer][0]
    diff = torch.zeros(node.tops[0].dims)
    diff[0].view(-1)[_place(net, top, unit, row, column)] = 1
    values = node.inputs()[0]
    # The derivative of a sum of products is the other factor.
    gradients = [torch.zeros_like(blob.tensor) for blob in node.tops]
    gradients[0] = diff.to(values.device)
    factors = node.layer.backward(gradients, node.inputs(), [blob.tensor for blob in node.tops])[0]
    if factors is None:
        raise ArgumentError(f"layer {layer!r} hands no diff to its bottom")
    seen, weights = (part[0].cpu().numpy().astype(np.float64) for part in (values, factors))
    parts = units_first(net, below, seen * weights)
    maps = [_maps(net, below, part) for part in (seen, weights)]
    box = _box(maps[1])
    biases = node.layer.blobs[1:]
    return Terms(
        below=below,
        parts=parts.reshape(len(parts), -1).sum(axis=1),
        bias=float(biases[0].tensor.reshape(-1)[unit]) if biases else 0.0,
        corner=(box[0].start, box[1].start),
        patch=maps[0][:, box[0], box[1]],
        kernel=maps[1][:, box[0], box[1]],
    )


def _node(net: Net, layer: str) -> Node:
    names = list(net.layer_dict)
    if layer not in names:
        raise unknown_name("layer", layer, names)
    node = net.nodes[names.index(layer)]
    if node.layer.type not in SUMS:
        raise ArgumentError(
            f"layer {layer!r} ({node.layer.type}) is no sum of products; what units below add is "
            f"known of {', '.join(SUMS[:-1])} and {SUMS[-1]}"
        )
    if any(not blob.count for blob in (node.bottoms[0], node.tops[0])):
        raise ArgumentError(f"layer {layer!r} has no values: its batch is empty")
    return node


def _place(net: Net, top: str, unit: int, row: int, column: int) -> int:
    """Return which value of the first image a place is."""
    image = np.arange(int(np.prod(net.blobs[top].dims[1:]))).reshape(net.blobs[top].dims[1:])
    maps = _maps(net, top, image)
    for index, count, what in zip(
        (unit, row, column), maps.shape, ("units", "rows", "columns"), strict=True
    ):
        if not hasattr(index, "__index__") or not 0 <= index < count:
            raise ArgumentError(f"{top} has the {what} 0 to {count - 1}; {index!r} is none of them")
    return int(maps[unit, row, column])


def units_first(net: Net, blob: str, image: np.ndarray) -> np.ndarray:
    """Return one image's values of a blob with the units' axis in front."""
    layout = net.layouts.get(blob)
    return image if layout is None else layout.units_first(image)


def _maps(net: Net, blob: str, image: np.ndarray) -> np.ndarray:
    """Return one image's values of a blob as (units, rows, columns)."""
    layout = net.layouts.get(blob)
    maps = image if layout is None else layout.maps(image)
    return maps.reshape(len(maps), *([1, 1] if maps.ndim == 1 else [-1, maps.shape[-1]]))


def _box(weights: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns that weights are on."""
    spans = []
    for other in (2, 1):
        used = np.flatnonzero(weights.any(axis=(0, other)))
        spans.append(slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 1))
    return spans[0], spans[1]
