"""A convolution with the BatchNorm and the Scale that follow it in place, computed as one.

The two become factors of the weights, which are laid out once. All three write one blob, whose
values between them nobody sees after a pass. Where somebody looks in between (hooks, passes that
begin or end there), where somebody holds the parameters and where gradients of the parameters
are asked for, the layers run one by one.

A ReLU behind them stays a layer of its own: oneDNN's, within the convolution, makes zero of NaN,
and would hide that a network's weights are broken.
"""

from __future__ import annotations

from torch import Tensor

from torchcaffe.blobs import packed
from torchcaffe.blobs.blob import Kept
from torchcaffe.engine.backward_rules import BACKPROP
from torchcaffe.engine.node import Node, explained
from torchcaffe.engine.pairs import Pair
from torchcaffe.layers.convolution import Convolution


class Chain:
    """A convolution, a BatchNorm with stored statistics, and its Scale."""

    length = 3

    def __init__(self, first: int, conv: Node, pair: Pair) -> None:
        self.first, self._conv, self._pair = first, conv, pair
        self._layer: Convolution = conv.layer  # type: ignore[assignment]
        self._kept = Kept()

    def forward(self) -> None:
        """Compute the blob that all three write."""
        with explained(self._layer, self._conv.bottoms):
            if self._forward():
                return
        self._conv.forward()
        self._pair.forward()

    def _forward(self) -> bool:
        self._conv.reshape()
        fold = self._fold()
        if fold is None:
            return False
        top = self._layer.packed_forward(self._conv.bottoms[0].tensor, fold.bias, fold)
        if top is None:
            return False
        self._pair.reshape()
        self._conv.tops[0].set_tensor(top)
        # anew, from the bottom: who asks for gradients of the parameters can wait
        self._pair.recall_from(lambda: self._layer.forward(self._conv.inputs()))
        return True

    def _fold(self) -> packed.Fold | None:
        """Return what the weights are multiplied by; None while somebody may change it."""
        blobs = [*self._pair.norm.layer.blobs, *self._pair.scale.layer.blobs]
        memories = [blob.memory for blob in blobs]
        if any(memory.is_held() or memory.is_viewed for memory in memories):
            return None
        mark = tuple((memory, memory.version) for memory in memories)
        factor, bias = self._kept.of([*blobs, *self._layer.blobs[1:]], self._folding)
        return packed.Fold(factor, bias, mark)

    def _folding(self) -> tuple[Tensor, Tensor]:
        factor, shift = self._pair.factor_and_shift()
        for bias in self._layer.blobs[1:]:
            shift = shift + bias.tensor * factor
        return factor, shift

    def backward(self) -> None:
        """Carry the diff from behind the Scale to the convolution's bottom."""
        with explained(self._layer, self._conv.bottoms):
            if self._backward():
                return
        self._pair.backward()
        self._conv.backward(BACKPROP, params=False)  # the same by every rule

    def _backward(self) -> bool:
        (blob,), (bottom,), fold = self._conv.tops, self._conv.bottoms, self._fold()
        if fold is None:
            return False
        diff, factor = blob.diff_tensor, fold.factor.view(-1, 1, 1)
        below = self._layer.packed_backward(diff, bottom.dims, fold)
        if below is None:
            return False
        blob.defer_diff(lambda: diff * factor)
        bottom.set_diff(below)
        return True


def find_chains(nodes: list[Node], pairs: dict[int, Pair]) -> dict[int, Chain]:
    """Return the chains of a net by the number of their convolution."""
    if any(node.is_aliased for node in nodes):
        return {}  # a bottom may not stay what the convolution saw: others may write into it
    chains = ((i - 1, nodes[i - 1], pair) for i, pair in pairs.items() if i > 0)
    return {
        first: Chain(first, conv, pair) for first, conv, pair in chains if _is_chain(conv, pair)
    }


def _is_chain(conv: Node, pair: Pair) -> bool:
    layer = conv.layer
    is_one = len(conv.bottoms) == 1 and not conv.in_place and conv.tops == pair.norm.bottoms
    return type(layer) is Convolution and layer.packs and is_one and pair.norm.in_place
