"""The weights of a layer: its filters as pictures where they see colours, and how they spread."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffevis.model.layer_list import NetLike, producers
from toolbox.pictures.images import FloatArray

BINS = 64  # at most
COLOURS = 3


@dataclass(frozen=True, eq=False)
class Weights:
    """What there is to see of a layer's weights, or why there is nothing.

    Parameters
    ----------
    layer : str
        The layer that has them.
    shape : tuple of int
        Of the first of its parameters, Caffe's weights.
    filters : ndarray of float32, shape (units, h, w, 3), or None
        As pictures, RGB, where a filter has three input channels, or one of a grey picture.
    width : float
        Of a bin, a power of two; bins lie at multiples of it.
    first : int
        The first bin begins at `first * width`.
    counts : ndarray of int64, shape (bins,)
        How many weights each bin holds.
    mean, deviation : float
        Of all weights.
    why : str
        Why there are none; else empty.
    """

    layer: str
    shape: tuple[int, ...] = ()
    filters: FloatArray | None = None
    width: float = 1.0
    first: int = 0
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    mean: float = 0.0
    deviation: float = 0.0
    why: str = ""

    def about(self) -> str:
        """Say what they are."""
        size = " x ".join(map(str, self.shape))
        return f"{self.layer}: {size} weights, mean {self.mean:.2g}, deviation {self.deviation:.2g}"


def find_weights(net: NetLike, blob: str, picture: str, swap: Sequence[int]) -> Weights:
    """Look at the weights behind a blob: those of the first layer with any that writes it.

    Parameters
    ----------
    net : NetLike
        The network.
    blob : str
        The blob that is viewed.
    picture : str
        The input that pictures go to.
    swap : sequence of int
        Which of R, G, B each of its channels gets.
    """
    params: Mapping[str, Any] = getattr(net, "params", {})
    writers = [name for name in producers(net).get(blob, []) if len(params.get(name, ()))]
    if not writers:
        return Weights(blob, why=f"{blob} has no weights")
    layer = writers[0]
    values = np.array(params[layer][0].data, np.float32)
    if not values.size or not np.isfinite(values).all():
        return Weights(layer, why=f"the weights of {layer} are not numbers")
    bottoms = getattr(net, "bottom_names", {}).get(layer, [])
    width, first, counts = spread_of(values)
    return Weights(
        layer, values.shape, filters_of(values, swap if picture in bottoms else None),
        width, first, counts, float(values.mean()), float(values.std()),
    )  # fmt: skip


def filters_of(values: FloatArray, swap: Sequence[int] | None) -> FloatArray | None:
    """Order filters as pictures.

    Parameters
    ----------
    values : ndarray of float32
        Weights of a convolution, (units, channels, h, w); any other shape has no filters.
    swap : sequence of int or None
        Which of R, G, B each channel gets, where the filters see the picture itself.

    Returns
    -------
    ndarray of float32, shape (units, h, w, 3), or None
        None where a filter has another number of channels than three (of the picture: one, or
        three and more, of which the first three are the colours).
    """
    if values.ndim != 4 or values.shape[2] * values.shape[3] < 2:
        return None
    channels = values.shape[1]
    if swap is None and channels != COLOURS:
        return None
    if channels < COLOURS:
        return values[:, [0] * COLOURS].transpose(0, 2, 3, 1) if channels == 1 else None
    order = list(range(COLOURS)) if swap is None else [list(swap).index(i) for i in range(COLOURS)]
    return values[:, order].transpose(0, 2, 3, 1)


def spread_of(values: FloatArray) -> tuple[float, int, NDArray[np.int64]]:
    """Count values in bins of a power of two, at most `BINS` of them: width, first bin, counts."""
    flat = values.astype(np.float64).ravel()
    low, high = float(flat.min()), float(flat.max())
    width = 2.0 ** math.ceil(math.log2(max(high - low, abs(high) * 1e-6, 1e-30) / (BINS - 2)))
    first = math.floor(low / width)
    counts = np.bincount((np.floor(flat / width) - first).astype(np.int64))
    return width, first, counts.astype(np.int64)
