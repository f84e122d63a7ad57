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

    def step(self, grad: Tensor, uphill: Uphill) -> None:
        """Go up a gradient of the value, with every member that is alive."""
        first, second = _BETAS
        self._mean.lerp_(grad, 1 - first)
        self._square.mul_(second).addcmul_(grad, grad, value=1 - second)
        times = uphill.iteration + 1
        size = self._square.sqrt().div_((1 - second**times) ** 0.5)
        common = torch.linalg.vector_norm(size.flatten(1), dim=1) / size[0].numel() ** 0.5
        size.add_((self._shared * common + _TINY).view(self._rates.shape))
        late = _LATE if uphill.done >= _LATE_FROM else 1.0
        rates = self._rates * uphill.alive.view(self._rates.shape) * (late / (1 - first**times))
        self._value.add_(self._mean.div(size).mul_(rates))
