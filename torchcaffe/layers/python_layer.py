"""Layers written in Python by the user, as pycaffe runs them."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from torchcaffe.blobs.blob import Blob, Shape
from torchcaffe.errors import CaffeError
from torchcaffe.layers.base import Diffs, Layer, Span, layer

_allowed = True


@contextmanager
def python_layers_allowed(allowed: bool) -> Iterator[None]:
    """Context in which nets may run the Python code they name, or are refused for it.

    Outside of any, they may, as in pycaffe. The command-line tools refuse by default: a
    downloaded prototxt should not run code.
    """
    global _allowed
    before, _allowed = _allowed, allowed
    try:
        yield
    finally:
        _allowed = before


class UserCodeError(CaffeError, RuntimeError):
    """A Python layer's own code raised a RuntimeError while the net was built."""


class PythonLayer:
    """What a user's layer derives from (`caffe.Layer`): setup, reshape, forward, backward.

    Attributes
    ----------
    param_str : str
        `python_param { param_str }` of the prototxt.
    phase : int
        TRAIN or TEST.
    blobs : list of Blob
        Parameters; `self.blobs.add_blob(*shape)` adds one.
    """

    param_str: str = ""
    phase: int = 1

    def __init__(self, param: Any = None) -> None:
        self.blobs = BlobList()

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Check bottoms and read `param_str`."""

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Give the tops their shapes."""

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Fill the tops' data."""

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        """Fill the bottoms' diffs."""


class BlobList(list):
    """A list of blobs that grows by `add_blob(*shape)`."""

    def add_blob(self, *shape: int) -> Blob:
        """Append a blob of zeros."""
        self.append(Blob(shape))
        return self[-1]


@layer("Python")
class Python(Layer):
    """Runs the class `layer` of the module `module` that python_param names."""

    bottoms = (0, None)
    tops = (0, None)

    def setup(self, shapes: list[Shape]) -> None:
        p = self.param.python_param
        if not _allowed:
            raise self.error(
                f"would run the Python code of module {p.module!r}; "
                "give --allow-python-layers if you trust it"
            )
        try:
            cls = getattr(importlib.import_module(p.module), p.layer)
        except (ImportError, AttributeError, ValueError) as error:
            raise self.error(
                f"can't load {p.layer!r} of module {p.module!r} ({error}); "
                "the module must be on PYTHONPATH"
            ) from error
        self.user = cls.__new__(cls)
        self.user.blobs = BlobList()
        try:
            cls.__init__(self.user, self.param)
        except TypeError:  # a class with an __init__ of its own, without arguments
            cls.__init__(self.user)
        self.user.param_str, self.user.phase = p.param_str, self.phase
        self._bottom = [Blob(shape) for shape in shapes]
        self._top = [Blob() for _ in self.param.top]
        try:
            self.user.setup(self._bottom, self._top)
        except RuntimeError as error:  # as the user raised it, not as one of the engine's
            raise UserCodeError(
                f"layer {self.name!r} (Python): setup of {p.module}.{p.layer} raised "
                f"{type(error).__name__}: {error}"
            ) from error
        self.blobs = self.user.blobs

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        for blob, shape in zip(self._bottom, shapes, strict=True):
            blob.reshape(*shape)
        self.user.reshape(self._bottom, self._top)
        return [blob.shape for blob in self._top]

    def forward(self, bottoms: list[Tensor]) -> list[Tensor]:
        for blob, value in zip(self._bottom, bottoms, strict=True):
            blob.set_tensor(value)
        self.user.forward(self._bottom, self._top)
        return [blob.tensor.clone() for blob in self._top]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        for blob, value in zip(self._bottom, bottoms, strict=True):
            blob.set_tensor(value)
        for blob, value, diff in zip(self._top, tops, top_diffs, strict=True):
            blob.set_tensor(value)
            blob.set_diff(diff)
        self.user.backward(self._top, [True] * len(bottoms), self._bottom)
        return [blob.diff_tensor.clone() if blob.has_diff() else None for blob in self._bottom]

    def param_diffs(
        self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]
    ) -> Diffs:
        return [None] * len(self.blobs)  # the user's backward writes them itself

    is_followed = False

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        warnings.warn(
            f"layer {self.name!r} is Python: its receptive field is taken as its whole bottom",
            stacklevel=2,
        )
        return None
