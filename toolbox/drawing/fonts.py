"""Letters as coverage masks, from the antialiased font that Pillow carries (Aileron, CC0).

Settings name OpenCV's fonts, as the original's do: a name keeps its size, so that older files
lay out as before, and all are drawn with the one font. Words are drawn once and kept: a line
whose numbers change costs what its numbers cost.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Mask = npt.NDArray[np.uint8]
CAPITAL = 0.7  # of the font's size that a capital is high
DESCENT = 0.24  # that a `g` reaches below the baseline
SPACE = 0.28  # between words; the font's own space is narrow for a projector
TRACKING = 0.025  # between letters, so that `--` is two hyphens
STROKE = 1 / 20  # that one step of thickness adds to a stroke
FINE = 4  # how many times larger letters are drawn, so that they lie where they should
SMALL, STRONGER = 16, 1.3  # below this size in pixels strokes are thin, and are made brighter


@lru_cache(maxsize=512)
def pixel_size(face: int, scale: float) -> float:
    """Return the size at which the font's capitals are as high as those of OpenCV's.

    Parameters
    ----------
    face : int
        A `cv2.FONT_...` constant.
    scale : float
        OpenCV's font scale.

    Returns
    -------
    float
        In pixels; capitals are of whole pixels, for sharp edges.
    """
    capital = cv2.getTextSize("H", face, 1.0, 1)[0][1]
    return max(4, round(capital * scale)) / CAPITAL


@lru_cache(maxsize=64)
def _font(size: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("this build of Pillow has no FreeType; install the wheel of pillow")
    # Letters of one script from left to right need no shaping, which takes four times as long.
    return font.font_variant(layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=8192)
def _advances(word: str, size: float) -> tuple[int, ...]:
    """Return how far each letter moves on, in `FINE` parts of a pixel."""
    font = _font(FINE * size)
    return tuple(round(font.getlength(letter) + TRACKING * FINE * size) for letter in word)


@lru_cache(maxsize=8192)
def word_width(word: str, size: float) -> int:
    """Return how far a word without bold strokes moves on, in pixels; a space as well."""
    return round(SPACE * size) if word == " " else -(-sum(_advances(word, size)) // FINE)


def bolder(size: float, thickness: int) -> float:
    """Return by how many pixels a thickness above 1 widens each stroke."""
    return max(0, thickness - 1) * size * STROKE


@lru_cache(maxsize=2048)
def word_mask(word: str, size: float, thickness: int) -> tuple[Mask, int]:
    """Draw a word.

    Parameters
    ----------
    word : str
        Printable ASCII.
    size : float
        In pixels.
    thickness : int
        1 for the font's own strokes; see `bolder`.

    Returns
    -------
    (ndarray of uint8, shape (h, w), int)
        How much of each pixel is covered, 255 for all of it, with a margin of a pixel at the
        left; and the rows above the baseline.
    """
    font, wide = _font(FINE * size), round(FINE * bolder(size, thickness))
    rows, deep = int(np.ceil(size)) + 1, int(np.ceil(size / 2))
    columns = word_width(word, size) + -(-wide // FINE) + 2 + int(size / 4)
    large = Image.new("L", (FINE * columns, FINE * (rows + deep)))
    pen, x = ImageDraw.Draw(large), FINE
    for letter, advance in zip(word, _advances(word, size), strict=True):
        pen.text((x, FINE * rows), letter, 255, font, anchor="ls")
        x += advance
    drawn = np.asarray(large)
    if wide:
        # Anchored so that strokes grow to the right and letters keep their begin.
        kernel = np.ones((1, wide + 1), np.uint8)
        drawn = cv2.dilate(drawn, kernel, anchor=(wide, 0), borderValue=0)
    small = cv2.resize(drawn, (columns, rows + deep), interpolation=cv2.INTER_AREA)
    if size < SMALL:
        small = cv2.convertScaleAbs(small, alpha=STRONGER)
    mask = np.asarray(small, np.uint8)
    mask.setflags(write=False)
    return mask, rows
