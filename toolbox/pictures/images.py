"""Pure functions on pictures: RGB, uint8, height x width x 3 unless said otherwise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
Colour = tuple[int, int, int]


def to_colour(rgb: Sequence[float]) -> Colour:
    """Turn a colour of the settings (three numbers from 0 to 1) into 0 to 255."""
    r, g, b = (round(255 * min(1.0, max(0.0, float(part)))) for part in rgb)
    return r, g, b


def to_rgb8(pixels: npt.NDArray[Any]) -> Image:
    """Turn what OpenCV decodes (any depth, 1 to 4 channels, BGR order) into RGB.

    Parameters
    ----------
    pixels : ndarray, shape (h, w) or (h, w, 1 to 4)
        uint8, uint16, or floats from 0 to 1. Transparent parts become white.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        RGB, 0 to 255.

    Raises
    ------
    ValueError
        The shape or the type is none of these.
    """
    values = _to_8_bits(pixels)
    values = values[:, :, None] if values.ndim == 2 else values
    if values.ndim != 3 or not 1 <= values.shape[2] <= 4 or 0 in values.shape:
        raise ValueError(f"it decodes to an array of shape {pixels.shape}")
    colour, alpha = values, None
    if values.shape[2] in (2, 4):
        colour, alpha = values[:, :, :-1], values[:, :, -1:]
    if colour.shape[2] == 1:
        rgb = np.repeat(colour, 3, axis=2)
    else:
        # A thirtieth of the time of copying colour[:, :, ::-1], for each frame of a video.
        rgb = np.asarray(cv2.cvtColor(np.ascontiguousarray(colour), cv2.COLOR_BGR2RGB))
    if alpha is not None:
        share = alpha.astype(np.float32) / 255
        rgb = np.rint(rgb * share + 255 * (1 - share)).astype(np.uint8)
    return np.ascontiguousarray(rgb, dtype=np.uint8)


def _to_8_bits(pixels: npt.NDArray[Any]) -> Image:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return np.asarray(np.rint(pixels / 257.0), dtype=np.uint8)
    if np.issubdtype(pixels.dtype, np.floating):
        return np.asarray(np.rint(np.nan_to_num(pixels).clip(0, 1) * 255), dtype=np.uint8)
    raise ValueError(f"it decodes to values of type {pixels.dtype}")


def fill(canvas: Image, colour: Colour) -> None:
    """Paint a canvas in one colour (NumPy's broadcasting takes twenty times as long)."""
    cv2.rectangle(canvas, (0, 0), (canvas.shape[1], canvas.shape[0]), colour, cv2.FILLED)


def resize(image: Image, height: int, width: int) -> Image:
    """Resize smoothly: area average when shrinking, linear when enlarging."""
    if image.shape[:2] == (height, width):
        return np.ascontiguousarray(image)
    shrinking = height * width < image.shape[0] * image.shape[1]
    how = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), dtype=image.dtype)


def side_by_side(images: Sequence[Image]) -> Image:
    """Join the pictures of a frame to one.

    Parameters
    ----------
    images : sequence of ndarray of uint8, shape (h, w, 3)
        One or two, RGB, of one aspect.

    Returns
    -------
    ndarray of uint8, shape (height, n * width, 3)
        RGB; a smaller picture is enlarged to the largest one's size.
    """
    if len(images) == 1:
        return images[0]
    height, width = max(images, key=len).shape[:2]
    return np.concatenate([resize(image, height, width) for image in images], axis=1)


def fit(height: int, width: int, room: tuple[int, int]) -> tuple[int, int]:
    """Scale a size to the largest that keeps its aspect and fits the room.

    Parameters
    ----------
    height, width : int
        Size of the picture in pixels.
    room : (int, int)
        Height and width that there are.

    Returns
    -------
    (int, int)
        Height and width, at least 1.
    """
    scale = min(room[0] / height, room[1] / width)
    return max(1, math.floor(height * scale + 1e-6)), max(1, math.floor(width * scale + 1e-6))


def draw_fitted(canvas: Image, image: Image, nearest: bool = False) -> tuple[int, int]:
    """Draw a picture as large as fits at the canvas's top left corner.

    Parameters
    ----------
    canvas : ndarray of uint8, shape (h, w, 3)
        Changed in place; what the picture does not cover stays as it is.
    image : ndarray of uint8, shape (a, b, 3)
        RGB.
    nearest : bool
        Keep hard pixel edges when enlarging (for activations).

    Returns
    -------
    (int, int)
        Height and width of what was drawn.
    """
    height, width = fit(image.shape[0], image.shape[1], (canvas.shape[0], canvas.shape[1]))
    if nearest and height >= image.shape[0]:
        canvas[:height, :width] = cv2.resize(
            image, (width, height), interpolation=cv2.INTER_NEAREST
        )
    else:
        canvas[:height, :width] = resize(image, height, width)
    return height, width


def grid_shape(units: int, aspect: float = 1.0) -> tuple[int, int]:
    """Choose rows and columns for tiles so that the grid has about an aspect.

    Parameters
    ----------
    units : int
        Number of tiles, at least 1.
    aspect : float
        Columns over rows; 1 for a near-square grid.

    Returns
    -------
    (int, int)
        Rows and columns; rows x columns >= units and no row is empty.
    """
    columns = min(units, max(1, math.ceil(math.sqrt(units * aspect) - 1e-9)))
    return math.ceil(units / columns), columns
