"""What programs use of pycaffe's `Net` beside blobs and passes: private names, hooks, arrays."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from torchcaffe.blobs.blob import Blob
from torchcaffe.engine.node import Node
from torchcaffe.errors import LayerError, unknown_name
from torchcaffe.layers.data import MemoryData
from torchcaffe.proto.caffe_pb2 import NetState, Phase

Hook = Callable[[int], object]
T = TypeVar("T")


class Named(OrderedDict[str, T]):
    """What a net has of one kind, by name; an unknown name is an error that knows near ones."""

    def __init__(self, kind: str = "name") -> None:
        super().__init__()
        self._kind = kind

    def __missing__(self, name: str) -> T:
        raise unknown_name(self._kind, name, self)

    def copy(self) -> OrderedDict[str, T]:  # type: ignore[override]  # a plain one, as pycaffe's
        """Return an ordinary OrderedDict of the same."""
        return OrderedDict(self)


class PycaffeNames:
    """Mixin of `Net`."""

    name: str
    blobs: OrderedDict[str, Blob]
    top_names: OrderedDict[str, list[str]]
    bottom_names: OrderedDict[str, list[str]]
    blob_loss_weights: OrderedDict[str, float]
    inputs: list[str]
    outputs: list[str]
    nodes: list[Node]
    _state: NetState

    def __repr__(self) -> str:
        """Say name, phase, size and ends."""
        ends = [
            ", ".join(f"{name} {self.blobs[name].dims}" for name in names) or "nothing"
            for names in (self.inputs, self.outputs)
        ]
        return (
            f"<torchcaffe.{type(self).__name__} {self.name!r}: {len(self.nodes)} layers, "
            f"{Phase.Name(self._state.phase)}, {ends[0]} -> {ends[1]}>"
        )

    # ------------------------------------------------------------ private names

    @property
    def _layer_names(self) -> list[str]:
        return list(self.top_names)

    @property
    def _blob_names(self) -> list[str]:
        return list(self.blobs)

    @property
    def _blobs(self) -> list[Blob]:
        return list(self.blobs.values())

    @property
    def _blob_loss_weights(self) -> list[float]:
        return list(self.blob_loss_weights.values())

    @property
    def _inputs(self) -> list[int]:
        return self._places(self.inputs)

    @property
    def _outputs(self) -> list[int]:
        return self._places(self.outputs)

    def _top_ids(self, layer: int) -> list[int]:
        return self._places(self.top_names[self._layer_names[layer]])

    def _bottom_ids(self, layer: int) -> list[int]:
        return self._places(self.bottom_names[self._layer_names[layer]])

    def _places(self, names: list[str]) -> list[int]:
        """Return the blobs' numbers in `_blobs`."""
        places = {name: i for i, name in enumerate(self.blobs)}
        return [places[name] for name in names]

    # ------------------------------------------------------------ hooks

    def before_forward(self, call: Hook) -> None:
        """Call `call(number)` before each layer of each forward pass."""
        self._add_hook("before_forward", call)

    def after_forward(self, call: Hook) -> None:
        """Call `call(number)` after each layer of each forward pass."""
        self._add_hook("after_forward", call)

    def before_backward(self, call: Hook) -> None:
        """Call `call(number)` before each layer of each backward pass."""
        self._add_hook("before_backward", call)

    def after_backward(self, call: Hook) -> None:
        """Call `call(number)` after each layer of each backward pass."""
        self._add_hook("after_backward", call)

    def _add_hook(self, moment: str, call: Hook) -> None:
        # kept in the instance only where there is one: passes of most nets ask in vain
        self.__dict__.setdefault("_hooks", {}).setdefault(moment, []).append(call)

    def _has_hooks(self) -> bool:
        return bool(self.__dict__.get("_hooks"))

    def _call_hooks(self, moment: str, number: int) -> None:
        for call in self.__dict__.get("_hooks", {}).get(moment, ()):
            call(number)

    # ------------------------------------------------------------ MemoryData

    def set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Hand images to the MemoryData layer that the net begins with.

        Parameters
        ----------
        data : numpy.ndarray
            (N, channels, height, width); each forward pass takes the next batch of them, and
            begins again at the end.
        labels : numpy.ndarray
            N numbers.

        Raises
        ------
        LayerError
            The net does not begin with such a layer, or the arrays do not fit it.
        """
        first = self.nodes[0].layer
        if not isinstance(first, MemoryData):
            raise LayerError(
                "set_input_arrays is for nets whose first layer is MemoryData, and this one's "
                f"is {first.type}; give the arrays to forward(name=array)"
            )
        first.feed(np.asarray(data), np.asarray(labels))

    _set_input_arrays = set_input_arrays
