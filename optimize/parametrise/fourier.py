"""An image as a Fourier series: every frequency learns at the pace that photos have it."""

from __future__ import annotations

import torch
from torch import Tensor

from optimize.parametrise.adam import Adam
from optimize.parametrise.base import Canvas, Parametrisation, Uphill, draws, parts
from optimize.parametrise.series import Series, frequencies

_STREAM = 11
_START = 0.01  # of the scaled coefficients' normal draws
# A little more than 1: with 1, SqueezeNet's pictures have a slope of -2.0 to -2.15 in their power
# spectrum where photos have -2.4 to -3.0; with 1.2 it is -2.4 (measured on classes).
_POWER = 1.2
_GAIN = 0.25


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
        self._scales = scales(height, width).to(canvas.start.device)[..., None]
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
            self._image[part] = self._series.image(scaled)
        return self._image

    def gradient(self, grad: Tensor, part: slice) -> Tensor:
        """Return what is held's gradient, for a part's gradient by the images."""
        found = torch.view_as_real(self._series.gradient(self._image[part], grad))
        return found.mul_(self._scales)

    def step(self, uphill: Uphill) -> None:
        """Take one of Adam's steps with the coefficients."""
        for part in parts(self._image):
            self._adam.step(self.gradient(uphill.grad[part], part), uphill, part)
