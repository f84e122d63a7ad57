"""The statistic of section S1: how strongly filters of low and high frequency are excited."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from optimize.ascent.starts import FloatArray
from optimize.ascent.top_images import read_images
from optimize.errors import OptimizeError
from optimize.figures.registry import Made, Studio, figure
from optimize.figures.sheet import Row, draw_sheet
from toolbox.pictures.images import Image

ENDS = 5  # filters at each end
_AT_ONCE = 16  # photos side by side
_SIDE = 88  # pixels of a drawn filter


def frequencies(filters: FloatArray) -> npt.NDArray[np.float64]:
    """Measure how fine the pattern of each filter is.

    Parameters
    ----------
    filters : ndarray, shape (units, channels, h, w)
        Weights of the first convolution.

    Returns
    -------
    ndarray of float64, shape (units,)
        The mean spatial frequency in cycles a pixel, weighted by the power spectrum summed over
        the channels; the constant part counts as frequency 0. A filter of zeros has 0.
    """
    height, width = filters.shape[2:]
    power = (np.abs(np.fft.fft2(filters.astype(np.float64))) ** 2).sum(axis=1)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    total = power.sum(axis=(1, 2))
    weighted = (power * radius).sum(axis=(1, 2))
    return np.asarray(np.divide(weighted, total, out=np.zeros_like(total), where=total > 0))


@figure("s1-statistic", "how strongly photos excite conv1's filters of low and high frequency",
        "photos", "layers")  # fmt: skip
def statistic(studio: Studio) -> Made:
    """Make the statistic: mean activations of the filters at both ends of the frequencies."""
    layer = studio.maps()[0]
    filters = np.array(studio.optimizer.net.params[layer][0].data)
    if not studio.options.photos:
        raise OptimizeError("the statistic needs photos; --photos names files or folders")
    mean, positive = _activations(studio, layer)
    found = frequencies(filters)
    order = np.argsort(found, kind="stable")
    ends = min(ENDS, len(order) // 2)
    rows, groups, said = [], {}, []
    for name, units in (("lowest", order[:ends]), ("highest", order[::-1][:ends])):
        groups[name] = {
            "units": [int(k) for k in units],
            "frequency": [float(found[k]) for k in units],
            "mean_activation": [float(positive[k]) for k in units],
            "mean_before_relu": [float(mean[k]) for k in units],
            "group_mean_activation": float(positive[units].mean()),
            "group_mean_before_relu": float(mean[units].mean()),
        }
        said.append(f"{name} frequencies: {positive[units].mean():.4g}")
        captions = [f"unit {k}\n{found[k]:.3f} /px\n{positive[k]:.3g}" for k in units]
        tiles = [_drawn(filters[k], studio) for k in units]
        rows.append(Row(f"{ends} {name}\nfrequencies\nmean {positive[units].mean():.4g}", tiles,
                        captions))  # fmt: skip
    count = len(studio.options.photos)
    title = f"{layer}: mean activation (positive part) over {count} photos, by frequency"
    record = {"layer": layer, "photos": count, "frequency": found.tolist(),
              "mean_activation": positive.tolist(), **groups}  # fmt: skip
    return Made({"": draw_sheet(title, rows)}, record, said="mean activation, " + "; ".join(said))


def _activations(studio: Studio, layer: str) -> tuple[FloatArray, FloatArray]:
    """Return each unit's mean over photos and places: as it is, and of its positive part."""
    optimizer, net = studio.optimizer, studio.optimizer.net
    name = next(n for n in net.inputs if len(net.blobs[n].shape) == 4)
    before, shape = np.array(net.blobs[name].data), net.blobs[name].shape
    paths = [str(path) for path in studio.options.photos]
    sums = np.zeros((2, optimizer.channels(layer)))
    try:
        for first in range(0, len(paths), _AT_ONCE):
            batch = np.stack(read_images(optimizer, paths[first : first + _AT_ONCE]))
            net.blobs[name].reshape(*batch.shape)
            net.blobs[name].data[...] = batch
            # The layer alone: an in-place ReLU behind it would hide what is below zero.
            net.forward(end=layer)
            values = np.asarray(net.blobs[layer].data, np.float64).mean(axis=(2, 3))
            parts = np.maximum(net.blobs[layer].data, 0).mean(axis=(2, 3), dtype=np.float64)
            sums += values.sum(axis=0), parts.sum(axis=0)
    finally:
        net.blobs[name].reshape(*shape)
        net.blobs[name].data[...] = before
        net.reshape()
    mean, positive = sums / len(paths)
    return mean, positive


def _drawn(weights: FloatArray, studio: Studio) -> Image:
    """Draw a filter, zero as mid grey, enlarged by a whole factor."""
    swap = list(studio.optimizer.channel_swap_to_rgb or range(len(weights)))
    rgb = weights[swap if len(weights) == 3 else [0, 0, 0]].transpose(1, 2, 0)
    scaled = 127.5 + 127.5 * rgb / max(float(np.abs(rgb).max()), 1e-30)
    factor = max(1, math.ceil(_SIDE / max(rgb.shape[:2])))
    return np.rint(scaled).astype(np.uint8).repeat(factor, 0).repeat(factor, 1)
