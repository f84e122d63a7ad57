"""Palettes: what colour a scaled value is drawn in.

A palette is an array with one packed pixel an index, in which colours are
looked up and moved about fastest.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from toolbox.pictures.images import Image

Indices = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Pixels = npt.NDArray[np.uint32]  # R, G, B and an unused byte in one number, in memory order

_LEVELS = np.arange(256)
_SIGNED_LEVELS = np.arange(-255, 256)
GRAY_MAP = "gray"


def pack(red: npt.ArrayLike, green: npt.ArrayLike, blue: npt.ArrayLike) -> Pixels:
    """Pack colours into one number each.

    Parameters
    ----------
    red, green, blue : sequence of int, shape (n,)
        0 to 255.

    Returns
    -------
    Pixels, shape (n,)
        A palette.
    """
    packed = np.zeros((len(np.asarray(red)), 4), dtype=np.uint8)
    packed[:, 0], packed[:, 1], packed[:, 2] = red, green, blue
    return packed.view(np.uint32)[:, 0].copy()


def _of_opencv(colour_map: int) -> Pixels:
    """Take the 256 colours of one of OpenCV's colour maps."""
    blue, green, red = cv2.applyColorMap(_LEVELS.astype(np.uint8), colour_map)[:, 0].T
    return pack(red, green, blue)


PALETTES: dict[str, Pixels] = {
    GRAY_MAP: pack(_LEVELS, _LEVELS, _LEVELS),
    "viridis": _of_opencv(cv2.COLORMAP_VIRIDIS),
    "plasma": _of_opencv(cv2.COLORMAP_PLASMA),
    "jet": _of_opencv(cv2.COLORMAP_JET),
}
"""By name, for the indices of `tiles.scale_grey`; the key for colour maps goes round them."""

RED_GREEN = pack(np.maximum(-_SIGNED_LEVELS, 0), np.maximum(_SIGNED_LEVELS, 0), 0 * _SIGNED_LEVELS)
"""For the indices of `tiles.scale_signed`: negative red, positive green, zero black."""


def colour(indices: Indices, palette: Pixels) -> Image:
    """Look indices up in a palette.

    Parameters
    ----------
    indices : ndarray of uint8 or uint16, shape (h, w)
        Of `tiles.scale_grey` or `tiles.scale_signed`.
    palette : Pixels
        One of `PALETTES`, or `RED_GREEN`.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        RGB.
    """
    return np.asarray(cv2.cvtColor(as_bytes(palette[indices]), cv2.COLOR_RGBA2RGB), dtype=np.uint8)


def as_bytes(pixels: Pixels) -> Image:
    """Unpack pixels, shape (h, w), to four bytes each, shape (h, w, 4), without a copy."""
    return np.ascontiguousarray(pixels).view(np.uint8).reshape(*pixels.shape, 4)
