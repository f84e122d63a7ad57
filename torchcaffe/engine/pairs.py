"""A BatchNorm and the Scale that follows it in place, computed in one pass over the values.

The two write one blob, whose values between them nobody sees after a pass, so all blobs are
those of the two layers one by one. Where somebody looks in between (hooks, passes that begin or
end there), and where gradients of the parameters are asked for, they run one by one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from torchcaffe.engine.node import Node, explained
from torchcaffe.layers.linear import Scale
from torchcaffe.layers.normalise import BatchNorm


class Pair:
    """The two nodes of a BatchNorm with stored statistics and its Scale, the `first` and next."""

    length = 2

    def __init__(self, first: int, norm: Node, scale: Node) -> None:
        self.first, self.norm, self.scale = first, norm, scale
        self._layer: BatchNorm = norm.layer  # type: ignore[assignment]
        self._factors = scale.layer.blobs  # and the bias, where there is one

    def forward(self) -> None:
        """Compute the blob that both write."""
        blob = self.norm.bottoms[0]
        if not blob.count:
            self.norm.forward()
            self.scale.forward()
            return
        with explained(self.scale.layer, self.norm.bottoms):
            self.reshape()
            x = blob.tensor
            if self.norm.in_place:
                self.norm.saved = [x.clone() if blob.is_held() else x]
            mean, variance, _ = self._layer.stored()
            scale, bias = [*(factor.tensor for factor in self._factors), None][:2]
            top = torch.batch_norm(
                x, scale, bias, mean, variance, False, 0.0, self._layer.eps, False
            )
            self.norm.tops[0].set_tensor(top)
        self.scale.saved, self.scale.recall = None, self._between

    def reshape(self) -> None:
        """Bring the blob that both write to the shape that its bottom gives."""
        self.norm.reshape()
        self.scale.reshape()

    def factor_and_shift(self) -> tuple[Tensor, Tensor]:
        """Return what both together multiply by and then add, each (C,)."""
        mean, _, factor = self._layer.stored()
        scale, *bias = (blob.tensor for blob in self._factors)
        return factor * scale, sum(bias, -mean * factor * scale)

    def recall_from(self, compute: Callable[[], list[Tensor]]) -> None:
        """Learn how to make what the BatchNorm would have seen, had the two run."""
        self.norm.saved, self.norm.recall = None, compute
        self.scale.saved, self.scale.recall = None, self._between

    def _between(self) -> list[Tensor]:
        """Return what the Scale would have seen."""
        return self._layer.forward(self.norm.inputs())

    def backward(self) -> None:
        """Carry the diff through both; the blob that they write keeps what was between."""
        blob = self.norm.tops[0]
        with explained(self.scale.layer, self.norm.bottoms):
            diff, scale = blob.diff_tensor, self._wide(self._factors[0].tensor.clone())
            factor = self._wide(self._factors[0].tensor * self._layer.stored()[2])
            below = diff * factor
            if not self.norm.in_place:
                blob.defer_diff(lambda: diff * scale)
            self.norm.bottoms[0].set_diff(below)

    def _wide(self, values: Tensor) -> Tensor:
        return values.view(-1, *[1] * (len(self.norm.tops[0].dims) - 2))


def find_pairs(nodes: list[Node]) -> dict[int, Pair]:
    """Return the pairs of a net by the number of their BatchNorm."""
    return {
        i: Pair(i, norm, scale)
        for i, (norm, scale) in enumerate(zip(nodes, nodes[1:], strict=False))
        if _is_pair(norm, scale)
    }


def _is_pair(norm: Node, scale: Node) -> bool:
    first, second = norm.layer, scale.layer
    return (
        type(first) is BatchNorm
        and type(second) is Scale
        and first.use_stored
        and not first.is_fused
        and scale.in_place
        and scale.bottoms == norm.tops
        and not norm.is_aliased
        and not scale.is_aliased
        and second.first == 1
        and len(second.blobs[0].dims) == 1
    )
