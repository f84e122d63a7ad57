"""Which layers of a network can be viewed, and the shape of their units.

Works on anything with pycaffe's names (`blobs`, `_layer_names`, `layers`,
`top_names`, `inputs`), so tests need no engine.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from caffevis.keys.state import Layer
from caffevis.model.blocks import blocks_of
from toolbox.pictures.images import grid_shape

# Tops of these hold pixels or copies of another blob, nothing to look at.
_NOT_SHOWN = frozenset(
    {"Input", "Data", "ImageData", "HDF5Data", "MemoryData", "DummyData", "WindowData"}
    | {"AnnotatedData", "InputDeviation", "Parameter", "Split", "Dropout", "Silence"}
)
# Tops of these have their bottom's picture, in other shades or another order.
_REPEATING = frozenset({"BatchNorm", "Scale", "Bias", "Flatten", "Reshape", "Split", "Dropout"})


class BlobLike(Protocol):
    """A blob of pycaffe's."""

    @property
    def data(self) -> npt.NDArray[np.float32]:
        """Values, writable."""

    @property
    def diff(self) -> npt.NDArray[np.float32]:
        """Derivatives, writable."""

    @property
    def shape(self) -> Sequence[int]:
        """Axes, the batch first."""

    def reshape(self, *shape: int) -> None:
        """Change the shape."""


class LayerLike(Protocol):
    """A layer of pycaffe's."""

    @property
    def type(self) -> str:
        """Caffe's type name."""


class NetLike(Protocol):
    """What is used of a `Net` of pycaffe's, with the deconv fork's additions.

    A net may also have `guided_from_layer`, of the same form, for guided backprop.
    """

    @property
    def _layer_names(self) -> Sequence[str]:
        """Names of the layers, in order."""

    @property
    def blobs(self) -> Mapping[str, Any]:
        """Blobs by name, in the net's order."""

    @property
    def layers(self) -> Sequence[Any]:
        """Layers, in the order of `_layer_names`."""

    @property
    def top_names(self) -> Mapping[str, Sequence[str]]:
        """Names of each layer's tops."""

    @property
    def inputs(self) -> list[str]:
        """Names of the input blobs."""

    def forward(self) -> Any:
        """Compute every blob from the inputs."""

    def reshape(self) -> None:
        """Pass changed input shapes on."""

    def backward_from_layer(self, layer: str, diff: Any, *, zero_higher: bool) -> Any:
        """Backpropagate a diff of a layer's top to the inputs."""

    def deconv_from_layer(self, layer: str, diff: Any, *, zero_higher: bool) -> Any:
        """Do the same by the deconvnet's rule."""


class LayerError(Exception):
    """A network without anything to show; one sentence."""


def units_of(shape: Sequence[int]) -> int:
    """Count the units of a blob: its second axis, or the only one.

    Parameters
    ----------
    shape : sequence of int
        With the batch axis first, except for one axis, which holds the units.

    Returns
    -------
    int
        0 for a scalar.
    """
    if not shape:
        return 0
    return int(shape[0] if len(shape) == 1 else shape[1])


def image_of(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Take the first image of a blob's values: units first, no batch axis."""
    return values if values.ndim <= 1 else values[0]


def producers(net: NetLike) -> dict[str, list[str]]:
    """List for each blob the layers that write it, in order (in-place ones after the first)."""
    found: dict[str, list[str]] = {}
    for name in net._layer_names:
        for top in net.top_names[name]:
            found.setdefault(top, []).append(name)
    return found


def start_layer(net: NetLike, blob: str) -> str:
    """Choose the layer that a back pass from a blob starts at.

    The layer of the blob's own name, so that an in-place ReLU behind it is not
    applied; where no layer has that name, the first that writes the blob.
    """
    writers = producers(net).get(blob, [])
    return blob if blob in writers or not writers else writers[0]


def shown_blobs(net: NetLike, leave_out: Callable[[str], object] | None = None) -> list[str]:
    """List the blobs that can be viewed, in the net's order.

    Parameters
    ----------
    net : NetLike
        The network.
    leave_out : callable, optional
        `caffevis_filter_layers`: a blob is left out where it returns true.

    Returns
    -------
    list of str
        Without inputs, data, dropout's copies, splits, scalars and empty blobs.

    Raises
    ------
    LayerError
        Nothing is left.
    """
    types = {name: layer.type for name, layer in zip(net._layer_names, net.layers, strict=True)}
    writers = producers(net)
    names = []
    for blob, values in net.blobs.items():
        first = types[writers[blob][0]] if blob in writers else "Input"
        if blob in net.inputs or first in _NOT_SHOWN or 0 in values.shape:
            continue
        if units_of(values.shape) and not (leave_out and leave_out(blob)):
            names.append(blob)
    if not names:
        raise LayerError(
            "The network has no layer to show: its definition holds only data, or "
            "caffevis_filter_layers leaves every layer out."
        )
    return names


def list_layers(
    net: NetLike,
    aspect: float,
    label: Callable[[str], str],
    leave_out: Callable[[str], object] | None = None,
) -> tuple[Layer, ...]:
    """Describe every layer that can be viewed.

    Parameters
    ----------
    net : NetLike
        The network.
    aspect : float
        `caffevis_layers_aspect_ratio`: columns over rows.
    label : callable
        From a blob's name to what the list of layers calls it.
    leave_out : callable, optional
        See `shown_blobs`.

    Returns
    -------
    tuple of Layer
        At least one.
    """
    names = shown_blobs(net, leave_out)
    labels, again = [str(label(name)) for name in names], repeating_blobs(net)
    layouts = getattr(net, "layouts", {})  # an imported net's may have units on other axes
    layers = []
    for name, text, (block, part) in zip(names, labels, blocks_of(labels), strict=True):
        shape, layout = net.blobs[name].shape, layouts.get(name)
        units = units_of(shape) if layout is None else int(layout.units)
        rows, columns = grid_shape(units, aspect)
        size = tuple(int(length) for length in (shape[2:] if layout is None else layout.size))
        layers.append(Layer(name, text, units, rows, columns, block, part, name in again, size))
    return tuple(layers)


def repeating_blobs(net: NetLike) -> set[str]:
    """Name the blobs whose every writer only scales, shifts or reorders one other blob.

    An in-place ReLU behind such a one makes a picture of its own of it.
    """
    types = {name: layer.type for name, layer in zip(net._layer_names, net.layers, strict=True)}
    return {
        blob
        for blob, writers in producers(net).items()
        if all(types[name] in _REPEATING for name in writers)
    }


def missing_layer(net: NetLike, name: str) -> str:
    """Say that a network has no layer of a name, and which is nearest."""
    close = difflib.get_close_matches(name, list(net.blobs), 1, 0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"the network has no layer {name!r}{hint}"
