"""A stand-in network with pycaffe's names, whose every value can be checked by hand."""

from __future__ import annotations

import time
from collections import OrderedDict
from types import SimpleNamespace

import numpy as np
import pytest

from toolbox.input.frame import Frame


class FakeBlob:
    def __init__(self, *shape: int) -> None:
        self.data = np.zeros(shape, np.float32)
        self.diff = np.zeros(shape, np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    def reshape(self, *shape: int) -> None:
        self.data = np.zeros(shape, np.float32)
        self.diff = np.zeros(shape, np.float32)


class FakeNet:
    """conv (4 units, 2x2 means of the input's channels, in-place ReLU), fc (5), prob (5).

    Counts its passes in `calls`; `delay` seconds pass in each.
    """

    def __init__(self, channels: int = 3, side: int = 8, batch: int = 1) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.delay = 0.0
        self.fail: Exception | None = None
        self._layer_names = ["data", "conv", "relu", "drop", "fc", "prob"]
        types = ["Input", "Convolution", "ReLU", "Dropout", "InnerProduct", "Softmax"]
        self.layers = [SimpleNamespace(type=kind) for kind in types]
        tops = [["data"], ["conv"], ["conv"], ["drop"], ["fc"], ["prob"]]
        self.top_names = dict(zip(self._layer_names, tops, strict=True))
        self.inputs = ["data"]
        self.blobs = OrderedDict(
            data=FakeBlob(batch, channels, side, side),
            conv=FakeBlob(batch, 4, side // 2, side // 2),
            drop=FakeBlob(batch, 4, side // 2, side // 2),
            fc=FakeBlob(batch, 5),
            prob=FakeBlob(batch, 5),
        )

    def reshape(self) -> None:
        batch = self.blobs["data"].shape[0]
        for name in ("conv", "drop", "fc", "prob"):
            self.blobs[name].reshape(batch, *self.blobs[name].shape[1:])

    def _pass(self, *what: str) -> None:
        self.calls.append(what)
        time.sleep(self.delay)
        if self.fail is not None:
            raise self.fail

    def forward(self) -> None:
        self._pass("forward")
        data = self.blobs["data"].data[0]
        mean = data.mean(0)
        half = mean.reshape(mean.shape[0] // 2, 2, mean.shape[1] // 2, 2).mean((1, 3))
        conv = np.stack([half, -half, half * 2, half - half.mean()])
        self.blobs["conv"].data[0] = np.maximum(conv, 0)
        self.blobs["fc"].data[0] = [data[0].mean(), data[-1].mean(), 1, 2, 3]
        score = np.exp(self.blobs["fc"].data[0] - self.blobs["fc"].data[0].max())
        self.blobs["prob"].data[0] = score / score.sum()

    def _back(self, rule: str, layer: str, diff: np.ndarray, zero_higher: bool) -> None:
        self._pass(rule, layer)
        assert zero_higher
        for blob in self.blobs.values():
            blob.diff[...] = 0
        self.blobs[self.top_names[layer][0]].diff[...] = diff
        sign = 1 if rule == "grad" else -1
        self.blobs["data"].diff[0] = (
            sign
            * np.arange(1, 1 + len(self.blobs["data"].diff[0]))[:, None, None]
            * float(diff.sum())
        )

    def backward_from_layer(self, layer: str, diff: np.ndarray, *, zero_higher: bool) -> None:
        self._back("grad", layer, diff, zero_higher)

    def deconv_from_layer(self, layer: str, diff: np.ndarray, *, zero_higher: bool) -> None:
        self._back("deconv", layer, diff, zero_higher)


class GuidedNet(FakeNet):
    """The same with guided backprop, whose result is ten times the gradient."""

    def guided_from_layer(self, layer: str, diff: np.ndarray, *, zero_higher: bool) -> None:
        self._back("guided", layer, diff, zero_higher)
        self.blobs["data"].diff *= -10


@pytest.fixture
def guided_net() -> GuidedNet:
    return GuidedNet()


@pytest.fixture
def net() -> FakeNet:
    return FakeNet()


@pytest.fixture
def make_frame():
    def make(number: int = 1, value: int | None = None, side: int = 8) -> Frame:
        if value is None:
            image = np.random.default_rng(number).integers(0, 255, (side, side, 3), dtype=np.uint8)
        else:
            image = np.full((side, side, 3), value, np.uint8)
        return Frame(number, image, f"frame {number}")

    return make


@pytest.fixture
def make_fake():
    return FakeNet
