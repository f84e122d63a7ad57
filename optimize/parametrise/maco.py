"""An image whose magnitude spectrum is that of photos: only its phases are free."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from optimize.parametrise.adam import Adam
from optimize.parametrise.base import Canvas, Parametrisation, Uphill, draws, parts
from optimize.parametrise.series import Series, frequencies

_STREAM = 12


def whole_phases(free: Tensor, width: int) -> Tensor:
    """Return phases of a half spectrum that a real image can have.

    The columns of frequency zero and, of an even width, of half a cycle a pixel hold each
    coefficient twice, once conjugate: there the phases are made odd, so that the inverse
    transform drops nothing and every magnitude is kept.

    Parameters
    ----------
    free : Tensor, shape (n, channels, h, width // 2 + 1)
        Any numbers, radians.
    width : int
        Of the image.
    """
    edges = [0, width // 2] if width % 2 == 0 and width > 1 else [0]
    edge = free[..., edges]
    phases = free.clone()
    phases[..., edges] = edge - torch.roll(edge.flip(-2), 1, -2)
    return phases


class Maco(Parametrisation):
    """Phases alone, the magnitudes held to those of photos (MACO, Fel et al. 2023).

    What the magnitudes are held in is what the series makes of photos: log-odds with
    decorrelated colour. It starts from random phases, or from those of a given image. Random
    crops and noise are regularisers (`crop`, `noise`), as the others.
    """

    name = "maco"
    about = "phases alone, with the magnitude spectrum of photos"
    begins_with_picture = False

    def __init__(self, canvas: Canvas) -> None:
        self._series = Series(canvas)
        height, width = self._series.size
        magnitudes = canvas.photos.magnitudes(frequencies(height, width), canvas.start.shape[1])
        mean = canvas.photos.mean(canvas.start.shape[1]) * math.sqrt(height * width)
        # The mean has no phase, but a sign.
        magnitudes[:, 0, 0] = mean
        magnitudes = magnitudes.to(canvas.start.device)
        self._sign, self._magnitudes = torch.sign(magnitudes), magnitudes.abs()
        free = draws(canvas, (canvas.start.shape[1], height, width // 2 + 1), _STREAM) * math.pi
        if any(canvas.given):
            # halved where `whole_phases` doubles them
            begun = self._series.coefficients(canvas.start).angle()
            begun[..., 0] /= 2
            begun[..., -1] /= 2
            which = torch.tensor(canvas.given, device=free.device).view(-1, 1, 1, 1)
            free = torch.where(which, begun, free)
        self._free = free.contiguous()
        self._image = torch.empty_like(canvas.start)
        self._coefficients = torch.empty_like(self._free, dtype=torch.complex64)
        self._adam = Adam(self._free, canvas)

    def image(self) -> Tensor:
        """Return the images."""
        for part in parts(self._image):
            made = self._coefficients[part].copy_(self.coefficients(self._free[part]))
            self._series.image(made, out=self._image[part])
        return self._image

    def coefficients(self, free: Tensor) -> Tensor:
        """Return the half spectrum for free phases: its magnitudes are always the photos'."""
        phases = whole_phases(free, self._series.size[1])
        return torch.polar(self._magnitudes.expand_as(phases), phases).mul_(self._sign)

    def gradient(self, grad: Tensor, part: slice) -> Tensor:
        """Return the phases' gradient, for a part's gradient by the images."""
        by = self._series.gradient(self._image[part], grad)
        # A phase turns its coefficient c by i c: what counts is the part of the slope along it.
        turned = by.mul_(self._coefficients[part].conj()).imag.contiguous()
        # the way back of `whole_phases`: each odd number is of two free ones
        edge = turned[..., [0, -1]]
        turned[..., [0, -1]] = edge - torch.roll(edge.flip(-2), 1, -2)
        return turned

    def step(self, uphill: Uphill) -> None:
        """Take one of Adam's steps with the phases."""
        for part in parts(self._image):
            self._adam.step(self.gradient(uphill.grad[part], part), uphill, part)
