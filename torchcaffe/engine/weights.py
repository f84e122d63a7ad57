"""Parameters from and to files: caffemodel (binary protobuf) and HDF5."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from torchcaffe.blobs.blob import Blob, checked_shape
from torchcaffe.engine.graph import unique_names
from torchcaffe.errors import CaffeError, FileError, ShapeError
from torchcaffe.proto.caffe_pb2 import LayerParameter
from torchcaffe.proto.wire import StoredLayer, read_caffemodel, write_caffemodel

Params = Mapping[str, list[Blob]]


def is_hdf5(path: str | Path) -> bool:
    """Return whether the name says HDF5, as Caffe decides."""
    return str(path).endswith((".h5", ".hdf5"))


def load(params: Params, path: str | Path, *, hdf5: bool = False) -> list[str]:
    """Fill `params` from a file (HDF5 by its name, or `hdf5`); return the layers it lacks."""
    stored = _read_hdf5(path) if hdf5 or is_hdf5(path) else read_caffemodel(path)
    by_name: dict[str, list[np.ndarray]] = {}
    for name, layer in zip(unique_names([la.name for la in stored]), stored, strict=True):
        if layer.blobs:  # of several entries for one layer the last counts, as in Caffe
            by_name[name if name in params else layer.name] = layer.blobs
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
        if not _same_shape(blob.dims, array.shape):
            raise ShapeError(
                f"layer {name!r}: parameter {i} has the shape {array.shape} in {path}, "
                f"expected is {blob.dims}; prototxt and weights do not belong together"
            )


def _fill(blobs: list[Blob], stored: list[np.ndarray]) -> None:
    for blob, array in zip(blobs, stored, strict=True):
        values = np.array(array.reshape(blob.dims), np.float32, order="C")
        blob.set_tensor(torch.from_numpy(values).to(blob.device))


def save_caffemodel(
    name: str, layers: Iterable[tuple[LayerParameter, list[Blob]]], path: str | Path
) -> None:
    """Write a caffemodel beside `path` and rename it there."""
    arrays = ((param, [blob.data for blob in blobs]) for param, blobs in layers)
    _replace(path, lambda beside: write_caffemodel(name, arrays, beside))


def _replace(path: str | Path, write: Callable[[Path], None]) -> None:
    """Let `write` make a file beside `path`, then rename it: never half a file."""
    beside = Path(f"{path}.tmp.{os.getpid()}")
    try:
        write(beside)
        os.replace(beside, path)
    except OSError as error:
        raise FileError(f"could not write {path}: {error.strerror or error}") from error
    finally:
        beside.unlink(missing_ok=True)


def _h5py() -> Any:
    """Import h5py, which the bundled model does not need."""
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        raise FileError("weights in HDF5 (.h5) need the package h5py: pip install h5py") from error


def _read_hdf5(path: str | Path) -> list[StoredLayer]:
    h5py = _h5py()
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
    h5py = _h5py()

    def write(beside: Path) -> None:
        with h5py.File(beside, "w") as file:
            for part in ("data", "diff")[: 1 + diffs]:
                for name, blobs in params.items():
                    group = file.require_group(part).create_group(name)
                    for i, blob in enumerate(blobs):
                        group.create_dataset(str(i), data=getattr(blob, part))

    _replace(path, write)
