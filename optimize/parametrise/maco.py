"""An image whose magnitude spectrum is that of photos: only its phases are free."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from optimize.parametrise.adam import Adam
from optimize.parametrise.base import Canvas, Parametrisation, Uphill, draws
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
    mirrored = torch.roll(edge.flip(-2), 1, -2)
    columns = list(free.unbind(-1))
    for k, odd in zip(edges, (edge - mirrored).unbind(-1), strict=True):
        columns[k] = odd
    return torch.stack(columns, -1)


class Maco(Parametrisation):
    """Phases alone, the magnitudes held to those of photos (MACO, Fel et al. 2023).

    What the magnitudes are held in is what the series makes of photos: log-odds with
    decorrelated colour. It starts from random phases, or from those of a given image. Random
    crops and noise are regularisers (`crop`, `noise`), as the others.
    """

    name = "maco"
    about = "phases alone, with the magnitude spectrum of photos"

    def __init__(self, canvas: Canvas) -> None:
        self._series = Series(canvas)
        height, width = self._series.size
        magnitudes = canvas.photos.magnitudes(frequencies(height, width), canvas.start.shape[1])
        mean = canvas.photos.mean(canvas.start.shape[1]) * math.sqrt(height * width)
        # The mean has no phase, but a sign.
        magnitudes[:, 0, 0] = mean
        self._magnitudes = magnitudes.to(canvas.start.device)
        free = draws(canvas, (canvas.start.shape[1], height, width // 2 + 1), _STREAM) * math.pi
        if any(canvas.given):
            # halved where `whole_phases` doubles them
            begun = self._series.coefficients(canvas.start).angle()
            begun[..., 0] /= 2
            if width % 2 == 0:
                begun[..., -1] /= 2
            which = torch.tensor(canvas.given, device=free.device).view(-1, 1, 1, 1)
            free = torch.where(which, begun, free)
        self._free = free.contiguous()
        self._adam = Adam(self._free, canvas)

    def image(self) -> Tensor:
        """Return the images; they remember how they came about, for the step."""
        with torch.enable_grad():
            self._leaf = self._free.detach().requires_grad_()
            self._image = self._series.image(self.coefficients(self._leaf))
        return self._image.detach()

    def coefficients(self, free: Tensor) -> Tensor:
        """Return the half spectrum for free phases: its magnitudes are always the photos'."""
        phases = whole_phases(free, self._series.size[1])
        return torch.polar(self._magnitudes.abs().expand_as(phases), phases) * torch.where(
            self._magnitudes < 0, -1.0, 1.0
        )

    def step(self, uphill: Uphill) -> None:
        """Take one of Adam's steps with the phases."""
        (grad,) = torch.autograd.grad(self._image, self._leaf, uphill.grad)
        self._adam.step(grad, uphill)
