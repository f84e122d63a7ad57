"""The net: layers in order, blobs by name, and the passes through them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from torchcaffe.blobs.blob import Blob
from torchcaffe.engine import weights as weight_files
from torchcaffe.engine.backward_rules import BACKPROP, Rule
from torchcaffe.engine.building import Building
from torchcaffe.engine.chains import Chain
from torchcaffe.engine.layouts import Layout, find_layouts
from torchcaffe.engine.node import explained
from torchcaffe.engine.pairs import Pair
from torchcaffe.engine.partial import build_known
from torchcaffe.engine.passes import Passes
from torchcaffe.engine.pycaffe_names import PycaffeNames
from torchcaffe.engine.rounding import without_round_mode
from torchcaffe.errors import ArgumentError, CaffeError, DefinitionError, ShapeError, unknown_name
from torchcaffe.layers import Layer
from torchcaffe.layers.python_layer import PythonLayer, python_layers_allowed
from torchcaffe.proto.caffe_pb2 import (
    TEST,
    TRAIN,
    LayerParameter,
    NetParameter,
    NetState,
    Phase,
)
from torchcaffe.proto.text import read_text
from torchcaffe.proto.upgrade import upgrade

NO_GRAD = torch.no_grad()


class Net(Building, Passes, PycaffeNames):
    """A Caffe net with pycaffe's interface.

    Net(prototxt, phase), Net(prototxt, weights, phase) or
    Net(prototxt, phase, level=0, stages=None, weights=None), as pycaffe.

    Parameters
    ----------
    leave_out_unknown : bool
        Build what does not depend on layers of unknown types, and warn of the rest, instead
        of refusing the whole net.

    Attributes
    ----------
    blobs : OrderedDict of str to Blob
        Every blob, splits included, in the order of the layers.
    params : OrderedDict of str to list of Blob
        The parameters of the layers that have any.
    layers : list of Layer
        Every layer, `type` and `blobs` at each; `layer_dict` is the same by name. A Python
        layer's is the user's own object.
    nodes : list of Node
        Every layer as the engine knows it, with its bottom and top blobs.
    inputs, outputs : list of str
        Names of the blobs that come from Input layers, and, sorted, of those nobody uses.
    blob_loss_weights : OrderedDict of str to float
        What each blob counts in the loss.
    left_out : dict of str to str
        Names and types of the layers that `leave_out_unknown` left out.
    between_layers : callable or None
        Called before each layer of a back pass from one blob (`zero_higher`). What it raises
        ends the pass, with the diffs below not computed.
    """

    between_layers: Callable[[], None] | None = None

    def __init__(
        self,
        network_file: str | Path,
        *args: Any,
        phase: int | None = None,
        level: int = 0,
        stages: Sequence[str] | None = None,
        weights: str | Path | None = None,
        leave_out_unknown: bool = False,
    ) -> None:
        phase, weights = _constructor_arguments(args, phase, weights)
        param = upgrade(read_text(network_file, NetParameter()), str(network_file))
        state = NetState(phase=phase, level=level, stage=list(stages or []))
        try:
            if leave_out_unknown:
                self.left_out = build_known(
                    lambda rest: self._build(rest, state),
                    lambda: self._building,
                    param,
                    state,
                    str(network_file),
                )
            else:
                self._build(param, state)
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, CaffeError):
                raise
            raise DefinitionError(f"{network_file} can't be built: {error}") from error
        if weights is not None:
            self.copy_from(weights)

    @classmethod
    def from_param(cls, param: NetParameter, phase: Phase = TEST) -> Net:
        """Build a net from a NetParameter message (which is not changed)."""
        net = cls.__new__(cls)
        copy = NetParameter()
        copy.CopyFrom(param)
        net._build(upgrade(copy, param.name or "the net"), NetState(phase=phase))
        return net

    # ------------------------------------------------------------ building

    def twin(self) -> Net:
        """Return a net with the same parameters, and blobs of its own in the same shapes.

        The two can compute at the same time, on two threads.
        """
        net = Net.__new__(Net)
        with python_layers_allowed(True):  # whoever loaded this net has let them run
            net._build(self._definition, self._state)
        net.share_with(self)
        for blobs in net.params.values():
            for blob in blobs:
                blob.memory.tensor()  # fillers draw now, not on both threads at once
        for name in net.inputs:
            net.blobs[name].reshape(*self.blobs[name].dims)
        net.reshape()
        return net

    # ------------------------------------------------------------ looking up

    @property
    def layers(self) -> list[Layer | PythonLayer]:
        """Every layer in order."""
        return list(self.layer_dict.values())

    @property
    def layouts(self) -> dict[str, Layout]:
        """Where the units are, of the blobs that have them elsewhere than on axis 1."""
        return find_layouts(self.nodes, {id(blob): name for name, blob in self.blobs.items()})

    def _index(self, layer: str) -> int:
        for i, name in enumerate(self.layer_dict):
            if name == layer:
                return i
        raise unknown_name("layer", layer, self.layer_dict)

    # ------------------------------------------------------------ passes by number

    @NO_GRAD
    def _forward(self, start: int, end: int) -> float:
        """Run layers `start` to `end` (both included); return the loss."""
        self._check_range(start, end)
        i = start
        while i <= end:
            several = self._several_from(i, end)
            if several is not None:
                several.forward()
                i += several.length
                continue
            self._call_hooks("before_forward", i)
            self.nodes[i].forward()
            self._call_hooks("after_forward", i)
            i += 1
        return sum(
            weight * float(self.blobs[name].tensor.sum())
            for name, weight in self.blob_loss_weights.items()
            if weight
        )

    @NO_GRAD
    def _backward(self, start: int, end: int, rule: Rule = BACKPROP, params: bool = True) -> None:
        """Run layers `start` down to `end` (both included) on the diffs in their tops."""
        self._check_range(end, start)
        i = start
        while i >= end:
            i = self._step_down(i, end, rule, params) - 1

    def _step_down(self, start: int, end: int, rule: Rule, params: bool) -> int:
        """Carry diffs through layer `start`, or several as one; return the lowest one's number."""
        several = None if params else self._several_to(start, end)
        if several is not None:
            several.backward()
            return several.first
        self._call_hooks("before_backward", start)
        self.nodes[start].backward(rule, params=params)
        self._call_hooks("after_backward", start)
        return start

    def _several_from(self, start: int, end: int) -> Chain | Pair | None:
        """Return what computes several layers from `start` on as one, none of them past `end`.

        Nothing where hooks look at every layer.
        """
        if self._has_hooks():
            return None
        for found in (self._chains.get(start), self._pairs.get(start)):
            if found is not None and start + found.length - 1 <= end:
                return found
        return None

    def _several_to(self, start: int, end: int) -> Chain | Pair | None:
        """Return what carries diffs through several layers as one, from `start` down."""
        if self._has_hooks() or start - 1 not in self._pairs or start - 1 < end:
            return None
        chain = self._chains.get(start - 2) if start - 2 >= end else None
        return chain or self._pairs[start - 1]

    def _check_range(self, low: int, high: int) -> None:
        if not 0 <= low <= high < len(self.nodes):
            raise ArgumentError(
                f"layers {low} to {high} do not exist or are in the wrong order; "
                f"this net has layers 0 to {len(self.nodes) - 1}"
            )

    @NO_GRAD
    def _backward_alone(self, blob: Blob, start: int, rule: Rule, end: int = 0) -> None:
        """Go down from one blob's diff with every other diff zero, on its ancestors only."""
        for other in self.blobs.values():
            if other is not blob:
                other.clear_diff()
        reached, i = {id(blob)}, start
        while i >= end:
            if any(id(top) in reached for top in self.nodes[i].tops):
                if self.between_layers is not None:
                    self.between_layers()
                i = self._step_down(i, end, rule, params=False)
                reached.update(id(bottom) for bottom in self.nodes[i].bottoms)
            i -= 1

    # ------------------------------------------------------------ parameters

    def reshape(self) -> None:
        """Bring every blob to the shape that the inputs' shapes now give."""
        for node in self.nodes:
            with explained(node.layer, node.bottoms):
                node.reshape()

    def copy_from(self, path: str | Path) -> None:
        """Load weights from a .caffemodel or .h5 file, matched by layer name.

        Raises
        ------
        FileError
            The file is missing or damaged.
        ShapeError
            A stored parameter has another shape; the sentence names layer and shapes.
        """
        self._load(path, hdf5=False)

    def load_hdf5(self, path: str | Path) -> None:
        """Load weights from a file in Caffe's HDF5 form, whatever its name; else the same."""
        self._load(path, hdf5=True)

    def _load(self, path: str | Path, *, hdf5: bool) -> None:
        missing = weight_files.load(self.params, path, hdf5=hdf5)
        if missing:
            warnings.warn(
                f"{path} has no weights for layer(s) {', '.join(missing)}; "
                "they keep their filler's values",
                stacklevel=3,
            )

    def share_with(self, other: Net) -> None:
        """Use the other net's parameters where layer names are the same."""
        for name, blobs in self.params.items():
            for own, theirs in zip(blobs, other.params.get(name, []), strict=False):
                if own.dims != theirs.dims:
                    raise ShapeError(
                        f"layer {name!r} can't share parameters of shapes "
                        f"{own.dims} and {theirs.dims}"
                    )
                own.share_data(theirs)

    def save(self, path: str | Path) -> None:
        """Write a binary caffemodel (float32, bit for bit)."""
        weight_files.save_caffemodel(self.name, self._stored_layers(), path)

    def definition(self) -> NetParameter:
        """Return a copy of the definition."""
        copy = NetParameter()
        copy.CopyFrom(self._definition)
        return copy

    def save_prototxt(self, path: str | Path) -> None:
        """Write the definition for the present sizes, beside which `save` writes the weights.

        Raises
        ------
        DefinitionError
            A layer is none of Caffe's (an imported net may have some); all are named.
        """
        weight_files.save_definition(
            without_round_mode(self._definition, self.layer_dict, self.blobs), path
        )

    def save_hdf5(self, path: str | Path, diffs: bool = False) -> None:
        """Write weights, and diffs if asked for, in Caffe's HDF5 form."""
        weight_files.save_hdf5(self.params, path, diffs=diffs)

    def _stored_layers(self) -> Iterator[tuple[LayerParameter, list[Blob]]]:
        for node in self.nodes:
            yield node.layer.param, node.layer.blobs

    def clear_param_diffs(self) -> None:
        """Set the diffs of all parameters to zero."""
        for blobs in self.params.values():
            for blob in blobs:
                blob.clear_diff()

    def zero(self) -> None:
        """Set data and diff of all blobs to zero (the deconv fork's call)."""
        for blob in self.blobs.values():
            blob.set_tensor(torch.zeros_like(blob.tensor))
            blob.clear_diff()


def _constructor_arguments(
    args: tuple[Any, ...], phase: int | None, weights: str | Path | None
) -> tuple[Phase, str | Path | None]:
    """Sort pycaffe's positional forms: (phase), (weights, phase)."""
    for value in args:
        if isinstance(value, str | Path) and weights is None:
            weights = value
        elif isinstance(value, int) and value in (TRAIN, TEST) and phase is None:
            phase = value
        else:
            raise ArgumentError(
                "Net takes (prototxt, phase), (prototxt, weights, phase) or "
                "(prototxt, phase, weights=...), with phase torchcaffe.TRAIN or torchcaffe.TEST"
            )
    if phase is None or phase not in (TRAIN, TEST):
        raise ArgumentError("Net needs a phase: torchcaffe.TRAIN or torchcaffe.TEST")
    return TRAIN if phase == TRAIN else TEST, weights
