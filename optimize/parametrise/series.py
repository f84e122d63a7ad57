"""From a Fourier series with decorrelated colour to an image, and back.

The coefficients are those of a real image's half spectrum, as `torch.fft.rfft2` has them, in
channels that do not correlate in photos. Mixed into colours they are an image's log-odds:
the logistic function brings them between black and white (Olah et al. 2017, appendix; the
method of Lucid).
"""

from __future__ import annotations

import torch
from torch import Tensor

from optimize.parametrise.base import Canvas

_EDGE = 1 / 512  # a given image's black and white have no finite log-odds


def frequencies(height: int, width: int) -> Tensor:
    """Return the half spectrum's frequencies in cycles a pixel, (height, width // 2 + 1)."""
    rows, columns = torch.fft.fftfreq(height), torch.fft.rfftfreq(width)
    return torch.sqrt(rows[:, None] ** 2 + columns**2)


class Series:
    """Makes a batch's images from coefficients.

    Parameters
    ----------
    canvas : Canvas
        What the images are.
    """

    def __init__(self, canvas: Canvas) -> None:
        start = canvas.start
        self._low, self._span = canvas.low, canvas.high - canvas.low
        channels = start.shape[1]
        self.size = (start.shape[2], start.shape[3])
        mix = torch.eye(channels, dtype=torch.float32)
        if channels == len(canvas.photos.colour):
            # from colours in RGB order to the input's channels
            mix[list(canvas.rgb)] = torch.tensor(canvas.photos.colour)
        self._mix = mix.to(start.device)

    def image(self, coefficients: Tensor) -> Tensor:
        """Return images minus the mean for (n, channels, h, w // 2 + 1) complex numbers."""
        odds = self.odds(coefficients)
        return torch.addcmul(self._low, self._span, torch.sigmoid(odds))

    def odds(self, coefficients: Tensor) -> Tensor:
        """Return the images' log-odds, (n, channels, h, w)."""
        plain = torch.fft.irfft2(coefficients, s=self.size, norm="ortho")
        return (self._mix @ plain.flatten(2)).view(plain.shape)

    def coefficients(self, image: Tensor) -> Tensor:
        """Return the coefficients of images minus the mean: the way back."""
        share = ((image - self._low) / self._span).clamp(_EDGE, 1 - _EDGE)
        odds = torch.logit(share)
        plain = torch.linalg.solve(self._mix, odds.flatten(2)).view(odds.shape)
        return torch.fft.rfft2(plain, norm="ortho")
