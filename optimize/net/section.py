"""The part of a net between its image input and the layers pushed, for batches of any size.

A section is a net of its own that shares the original's parameters, so nothing of the
original changes: no shapes, no values, no diffs. It holds only the layers that the pushed
ones depend on, and its input may be just a crop of the image.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

import torchcaffe as caffe
from optimize.errors import OptimizeError
from torchcaffe.proto.caffe_pb2 import LayerParameter, NetParameter


@dataclass(frozen=True)
class Part:
    """Which layers a section needs, by their numbers in the net.

    Parameters
    ----------
    layers : tuple of int
        In the net's order; in-place layers on the targets' blobs included.
    starts : dict of str to int
        Each target's layer, from which its gradient goes down.
    source : str
        The image input.
    held : tuple of str
        Other inputs, which keep their values.
    """

    layers: tuple[int, ...]
    starts: Mapping[str, int]
    source: str
    held: tuple[str, ...] = ()


def find_part(net: caffe.Net, targets: Sequence[str]) -> Part:
    """Return what a section for some layers needs.

    Raises
    ------
    OptimizeError
        A layer is unknown, or does not depend on the image.
    """
    names = list(net.layer_dict)
    starts = {target: _start(net, target) for target in targets}
    needed: set[str] = set(targets)
    last = max(_last_in_place(net, target, start) for target, start in starts.items())
    chosen = []
    for i in range(last, -1, -1):
        tops, bottoms = net.top_names[names[i]], net.bottom_names[names[i]]
        if needed.intersection(tops):
            chosen.append(i)
            needed.update(bottoms)
    sources = [n for n in net.inputs if n in needed]
    image = image_input(net)
    if image not in sources:
        others = [n for n in sources if len(net.blobs[n].shape) == 4]
        cure = f"; --image-input {others[0]} optimises another" if others else ""
        raise OptimizeError(
            f"{' and '.join(targets)} depend on the inputs {', '.join(sources) or 'none'}, and not "
            f"on the image {image!r}{cure}"
        )
    held = tuple(name for name in sources if name != image)
    return Part(tuple(reversed(chosen)), starts, image, held)


def image_input(net: caffe.Net) -> str:
    """Return the input that is optimised: the first with four axes.

    Raises
    ------
    OptimizeError
        There is none.
    """
    for name in net.inputs:
        if len(net.blobs[name].shape) == 4:
            return name
    raise OptimizeError("the net has no input of four axes, so no image to optimise")


def _start(net: caffe.Net, target: str) -> int:
    """Return the number of the layer that makes a blob: the first one, so no in-place ReLU."""
    for i, name in enumerate(net.layer_dict):
        if target in net.top_names[name]:
            return i
    raise unknown_layer(net, target)


def unknown_layer(net: caffe.Net, name: str) -> OptimizeError:
    """Return the error for a name that is no layer with units."""
    known = [n for n in net.layer_dict if n in net.blobs and n not in net.inputs]
    return OptimizeError(f"there is no layer {name!r} to push; there are {', '.join(known)}")


def _last_in_place(net: caffe.Net, target: str, start: int) -> int:
    """Return the last layer that runs in place on a blob: its value is what the blob holds."""
    last = start
    for i, name in enumerate(net.layer_dict):
        if i > start and target in net.top_names[name] and target in net.bottom_names[name]:
            last = i
    return last


def _without_padding(param: LayerParameter) -> None:
    for name in ("convolution_param", "pooling_param"):
        if param.HasField(name):
            for field in ("pad", "pad_h", "pad_w"):
                getattr(param, name).ClearField(field)


def _is_for_each_image(net: caffe.Net, part: Part, name: str) -> bool:
    """Return whether an input has a value for each image of the batch."""
    return net.blobs[name].dims[:1] == net.blobs[part.source].dims[:1]


def _put_inputs(param: LayerParameter, net: caffe.Net, part: Part, size: tuple[int, int]) -> None:
    """Leave a layer of inputs only those that are needed, the image in another size."""
    tops = [top for top in param.top if top == part.source or top in part.held]
    del param.top[:], param.input_param.shape[:]
    for top in tops:
        shape = net.blobs[top].dims
        if top == part.source:
            shape = (1, shape[1], *size)
        elif _is_for_each_image(net, part, top):
            shape = (1, *shape[1:])
        param.top.append(top)
        param.input_param.shape.add().dim.extend(shape)


def _hand_on(param: LayerParameter) -> None:
    """Make a layer one that hands its input on."""
    name, bottoms, tops = param.name, list(param.bottom), list(param.top)
    param.Clear()
    param.name, param.type = name, "Power"  # with power 1, scale 1 and shift 0
    param.bottom.extend(bottoms)
    param.top.extend(tops)


class Section:
    """A runnable part of a net.

    Parameters
    ----------
    net : torchcaffe.Net
        Whose parameters are shared.
    part : Part
        Which layers.
    size : (int, int)
        Height and width of the input.
    padded : bool
        False to build convolutions and poolings without padding.
    opened : collection of int
        Layers of the net, by number, that only hand on what they get.
    """

    def __init__(
        self,
        net: caffe.Net,
        part: Part,
        size: tuple[int, int],
        *,
        padded: bool = True,
        opened: Collection[int] = (),
    ) -> None:
        self._made_of = (net, part, size, padded)
        layers = [node.layer for node in net.nodes]
        param = NetParameter(name=net.name)
        for i in part.layers:
            copy = param.layer.add()
            copy.CopyFrom(layers[i].param)
            if layers[i].is_input:
                _put_inputs(copy, net, part, size)
            elif i in opened:
                _hand_on(copy)
            elif not padded:
                _without_padding(copy)
        # Whoever loaded the net has let its Python layers run.
        with caffe.python_layers_allowed(True):
            self._net = caffe.Net.from_param(param)
        self._net.share_with(net)
        self._source = self._net.blobs[part.source]
        self._held = [
            (name, net.blobs[name], _is_for_each_image(net, part, name)) for name in part.held
        ]
        self.size = size
        self.device = net.blobs[part.source].device
        # Of one image, before any batch has given the blobs another size.
        tops = self._net.top_names.values()
        self._sizes = [sum(math.prod(self._net.blobs[t].shape) for t in names) for names in tops]
        self._largest = max(math.prod(blob.shape) for blob in self._net.blobs.values())
        self._starts = sorted(((part.layers.index(i), t) for t, i in part.starts.items()))[::-1]
        self._last = len(part.layers) - 1

    def opened(self, layers: Collection[int]) -> Section:
        """Return the same section with some of the net's layers handing on what they get."""
        net, part, size, padded = self._made_of
        return Section(net, part, size, padded=padded, opened=layers)

    def shape(self, target: str) -> tuple[int, ...]:
        """Return the shape of a target, with a batch of one."""
        return tuple(self._net.blobs[target].shape)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return the targets' values for images (n, channels, h, w)."""
        self._source.set_tensor(x)
        for name, blob, for_each in self._held:
            value = blob.tensor
            if for_each:
                value = value[:1].expand(len(x), *value.shape[1:])
            self._net.blobs[name].set_tensor(value.clone())
        self._net._forward(0, self._last)
        return {name: self._net.blobs[name].tensor for _, name in self._starts}

    def backward(self, diffs: Mapping[str, Tensor]) -> Tensor:
        """Return the gradient of the images last shown, for the targets' diffs."""
        for _, name in self._starts:
            self._net.blobs[name].clear_diff()
        places = [*self._starts, (-1, "")]
        for (start, name), (end, _) in zip(places, places[1:], strict=False):
            blob = self._net.blobs[name]
            blob.add_to_diff(diffs[name].reshape(blob.shape))
            self._net._backward(start, end + 1, params=False)
        return self._source.diff_tensor

    def sizes(self) -> list[int]:
        """Return how many values each layer of the part writes for one image."""
        return self._sizes

    def largest(self) -> int:
        """Return how many values the largest map of one image has."""
        return self._largest

    def broken_layer(self) -> str | None:
        """Return the name of a layer whose parameters are not all finite numbers, if any is."""
        for name, blobs in self._net.params.items():
            if not all(bool(torch.isfinite(blob.tensor).all()) for blob in blobs):
                return name
        return None
