"""Division of a net's input by the deviation of its channels (no layer of Caffe's)."""

from __future__ import annotations

import json

import torch
from torch import Tensor

from torchcaffe.blobs.blob import Shape
from torchcaffe.layers.base import Diffs, Layer, layer


@layer("InputDeviation")
class InputDeviation(Layer):
    """y = x / deviation, a number a channel.

    Pictures come to a net with the mean subtracted, but as grey levels of 0 to 255. That the
    net wants units of the deviation is its own matter; so whatever changes pictures, and
    whatever shows diffs, goes by grey levels in all channels alike.
    """

    def setup(self, shapes: list[Shape]) -> None:
        self.need_axes(shapes[0], 2)
        try:
            values = [float(value) for value in json.loads(self.param.python_param.param_str)]
        except (ValueError, TypeError) as error:
            raise self.error("its param_str is no list of numbers") from error
        if len(values) not in (1, shapes[0][1]) or not all(value > 0 for value in values):
            raise self.error(
                f"the deviations {values} must be above 0, one for all or one for each of the "
                f"{shapes[0][1]} channels"
            )
        self._factors = 1 / torch.tensor(values)

    def _factor(self, x: Tensor) -> Tensor:
        return self._factors.to(x.device).view(1, -1, *[1] * (x.ndim - 2))

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        return [bottoms[0] * self._factor(bottoms[0])]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        return [top_diffs[0] * self._factor(top_diffs[0])]
