"""Lets `import caffe` give torchcaffe: the same objects under pycaffe's names."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

# pycaffe's modules, and where their names are here.
MODULES = {
    "classifier": "torchcaffe.classifier",
    "coord_map": "torchcaffe.coord_map",
    "detector": "torchcaffe.detector",
    "draw": "torchcaffe.draw",
    "io": "torchcaffe.io",
    "net_spec": "torchcaffe.net_spec",
    "proto": "torchcaffe.proto",
    "proto.caffe_pb2": "torchcaffe.proto.caffe_pb2",
    "pycaffe": "torchcaffe",
    "_caffe": "torchcaffe",
}


def _loaded() -> dict[str, ModuleType]:
    return {n: m for n, m in sys.modules.items() if n == "caffe" or n.startswith("caffe.")}


def name_modules(package: ModuleType | None = None) -> None:
    """Let `caffe` and its modules name torchcaffe's.

    Parameters
    ----------
    package : module, optional
        What `caffe` itself names; torchcaffe where none is given.
    """
    torchcaffe = importlib.import_module("torchcaffe")
    sys.modules["caffe"] = torchcaffe if package is None else package
    for name, ours in MODULES.items():
        sys.modules[f"caffe.{name}"] = importlib.import_module(ours)


@contextmanager
def importing_as_caffe() -> Iterator[None]:
    """Context in which `import caffe` gives torchcaffe, for the user's Python layers.

    It stays so afterwards, for imports inside functions, unless another Caffe was loaded.
    """
    before = _loaded()
    ours = importlib.import_module("torchcaffe").Net
    if getattr(before.get("caffe"), "Net", None) is ours:
        yield
        return
    for name in before:
        del sys.modules[name]
    name_modules()
    try:
        yield
    finally:
        if before:
            for name in _loaded():
                del sys.modules[name]
            sys.modules.update(before)
