"""Layers that begin a net: inputs, dummy data, parameters, and those that need files."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from torchcaffe.blobs.blob import Shape, checked_shape
from torchcaffe.blobs.fillers import make_filler
from torchcaffe.errors import DefinitionError, LayerError
from torchcaffe.layers.base import Diffs, Layer, layer
from torchcaffe.layers.shape import Silence
from torchcaffe.process import device
from torchcaffe.proto.caffe_pb2 import TEST, FillerParameter, LayerParameter


class _Source(Layer):
    """A layer without bottoms."""

    bottoms = (0, 0)
    tops: ClassVar[tuple[int, int | None]] = (1, None)

    def _check(self, shapes: list[Shape]) -> list[Shape]:
        return [
            checked_shape(s, f"layer {self.name!r}: top {top!r}")
            for s, top in zip(shapes, self.param.top, strict=True)
        ]


@layer("Input")
class Input(_Source):
    """Blobs that are filled by hand: the net's inputs."""

    is_input = True

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        given = [tuple(shape.dim) for shape in self.param.input_param.shape]
        count = len(self.param.top)
        if not given:
            return [()] * count
        if len(given) not in (1, count):
            raise self.error(f"{len(given)} shapes for {count} tops; none, one or {count}")
        return self._check(given * count if len(given) == 1 else given)

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        return []  # whatever the user put there stays


@layer("MemoryData")
class MemoryData(_Source):
    """Images and labels of a fixed shape: as an Input layer's, or from arrays in turn."""

    is_input = True
    tops = (2, 2)

    def __init__(self, param: LayerParameter, phase: int = TEST) -> None:
        super().__init__(param, phase)
        self._arrays: tuple[Tensor, Tensor] | None = None
        self._next = 0

    def feed(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Take images (N, C, H, W) and N labels, of which each pass gets the next batch."""
        p = self.param.memory_data_param
        wanted = (p.channels, p.height, p.width)
        if data.shape[1:] != wanted or len(data) % p.batch_size or not len(data):
            raise LayerError(
                f"layer {self.name!r} (MemoryData) takes data of the shape (N, {p.channels}, "
                f"{p.height}, {p.width}) with N a multiple of {p.batch_size}, not {data.shape}"
            )
        if labels.size != len(data):
            raise LayerError(
                f"layer {self.name!r} (MemoryData) takes one label for each of {len(data)} "
                f"images, not {labels.size}"
            )
        images, flat = (
            torch.from_numpy(np.array(array, np.float32))
            for array in (data, labels.reshape(-1, 1, 1, 1))
        )
        self._arrays = images, flat
        self._next = 0

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        p = self.param.memory_data_param
        images = (p.batch_size, p.channels, p.height, p.width)
        if min(images) < 1:
            raise self.error("batch_size, channels, height and width must be 1 or more")
        return self._check([images, (p.batch_size,)])

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        if self._arrays is None:
            return []
        first, count = self._next, self.param.memory_data_param.batch_size
        self._next = (first + count) % len(self._arrays[0])
        return [array[first : first + count].clone().to(device.current()) for array in self._arrays]


@layer("DummyData")
class DummyData(_Source):
    """Blobs of given shapes and fillers; constant ones are filled once."""

    def setup(self, shapes: list[Shape]) -> None:
        p, count = self.param.dummy_data_param, len(self.param.top)
        if len(p.data_filler) not in (0, 1, count):
            raise self.error(f"{len(p.data_filler)} fillers for {count} tops; none, one or {count}")
        messages = list(p.data_filler) or [FillerParameter(type="constant", value=0.0)]
        messages = messages * count if len(messages) == 1 else messages
        self._fill: list[Callable[[Shape], Tensor]] = [make_filler(m, self.name) for m in messages]
        self._constants = {i for i, m in enumerate(messages) if m.type == "constant"}
        self._made: dict[int, Tensor] = {}

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        p, count = self.param.dummy_data_param, len(self.param.top)
        given = [tuple(shape.dim) for shape in p.shape]
        if not given:
            columns = [list(getattr(p, n)) for n in ("num", "channels", "height", "width")]
            if any(len(column) not in (1, count) for column in columns):
                raise self.error(f"needs shape, or num, channels, height, width once or {count}x")
            columns = [column * count if len(column) == 1 else column for column in columns]
            given = [tuple(row) for row in zip(*columns, strict=True)]
        if len(given) not in (1, count):
            raise self.error(f"{len(given)} shapes for {count} tops; one or {count} are accepted")
        self._shapes = self._check(given * count if len(given) == 1 else given)
        return self._shapes

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        # a constant's tensor is the blob's own: what the user wrote into it stays, as in Caffe
        for i, (fill, shape) in enumerate(zip(self._fill, self._shapes, strict=True)):
            if i not in self._constants or i not in self._made:
                self._made[i] = fill(shape).to(device.current())
        return [self._made[i] for i in range(len(self._shapes))]


@layer("Parameter")
class Parameter(_Source):
    """A learned blob as a top."""

    tops = (1, 1)

    def setup(self, shapes: list[Shape]) -> None:
        shape = tuple(self.param.parameter_param.shape.dim)
        self.add_param(shape, FillerParameter(type="constant", value=0.0))

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        return [self.blobs[0].dims]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        return [params[0].clone()]

    def param_diffs(
        self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]
    ) -> Diffs:
        return [top_diffs[0]]


@layer("Data", "ImageData", "HDF5Data", "WindowData", "AnnotatedData")
class FileData(_Source):
    """Training data from files: no shape is known, so it is refused with the way out."""

    def __init__(self, param: LayerParameter, phase: int = TEST) -> None:
        super().__init__(param, phase)
        size = param.transform_param.crop_size or 227
        length = "dim: 16 " if param.type == "VideoData" else ""
        images = f"dim: 1 dim: 3 {length}dim: {size} dim: {size}"
        lines = [
            f'layer {{ name: "{top}" type: "Input" top: "{top}" '
            f"input_param {{ shape {{ {'dim: 1' if i else images} }} }} }}"
            for i, top in enumerate(param.top)
        ]
        raise DefinitionError(
            f"layer {param.name!r} ({param.type}) reads training data from files and has no "
            f"shape here; put in its place, with your input's size: {' '.join(lines)}"
        )


@layer("HDF5Output")
class HDF5Output(Silence):
    """Writes files while training; here it uses up its bottoms and writes nothing."""
