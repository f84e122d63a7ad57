"""From a frame to the network's input and from its diff back to a picture. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from toolbox.images import FloatArray, Image, resize


class InputError(Exception):
    """An input or a mean that does not fit the network; one sentence."""


@dataclass(frozen=True, eq=False)
class Preprocess:
    """How a frame becomes the network's input.

    Parameters
    ----------
    channels, height, width : int
        Of the network's input; 1 or 3 channels.
    swap : tuple of int
        `caffe_net_channel_swap`: which of R, G, B each input channel gets.
    mean : ndarray of float32 or None
        Shape (channels, 1 or height, 1 or width), in the input's channel order.
    raw_scale : float
        What white is before the mean is subtracted.
    input_scale : float
        Factor afterwards.
    """

    channels: int
    height: int
    width: int
    swap: tuple[int, ...]
    mean: FloatArray | None
    raw_scale: float = 255.0
    input_scale: float = 1.0

    def __call__(self, image: Image) -> FloatArray:
        """Preprocess a frame.

        Parameters
        ----------
        image : ndarray of uint8, shape (h, w, 3)
            RGB.

        Returns
        -------
        ndarray of float32, shape (1, channels, height, width)
            What `Net.forward` takes.
        """
        small = resize(image, self.height, self.width)
        if self.channels == 1:
            planes = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))[None]
        else:
            planes = small.transpose(2, 0, 1)[list(self.swap)]
        values = planes.astype(np.float32)
        if self.raw_scale != 255:
            values *= self.raw_scale / 255
        if self.mean is not None:
            values -= self.mean
        if self.input_scale != 1:
            values *= self.input_scale
        return values[None]

    def back_image(self, diff: FloatArray) -> FloatArray:
        """Order an input diff as a picture.

        Parameters
        ----------
        diff : ndarray of float32, shape (channels, height, width)
            In the network's channel order.

        Returns
        -------
        ndarray of float32, shape (height, width, 3 or 1)
            RGB, or grey for a grey network.
        """
        if self.channels == 1:
            return np.ascontiguousarray(diff.transpose(1, 2, 0))
        order = [self.swap.index(colour) for colour in range(3)]
        return np.ascontiguousarray(diff[order].transpose(1, 2, 0))


def check_swap(swap: Sequence[int] | None, channels: int) -> tuple[int, ...]:
    """Check `caffe_net_channel_swap` against the input.

    Parameters
    ----------
    swap : sequence of int or None
        None means BGR.
    channels : int
        Of the network's input.

    Returns
    -------
    tuple of int
        A permutation of 0, 1, 2 (unused for a grey input).

    Raises
    ------
    InputError
        The input has neither 1 nor 3 channels, or the swap is no permutation.
    """
    if channels not in (1, 3):
        raise InputError(
            f"The network's input has {channels} channels; pictures can feed 1 (grey) or 3."
        )
    order = tuple(swap) if swap is not None else (2, 1, 0)
    if channels == 3 and sorted(order) != [0, 1, 2]:
        raise InputError(
            f"caffe_net_channel_swap is {order}, but must hold 0, 1 and 2 in some order."
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
