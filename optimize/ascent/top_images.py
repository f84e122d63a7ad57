"""Photos as a net's input: what facets of a unit start from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optimize.ascent.optimizer import GradientOptimizer
from optimize.ascent.starts import FloatArray
from optimize.errors import OptimizeError
from toolbox.pictures.crop import window_fit
from toolbox.pictures.image_file import ImageError, read_image


def read_images(optimizer: GradientOptimizer, paths: Sequence[str]) -> list[FloatArray]:
    """Read pictures as the net's input, as the window does.

    Parameters
    ----------
    optimizer : GradientOptimizer
        Knows size, mean and order of the channels.
    paths : sequence of str
        The files.

    Returns
    -------
    list of ndarray, shape (channels, h, w)
        Minus the mean, in units of the net's input.

    Raises
    ------
    OptimizeError
        A file can't be read, or the net takes no RGB pictures.
    """
    channels, height, width = optimizer.shape
    if channels != 3:
        raise OptimizeError(f"the net's input has {channels} channels; pictures can feed 3")
    order = list(optimizer.channel_swap_to_rgb or (0, 1, 2))
    fit, out = window_fit(height, width), []
    for path in paths:
        try:
            rgb = fit(read_image(path))
        except ImageError as error:
            raise OptimizeError(str(error)) from error
        values = np.empty(optimizer.shape)
        values[order] = rgb.transpose(2, 0, 1)
        out.append(values * optimizer.grey - optimizer.mean)
    return out
