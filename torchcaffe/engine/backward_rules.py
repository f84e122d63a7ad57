"""How a diff goes down through a layer: backprop, deconvnet, guided backprop.

One rule is one small class; `RULES` is what command lines offer and tests iterate.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from torchcaffe.errors import ArgumentError
from torchcaffe.layers.base import Diffs, Layer

RULES: dict[str, Rule] = {}


class Rule:
    """Ordinary backpropagation: every layer's own derivative."""

    name: ClassVar[str] = "backprop"

    def __init_subclass__(cls) -> None:
        RULES[cls.name] = cls()

    def bottom_diffs(
        self, layer: Layer, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]
    ) -> Diffs:
        """Return the bottoms' diffs of `layer` for its tops' diffs."""
        return layer.backward(top_diffs, bottoms, tops)

    def overwrite(self, layer: Layer, diff: Tensor, bottom: Tensor) -> bool:
        """Turn the top's diff into the bottom's in its place; False where that is not possible."""
        return layer.backward_in_place(diff, bottom)


RULES[Rule.name] = Rule()


RECTIFIERS = ("ReLU", "ReLU6")  # what the two rules below are about


def _ignores_lrn(layer: Layer) -> bool:
    return layer.type == "LRN" and layer.param.lrn_param.deconv_ignore


class Deconv(Rule):
    """The deconvnet of Zeiler and Fergus (2013): a ReLU (or ReLU6) clips the diff below zero.

    The forward sign, a negative slope and the bound at 6 are ignored; LRN uses its derivative,
    or, with `deconv_ignore`, hands the diff on; all other layers use their derivative.
    """

    name = "deconv"

    def bottom_diffs(
        self, layer: Layer, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]
    ) -> Diffs:
        """Return the bottoms' diffs of the deconvnet pass."""
        if layer.type in RECTIFIERS:
            return [torch.relu(top_diffs[0])]
        if _ignores_lrn(layer):
            return [top_diffs[0]]
        return super().bottom_diffs(layer, top_diffs, bottoms, tops)

    def overwrite(self, layer: Layer, diff: Tensor, bottom: Tensor) -> bool:
        """Do the same in the diff's own memory."""
        if layer.type in RECTIFIERS:
            diff.relu_()
            return True
        return _ignores_lrn(layer) or super().overwrite(layer, diff, bottom)


class Guided(Rule):
    """Guided backprop (Springenberg et al. 2014): both rules at once at each ReLU or ReLU6."""

    name = "guided"

    def bottom_diffs(
        self, layer: Layer, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]
    ) -> Diffs:
        """Return the bottoms' diffs of guided backprop."""
        if layer.type in RECTIFIERS:
            top_diffs = [torch.relu(top_diffs[0])]
        elif _ignores_lrn(layer):
            return [top_diffs[0]]
        return super().bottom_diffs(layer, top_diffs, bottoms, tops)

    def overwrite(self, layer: Layer, diff: Tensor, bottom: Tensor) -> bool:
        """Do the same in the diff's own memory."""
        if layer.type in RECTIFIERS:
            diff.relu_()  # where the layer can't go on, `bottom_diffs` does this again: the same
        return _ignores_lrn(layer) or super().overwrite(layer, diff, bottom)


BACKPROP, DECONV, GUIDED = RULES["backprop"], RULES["deconv"], RULES["guided"]
# arikpoz's fork of the toolbox chooses the rule of a deconv call by these names.
ZEILER_FERGUS = "Zeiler & Fergus"
DECONV_TYPES = {ZEILER_FERGUS: DECONV, "Guided Backprop": GUIDED}


def deconv_rule(deconv_type: str) -> Rule:
    """Return the rule of that name in arikpoz's fork."""
    rule = DECONV_TYPES.get(deconv_type)
    if rule is None:
        known = ", ".join(map(repr, DECONV_TYPES))
        raise ArgumentError(f"deconv_type {deconv_type!r} is unknown; known are {known}")
    return rule
