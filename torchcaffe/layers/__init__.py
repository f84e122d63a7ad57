"""Caffe's layer types: a registry, and one small class a type."""

from torchcaffe.layers import (
    convolution,
    data,
    detection,
    linear,
    losses,
    neuron,
    normalise,
    pooling,
    python_layer,
    recurrent,
    shape,
)
from torchcaffe.layers.base import LAYERS, Layer, create, layer

__all__ = [
    "LAYERS",
    "Layer",
    "convolution",
    "create",
    "data",
    "detection",
    "layer",
    "linear",
    "losses",
    "neuron",
    "normalise",
    "pooling",
    "python_layer",
    "recurrent",
    "shape",
]
