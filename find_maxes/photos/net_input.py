"""From a file to a net's input, as pycaffe's Classifier does it. Needs no torch."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from find_maxes.errors import FindMaxesError
from toolbox.pictures.image_file import ImageError, read_image

FloatArray = npt.NDArray[np.float32]
SIDE = 256  # pictures are resized to it before the net's input is cut out
STRETCH, SHORT = "stretch", "short"
RESIZE = (STRETCH, SHORT)


@dataclass(frozen=True, eq=False)
class Recipe:
    """How a picture becomes the net's input.

    Resizing interpolates linearly between pixels without smoothing first, on floats, as
    pycaffe's `resize_image` does: the two differ by less than 1e-4 grey levels of 255.

    Parameters
    ----------
    channels, height, width : int
        Of the net's input; 1 or 3 channels.
    resize : str
        "stretch": to 256x256; "short": short side 256. An input larger than that takes the
        place of 256.
    swap : tuple of int
        Which of R, G, B each input channel gets.
    mean : ndarray of float32, shape (height or 1, width or 1, channels), or None
        Subtracted, in the net's order of channels.
    raw_scale : float
        What white is before the mean is subtracted.
    input_scale : float
        Factor afterwards.
    deviation : tuple of float, optional
        What each channel, in the net's order, is divided by then.
    """

    channels: int
    height: int
    width: int
    resize: str = STRETCH
    swap: tuple[int, ...] = (2, 1, 0)
    mean: FloatArray | None = None
    raw_scale: float = 255.0
    input_scale: float = 1.0
    deviation: tuple[float, ...] | None = None

    def picture(self, path: str) -> FloatArray:
        """Read a file, resize it and cut out its centre.

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
        image = read_image(path).astype(np.float32)
        rows, columns = self._size(*image.shape[:2])
        if image.shape[:2] != (rows, columns):
            image = np.asarray(
                cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32
            )
        top, left = (rows - self.height) // 2, (columns - self.width) // 2
        return image[top : top + self.height, left : left + self.width]

    def _size(self, height: int, width: int) -> tuple[int, int]:
        if self.resize == STRETCH:
            return max(SIDE, self.height), max(SIDE, self.width)
        side = max(SIDE, self.height, self.width)
        scale = side / min(height, width)
        return max(side, round(height * scale)), max(side, round(width * scale))

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
        if self.deviation is not None:
            values = np.asarray(values / np.array(self.deviation, np.float32), np.float32)
        return values

    @cached_property
    def _whole_mean(self) -> FloatArray | None:
        """The mean at every pixel: NumPy takes a row of three ten times as long to spread."""
        if self.mean is None:
            return None
        shape = (self.height, self.width, self.channels)
        return np.ascontiguousarray(np.broadcast_to(self.mean, shape))

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
        found = {**asdict(self), "swap": list(self.swap), "mean": mean}
        if self.deviation is None:
            del found["deviation"]  # as results were written before there was one
        return found

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Recipe:
        """Return the recipe that `to_json` wrote."""
        mean = None if values["mean"] is None else np.array(values["mean"], np.float32)
        deviation = tuple(values.get("deviation") or ()) or None
        swap = tuple(values["swap"])
        return cls(**{**values, "swap": swap, "mean": mean, "deviation": deviation})


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
