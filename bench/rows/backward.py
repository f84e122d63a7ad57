"""Forward and backprop from a class, in one go, against autograd by hand."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from bench.lab import plain_pytorch
from bench.lab.nets import CALTECH, YOS, Model, photo, torch_weights
from bench.lab.timing import interleaved
from bench.registry import Table, benchmark


def _by_hand(weights: plain_pytorch.Weights, x: torch.Tensor, unit: int) -> np.ndarray:
    """Return d fc8[unit] / d x by PyTorch's autograd."""
    x = x.detach().requires_grad_()
    scores = plain_pytorch.scores(weights, x, F.relu)[0]
    (diff,) = torch.autograd.grad(scores[0, unit], x)
    return np.asarray(diff.numpy())


def _table(model: Model, budget: float) -> Table:
    net, x = model.load(), photo()
    weights, tensor, unit = torch_weights(net), torch.from_numpy(x), 7
    top = np.zeros(net.blobs["fc8"].shape, np.float32)
    top[0, unit] = 1.0

    def engine() -> np.ndarray:
        net.blobs["data"].data[...] = x
        net.forward(end="fc8")
        net.backward_from_layer("fc8", top, zero_higher=True)
        return np.asarray(net.blobs["data"].diff)

    def pytorch() -> np.ndarray:
        return _by_hand(weights, tensor, unit)

    ours, other = engine().copy(), pytorch()
    worst = float(np.abs(ours - other).max())
    note = f"diffs of the input agree within {worst:.1e} (largest {np.abs(other).max():.1e})"
    seconds = interleaved({"torchcaffe": engine, "autograd": pytorch}, budget)
    title = f"forward and backprop from a unit of fc8, {model.title}, one photo"
    return Table(title, seconds, "autograd", notes=[note])


@benchmark("backward", "forward and backprop from fc8 against autograd by hand")
def run(budget: float) -> list[Table]:
    """Time both nets."""
    return [_table(model, budget) for model in (CALTECH, YOS)]
