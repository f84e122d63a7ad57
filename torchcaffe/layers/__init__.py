"""Caffe's layer types: a registry, and one small class a type.

As pycaffe's `caffe.layers` it also makes the layers of a NetSpec: `layers.Convolution(...)`.
"""

from collections.abc import Callable
from typing import Any

from torchcaffe import net_spec
from torchcaffe.layers import (
    convolution,
    data,
    forks,
    imported,
    linear,
    losses,
    neuron,
    normalise,
    pooling,
    python_layer,
    recurrent,
    shape,
)
from torchcaffe.layers.base import LAYERS, Layer, create, layer, layer_class

__all__ = [
    "LAYERS",
    "Layer",
    "convolution",
    "create",
    "data",
    "forks",
    "imported",
    "layer",
    "layer_class",
    "linear",
    "losses",
    "neuron",
    "normalise",
    "pooling",
    "python_layer",
    "recurrent",
    "shape",
]


def __getattr__(name: str) -> Callable[..., Any]:
    """Return the function that writes a layer of this type (any name in title case) in a NetSpec.

    Reached only for names that are not defined above, so those must be no layer type.
    """
    if not name[:1].isupper():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(net_spec.layers, name)
