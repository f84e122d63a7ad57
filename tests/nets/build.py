"""Nets of this folder with random weights, cut and at input sizes that keep tests quick."""

from pathlib import Path

import numpy as np

import torchcaffe as caffe
from torchcaffe.proto.caffe_pb2 import NetParameter
from torchcaffe.proto.text import read_text

FOLDER = Path(__file__).parent


def read(name):
    """Return the net's definition as a NetParameter message."""
    return read_text(FOLDER / f"{name}.prototxt", NetParameter())


def build(name, size=None, until=None, seed=0):
    """Return a net with random weights.

    `size` replaces the input's height and width, `until` is the last layer that is kept.
    """
    param = read(name)
    if size is not None:
        param.layer[0].input_param.shape[0].dim[2:] = size
    if until is not None:
        names = [layer.name for layer in param.layer]
        del param.layer[names.index(until) + 1 :]
    caffe.set_random_seed(seed)
    net = caffe.Net.from_param(param)
    set_statistics(net, np.random.RandomState(seed))
    return net


def set_statistics(net, random):
    """Give BatchNorm layers statistics as training leaves them (fresh ones hold zeros)."""
    for layer in net.layers:
        if layer.type == "BatchNorm":
            mean, variance, factor = layer.blobs
            mean.data[...] = random.normal(0, 0.1, mean.shape)
            variance.data[...] = random.uniform(0.5, 1.5, variance.shape)
            factor.data[...] = 1.0


def fill_inputs(net, random):
    """Put random numbers into the inputs."""
    for name in net.inputs:
        net.blobs[name].data[...] = random.normal(0, 1, net.blobs[name].shape)
