"""Layers written in Python by the user, as pycaffe runs them."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torchcaffe.blobs.blob import Blob, Shape
from torchcaffe.errors import CaffeError
from torchcaffe.layers.base import Layer, Span, layer
from torchcaffe.process.as_caffe import importing_as_caffe

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


def are_allowed() -> bool:
    """Return whether nets may run the Python code they name."""
    return _allowed


class UserCodeError(CaffeError, RuntimeError):
    """A Python layer's own code raised a RuntimeError while the net was built."""


class PythonLayer:
    """What a user's layer derives from (`caffe.Layer`): setup, reshape, forward, backward.

    Attributes
    ----------
    type : str
        "Python".
    param_str, param_str_ : str
        `python_param { param_str }` of the prototxt; early pycaffe called it `param_str_`.
    phase : int
        TRAIN or TEST.
    blobs : list of Blob
        Parameters; `self.blobs.add_blob(*shape)` adds one.
    """

    type = "Python"
    param_str: str = ""
    param_str_: str = ""
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
    """Runs the class `layer` of the module `module` that python_param names.

    The user's object works on the net's own blobs: in place, `top` is `bottom`.
    """

    bottoms = (0, None)
    tops = (0, None)
    works_on_blobs = True

    def attach(self, bottoms: list[Blob], tops: list[Blob]) -> None:
        self._bottom, self._top = bottoms, tops

    def setup(self, shapes: list[Shape]) -> None:
        p = self.param.python_param
        if not _allowed:
            raise self.error(
                f"would run the Python code of module {p.module!r}; "
                "give --allow-python-layers if you trust it"
            )
        try:
            with importing_as_caffe():
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
        self.user.param_str = self.user.param_str_ = p.param_str
        self.user.phase = self.phase
        try:
            self.user.setup(self._bottom, self._top)
        except RuntimeError as error:  # as the user raised it, not as one of the engine's
            raise UserCodeError(
                f"layer {self.name!r} (Python): setup of {p.module}.{p.layer} raised "
                f"{type(error).__name__}: {error}"
            ) from error
        self.blobs = self.user.blobs

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.user.reshape(self._bottom, self._top)
        return [blob.dims for blob in self._top]

    def run(self) -> None:
        self.user.forward(self._bottom, self._top)

    def run_backward(self, propagate_down: list[bool]) -> None:
        self.user.backward(self._top, propagate_down, self._bottom)

    is_followed = False

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        warnings.warn(
            f"layer {self.name!r} is Python: its receptive field is taken as its whole bottom",
            stacklevel=2,
        )
        return None
