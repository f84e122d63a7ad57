"""Nets to and from files: caffemodel (binary protobuf), HDF5, and the definition as text."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import torch

from torchcaffe.blobs.blob import Blob, checked_shape
from torchcaffe.engine.graph import unique_names
from torchcaffe.errors import CaffeError, DefinitionError, FileError, ShapeError
from torchcaffe.proto.caffe_pb2 import LayerParameter, NetParameter
from torchcaffe.proto.text import to_text
from torchcaffe.proto.wire import StoredLayer, read_caffemodel, write_caffemodel

Params = Mapping[str, list[Blob]]
_NOT_CAFFES = ("ATen", "InputDeviation")


def is_hdf5(path: str | Path) -> bool:
    """Return whether the name says HDF5, as Caffe decides."""
    return str(path).endswith((".h5", ".hdf5"))


def load(params: Params, path: str | Path, *, hdf5: bool = False) -> list[str]:
    """Fill `params` from a file (HDF5 by its name, or `hdf5`); return the layers it lacks."""
    stored = _read_hdf5(path) if hdf5 or is_hdf5(path) else read_caffemodel(path)
    names = unique_names([layer.name for layer in stored])
    by_name = {n: layer.blobs for n, layer in zip(names, stored, strict=True) if layer.blobs}
    wanted = [name for name, blobs in params.items() if blobs]
    missing = [name for name in wanted if name not in by_name]
    if wanted and missing == wanted:
        held = ", ".join(list(by_name)[:20]) or "none"
        raise FileError(
            f"{path} has weights for none of this net's layers (it has them for {held}); "
            "give the weights that belong to this prototxt"
        )
    common = [name for name in wanted if name in by_name]
    for name in common:  # all are checked first, so that a refused file changes nothing
        _check(name, params[name], by_name[name], path)
    for name in common:
        _fill(params[name], by_name[name])
    return missing


def _same_shape(own: tuple[int, ...], stored: tuple[int, ...]) -> bool:
    """Compare shapes; legacy files pad them with ones in front."""

    def bare(shape: tuple[int, ...]) -> tuple[int, ...]:
        while shape and shape[0] == 1:
            shape = shape[1:]
        return shape

    return own == stored or bare(own) == bare(stored)


def _check(name: str, blobs: list[Blob], stored: list[np.ndarray], path: str | Path) -> None:
    if len(blobs) != len(stored):
        raise ShapeError(
            f"layer {name!r} has {len(blobs)} parameter(s), {path} holds {len(stored)} for it; "
            "prototxt and weights do not belong together"
        )
    for i, (blob, array) in enumerate(zip(blobs, stored, strict=True)):
        if not _same_shape(blob.shape, array.shape):
            raise ShapeError(
                f"layer {name!r}: parameter {i} has the shape {array.shape} in {path}, "
                f"expected is {blob.shape}; prototxt and weights do not belong together"
            )


def _fill(blobs: list[Blob], stored: list[np.ndarray]) -> None:
    for blob, array in zip(blobs, stored, strict=True):
        values = np.array(array.reshape(blob.shape), np.float32, order="C")
        blob.set_tensor(torch.from_numpy(values).to(blob.device))


def save_caffemodel(
    name: str, layers: Iterable[tuple[LayerParameter, list[Blob]]], path: str | Path
) -> None:
    """Write a caffemodel beside `path` and rename it there."""
    arrays = ((param, [blob.data for blob in blobs]) for param, blobs in layers)
    _replace(path, lambda beside: write_caffemodel(name, arrays, beside))


def save_definition(net: NetParameter, path: str | Path) -> None:
    """Write a prototxt beside `path` and rename it there.

    Raises
    ------
    DefinitionError
        It has layers that Caffe has not.
    """
    foreign = [f"{la.name} ({_what(la)})" for la in net.layer if la.type in _NOT_CAFFES]
    if foreign:
        more = f" and {len(foreign) - 5} more" if len(foreign) > 5 else ""
        raise DefinitionError(
            f"{path} is not written: Caffe has no layer for {', '.join(foreign[:5])}{more}; keep "
            "the model in PyTorch's or ONNX's own file"
        )
    _replace(path, lambda beside: beside.write_text(to_text(net), encoding="utf-8"))


def _what(layer: LayerParameter) -> str:
    """Return what a layer that Caffe has not computes: its operator, or its type."""
    text = layer.python_param.param_str
    return str(json.loads(text)["operator"]) if layer.type == "ATen" else layer.type


def _replace(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside `path`, then rename it: never half a file."""
    beside = Path(f"{path}.tmp.{os.getpid()}")
    try:
        write(beside)
        os.replace(beside, path)
    except OSError as error:
        raise FileError(f"could not write {path}: {error.strerror or error}") from error
    finally:
        beside.unlink(missing_ok=True)


def _read_hdf5(path: str | Path) -> list[StoredLayer]:
    import h5py  # only here: the bundled model needs no HDF5

    found: dict[str, dict[int, np.ndarray]] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):  # <layer>/<i>; a layer's name may hold slashes
            layer, _, number = name.rpartition("/")
            checked_shape(item.shape, f"{path}: data set {name!r}")  # a file need not hold it all
            found.setdefault(layer, {})[int(number)] = np.array(item, np.float32)

    try:
        with h5py.File(path, "r") as file:
            file["data"].visititems(visit)
    except CaffeError:
        raise
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise FileError(
            f"could not open file {path}: it is not HDF5 weights of Caffe ({error})"
        ) from error
    return [StoredLayer(name, [blobs[i] for i in sorted(blobs)]) for name, blobs in found.items()]


def save_hdf5(params: Params, path: str | Path, *, diffs: bool) -> None:
    """Write Caffe's HDF5 form: /data/<layer>/<i>, and /diff/<layer>/<i>."""
    import h5py

    def write(beside: Path) -> None:
        with h5py.File(beside, "w") as file:
            for part in ("data", "diff")[: 1 + diffs]:
                for name, blobs in params.items():
                    group = file.require_group(part).create_group(name)
                    for i, blob in enumerate(blobs):
                        group.create_dataset(str(i), data=getattr(blob, part))

    _replace(path, write)
