"""Which part of the image the net must be shown for one position of a layer.

Three ways, the cheapest first:

* *bare*: exactly the receptive field, through layers built without padding, so that the
  pushed layer has a single position. For chains of layers whose field lies inside the image.
* *aligned*: the field, begun at a multiple of the layer's stride and ended where the field
  ends, through the layers as they are. Every map then is a shifted part of the whole image's
  map, but for positions at the crop's border that padding reaches, on which the unit does not
  depend; where the crop ends at the image's border, the padding there is the image's own.
* *whole*: the image.

A crop is taken only if the layer's values at the position, and their gradient, come out as on
the whole image: it is tried on a random image first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

import torchcaffe as caffe
from optimize.net.section import Part, Section
from torchcaffe.regions import Region, receptive_field

_TRIAL_SIGMA = 40.0
_TOLERANCE = 0.01  # of the norm; a ReLU or maximum may switch by rounding


@dataclass(frozen=True, eq=False)
class View:
    """How the net looks at one position of a layer.

    Parameters
    ----------
    section : Section
        The layers to run.
    region : Region
        What it is shown: rows and columns of the image.
    field : Region
        What the unit sees of it, clipped to the image.
    row, column : int
        The unit's place in the section's map.
    full_size : (int, int)
        Height and width of the whole image.
    """

    section: Section
    region: Region
    field: Region
    row: int
    column: int
    full_size: tuple[int, int]

    @property
    def cropped(self) -> bool:
        """Whether the net is shown only part of the image."""
        return (self.region.height, self.region.width) != self.full_size


class Crops:
    """Finds and keeps the views of a net's layers.

    Parameters
    ----------
    net : torchcaffe.Net
        The net, at the size of the whole image.
    tried : bool
        False to take the first crop that can be built without trying it: for estimates.
    """

    def __init__(self, net: caffe.Net, *, tried: bool = True) -> None:
        self._net, self._tried = net, tried
        self._sections: dict[tuple[object, ...], Section] = {}
        self._wholes: dict[tuple[Section, tuple[int, int]], View] = {}
        self._views: dict[tuple[str, int, int, bool], View] = {}

    def whole(self, part: Part, place: tuple[int, int] = (0, 0)) -> View:
        """Return the view of the whole image, all of which is the field."""
        size = self._size(part)
        section = self._section(part, size, padded=True)
        if (section, place) not in self._wholes:  # one view, for what shares it can share a batch
            region = Region((0, size[0] - 1), (0, size[1] - 1))
            self._wholes[section, place] = View(section, region, region, *place, size)
        return self._wholes[section, place]

    def view(self, part: Part, layer: str, row: int, column: int, *, crop: bool = True) -> View:
        """Return the cheapest view of a position of one layer; without `crop`, of all."""
        key = (layer, row, column, crop)
        if key not in self._views:
            whole = self._at(part, layer, row, column)
            self._views[key] = self._cropped(part, layer, whole) if crop else whole
        return self._views[key]

    def _size(self, part: Part) -> tuple[int, int]:
        height, width = self._net.blobs[part.source].shape[2:]
        return height, width

    def _section(self, part: Part, size: tuple[int, int], *, padded: bool) -> Section:
        key = (part.layers, tuple(part.starts.items()), size, padded)
        if key not in self._sections:
            self._sections[key] = Section(self._net, part, size, padded=padded)
        return self._sections[key]

    def _at(self, part: Part, layer: str, row: int, column: int) -> View:
        """Return the view of the whole image, with what the position sees as the field."""
        whole = self.whole(part, (row, column))
        if len(self._net.blobs[layer].shape) != 4:
            return whole
        field = receptive_field(self._net, layer, row, column, part.source)
        return replace(whole, field=field.clipped(*whole.full_size))

    def _cropped(self, part: Part, layer: str, whole: View) -> View:
        if (whole.field.height, whole.field.width) == whole.full_size:
            return whole
        for candidate in self._candidates(part, layer, whole):
            channels = self._net.blobs[part.source].shape[1]
            if not self._tried or _agree(candidate, whole, layer, channels):
                return candidate
        return whole

    def _candidates(self, part: Part, layer: str, whole: View) -> Iterator[View]:
        wide = receptive_field(self._net, layer, whole.row, whole.column, part.source)
        if wide == whole.field and self._is_bare(part, layer, whole.row, whole.column):
            view = self._built(part, whole.field, whole.field, (0, 0), padded=False)
            if view is not None and view.section.shape(layer)[2:] == (1, 1):
                yield view
        aligned = self._aligned(part, layer, whole)
        if aligned is not None:
            yield aligned

    def _built(
        self, part: Part, region: Region, field: Region, place: tuple[int, int], *, padded: bool
    ) -> View | None:
        try:
            section = self._section(part, (region.height, region.width), padded=padded)
        except caffe.CaffeError:
            return None  # a layer on the way insists on the image's size
        return View(section, region, field, *place, self._size(part))

    def _is_bare(self, part: Part, layer: str, row: int, column: int) -> bool:
        """Whether no padding is ever seen, and every layer has one bottom and one reader."""
        names = list(self._net.layer_dict)
        for i in part.layers:
            name = names[i]
            if self._net.nodes[i].layer.is_input:
                continue
            bottoms, tops = self._net.bottom_names[name], self._net.top_names[name]
            if len(bottoms) != 1 or len(tops) != 1:
                return False
            shape = self._net.blobs[bottoms[0]].dims
            if len(shape) != 4 or not self._slides(i, shape):
                return False
            if i <= part.starts[layer]:
                seen = receptive_field(self._net, layer, row, column, bottoms[0])
                if seen != _clipped(seen, shape):
                    return False
        return True

    def _slides(self, index: int, shape: tuple[int, ...]) -> bool:
        layer = self._net.nodes[index].layer
        if layer.type in ("Convolution", "Pooling"):
            return True
        return all(layer.field((3, 3), axis, 0, [shape]) == (3, 3) for axis in (0, 1))

    def _aligned(self, part: Part, layer: str, whole: View) -> View | None:
        height, width = self._size(part)
        rows = self._span(part, layer, 0, whole.row, whole.field.rows)
        columns = self._span(part, layer, 1, whole.column, whole.field.columns)
        if rows is None or columns is None:
            return None
        region = Region((rows[0], whole.field.rows[1]), (columns[0], whole.field.columns[1]))
        if region.height == height and region.width == width:
            return None
        place = (whole.row - rows[1], whole.column - columns[1])
        view = self._built(part, region, whole.field, place, padded=True)
        if view is None:
            return None
        sizes = view.section.shape(layer)[2:]
        return view if place[0] < sizes[0] and place[1] < sizes[1] else None

    def _span(
        self, part: Part, layer: str, axis: int, position: int, seen: tuple[int, int]
    ) -> tuple[int, int] | None:
        """Return where an aligned crop begins, and by how many positions its map is shifted."""
        count = self._net.blobs[layer].shape[2 + axis]
        if count < 2:
            return 0, 0
        fields = []
        for k in (0, 1):
            at = (k, 0) if axis == 0 else (0, k)
            found = receptive_field(self._net, layer, *at, part.source)
            fields.append((found.rows, found.columns)[axis][0])
        stride = fields[1] - fields[0]
        if stride < 1:
            return None
        steps = min(max(seen[0], 0) // stride, position)
        return steps * stride, steps


def _clipped(region: Region, shape: tuple[int, ...]) -> Region | None:
    try:
        return region.clipped(shape[2], shape[3])
    except caffe.ArgumentError:
        return None


def cut(x: Tensor, region: Region, origin: tuple[int, int] = (0, 0)) -> Tensor:
    """Return the part of images (n, channels, h, w) in a region, as a view.

    `origin` is the image's row and column at which `x` begins.
    """
    top, left = region.rows[0] - origin[0], region.columns[0] - origin[1]
    return x[:, :, top : top + region.height, left : left + region.width]


def _agree(crop: View, whole: View, layer: str, channels: int) -> bool:
    """Whether values and gradient at the position are as on the whole image."""
    height, width = whole.section.size
    generator = torch.Generator().manual_seed(0)
    image = torch.randn((1, channels, height, width), generator=generator) * _TRIAL_SIGMA
    value, grad = _try(whole, layer, image)
    try:
        other, part = _try(crop, layer, cut(image, crop.region))
    except caffe.CaffeError:
        return False
    inside = torch.zeros_like(grad)
    cut(inside, crop.region).copy_(part)
    return _near(value, other) and _near(grad, inside)


def _try(view: View, layer: str, image: Tensor) -> tuple[Tensor, Tensor]:
    values = view.section.forward(image.to(view.section.device).contiguous())[layer]
    diff = torch.zeros_like(values)
    diff[:, :, view.row, view.column] = 1
    here = values[:, :, view.row, view.column].clone()
    return here, view.section.backward({layer: diff}).clone()


def _near(a: Tensor, b: Tensor) -> bool:
    return bool(torch.linalg.vector_norm(a - b) <= _TOLERANCE * torch.linalg.vector_norm(a))
