"""From a file to a net's input, as pycaffe's Classifier does it. Needs no torch."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from find_maxes.errors import FindMaxesError
from toolbox.pictures.crop import ORIGINAL_SIDE, STRETCH, Fit, scan_fit
from toolbox.pictures.image_file import ImageError, read_image

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Recipe:
    """How a picture becomes the net's input.

    Parameters
    ----------
    channels, height, width : int
        Of the net's input; 1 channel, or 3 and more.
    resize : str or None
        Of `toolbox.pictures.crop.RESIZE`; None: as suits the size (see `scan_fit` there).
    swap : tuple of int
        Which of R, G, B each input channel gets.
    mean : ndarray of float32, shape (height or 1, width or 1, channels), or None
        Subtracted, in the net's order of channels.
    raw_scale : float
        What white is before the mean is subtracted.
    input_scale : float
        Factor afterwards.
    size : (int, int) or None
        What pictures are resized to before the centre is cut out; None: as suits the input.
    smooth : bool or None
        Of `toolbox.pictures.crop.Fit`; None: as suits the size.
    others : ndarray of float32, shape (channels - 3, height, width), or None
        What the channels hold that no colour feeds.
    deviation : tuple of float, optional
        What each channel, in the net's order, is divided by at last.
    """

    channels: int
    height: int
    width: int
    resize: str | None = None
    swap: tuple[int, ...] = (2, 1, 0)
    mean: FloatArray | None = None
    raw_scale: float = 255.0
    input_scale: float = 1.0
    size: tuple[int, int] | None = None
    smooth: bool | None = None
    others: FloatArray | None = None
    deviation: tuple[float, ...] | None = None

    @cached_property
    def fit(self) -> Fit:
        """From a photo to the input's size."""
        fit = scan_fit(self.height, self.width, self.resize, self.size)
        return fit if self.smooth is None else replace(fit, smooth=self.smooth)

    def picture(self, path: str) -> FloatArray:
        """Read a file and bring it to the input's size.

        Returns
        -------
        ndarray of float32, shape (height, width, 3)
            RGB, 0 to 255.

        Raises
        ------
        ImageError
            It cannot be read.
        """
        if os.path.exists(path) and not os.path.isfile(path):
            raise ImageError(f"{os.path.basename(path)} cannot be read: it is not a file")
        return self.fit(read_image(path))

    def to_input(self, picture: FloatArray) -> FloatArray:
        """Turn a `picture` into the input, (height, width, channels) float32."""
        if self.channels == 1:
            values = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32)[:, :, None]
        elif self.swap == (2, 1, 0):
            values = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), np.float32)
        else:
            values = picture[:, :, list(self.swap)]
        if self.raw_scale != 255:
            values = values * np.float32(self.raw_scale / 255)
        if self._whole_mean is not None:
            values = values - self._whole_mean
        if self.input_scale != 1:
            values = values * np.float32(self.input_scale)
        if self.others is not None:
            values = np.concatenate([values, self.others.transpose(1, 2, 0)], axis=2)
        if self.deviation is not None:
            values = np.asarray(values / np.array(self.deviation, np.float32), np.float32)
        return values

    @cached_property
    def _whole_mean(self) -> FloatArray | None:
        """The mean at every pixel: NumPy takes a row of three ten times as long to spread."""
        if self.mean is None:
            return None
        shape = (self.height, self.width, self.channels)
        fed = 1 if self.channels == 1 else 3
        return np.ascontiguousarray(np.broadcast_to(self.mean, shape)[..., :fed])

    def to_picture(self, values: FloatArray) -> FloatArray:
        """Undo `to_input`: (..., height, width, 3), RGB, 0 to 255."""
        out = values / np.float32(self.input_scale)
        if self.deviation is not None:
            out = out * np.array(self.deviation, np.float32)
        if self.mean is not None:
            out = out + self.mean
        return self.in_rgb(out * np.float32(255 / self.raw_scale))

    def in_rgb(self, values: FloatArray) -> FloatArray:
        """Order the channels (last axis) of an input, or of its diff, as R, G, B."""
        order = [0, 0, 0] if self.channels == 1 else [self.swap.index(i) for i in range(3)]
        return values[..., order]

    def fill_colour(self) -> tuple[int, int, int]:
        """Return the colour that zero in the net's input is: RGB, 0 to 255; 128 without mean."""
        if self.mean is None:
            return 128, 128, 128
        level = np.clip(np.rint(self.mean.mean((0, 1)) * (255 / self.raw_scale)), 0, 255)
        if self.channels == 1:
            return (int(level[0]),) * 3
        red, green, blue = (int(level[self.swap.index(i)]) for i in range(3))
        return red, green, blue

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads; a mean image as nested lists."""
        mean = None if self.mean is None else self.mean.tolist()
        fit = self.fit
        how = {"resize": fit.resize, "size": list(fit.size), "smooth": fit.smooth}
        others = None if self.others is None else self.others.tolist()
        out = {**asdict(self), **how, "swap": list(self.swap), "mean": mean, "others": others}
        # what is not there is left out, as results were written before
        return {k: v for k, v in out.items() if k not in ("others", "deviation") or v is not None}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Recipe:
        """Return the recipe that `to_json` wrote, here or before sizes were written."""
        mean = None if values["mean"] is None else np.array(values["mean"], np.float32)
        if "size" not in values:
            values = {**values, "size": _old_size(values), "smooth": False}
        size = tuple(values["size"])
        others = values.get("others")
        others = None if others is None else np.array(others, np.float32)
        deviation = tuple(values.get("deviation") or ()) or None
        changed = {
            "swap": tuple(values["swap"]), "mean": mean, "size": size, "others": others,
            "deviation": deviation,
        }  # fmt: skip
        return cls(**{**values, **changed})


def _old_size(values: dict[str, Any]) -> tuple[int, int]:
    """Return what files written before sizes were in them mean: 256, or a larger input."""
    height, width = values["height"], values["width"]
    if values["resize"] == STRETCH:
        return max(ORIGINAL_SIDE, height), max(ORIGINAL_SIDE, width)
    return (max(ORIGINAL_SIDE, height, width),) * 2


def reason_it_is_bad(error: ImageError, path: str) -> str:
    """Return why a picture cannot be read, without its name."""
    return str(error).removeprefix(f"{os.path.basename(path)} cannot be read: ")


def fit_mean(mean: FloatArray, channels: int, height: int, width: int) -> FloatArray:
    """Bring a mean to the form of a `Recipe`.

    Parameters
    ----------
    mean : ndarray, shape (c, h, w), (1, c, h, w), (c,) or ()
        A mean image is cropped to the centre where it is larger than the input.
    channels, height, width : int
        Of the net's input.

    Raises
    ------
    FindMaxesError
        It is smaller than the input, or has another number of channels.
    """
    values = np.asarray(mean, np.float32)
    values = values[0] if values.ndim == 4 and len(values) == 1 else values
    values = values.reshape(-1, 1, 1) if values.ndim < 2 else values
    fits = values.ndim == 3 and values.shape[0] in (1, channels)
    flat = fits and values.shape[1:] == (1, 1)
    if not fits or not (flat or (values.shape[1] >= height and values.shape[2] >= width)):
        raise FindMaxesError(
            f"the mean has the shape {np.shape(mean)}, and the net's input {channels} channels of "
            f"{height}x{width}; one value a channel, or an image at least as large, is accepted"
        )
    if not flat:
        top, left = (values.shape[1] - height) // 2, (values.shape[2] - width) // 2
        values = values[:, top : top + height, left : left + width]
    return np.ascontiguousarray(values.transpose(1, 2, 0))
