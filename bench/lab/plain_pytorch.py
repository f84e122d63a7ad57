"""CaffeNet as a plain PyTorch function: the mark that the engine is measured against."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = Mapping[str, tuple[Tensor, Tensor]]


class DeconvReLU(torch.autograd.Function):
    """ReLU whose backward pass clips the diff instead of masking it (Zeiler and Fergus)."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        """Clip below zero."""
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *diffs: Tensor) -> Tensor:
        """Clip the diff below zero, wherever the unit was."""
        return diffs[0].clamp(min=0)


def _pool_and_norm(x: Tensor) -> Tensor:
    x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    return F.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=1.0)


def scores(
    weights: Weights, x: Tensor, relu: Callable[[Tensor], Tensor] = F.relu
) -> tuple[Tensor, Tensor]:
    """Compute CaffeNet eagerly.

    Parameters
    ----------
    weights : mapping of str to (weight, bias)
        Of conv1 to conv5 and fc6 to fc8.
    x : Tensor
        (1, 3, 227, 227), BGR minus the mean.
    relu : callable
        `torch.relu`, or `DeconvReLU.apply` for a deconv pass afterwards.

    Returns
    -------
    fc8, conv5 : Tensor
        Class scores (1, classes), and conv5 before its ReLU (1, 256, 13, 13).
    """
    x = _pool_and_norm(relu(F.conv2d(x, *weights["conv1"], stride=4)))
    x = _pool_and_norm(relu(F.conv2d(x, *weights["conv2"], padding=2, groups=2)))
    x = relu(F.conv2d(x, *weights["conv3"], padding=1))
    x = relu(F.conv2d(x, *weights["conv4"], padding=1, groups=2))
    conv5 = F.conv2d(x, *weights["conv5"], padding=1, groups=2)
    x = F.max_pool2d(relu(conv5), 3, 2, ceil_mode=True).flatten(1)
    x = relu(F.linear(x, *weights["fc6"]))
    x = relu(F.linear(x, *weights["fc7"]))
    return F.linear(x, *weights["fc8"]), conv5


def forward(
    weights: Weights, x: Tensor, relu: Callable[[Tensor], Tensor] = F.relu
) -> tuple[Tensor, Tensor]:
    """Compute CaffeNet with its softmax; return prob and conv5, as `scores`."""
    fc8, conv5 = scores(weights, x, relu)
    return F.softmax(fc8, 1), conv5


def deconv(weights: Weights, x: Tensor, diff: Tensor) -> tuple[Tensor, Tensor]:
    """Compute CaffeNet, then the deconvnet from conv5; return prob and the input's diff."""
    x = x.detach().requires_grad_()
    prob, conv5 = forward(weights, x, DeconvReLU.apply)
    (input_diff,) = torch.autograd.grad(conv5, x, diff)
    return prob.detach(), input_diff
