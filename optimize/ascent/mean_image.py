"""The mean image, brought to the shape of a net's input."""

from __future__ import annotations

from typing import Any

import numpy as np

from optimize.ascent.starts import FloatArray
from optimize.errors import OptimizeError


def fit_mean(mean: Any, shape: tuple[int, int, int]) -> FloatArray:
    """Bring a mean to the shape of the input.

    Parameters
    ----------
    mean : array_like or None
        As for `GradientOptimizer`.
    shape : (int, int, int)
        Channels, height and width of the input.

    Returns
    -------
    ndarray of float64, of that shape
        A mean image larger than the input is cropped to the centre.

    Raises
    ------
    OptimizeError
        It has another number of channels, is smaller than the input or not finite.
    """
    channels, height, width = shape
    values = np.asarray(0.0 if mean is None else mean, np.float64)
    if values.ndim == 4 and values.shape[0] == 1:
        values = values[0]
    if values.ndim < 2:
        values = values.reshape(-1, 1, 1)
    fits = values.ndim == 3 and values.shape[0] in (1, channels) and np.isfinite(values).all()
    if fits and values.shape[1:] != (1, 1):
        top, left = (values.shape[1] - height) // 2, (values.shape[2] - width) // 2
        fits = top >= 0 and left >= 0
        values = values[:, max(top, 0) : top + height, max(left, 0) : left + width]
    if not fits:
        raise OptimizeError(
            f"the mean has the shape {np.shape(mean)}; finite numbers for an input of {channels} "
            f"channels of {height}x{width}, or one a channel, are accepted"
        )
    return np.array(np.broadcast_to(values, shape))
