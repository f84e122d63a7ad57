"""Deep nets with random weights, for the engine alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

import torchcaffe as caffe

ROOT = Path(__file__).resolve().parents[2]
NETS = {
    "SqueezeNet": ROOT.parent / "shared" / "models" / "squeezenet" / "deploy.prototxt",
    "GoogLeNet": ROOT / "tests" / "nets" / "googlenet.prototxt",
    "ResNet-50": ROOT / "tests" / "nets" / "resnet50.prototxt",
    "VGG-16": ROOT / "tests" / "nets" / "vgg16.prototxt",
}


def load(name: str) -> caffe.Net:
    """Return the net for one image of noise, with weights that keep its variance."""
    net, random = caffe.Net(str(NETS[name]), caffe.TEST), np.random.default_rng(0)
    for layer, blobs in net.params.items():
        kind = net.layer_dict[layer].type
        if kind == "BatchNorm":
            for blob, value in zip(blobs, (0.0, 1.0, 1.0), strict=False):
                blob.data[...] = value
        elif kind == "Scale":
            blobs[0].data[...] = 0.7
        else:
            weight = blobs[0].data
            scale = (2 / weight[0].size) ** 0.5
            weight[...] = random.standard_normal(weight.shape, np.float32) * scale
    (data,) = net.inputs
    net.blobs[data].reshape(1, *net.blobs[data].shape[1:])
    net.reshape()
    net.blobs[data].data[...] = random.standard_normal(net.blobs[data].shape, np.float32)
    return net


def passes(net: caffe.Net) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return the way to the last layer with weights, and the way back from one of its units."""
    last = list(net.params)[-1]
    diff = np.zeros(net.blobs[net.top_names[last][0]].shape, np.float32)
    diff[:, 7] = 1

    def forward() -> None:
        net.forward(end=last)

    def backward() -> None:
        net.backward_from_layer(last, diff, zero_higher=True)

    return forward, backward
