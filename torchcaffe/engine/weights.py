"""Nets to and from files: caffemodel (binary protobuf), HDF5, and the definition as text."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from torchcaffe.blobs.blob import Blob, checked_shape
from torchcaffe.engine.graph import unique_names
from torchcaffe.errors import CaffeError, DefinitionError, FileError, ShapeError
from torchcaffe.proto.caffe_pb2 import LayerParameter, NetParameter
from torchcaffe.proto.foreign import refuse_foreign
from torchcaffe.proto.text import to_text
from torchcaffe.proto.wire import StoredLayer, read_caffemodel, write_caffemodel

Params = Mapping[str, list[Blob]]
_HDF5_MARK = b"\x89HDF\r\n\x1a\n"
_NOT_CAFFES = ("ATen", "InputDeviation")


def is_hdf5(path: str | Path) -> bool:
    """Return whether the name says HDF5, as Caffe decides."""
    return str(path).endswith((".h5", ".hdf5"))


def load(params: Params, path: str | Path, *, hdf5: bool = False) -> list[str]:
    """Fill `params` from a file; return the layers it lacks.

    It is read as HDF5 by its name, by its content, or if `hdf5` says so. Such files hold a
    shared parameter once, at the first layer that has it.
    """
    is_caffemodel = not (hdf5 or is_hdf5(path) or _begins_as_hdf5(path))
    stored = read_caffemodel(path) if is_caffemodel else _read_hdf5(path)
    by_name: dict[str, Sequence[np.ndarray | None]] = {}
    for name, layer in zip(unique_names([la.name for la in stored]), stored, strict=True):
        if layer.blobs:  # of several entries for one layer the last counts, as in Caffe
            by_name[name if name in params else layer.name] = layer.blobs
    shared = _shared(params)
    wanted = [name for name, blobs in params.items() if not set(range(len(blobs))) <= shared[name]]
    missing = [name for name in wanted if name not in by_name]
    if wanted and not any(name in by_name for name, blobs in params.items() if blobs):
        refuse_foreign(path, "weights")
        held = ", ".join(list(by_name)[:20]) or "none"
        raise FileError(
            f"{path} has weights for none of this net's layers (it has them for {held}); "
            "give the weights that belong to this prototxt"
        )
    common = [name for name, blobs in params.items() if blobs and name in by_name]
    for name in common:  # all are checked first, so that a refused file changes nothing
        _check(name, params[name], by_name[name], shared[name], path)
    for name in common:
        _fill(params[name], by_name[name])
    return missing


def _begins_as_hdf5(path: str | Path) -> bool:
    try:
        with Path(path).open("rb") as file:
            return file.read(len(_HDF5_MARK)) == _HDF5_MARK
    except OSError:
        return False  # its reader says what is wrong


def _shared(params: Params) -> dict[str, set[int]]:
    """Return by layer which of its parameters (by number) are those of a layer before."""
    seen: set[int] = set()
    out: dict[str, set[int]] = {}
    for name, blobs in params.items():
        # loosely shared ones are views of one memory
        marks = [
            blob.tensor.data_ptr() if blob.memory.is_viewed else id(blob.memory) for blob in blobs
        ]
        out[name] = {i for i, mark in enumerate(marks) if mark in seen}
        seen.update(marks)
    return out


def _same_shape(own: tuple[int, ...], stored: tuple[int, ...]) -> bool:
    """Compare shapes; legacy files pad them with ones in front, forks' vectors behind too."""

    def bare(shape: tuple[int, ...]) -> tuple[int, ...]:
        while shape and shape[0] == 1:
            shape = shape[1:]
        while len(shape) > 1 and shape[-1] == 1 and set(shape[1:]) == {1}:
            shape = shape[:-1]
        return shape

    return own == stored or bare(own) == bare(stored)


def _check(
    name: str,
    blobs: list[Blob],
    stored: Sequence[np.ndarray | None],
    shared: set[int],
    path: str | Path,
) -> None:
    held = {i for i, array in enumerate(stored) if array is not None}
    lacking = set(range(len(blobs))) - held - shared
    if lacking or len(stored) > len(blobs):
        raise ShapeError(
            f"layer {name!r} has {len(blobs)} parameter(s), {path} holds {len(held)} for it; "
            "prototxt and weights do not belong together"
        )
    for i, (blob, array) in enumerate(zip(blobs, stored, strict=False)):
        if array is not None and not _same_shape(blob.dims, array.shape):
            raise ShapeError(
                f"layer {name!r}: parameter {i} has the shape {array.shape} in {path}, "
                f"expected is {blob.dims}; prototxt and weights do not belong together"
            )


def _fill(blobs: list[Blob], stored: Sequence[np.ndarray | None]) -> None:
    for blob, array in zip(blobs, stored, strict=False):
        if array is not None:
            values = np.array(array.reshape(blob.dims), np.float32, order="C")
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
        with contextlib.suppress(OSError):
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
        if Path(path).is_file():
            refuse_foreign(path, "weights")
        raise FileError(
            f"could not open file {path}: it is not HDF5 weights of Caffe ({error})"
        ) from error
    return [
        StoredLayer(name, [blobs.get(i) for i in range(max(blobs) + 1)])
        for name, blobs in found.items()
    ]


def save_hdf5(params: Params, path: str | Path, *, diffs: bool) -> None:
    """Write Caffe's HDF5 form: /data/<layer>/<i>, and /diff/<layer>/<i>."""
    h5py = _h5py()

    def write(beside: Path) -> None:
        # In memory first: where a disk fills up, HDF5 crashes the process as it closes the file.
        whole = io.BytesIO()
        with h5py.File(whole, "w") as file:
            for part in ("data", "diff")[: 1 + diffs]:
                for name, blobs in params.items():
                    group = file.require_group(part).create_group(name)
                    for i, blob in enumerate(blobs):
                        group.create_dataset(str(i), data=getattr(blob, part))
        beside.write_bytes(whole.getbuffer())

    _replace(path, write)
