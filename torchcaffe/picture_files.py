"""Picture files of all kinds, for `torchcaffe.io.load_image`.

pycaffe hands on what scikit-image reads. That is right for most files; here are those that it
gives in other shapes or colours: all frames of an animation, grey with alpha as two channels,
the inks of a CMYK file as if they were colours, a photo as it lay in the camera.
docs/picture_files.md has the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

_ORIENTATION = 274  # the tag in EXIF data
# Pillow's modes that scikit-image does not bring to grey, RGB or RGBA -> to which Pillow does
_CONVERTED = {"CMYK": "RGB", "YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB", "LA": "RGBA", "PA": "RGBA"}


@dataclass(frozen=True)
class About:
    """What a file says of itself.

    Parameters
    ----------
    mode : str
        Pillow's name for its kind of pixels; empty where Pillow does not know the file.
    animated : bool
        Whether it is of a kind that can hold several pictures, and holds or may hold them.
    orientation : int
        1 to 8, of its EXIF data; 1 is upright.
    """

    mode: str = ""
    animated: bool = False
    orientation: int = 1


def look_at(filename: str | Path) -> About:
    """Read what a file says of itself, without its pixels."""
    from PIL import Image

    try:
        with Image.open(filename) as image:
            animated = image.format == "GIF" or getattr(image, "n_frames", 1) > 1
            return About(image.mode, animated, int(image.getexif().get(_ORIENTATION, 1)))
    except (OSError, ValueError, SyntaxError, TypeError):
        return About()  # scikit-image may know it, or say what is wrong


def read_pixels(filename: str | Path) -> np.ndarray:
    """Read a file's first picture.

    Returns
    -------
    numpy.ndarray
        (H, W) grey, (H, W, 3) RGB or (H, W, 4) with alpha, in the file's own type, the way up
        that its EXIF data says.

    Raises
    ------
    OSError, ValueError, SyntaxError
        It is no picture, or of a kind that nobody here reads.
    """
    from skimage.io import imread

    about = look_at(filename)
    if about.animated or about.mode in _CONVERTED:
        pixels = _by_pillow(filename)
    else:
        pixels = imread(filename)
    return upright(pixels, about.orientation)


def _by_pillow(filename: str | Path) -> np.ndarray:
    """Read the first picture of a file with Pillow."""
    from PIL import Image

    with Image.open(filename) as image:
        mode = _CONVERTED.get(image.mode)
        if image.mode == "P":
            mode = "RGBA" if "transparency" in image.info else "RGB"
        return np.asarray(image.convert(mode) if mode else image)


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn a picture (H, W, ...) as an EXIF orientation says; 1 leaves it."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
