"""How a picture of any size becomes what a network is shown: the one place that decides it.

The window shows the largest centred part that has the shape of the network's input, and so do
all other tools, for networks of any size. Only the scan of `find_maxes` differs for inputs near
227 pixels: like the original's, it resizes to 256 and cuts the input's size out of the centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from toolbox.pictures.images import FloatArray, Image, resize

MAX_SIDE = 1200  # a pane never shows more, and larger pictures cost time in every frame
STRETCH, SHORT = "stretch", "short"
RESIZE = (STRETCH, SHORT)
ORIGINAL_SIDE = 256  # what the original resizes to, before it cuts 227 pixels out
_NEAR_ORIGINAL = range(192, ORIGINAL_SIDE + 1)

Size = tuple[int, int]  # height and width


def crop_to(image: Image, aspect: float = 1.0) -> Image:
    """Cut out the largest centred part of an aspect (width over height)."""
    height, width = image.shape[:2]
    rows = min(height, max(1, round(width / aspect)))
    columns = min(width, max(1, round(height * aspect)))
    top, left = (height - rows) // 2, (width - columns) // 2
    return image[top : top + rows, left : left + columns]


def to_aspect(image: Image, stretch: bool, aspect: float = 1.0) -> Image:
    """Give a picture the aspect of a network's input, at most `MAX_SIDE` pixels a side.

    Parameters
    ----------
    image : ndarray of uint8, shape (h, w, 3)
        RGB.
    stretch : bool
        True to stretch it, False to crop the largest centred part.
    aspect : float
        Width over height.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        RGB, contiguous.
    """
    part = image if stretch else crop_to(image, aspect)
    height, width = part.shape[:2]
    if stretch:  # nothing is lost: one side stays, the other grows
        height, width = max(height, round(width / aspect)), max(width, round(height * aspect))
    scale = min(1.0, MAX_SIDE / max(height, width))
    return resize(part, max(1, round(height * scale)), max(1, round(width * scale)))


@dataclass(frozen=True)
class Fit:
    """From a photo to the size of a network's input.

    Parameters
    ----------
    height, width : int
        Of the input.
    resize : str
        `STRETCH`: the whole photo, whatever its aspect; `SHORT`: in proportion.
    size : (int, int)
        What the photo is resized to, or covers, before the input's size is cut out of the
        centre.
    smooth : bool
        Average where the photo is made smaller, as the window does. False: interpolate
        linearly on floats, as pycaffe's `resize_image` with the scikit-image of its time, which
        did not smooth first; the two differ by less than 1e-4 grey levels of 255.
    """

    height: int
    width: int
    resize: str
    size: Size
    smooth: bool

    def __call__(self, image: Image) -> FloatArray:
        """Bring a photo to the input's size.

        Parameters
        ----------
        image : ndarray of uint8, shape (h, w, 3)
            RGB.

        Returns
        -------
        ndarray of float32, shape (height, width, 3)
            RGB, 0 to 255.
        """
        if self.smooth and self.resize == SHORT:
            image = crop_to(image, self.size[1] / self.size[0])
        rows, columns = self.resized(*image.shape[:2])
        if self.smooth:
            values = resize(image, rows, columns).astype(np.float32)
        else:
            values = image.astype(np.float32)
            if values.shape[:2] != (rows, columns):
                values = np.asarray(
                    cv2.resize(values, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32
                )
        top, left = (rows - self.height) // 2, (columns - self.width) // 2
        return values[top : top + self.height, left : left + self.width]

    def resized(self, height: int, width: int) -> Size:
        """Return the size that a photo of this size is resized to."""
        rows, columns = self.size
        if self.resize == STRETCH or self.smooth:
            return self.size
        scale = max(rows / height, columns / width)
        return max(rows, round(height * scale)), max(columns, round(width * scale))


def window_fit(height: int, width: int) -> Fit:
    """Return the window's rule: the largest centred part of the input's aspect."""
    return Fit(height, width, SHORT, (height, width), smooth=True)


def scan_fit(height: int, width: int, how: str | None = None, size: Size | None = None) -> Fit:
    """Return the rule of a scan: the original's for inputs near 227, else the window's.

    Parameters
    ----------
    height, width : int
        Of the input.
    how : str, optional
        Of `RESIZE`, if the user chose.
    size : (int, int), optional
        What to resize to before the centre is cut out, if the user chose; an input that is
        larger takes its place.
    """
    original = size is None and height in _NEAR_ORIGINAL and width in _NEAR_ORIGINAL
    if original:
        size = ORIGINAL_SIDE, ORIGINAL_SIDE
    rows, columns = size or (height, width)
    size = max(rows, height), max(columns, width)
    how = how or (STRETCH if original else SHORT)
    return Fit(height, width, how, size, smooth=size == (height, width))
