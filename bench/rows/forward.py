"""Frames per second: the engine against plain PyTorch and cv2.dnn."""

from __future__ import annotations

import numpy as np
import torch

import torchcaffe as caffe
from bench.lab import plain_pytorch
from bench.lab.nets import CALTECH, YOS, Model, opencv_net, photo, torch_weights
from bench.lab.timing import interleaved
from bench.registry import Table, benchmark

ENGINE = "torchcaffe"
PLAIN = "plain PyTorch"
OPENCV = "cv2.dnn"


def _agreement(what: str, ours: np.ndarray, other: np.ndarray) -> str:
    worst = float(np.abs(ours.ravel() - other.ravel()).max())
    return f"{what} agree within {worst:.1e} (largest value {np.abs(other).max():.1e})"


def _forward(model: Model, net: caffe.Net, x: np.ndarray, budget: float) -> Table:
    weights, tensor, other = torch_weights(net), torch.from_numpy(x), opencv_net(model, net)

    def engine() -> np.ndarray:
        net.blobs["data"].data[...] = x
        return np.asarray(net.forward()["prob"])

    def pytorch() -> np.ndarray:
        with torch.no_grad():
            return plain_pytorch.forward(weights, tensor)[0].numpy()

    def opencv() -> np.ndarray:
        other.setInput(x)
        return np.asarray(other.forward())

    ours = engine().copy()
    notes = [
        _agreement(f"probabilities of {ENGINE} and {PLAIN}", ours, pytorch()),
        _agreement(f"probabilities of {ENGINE} and {OPENCV}", ours, opencv()),
    ]
    seconds = interleaved({ENGINE: engine, PLAIN: pytorch, OPENCV: opencv}, budget)
    return Table(f"forward, {model.title}, one photo", seconds, PLAIN, notes=notes)


def _forward_and_deconv(model: Model, net: caffe.Net, x: np.ndarray, budget: float) -> Table:
    weights, tensor = torch_weights(net), torch.from_numpy(x)
    net.blobs["data"].data[...] = x
    net.forward()
    # The unit of conv5 that the photo excites most, with its own activations as diff.
    activations = np.array(net.blobs["conv5"].data)
    unit = int(activations.max((0, 2, 3)).argmax())
    diff = np.zeros_like(activations)
    diff[:, unit] = activations[:, unit]

    def engine() -> np.ndarray:
        net.blobs["data"].data[...] = x
        net.forward()
        net.deconv_from_layer("conv5", diff, zero_higher=True)
        return np.asarray(net.blobs["data"].diff)

    def pytorch() -> np.ndarray:
        return plain_pytorch.deconv(weights, tensor, torch.from_numpy(diff))[1].numpy()

    notes = [_agreement("diffs of the input", engine().copy(), pytorch())]
    seconds = interleaved({ENGINE: engine, PLAIN: pytorch}, budget)
    title = f"forward and deconv from a unit of conv5, {model.title}, one photo"
    return Table(title, seconds, PLAIN, notes=notes)


@benchmark("forward", "frames per second of the nets, forward and forward with deconv")
def run(budget: float) -> list[Table]:
    """Time both nets, forward, and forward with deconv."""
    tables = []
    for model in (CALTECH, YOS):
        net, x = model.load(), photo()
        tables += [_forward(model, net, x, budget), _forward_and_deconv(model, net, x, budget)]
    return tables
