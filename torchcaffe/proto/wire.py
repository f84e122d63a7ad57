"""Read a caffemodel layer by layer without copying its weights twice.

A caffemodel is one NetParameter message. The protobuf library would copy every weight
into its own memory, then hand them out one Python float at a time; so this walks the wire
format only as far as the layers' blobs, gives their packed floats as arrays on the mapped
file, and leaves all else to the library.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from torchcaffe.errors import FileError
from torchcaffe.proto import caffe_pb2
from torchcaffe.proto.foreign import refuse_foreign

_LAYER, _V1_LAYER, _V0_LAYER = 100, 2, 1  # the last within a V1 layer
_BLOBS = {_LAYER: 7, _V1_LAYER: 6, _V0_LAYER: 50}
_NAME = {_LAYER: 1, _V1_LAYER: 4, _V0_LAYER: 1}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DIFFS = (6, 9, 13)  # of a training snapshot
_SHAPE = 7  # a message; in C3D a number, the length of a 5-D blob
_RAW = 12  # values as bytes (NVIDIA)
RAW_TYPES = ("<f8", "<f4", "<f2", "<i4", "<u4")  # by BlobProto.Type
_DOUBLES = 8
_PACKED = {5: "<f4", _DOUBLES: "<f8"}  # BlobProto.data and double_data


@dataclass(frozen=True)
class StoredLayer:
    """Name and parameter arrays (float32, their true shapes) of one stored layer.

    None stands for a parameter that the file leaves to the layer that shares it (HDF5).
    """

    name: str
    blobs: Sequence[np.ndarray | None]


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is longer than ten bytes")


class Field(NamedTuple):
    """One field of a message; `whole` is its bytes with key and length."""

    number: int
    kind: int
    content: memoryview
    whole: memoryview


def _fields(data: memoryview) -> Iterator[Field]:
    at, end = 0, len(data)
    while at < end:
        begin = at
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        start = at
        if kind == _VARINT:
            _, at = _varint(data, at)
        elif kind == _BYTES:
            size, start = _varint(data, at)
            at = start + size
        elif kind in (_FIXED32, _FIXED64):
            at += 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"field {number} has the wire type {kind}")
        if at > end:
            raise ValueError(f"field {number} ends {at - end} bytes past its message")
        yield Field(number, kind, data[start:at], data[begin:at])


def _blob(data: memoryview) -> np.ndarray:
    """Decode a BlobProto: packed floats as a view, everything else by the library.

    Of floats and doubles the doubles count, of an old and a new shape the old one, as in Caffe.
    """
    runs: list[np.ndarray] = []
    doubles: list[np.ndarray] = []
    rest = bytearray()
    raw: memoryview | None = None
    length: int | None = None
    for field in _fields(data):
        if field.number in _PACKED and field.kind == _BYTES:
            values = np.frombuffer(field.content, _PACKED[field.number])
            (doubles if field.number == _DOUBLES else runs).append(values)
        elif field.number == _RAW and field.kind == _BYTES:
            raw = field.content
        elif field.number == _SHAPE and field.kind == _VARINT:
            length, _ = _varint(field.content, 0)
        elif field.number not in _DIFFS:
            rest += field.whole
    proto = caffe_pb2.BlobProto.FromString(bytes(rest))
    for loose, found in ((proto.data, runs), (proto.double_data, doubles)):
        if loose:
            found.append(np.array(loose, np.float32))
    if raw is not None:
        runs.append(np.frombuffer(raw, RAW_TYPES[proto.raw_data_type]))
    return _shaped(proto, doubles or runs, length)


def _shaped(proto: caffe_pb2.BlobProto, runs: list[np.ndarray], length: int | None) -> np.ndarray:
    flat = runs[0] if len(runs) == 1 else np.concatenate(runs) if runs else np.empty(0)
    legacy = any(proto.HasField(n) for n in ("num", "channels", "height", "width"))
    shape: tuple[int, ...] = (len(flat),)
    if legacy and length is not None:
        shape = (proto.num, proto.channels, length, proto.height, proto.width)
    elif legacy:
        shape = (proto.num, proto.channels, proto.height, proto.width)
    elif proto.HasField("shape"):
        shape = tuple(proto.shape.dim)
    count = 1
    for size in shape:
        count *= size
    if count != len(flat) or min(shape, default=1) < 0:
        raise ValueError(f"a blob of shape {shape} holds {len(flat)} values")
    return np.asarray(flat, np.float32).reshape(shape)


def _layer(data: memoryview, kind: int) -> StoredLayer:
    name = ""
    blobs: list[np.ndarray] = []
    for field in _fields(data):
        if field.kind != _BYTES:
            continue
        if field.number == _NAME[kind]:
            name = bytes(field.content).decode("utf-8", "replace")
        elif field.number == _BLOBS[kind]:
            blobs.append(_blob(field.content))
        elif kind == _V1_LAYER and field.number == _V0_LAYER:
            return _layer(field.content, _V0_LAYER)
    return StoredLayer(name, blobs)


def read_caffemodel(path: str | Path) -> list[StoredLayer]:
    """Read every stored layer of a binary caffemodel (V2, V1 or V0 layers).

    The arrays are read-only views on the mapped file where the floats are packed.

    Raises
    ------
    FileError
        The file is missing, empty, truncated or not a caffemodel.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the file is empty"
        raise FileError(
            f"could not open file {path}: {reason}; give a .caffemodel or .h5 file"
        ) from error
    try:
        layers = [
            _layer(field.content, field.number)
            for field in _fields(data)
            if field.number in (_LAYER, _V1_LAYER) and field.kind == _BYTES
        ]
    except (ValueError, IndexError, DecodeError) as error:
        reason = str(error).rstrip(".") or "it ends too early"
        refuse_foreign(path, "weights")
        raise FileError(
            f"{path} is not a caffemodel, or is damaged ({reason}); fetch or copy it anew"
        ) from error
    if not layers:
        refuse_foreign(path, "weights")
        raise FileError(f"{path} holds no layers; give a .caffemodel or .h5 file")
    return layers


def _tagged(number: int, content_size: int) -> bytes:
    """Return key and length of a length-delimited field."""
    out = bytearray()
    for value in (number << 3 | _BYTES, content_size):
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
    return bytes(out)


def write_caffemodel(
    name: str, layers: Iterable[tuple[caffe_pb2.LayerParameter, list[np.ndarray]]], path: Path
) -> None:
    """Write layer definitions with their parameters (float32) as a binary NetParameter."""
    with path.open("wb") as file:
        file.write(caffe_pb2.NetParameter(name=name).SerializeToString())
        for param, arrays in layers:
            bare = caffe_pb2.LayerParameter.FromString(param.SerializeToString())
            bare.ClearField("blobs")
            head, parts = bare.SerializeToString(), []
            for array in arrays:
                shape = caffe_pb2.BlobProto(shape=caffe_pb2.BlobShape(dim=array.shape))
                raw = np.ascontiguousarray(array, "<f4").tobytes()
                body = shape.SerializeToString() + _tagged(5, len(raw)) + raw
                parts += [_tagged(_BLOBS[_LAYER], len(body)), body]
            size = len(head) + sum(map(len, parts))
            file.write(b"".join([_tagged(_LAYER, size), head, *parts]))
