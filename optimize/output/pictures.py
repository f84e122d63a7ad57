"""Pictures of results: RGB, uint8, and how they are tiled and encoded."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from optimize.ascent.starts import FloatArray
from optimize.errors import OptimizeError
from toolbox.pictures.images import Image

GAP = 1  # pixels between tiles; none around them
_LARGEST_SHEET = 8192  # pixels a side; larger sheets are shrunk by a whole factor
# Full colour resolution: the images of conv1 are eleven pixels wide.
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111)


def to_rgb(values: FloatArray, swap: Sequence[int] | None) -> FloatArray:
    """Order an input's channels as a picture.

    Parameters
    ----------
    values : ndarray, shape (channels, h, w)
        In the net's order; of six channels (a pair of pictures) the first three are shown.
    swap : sequence of int or None
        Which channel is red, green and blue; None for RGB.

    Returns
    -------
    ndarray, shape (h, w, 3)
        RGB.
    """
    count = len(values)
    order = [0, 0, 0] if count < 3 else list(swap or (0, 1, 2))
    if len(order) != 3 or not all(0 <= c < count for c in order):
        raise OptimizeError(
            f"channel_swap_to_rgb is {swap}; three of the input's channels 0 to {count - 1}, for "
            "red, green and blue, are accepted"
        )
    return np.ascontiguousarray(values[order].transpose(1, 2, 0))


def around_grey(values: FloatArray, swap: Sequence[int] | None) -> Image:
    """Show an image minus the mean: zero is mid grey, the largest absolute value an end."""
    rgb = to_rgb(values, swap).astype(np.float64)
    largest = float(np.abs(rgb).max()) or 1.0
    return np.rint(127.5 * (1 + rgb / largest)).astype(np.uint8)


def plus_mean(
    values: FloatArray, mean: FloatArray, grey: float, swap: Sequence[int] | None
) -> Image:
    """Show an image with the mean added: what the net was shown, 0 to 255.

    Parameters
    ----------
    values, mean : ndarray, shape (channels, h, w)
        In units of the net's input.
    grey : float
        One grey level in these units.
    swap : sequence of int or None
        As for `to_rgb`.
    """
    rgb = to_rgb((values + mean) / grey, swap)
    return np.rint(np.clip(rgb, 0, 255)).astype(np.uint8)


def columns_for(count: int) -> int:
    """Return how many columns a near-square grid has."""
    return math.ceil(math.sqrt(count))


def tiled(images: Sequence[Image]) -> Image:
    """Lay images of one size out row by row in a near-square grid, with black gaps."""
    columns = columns_for(len(images))
    rows = math.ceil(len(images) / columns)
    height, width = images[0].shape[:2]
    size = (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3)
    canvas = np.zeros(size, np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * (height + GAP), i % columns * (width + GAP)
        canvas[top : top + height, left : left + width] = image
    return canvas


def sheet(images: Sequence[Image]) -> Image:
    """Tile a layer's images; very large sheets are shrunk by a whole factor."""
    columns = columns_for(len(images))
    width = max(images[0].shape[:2]) + GAP
    factor = math.ceil(columns * width / _LARGEST_SHEET)
    return tiled([_shrunk(image, factor) for image in images])


def _shrunk(image: Image, factor: int) -> Image:
    if factor == 1:
        return image
    height, width = (max(1, side // factor) for side in image.shape[:2])
    return np.asarray(
        cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8
    )


def encoded(image: Image) -> bytes:
    """Return a picture (RGB) as a JPEG file's bytes."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), _JPEG)
    if not done:
        raise OptimizeError(f"OpenCV cannot encode a picture of {image.shape[:2]} pixels")
    return data.tobytes()
