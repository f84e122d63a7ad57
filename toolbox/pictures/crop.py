"""Cropping a picture to what a network is shown: the largest centred square."""

from __future__ import annotations

from toolbox.pictures.images import Image, resize

MAX_SIDE = 1200  # a pane never shows more, and larger pictures cost time in every frame


def crop_square(image: Image) -> Image:
    """Cut out the largest centred square."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def make_square(image: Image, stretch: bool) -> Image:
    """Make a picture square, at most `MAX_SIDE` pixels wide.

    Parameters
    ----------
    image : ndarray of uint8, shape (h, w, 3)
        RGB.
    stretch : bool
        True to stretch it, False to crop the largest centred square.

    Returns
    -------
    ndarray of uint8, shape (side, side, 3)
        RGB, contiguous.
    """
    square = image if stretch else crop_square(image)
    side = min(MAX_SIDE, max(square.shape[:2]))
    return resize(square, side, side)
