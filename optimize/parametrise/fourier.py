"""An image as a Fourier series: every frequency learns at the pace that photos have it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from optimize.parametrise.adam import Adam
from optimize.parametrise.base import Canvas, Parametrisation, Uphill, draws, parts
from optimize.parametrise.series import Series, frequencies

_STREAM = 11
_START = 0.01  # of the scaled coefficients' normal draws
# A little more than 1: with 1, SqueezeNet's pictures have a slope of -2.0 to -2.15 in their power
# spectrum where photos have -2.4 to -3.0; with 1.2 it is -2.3, and with 1.4 -2.7: things are fewer
# and larger, and no easier to tell (24 classes seen without their names, 21 told by either).
_POWER = 1.2
_GAIN = 0.25
# Photos' colours differ less than their brightness; a filter of a first layer may look for nothing
# else. So in an image of this side all directions of colour are held alike, and in a larger one,
# as its pixels are more, the photos' own soon prevail.
_COLOUR_SIDE = 24


def scales(height: int, width: int) -> Tensor:
    """Return what the coefficients are multiplied by, falling with frequency.

    Parameters
    ----------
    height, width : int
        Of the image.

    Returns
    -------
    Tensor, shape (height, width // 2 + 1)
        gain / frequency**1.2, frequency in cycles a pixel; zero counts as the lowest one.
    """
    lowest = 1 / max(height, width)
    return _GAIN / frequencies(height, width).clamp_min(lowest) ** _POWER


def colour_gains(colour: Sequence[Sequence[float]], height: int, width: int) -> Tensor:
    """Return what makes up for short directions of colour in a small image.

    Parameters
    ----------
    colour : 3x3
        `PhotoStatistics.colour`; its longest column has length 1.
    height, width : int
        Of the image.

    Returns
    -------
    Tensor, shape (3,)
        At least 1: with it each column is at least min(1, 24**2 / (height * width)) long.
    """
    least = min(1.0, _COLOUR_SIDE**2 / (height * width))
    lengths = torch.linalg.vector_norm(torch.tensor(colour, dtype=torch.float32), dim=0)
    return (least / lengths).clamp_min(1)


class Fourier(Parametrisation):
    """Coefficients scaled by their frequency, decorrelated colour, Adam (Olah et al. 2017).

    An ascent on pixels finds the high frequencies first, for a net's strides let them through
    unhindered; in a series whose coefficients count as they do in photos, forms come first.
    It starts from mid grey with a little noise, or from a given image.
    """

    name = "fourier"
    about = "a Fourier series with decorrelated colour"

    def __init__(self, canvas: Canvas) -> None:
        self._series = Series(canvas)
        height, width = self._series.size
        gains = torch.ones(canvas.start.shape[1])
        if len(gains) == len(canvas.photos.colour):
            gains = colour_gains(canvas.photos.colour, *canvas.start.shape[2:])
        held_as = gains.view(-1, 1, 1, 1) * scales(height, width)[..., None]
        self._scales = held_as.to(canvas.start.device)
        held = draws(canvas, (canvas.start.shape[1], height, width // 2 + 1, 2), _STREAM) * _START
        if any(canvas.given):
            begun = torch.view_as_real(self._series.coefficients(canvas.start)) / self._scales
            which = torch.tensor(canvas.given, device=held.device).view(-1, 1, 1, 1, 1)
            held = torch.where(which, begun, held)
        self._held = held.contiguous()
        self._image = torch.empty_like(canvas.start)
        self._adam = Adam(self._held, canvas)

    def image(self) -> Tensor:
        """Return the images."""
        for part in parts(self._image):
            scaled = torch.view_as_complex(self._held[part] * self._scales)
            self._series.image(scaled, out=self._image[part])
        return self._image

    def gradient(self, grad: Tensor, part: slice) -> Tensor:
        """Return what is held's gradient, for a part's gradient by the images."""
        found = torch.view_as_real(self._series.gradient(self._image[part], grad))
        return found.mul_(self._scales)

    def step(self, uphill: Uphill) -> None:
        """Take one of Adam's steps with the coefficients."""
        for part in parts(self._image):
            self._adam.step(self.gradient(uphill.grad[part], part), uphill, part)
