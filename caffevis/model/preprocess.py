"""From a frame to the network's input and from its diff back to a picture. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from toolbox.pictures.images import FloatArray, Image, resize


class InputError(Exception):
    """An input or a mean that does not fit the network; one sentence."""


ALONE, CHANNELS, WIDTH = "", "channels", "width"


@dataclass(frozen=True, eq=False)
class Preprocess:
    """How a frame becomes the network's input.

    Parameters
    ----------
    channels, height, width : int
        Of the network's input; 1 or 3 channels a picture, and others after them.
    swap : tuple of int
        Which of R, G, B each input channel gets, one number for each; of a pair
        in `CHANNELS`, 3, 4, 5 are the second picture's. Unused for grey.
    mean : ndarray of float32 or None
        Shape (channels, 1 or height, 1 or width), in the input's channel order.
    raw_scale : float
        What white is before the mean is subtracted.
    input_scale : float
        Factor afterwards.
    pair : str
        `ALONE`: the input is one picture. `CHANNELS`: two, the second's channels
        behind the first's. `WIDTH`: two, side by side.
    others : ndarray of float32, shape (channels - 3, height, width), or None
        What the channels hold that no picture feeds, in units of the input.
    """

    channels: int
    height: int
    width: int
    swap: tuple[int, ...]
    mean: FloatArray | None
    raw_scale: float = 255.0
    input_scale: float = 1.0
    pair: str = ALONE
    others: FloatArray | None = None

    @property
    def is_grey(self) -> bool:
        """Whether each picture is one channel."""
        return self.channels < 3

    @property
    def aspect(self) -> float:
        """Width over height of one picture."""
        return self.picture_width / self.height

    @property
    def picture_width(self) -> int:
        """Columns of the input that one picture is."""
        return self.width // (2 if self.pair == WIDTH else 1)

    def __call__(self, image: Image, second: Image | None = None) -> FloatArray:
        """Preprocess a frame.

        Parameters
        ----------
        image : ndarray of uint8, shape (h, w, 3)
            RGB.
        second : ndarray of uint8, shape (h, w, 3), optional
            The other picture of a pair; a network of pairs takes the first for
            both without it, another network leaves it out.

        Returns
        -------
        ndarray of float32, shape (1, channels, height, width)
            What `Net.forward` takes.
        """
        planes = self._planes(image)
        if self.pair:
            other = planes if second is None else self._planes(second)
            planes = np.concatenate([planes, other], axis=2 if self.pair == WIDTH else 0)
        values = (planes if self.is_grey else planes[list(self.swap)]).astype(np.float32)
        if self.raw_scale != 255:
            values *= self.raw_scale / 255
        if self.mean is not None:
            values -= self.mean[: len(values)]
        if self.input_scale != 1:
            values *= self.input_scale
        if self.others is not None:
            values = np.concatenate([values, self.others])
        return values[None]

    def _planes(self, image: Image) -> Image:
        """Bring one picture to its part of the input, shape (1 or 3, h, w)."""
        small = resize(image, self.height, self.picture_width)
        if self.is_grey:
            return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)[None]
        planes: Image = small.transpose(2, 0, 1)
        return planes

    def back_image(self, diff: FloatArray) -> FloatArray:
        """Order an input diff as a picture, or as two.

        Parameters
        ----------
        diff : ndarray of float32, shape (channels, height, width)
            In the network's channel order.

        Returns
        -------
        ndarray of float32, shape (height, width, 3 or 1)
            RGB, or grey for a grey network; of a pair both, shape (2, ...).
        """
        if not self.pair and not self.is_grey:
            # A quarter of the time of NumPy's transposed copy.
            return np.asarray(cv2.merge([diff[self.swap.index(colour)] for colour in range(3)]))
        planes = diff if self.is_grey else diff[np.argsort(self.swap)]
        if not self.pair:
            return np.ascontiguousarray(planes.transpose(1, 2, 0))
        halves = np.split(planes, 2, axis=2 if self.pair == WIDTH else 0)
        return np.ascontiguousarray(np.stack(halves).transpose(0, 2, 3, 1))


def find_pair(channels: int, width: int, along_width: bool) -> str:
    """Tell whether the network's input is one picture or two.

    Parameters
    ----------
    channels, width : int
        Of the network's input.
    along_width : bool
        The settings say that it is two pictures side by side.

    Returns
    -------
    str
        `ALONE`, `CHANNELS` or `WIDTH`.

    Raises
    ------
    InputError
        There are no channels, or the width has no halves.
    """
    if channels < 1:
        raise InputError(
            f"The network's input has {channels} channels; pictures can feed 1 (grey) or 3, "
            "with further ones that hold a value, and pairs of pictures 2 or 6."
        )
    if channels in (2, 6):
        return CHANNELS
    if along_width and width % 2:
        raise InputError(
            f"siamese_input_mode is 'concat_along_width', but the network's input is {width} "
            "wide, which has no halves."
        )
    return WIDTH if along_width else ALONE


def check_swap(swap: Sequence[int] | None, channels: int) -> tuple[int, ...]:
    """Check `caffe_net_channel_swap` against the input.

    Parameters
    ----------
    swap : sequence of int or None
        None means BGR. Three numbers count for both pictures of a pair.
    channels : int
        Of the network's input.

    Returns
    -------
    tuple of int
        A permutation, one number a channel (unused for a grey input).

    Raises
    ------
    InputError
        The swap is no permutation.
    """
    order = tuple(swap) if swap is not None else (2, 1, 0)
    if channels == 6 and len(order) == 3:
        order = (*order, *(3 + colour for colour in order))
    fed = channels if channels == 6 else 3  # others hold their values
    if channels >= 3 and sorted(order) != list(range(fed)):
        accepted = "0, 1 and 2" if fed == 3 else "0, 1 and 2, or 0 to 5,"
        raise InputError(
            f"caffe_net_channel_swap is {tuple(swap or order)}, but must hold {accepted} "
            "in some order."
        )
    return order


def fit_mean(mean: FloatArray, channels: int, height: int, width: int) -> FloatArray:
    """Bring a mean to the shape of the input.

    Parameters
    ----------
    mean : ndarray of float32, shape (c, h, w), (1, c, h, w), (c,) or ()
        A mean image is cropped to the centre where it is larger than the input.
    channels, height, width : int
        Of the network's input.

    Returns
    -------
    ndarray of float32, shape (channels, height or 1, width or 1)
        Ready to be subtracted.

    Raises
    ------
    InputError
        It is smaller than the input, or has another number of channels.
    """
    values = np.asarray(mean, dtype=np.float32)
    if values.ndim == 4 and values.shape[0] == 1:
        values = values[0]
    if values.ndim < 2:
        values = values.reshape(-1, 1, 1)
    if values.ndim != 3 or values.shape[0] not in (1, channels):
        raise InputError(
            f"caffevis_data_mean has the shape {np.shape(mean)}, but the network's input has "
            f"{channels} channels of {height} x {width}."
        )
    if values.shape[1:] == (1, 1):
        return values
    top, left = (values.shape[1] - height) // 2, (values.shape[2] - width) // 2
    if top < 0 or left < 0:
        raise InputError(
            f"caffevis_data_mean is {values.shape[1]} x {values.shape[2]}, smaller than the "
            f"network's input of {height} x {width}."
        )
    return np.ascontiguousarray(values[:, top : top + height, left : left + width])


def fit_pair_mean(
    mean: FloatArray, pair: str, channels: int, height: int, width: int
) -> FloatArray:
    """Bring a mean to the shape of an input of one picture or two.

    Parameters
    ----------
    mean : ndarray of float32
        As for `fit_mean`: of the whole input, or of one picture, which then
        counts for both.
    pair : str
        Of `find_pair`.
    channels, height, width : int
        Of the network's input.

    Returns
    -------
    ndarray of float32, shape (channels or 1, height or 1, width or 1)
        Ready to be subtracted.

    Raises
    ------
    InputError
        It fits neither.
    """
    shape = np.shape(mean)
    if pair == CHANNELS and channels // 2 in (shape[-3:-2] or shape):
        return np.tile(fit_mean(mean, channels // 2, height, width), (2, 1, 1))
    if pair == WIDTH and len(shape) > 2 and 1 < shape[-1] < width:
        return np.tile(fit_mean(mean, channels, height, width // 2), (1, 1, 2))
    return fit_mean(mean, channels, height, width)
