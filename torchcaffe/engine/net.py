"""The net: layers in order, blobs by name, and the passes through them."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from torchcaffe.blobs.blob import Blob, check_total
from torchcaffe.engine import weights as weight_files
from torchcaffe.engine.backward_rules import BACKPROP, Rule
from torchcaffe.engine.graph import filter_layers, insert_splits
from torchcaffe.engine.layouts import Layout, find_layouts
from torchcaffe.engine.node import Node, explained
from torchcaffe.engine.passes import Passes
from torchcaffe.engine.rounding import without_round_mode
from torchcaffe.errors import ArgumentError, CaffeError, DefinitionError, ShapeError, unknown_name
from torchcaffe.layers import Layer, create
from torchcaffe.layers.python_layer import python_layers_allowed
from torchcaffe.proto.caffe_pb2 import (
    TEST,
    TRAIN,
    LayerParameter,
    NetParameter,
    NetState,
    ParamSpec,
    Phase,
)
from torchcaffe.proto.text import read_text
from torchcaffe.proto.upgrade import upgrade

NO_GRAD = torch.no_grad()


class Net(Passes):
    """A Caffe net with pycaffe's interface.

    Net(prototxt, phase), Net(prototxt, weights, phase) or
    Net(prototxt, phase, level=0, stages=None, weights=None), as pycaffe.

    Attributes
    ----------
    blobs : OrderedDict of str to Blob
        Every blob, splits included, in the order of the layers.
    params : OrderedDict of str to list of Blob
        The parameters of the layers that have any.
    layers : list of Layer
        Every layer, `type` and `blobs` at each; `layer_dict` is the same by name.
    inputs, outputs : list of str
        Names of the blobs that come from Input layers, and of those nobody uses.
    blob_loss_weights : OrderedDict of str to float
        What each blob counts in the loss.
    """

    def __init__(
        self,
        network_file: str | Path,
        *args: Any,
        phase: int | None = None,
        level: int = 0,
        stages: Sequence[str] | None = None,
        weights: str | Path | None = None,
    ) -> None:
        phase, weights = _constructor_arguments(args, phase, weights)
        param = upgrade(read_text(network_file, NetParameter()), str(network_file))
        state = NetState(phase=phase, level=level, stage=list(stages or []))
        try:
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
            net.blobs[name].reshape(*self.blobs[name].shape)
        net.reshape()
        return net

    def _build(self, param: NetParameter, state: NetState) -> None:
        self._definition, self._state = param, state
        self.name = param.name
        self.phase = state.phase
        self.blobs: OrderedDict[str, Blob] = OrderedDict()
        self.layer_dict: OrderedDict[str, Layer] = OrderedDict()
        self.params: OrderedDict[str, list[Blob]] = OrderedDict()
        self.blob_loss_weights: OrderedDict[str, float] = OrderedDict()
        self.top_names: OrderedDict[str, list[str]] = OrderedDict()
        self.bottom_names: OrderedDict[str, list[str]] = OrderedDict()
        self.inputs: list[str] = []
        self._nodes: list[Node] = []
        self._shared: dict[str, Blob] = {}
        self._values = 0  # how many there are in all blobs and parameters
        self._aliased: set[int] = set()
        for layer_param in insert_splits(filter_layers(param, state)):
            self._append(layer_param)
        # the last layer that uses each blob; in place, it also makes it, and nobody follows
        last = {name: layer for layer, names in self.bottom_names.items() for name in names}
        self.outputs = [
            name for name in self.blobs if name not in last or name in self.top_names[last[name]]
        ]

    def _append(self, param: LayerParameter) -> None:
        if param.name in self.layer_dict:
            raise DefinitionError(f"two layers have the name {param.name!r}; give each its own")
        layer = create(param, self.phase)
        bottoms = [self.blobs[name] for name in param.bottom]
        shapes = [blob.shape for blob in bottoms]
        with explained(layer, shapes):
            layer.setup(shapes)
            self._share_params(layer)
            tops = layer.reshape(shapes)
        if len(tops) != len(param.top):
            raise DefinitionError(
                f"layer {param.name!r} ({param.type}) makes {len(tops)} tops, "
                f"the definition names {len(param.top)}"
            )
        top_blobs = []
        for j, (name, shape) in enumerate(zip(param.top, tops, strict=True)):
            in_place = name in param.bottom[j : j + 1]
            if name in self.blobs and not in_place:
                raise DefinitionError(
                    f"layer {param.name!r} ({param.type}) makes the top {name!r}, which exists "
                    "already and which others use too; give it another name"
                )
            blob = self.blobs[name] if in_place else Blob(shape)
            if in_place and blob.shape != tuple(shape):
                raise ShapeError(
                    f"layer {param.name!r} ({param.type}) changes the shape {blob.shape} to "
                    f"{tuple(shape)} in place; give its top another name"
                )
            self.blobs[name] = blob
            top_blobs.append(blob)
        self._register(layer, bottoms, top_blobs)
        self._nodes[-1].seen = shapes
        if not layer.shares_memory:
            self._values += sum(blob.count for blob in [*top_blobs, *layer.blobs])
            check_total(self._values, f"layer {param.name!r} ({param.type})")

    def _register(self, layer: Layer, bottoms: list[Blob], tops: list[Blob]) -> None:
        param, node = layer.param, Node(layer, bottoms, tops)
        node.is_aliased = node.in_place and id(tops[0]) in self._aliased
        if layer.shares_memory:
            self._aliased.update(map(id, tops))
        self._nodes.append(node)
        self.layer_dict[param.name] = layer
        self.top_names[param.name] = list(param.top)
        self.bottom_names[param.name] = list(param.bottom)
        if layer.is_input:
            self.inputs += list(param.top)
        if layer.blobs or layer.type == "Python":
            self.params[param.name] = layer.blobs
        if len(param.loss_weight) not in (0, len(tops)):
            raise DefinitionError(
                f"layer {param.name!r} ({param.type}) has {len(param.loss_weight)} loss_weight for "
                f"{len(tops)} top(s); none or one for each is accepted"
            )
        for i, name in enumerate(param.top):
            default = layer.default_loss_weight if i == 0 else 0.0
            weight = param.loss_weight[i] if i < len(param.loss_weight) else default
            self.blob_loss_weights[name] = weight
            if weight:
                tops[i].fill_diff(weight)

    def _share_params(self, layer: Layer) -> None:
        """Use one blob for parameters of one name (`param { name: ... }`)."""
        for i, spec in enumerate(layer.param.param[: len(layer.blobs)]):
            if not spec.name:
                continue
            owner = self._shared.setdefault(spec.name, layer.blobs[i])
            own = layer.blobs[i]
            loose = spec.share_mode == ParamSpec.PERMISSIVE
            if owner.shape != own.shape and not (loose and owner.count == own.count):
                raise ShapeError(
                    f"layer {layer.name!r} shares the parameter {spec.name!r} of shape "
                    f"{owner.shape}, but needs {own.shape}"
                )
            if owner.shape == own.shape:
                layer.blobs[i] = owner
            else:
                layer.blobs[i] = owner.viewed_as(own.shape)

    # ------------------------------------------------------------ looking up

    @property
    def layers(self) -> list[Layer]:
        """Every layer in order."""
        return [node.layer for node in self._nodes]

    @property
    def _layer_names(self) -> list[str]:
        return list(self.layer_dict)

    @property
    def _blob_names(self) -> list[str]:
        return list(self.blobs)

    @property
    def layouts(self) -> dict[str, Layout]:
        """Where the units are, of the blobs that have them elsewhere than on axis 1."""
        return find_layouts(self._nodes, {id(blob): name for name, blob in self.blobs.items()})

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
        for node in self._nodes[start : end + 1]:
            node.forward()
        return sum(
            weight * float(self.blobs[name].tensor.sum())
            for name, weight in self.blob_loss_weights.items()
            if weight
        )

    @NO_GRAD
    def _backward(self, start: int, end: int, rule: Rule = BACKPROP, params: bool = True) -> None:
        """Run layers `start` down to `end` (both included) on the diffs in their tops."""
        self._check_range(end, start)
        for node in reversed(self._nodes[end : start + 1]):
            node.backward(rule, params=params)

    def _check_range(self, low: int, high: int) -> None:
        if not 0 <= low <= high < len(self._nodes):
            raise ArgumentError(
                f"layers {low} to {high} do not exist or are in the wrong order; "
                f"this net has layers 0 to {len(self._nodes) - 1}"
            )

    @NO_GRAD
    def _backward_alone(self, blob: Blob, start: int, rule: Rule) -> None:
        """Go down from one blob's diff with every other diff zero, on its ancestors only."""
        for other in self.blobs.values():
            if other is not blob:
                other.clear_diff()
        reached = {id(blob)}
        for node in reversed(self._nodes[: start + 1]):
            if any(id(top) in reached for top in node.tops):
                node.backward(rule, params=False)
                reached.update(map(id, node.bottoms))

    # ------------------------------------------------------------ parameters

    def reshape(self) -> None:
        """Bring every blob to the shape that the inputs' shapes now give."""
        for node in self._nodes:
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
                if own.shape != theirs.shape:
                    raise ShapeError(
                        f"layer {name!r} can't share parameters of shapes "
                        f"{own.shape} and {theirs.shape}"
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
        for node in self._nodes:
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
