"""From a Fourier series with decorrelated colour to an image, and back.

The coefficients are those of a real image's half spectrum, as `torch.fft.rfft2` has them, in
channels that do not correlate in photos. Mixed into colours they are an image's log-odds:
the logistic function brings them between black and white (Olah et al. 2017, appendix; the
method of Lucid).

The series is as large as the image or a little larger, of sides for which transforms are fast
(227 is a prime: 240 takes a quarter of the time); the image is its upper left part.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor

from optimize.parametrise.base import Canvas

_EDGE = 1 / 512  # a given image's black and white have no finite log-odds


def frequencies(height: int, width: int) -> Tensor:
    """Return the half spectrum's frequencies in cycles a pixel, (height, width // 2 + 1)."""
    rows, columns = torch.fft.fftfreq(height), torch.fft.rfftfreq(width)
    return torch.sqrt(rows[:, None] ** 2 + columns**2)


def fast_size(size: int) -> int:
    """Return the least even length from `size` on that is a product of 2s, 3s and 5s."""
    return 2 * int(next_fast_len((size + 1) // 2, real=True))


class Series:
    """Makes a batch's images from coefficients.

    Parameters
    ----------
    canvas : Canvas
        What the images are.

    Attributes
    ----------
    size : (int, int)
        Height and width of the series.
    """

    def __init__(self, canvas: Canvas) -> None:
        start = canvas.start
        self._low, self._span = canvas.low, canvas.high - canvas.low
        channels = start.shape[1]
        self._shape = (start.shape[2], start.shape[3])
        self.size = (fast_size(self._shape[0]), fast_size(self._shape[1]))
        mix = torch.eye(channels, dtype=torch.float32)
        if channels == len(canvas.photos.colour):
            # from colours in RGB order to the input's channels
            mix[list(canvas.rgb)] = torch.tensor(canvas.photos.colour)
        self._mix = mix.to(start.device)
        # All columns but those of frequency zero and half a cycle a pixel stand for two.
        twice = torch.full((self.size[1] // 2 + 1,), 2.0, device=start.device)
        twice[0] = twice[-1] = 1
        self._twice = twice

    def image(self, coefficients: Tensor, out: Tensor | None = None) -> Tensor:
        """Return images minus the mean, in `out`, for (n, channels, h, w // 2 + 1) numbers."""
        share = self.odds(coefficients).sigmoid_()
        return torch.addcmul(self._low, self._span, share, out=share if out is None else out)

    def odds(self, coefficients: Tensor) -> Tensor:
        """Return the images' log-odds, (n, channels, h, w)."""
        height, width = self._shape
        plain = torch.fft.irfft2(coefficients, s=self.size, norm="ortho")[..., :height, :width]
        return (self._mix @ plain.flatten(2)).view(plain.shape)

    def gradient(self, image: Tensor, grad: Tensor) -> Tensor:
        """Return the gradient by the coefficients, for images and the gradient by them.

        Returns
        -------
        Tensor, shape (n, channels, h, w // 2 + 1)
            Complex: derivatives by real parts and by imaginary parts.
        """
        share = (image - self._low).div_(self._span)
        by_odds = torch.addcmul(share, share, share, value=-1).mul_(self._span).mul_(grad)
        plain = (self._mix.T @ by_odds.flatten(2)).view(image.shape)
        return torch.fft.rfft2(plain, s=self.size, norm="ortho").mul_(self._twice)

    def coefficients(self, image: Tensor) -> Tensor:
        """Return the coefficients of images minus the mean: the way back.

        Where the series is larger than the image, it goes on as the image ends.
        """
        share = ((image - self._low) / self._span).clamp(_EDGE, 1 - _EDGE)
        odds = torch.logit(share)
        plain = torch.linalg.solve(self._mix, odds.flatten(2)).view(odds.shape)
        below, right = self.size[0] - self._shape[0], self.size[1] - self._shape[1]
        plain = F.pad(plain, (0, right, 0, below), "replicate")
        return torch.fft.rfft2(plain, norm="ortho")
