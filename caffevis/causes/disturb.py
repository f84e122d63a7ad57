"""Disturbances of a frame before the network sees it: pure functions, a row of a table each.

Some work on the pictures, in the size of the network's input; noise, shift and the step against
the class work on what the network is given, in grey levels, as the findings do.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from caffevis.causes.units import finite
from caffevis.keys import causes as ca
from caffevis.keys.causes import Disturbance
from caffevis.model.preprocess import Preprocess
from toolbox.input.frame import Frame
from toolbox.pictures.images import FloatArray, Image, resize

PAINT = (255, 255, 255)
OnPicture = Callable[[Image, Disturbance], Image]


def noise(values: FloatArray, sigma: float, rng: np.random.Generator) -> FloatArray:
    """Add Gaussian noise, not cut off at black and white; `sigma` in units of the input."""
    return np.asarray(values + rng.standard_normal(values.shape) * sigma, dtype=np.float32)


def shift(values: FloatArray, pixels: int) -> FloatArray:
    """Shift to the right; the border is continued."""
    moved = np.roll(values, pixels, axis=3)
    moved[..., :pixels] = values[..., :1]
    return moved


def _gray(image: Image, asked: Disturbance) -> Image:
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    share = asked.size / 100
    return np.asarray(cv2.addWeighted(grey, share, image, 1 - share, 0), dtype=np.uint8)


def _hue(image: Image, asked: Disturbance) -> Image:
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)  # of a hue's circle, 256 parts
    hsv[..., 0] += np.uint8(round(asked.size * 256 / 360) % 256)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL), dtype=np.uint8)


def _blur(image: Image, asked: Disturbance) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), asked.size), dtype=np.uint8)


def _shuffle(image: Image, asked: Disturbance) -> Image:
    """Cut the picture into patches of one size and mix them; what is left over stays."""
    count = min(int(asked.size), *image.shape[:2])
    height, width = image.shape[0] // count, image.shape[1] // count
    order = np.random.default_rng(0).permutation(count * count)
    out = image.copy()
    for to, place in enumerate(order):
        (row, column), (y, x) = divmod(to, count), divmod(int(place), count)
        out[row * height : (row + 1) * height, column * width : (column + 1) * width] = image[
            y * height : (y + 1) * height, x * width : (x + 1) * width
        ]
    return out


def _occluder(image: Image, asked: Disturbance) -> Image:
    """Cover a square with the picture's mean colour."""
    (height, width), share = image.shape[:2], asked.size / 200
    top, bottom = (round((asked.at[0] + part) * height) for part in (-share, share))
    left, right = (round((asked.at[1] + part) * width) for part in (-share, share))
    out = image.copy()
    colour = image.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    out[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = colour
    return out


def _brush(image: Image, asked: Disturbance) -> Image:
    """Paint lines with round ends in white, soft at the edge."""
    height, width = image.shape[:2]
    thick, fine = max(1, round(asked.size / 100 * max(height, width) * 16)), 16
    large = np.zeros((height, width), np.uint8)
    for stroke in asked.strokes:
        points = [(round(x * width * fine), round(y * height * fine)) for y, x in stroke]
        for begin, end in zip(points, points[1:] or points, strict=False):
            cv2.line(large, begin, end, 255, max(1, thick // fine), cv2.LINE_AA, 4)
    share = large[..., None].astype(np.float32) / 255
    return np.rint(image * (1 - share) + np.array(PAINT, np.float32) * share).astype(np.uint8)


def _draw(image: Image, asked: Disturbance) -> Image:
    return _brush(np.zeros_like(image), asked)


ON_PICTURES: dict[str, OnPicture] = {
    ca.GRAY: _gray, ca.HUE: _hue, ca.BLUR: _blur, ca.SHUFFLE: _shuffle, ca.OCCLUDER: _occluder,
    ca.BRUSH: _brush, ca.DRAW: _draw,
}  # fmt: skip
NEUTRAL = {ca.SHUFFLE: 1}  # the size that changes nothing, where it is not 0


def is_none(asked: Disturbance) -> bool:
    """Whether a disturbance changes nothing."""
    if asked.kind == ca.BRUSH:
        return not asked.strokes
    return asked.kind != ca.DRAW and asked.size == NEUTRAL.get(asked.kind, 0)


def grey_level(prepare: Preprocess) -> float:
    """Return how far apart two neighbouring grey levels are in the network's input."""
    return prepare.raw_scale / 255 * prepare.input_scale


def disturbed(
    prepare: Preprocess,
    frame: Frame,
    asked: Disturbance,
    plain: FloatArray,
    gradient: Callable[[], FloatArray],
) -> FloatArray:
    """Return what the network is given.

    Parameters
    ----------
    prepare : Preprocess
        From pictures to the input.
    frame : Frame
        Undisturbed.
    asked : Disturbance
        Of size 0, the result is `plain` itself.
    plain : ndarray of float32, shape (1, channels, height, width)
        The frame as input.
    gradient : callable
        Gives the slope of the loss of the class in the input, of the same shape.

    Returns
    -------
    ndarray of float32, shape (1, channels, height, width)
    """
    if is_none(asked):
        return plain
    level = grey_level(prepare)
    if asked.kind == ca.NOISE:
        return _fed(prepare, plain, noise(plain, asked.size * level, draws(frame)))
    if asked.kind == ca.SHIFT:
        return shift(plain, int(asked.size))
    if asked.kind == ca.STEP:
        step = np.sign(finite(gradient())) * np.float32(asked.size * level)
        return _fed(prepare, plain, np.asarray(plain + step, dtype=np.float32))
    change = ON_PICTURES[asked.kind]
    size = (prepare.height, prepare.picture_width)
    images = [change(resize(image, *size), asked) for image in frame.images]
    return prepare(images[0], *images[1:])


def draws(frame: Frame) -> np.random.Generator:
    """Return the source of a frame's noise: of a picture always the same, of each frame another."""
    return np.random.default_rng(zlib.crc32(frame.image.tobytes()))


def _fed(prepare: Preprocess, plain: FloatArray, values: FloatArray) -> FloatArray:
    """Leave the channels that no picture feeds as they are."""
    if prepare.others is not None:
        values[:, -len(prepare.others) :] = plain[:, -len(prepare.others) :]
    return values


def frame_of(prepare: Preprocess, frame: Frame, values: FloatArray) -> Frame:
    """Return a frame whose pictures are what an input shows, cut off at black and white."""
    planes = values[0].copy()
    if prepare.others is not None:
        planes = planes[: -len(prepare.others)]
    planes /= prepare.input_scale
    if prepare.mean is not None:
        planes += prepare.mean[: len(planes)]
    planes *= 255 / prepare.raw_scale
    pixels = np.clip(np.rint(prepare.back_image(planes)), 0, 255).astype(np.uint8)
    pixels = pixels if pixels.shape[-1] == 3 else np.repeat(pixels, 3, axis=-1)
    if pixels.ndim == 3:
        return replace(frame, image=pixels, second=None)
    first, second = pixels
    return replace(frame, image=first, second=second if frame.second is not None else None)
