"""Caffe nets on PyTorch, with pycaffe's interface: `import torchcaffe as caffe`."""

import sys

import torchcaffe.process.openmp  # noqa: F401 - before all that imports torch
from torchcaffe import coord_map, draw, io, layers, net_spec, opening, proto, regions
from torchcaffe.blobs import blob, fillers, packed
from torchcaffe.blobs.blob import Blob
from torchcaffe.classifier import Classifier
from torchcaffe.detector import Detector
from torchcaffe.engine import backward_rules, graph, net, node, passes, weights
from torchcaffe.engine.backward_rules import RULES
from torchcaffe.engine.net import Net
from torchcaffe.errors import (
    ArgumentError,
    CaffeError,
    DefinitionError,
    FileError,
    ShapeError,
    UnknownNameError,
)
from torchcaffe.importing import from_exported, from_onnx, from_torch
from torchcaffe.interventions import lesions, recompute, scale
from torchcaffe.layers import LAYERS, layer
from torchcaffe.layers.base import Layer as BaseLayer
from torchcaffe.layers.python_layer import PythonLayer as Layer
from torchcaffe.layers.python_layer import python_layers_allowed
from torchcaffe.net_spec import NetSpec, params, to_proto
from torchcaffe.opening import open_net
from torchcaffe.process import device
from torchcaffe.process.device import (
    set_device,
    set_mode_cpu,
    set_mode_gpu,
    set_random_seed,
    set_threads,
)
from torchcaffe.process.forking import survive_forks
from torchcaffe.proto.caffe_pb2 import TEST, TRAIN
from torchcaffe.sums import contributions

# Paths from before the rooms, for programs that name them.
for _module in (blob, fillers, packed, graph, net, node, passes, weights, device):
    sys.modules[f"torchcaffe.{_module.__name__.rsplit('.', 1)[1]}"] = _module
sys.modules["torchcaffe.rules"] = backward_rules

survive_forks()

__version__ = "1.0.0"


def layer_type_list() -> list[str]:
    """Return the names of all known layer types."""
    return sorted(LAYERS)


def __getattr__(name: str) -> object:
    if name.endswith(("Solver", "_solver")) or name == "NCCL":
        raise AttributeError(
            f"torchcaffe has no {name}: it runs nets and trains none; train with Caffe or "
            "PyTorch, and open the weights here"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "LAYERS",
    "RULES",
    "TEST",
    "TRAIN",
    "ArgumentError",
    "BaseLayer",
    "Blob",
    "CaffeError",
    "Classifier",
    "DefinitionError",
    "Detector",
    "FileError",
    "Layer",
    "Net",
    "NetSpec",
    "ShapeError",
    "UnknownNameError",
    "contributions",
    "coord_map",
    "device",
    "draw",
    "from_exported",
    "from_onnx",
    "from_torch",
    "io",
    "layer",
    "layer_type_list",
    "layers",
    "lesions",
    "net_spec",
    "open_net",
    "opening",
    "params",
    "proto",
    "python_layers_allowed",
    "recompute",
    "regions",
    "scale",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_random_seed",
    "set_threads",
    "to_proto",
]
