"""From a definition to the layers and blobs of a net, one layer after the other."""

from __future__ import annotations

from collections import OrderedDict

from torchcaffe.blobs.blob import Blob, check_total
from torchcaffe.engine.auto_crop import with_crop_offsets
from torchcaffe.engine.chains import find_chains
from torchcaffe.engine.graph import AUTOMATIC, filter_layers, insert_splits
from torchcaffe.engine.node import Node, explained
from torchcaffe.engine.pairs import find_pairs
from torchcaffe.engine.pycaffe_names import Named
from torchcaffe.errors import DefinitionError, ShapeError
from torchcaffe.layers import Layer, create
from torchcaffe.layers.python_layer import Python, PythonLayer
from torchcaffe.proto.caffe_pb2 import LayerParameter, NetParameter, NetState, ParamSpec


class Building:
    """Mixin of `Net`: its layers, blobs, parameters and names, as the definition says."""

    left_out: dict[str, str]
    _building: LayerParameter  # how far building has come

    def _build(self, param: NetParameter, state: NetState) -> None:
        self._definition, self._state = param, state
        self.left_out, self._building = {}, LayerParameter()
        self.name = param.name
        self.phase = state.phase
        self.blobs: OrderedDict[str, Blob] = Named("blob")
        self.layer_dict: OrderedDict[str, Layer | PythonLayer] = Named("layer")
        self.params: OrderedDict[str, list[Blob]] = Named("layer with parameters")
        self.blob_loss_weights: OrderedDict[str, float] = OrderedDict()
        self.top_names: OrderedDict[str, list[str]] = Named("layer")
        self.bottom_names: OrderedDict[str, list[str]] = Named("layer")
        self.inputs: list[str] = []
        self.nodes: list[Node] = []
        self._need_diffs: set[str] = set()
        self._shared: dict[str, Blob] = {}
        self._values = 0  # how many there are in all blobs and parameters
        self._aliased: set[int] = set()
        for layer_param in insert_splits(with_crop_offsets(filter_layers(param, state))):
            self._building = layer_param
            self._append(layer_param)
        self._pairs = find_pairs(self.nodes)
        self._chains = find_chains(self.nodes, self._pairs)
        # the last layer that uses each blob; in place, it also makes it, and nobody follows
        last = {name: layer for layer, names in self.bottom_names.items() for name in names}
        self.outputs = sorted(  # as Caffe, which collects them in a sorted set
            name
            for name in self.blobs
            if (name not in last or name in self.top_names[last[name]])
            and not name.startswith(AUTOMATIC)
        )

    def _append(self, param: LayerParameter) -> None:
        if param.name in self.layer_dict:
            raise DefinitionError(f"two layers have the name {param.name!r}; give each its own")
        layer = create(param, self.phase)
        bottoms = [self.blobs[name] for name in param.bottom]
        tops = self._top_blobs(param)
        shapes = [blob.dims for blob in bottoms]
        layer.attach(bottoms, tops)
        with explained(layer, shapes):
            layer.setup(shapes)
            self._share_params(layer)
            top_shapes = layer.reshape(shapes)
        if len(top_shapes) != len(tops):
            raise DefinitionError(
                f"layer {param.name!r} ({param.type}) makes {len(top_shapes)} tops, "
                f"the definition names {len(tops)}"
            )
        for name, blob, shape in zip(param.top, tops, top_shapes, strict=True):
            if name in self.blobs and blob.dims != tuple(shape):
                raise ShapeError(
                    f"layer {param.name!r} ({param.type}) changes the shape {blob.dims} to "
                    f"{tuple(shape)} in place; give its top another name"
                )
            blob.reshape(*shape)
            self.blobs[name] = blob
        self._register(layer, bottoms, tops)
        self.nodes[-1].seen = shapes
        if not layer.shares_memory:
            self._values += sum(blob.count for blob in [*tops, *layer.blobs])
            check_total(self._values, f"layer {param.name!r} ({param.type})")

    def _top_blobs(self, param: LayerParameter) -> list[Blob]:
        """Return a layer's tops: new blobs, or in place its bottoms."""
        tops = []
        for j, name in enumerate(param.top):
            in_place = name in param.bottom[j : j + 1]
            if name in self.blobs and not in_place:
                raise DefinitionError(
                    f"layer {param.name!r} ({param.type}) makes the top {name!r}, which exists "
                    "already and which others use too; give it another name"
                )
            tops.append(self.blobs[name] if in_place else Blob((0,)))
        return tops

    def _register(self, layer: Layer, bottoms: list[Blob], tops: list[Blob]) -> None:
        param, node = layer.param, Node(layer, bottoms, tops)
        node.is_aliased = node.in_place and id(tops[0]) in self._aliased
        if layer.shares_memory:
            self._aliased.update(map(id, tops))
        self.nodes.append(node)
        node.set_needs(self._need_diffs, self._definition.force_backward)
        self.layer_dict[param.name] = layer.user if isinstance(layer, Python) else layer
        self.top_names[param.name] = list(param.top)
        self.bottom_names[param.name] = list(param.bottom)
        if layer.is_input:
            self.inputs += list(param.top)
        if layer.blobs:
            self.params[param.name] = layer.blobs
        for name, blob, weight in zip(param.top, tops, node.loss_weights(), strict=True):
            self.blob_loss_weights[name] = weight
            if weight:
                blob.fill_diff(weight)

    def _share_params(self, layer: Layer) -> None:
        """Use one blob for parameters of one name (`param { name: ... }`)."""
        for i, spec in enumerate(layer.param.param[: len(layer.blobs)]):
            if not spec.name:
                continue
            owner = self._shared.setdefault(spec.name, layer.blobs[i])
            own = layer.blobs[i]
            loose = spec.share_mode == ParamSpec.PERMISSIVE
            if owner.dims != own.dims and not (loose and owner.count == own.count):
                raise ShapeError(
                    f"layer {layer.name!r} shares the parameter {spec.name!r} of shape "
                    f"{owner.dims}, but needs {own.dims}"
                )
            if owner.dims == own.dims:
                layer.blobs[i] = owner
            else:
                layer.blobs[i] = owner.viewed_as(own.dims)
