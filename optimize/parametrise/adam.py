"""Adam, for a batch whose members have rates of their own and may stop."""

from __future__ import annotations

import torch
from torch import Tensor

from optimize.parametrise.base import Canvas, Uphill

_BETAS = (0.9, 0.999)
_TINY = 1e-20  # gradients may be small: what matters is that nothing is divided by zero
# Adam makes all coefficients equally fast, those too on which the unit hardly depends. In a small
# image these add up to black and white noise, so there a share of the member's root mean square is
# added to each one's size: the square of this many pixels by the image's side.
_SMALL_SIDE = 24
_LATE_FROM, _LATE = 0.5, 0.3  # large forms first, then details


class Adam:
    """Steps of Kingma and Ba (2015), upward, shorter in the second half.

    Parameters
    ----------
    value : Tensor
        What is optimised, (n, ...); changed in place.
    canvas : Canvas
        Its members have the rates.
    """

    def __init__(self, value: Tensor, canvas: Canvas) -> None:
        self._value = value
        self._shared = _SMALL_SIDE**2 / (canvas.start.shape[2] * canvas.start.shape[3])
        self._mean, self._square = torch.zeros_like(value), torch.zeros_like(value)
        rates = torch.tensor([p.adam_rate for p in canvas.members], device=value.device)
        self._rates = rates.view(-1, *[1] * (value.ndim - 1))

    def step(self, grad: Tensor, uphill: Uphill, part: slice) -> None:
        """Go up a gradient of a part of the values, with every member that is alive."""
        first, second = _BETAS
        mean, square, rates = self._mean[part], self._square[part], self._rates[part]
        mean.lerp_(grad, 1 - first)
        square.mul_(second).addcmul_(grad, grad, value=1 - second)
        times = uphill.iteration + 1
        # Both are divided by their shares of a full mean: here, where there are few numbers.
        late = _LATE if uphill.done >= _LATE_FROM else 1.0
        full = (1 - second**times) ** 0.5
        common = square.flatten(1).mean(1).sqrt_().view(rates.shape)
        size = torch.sqrt(square, out=grad).add_(self._shared * common + _TINY)
        rates = rates * uphill.alive[part].view(rates.shape) * (late * full / (1 - first**times))
        self._value[part].addcmul_(torch.div(mean, size, out=size), rates)
