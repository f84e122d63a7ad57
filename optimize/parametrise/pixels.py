"""The paper's way: the pixels themselves."""

from __future__ import annotations

import torch
from torch import Tensor

from optimize.parametrise.base import Canvas, Parametrisation, Uphill
from optimize.policies import Rating, Step


class Pixels(Parametrisation):
    """The image is what is optimised: x <- r(x + rate * da/dx) (Yosinski et al. 2015, section 3).

    The rate is the policy's, r are the regularisers that change the image after a step, and
    what is beyond black and white is clipped.
    """

    name = "pixels"
    about = "the pixels themselves, as the paper"
    holds_pixels = True

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        self._x = canvas.start.clone()
        device = canvas.start.device
        self._rating = Rating([(p.lr_policy, p.rates) for p in canvas.members], device)
        self._seen = torch.full((len(self._x),), float(canvas.seen), device=device)

    def begin(self) -> Tensor:
        """Return the start, which nothing was clipped of."""
        return self._canvas.start

    def image(self) -> Tensor:
        """Return the images, clipped."""
        x, low, high = self._x, self._canvas.low, self._canvas.high
        self._x = torch.minimum(torch.maximum(x, low, out=x), high, out=x)
        return self._x

    def step(self, uphill: Uphill) -> None:
        """Go up the gradient, and apply the regularisers."""
        x = self._x
        before = None if bool(uphill.alive.all()) else x.clone()
        rates = self._rating(
            Step(uphill.norm, uphill.obj, self._seen, uphill.done, self._canvas.grey)
        )
        # A policy may divide by the norm; without a gradient there is no step.
        rates = torch.where(uphill.norm == 0, torch.zeros_like(rates), rates)
        x.addcmul_(uphill.grad, rates.view(-1, 1, 1, 1).to(x.dtype))
        for regulariser in self._canvas.after:
            x = regulariser.after(x, uphill.grad, uphill.iteration)
        if before is not None:
            x = torch.where(uphill.alive.view(-1, 1, 1, 1), x, before)
        self._x = x
