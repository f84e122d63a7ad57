"""Layers that move values about: join, cut, repeat, reorder, reduce."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from torchcaffe.blobs.blob import Shape
from torchcaffe.layers.base import Diffs, Layer, Span, layer
from torchcaffe.proto.caffe_pb2 import ReductionParameter


@layer("Concat")
class Concat(Layer):
    """Join bottoms along an axis (`axis`, or the legacy `concat_dim`)."""

    bottoms = (1, None)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        p = self.param.concat_param
        value = p.concat_dim if p.HasField("concat_dim") else p.axis
        self.along = self.axis(value, shapes[0])
        rest = {(*s[: self.along], *s[self.along + 1 :]) for s in shapes}
        if len(rest) > 1 or len({len(s) for s in shapes}) > 1:
            raise self.shape_error(f"bottoms {shapes} differ beside axis {self.along}")
        self.sizes = [shape[self.along] for shape in shapes]
        top = list(shapes[0])
        top[self.along] = sum(self.sizes)
        return [tuple(top)]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        return [torch.cat(bottoms, self.along)]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        return list(torch.split(top_diffs[0], self.sizes, self.along))

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        return None if self.along == axis + 2 else super().field(span, axis, bottom, shapes)


@layer("Slice")
class Slice(Layer):
    """Cut a bottom along an axis, at slice points or into equal parts."""

    tops = (1, None)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        p = self.param.slice_param
        value = p.slice_dim if p.HasField("slice_dim") else p.axis
        self.along = self.axis(value, shapes[0])
        total, count = shapes[0][self.along], len(self.param.top)
        if p.slice_point:
            edges = [0, *p.slice_point, total]
            if len(p.slice_point) != count - 1 or edges != sorted(set(edges)):
                raise self.error(
                    f"slice points {list(p.slice_point)} must rise between 0 and {total}, "
                    f"{count - 1} of them for {count} tops"
                )
            self.sizes = [b - a for a, b in zip(edges, edges[1:], strict=False)]
        elif total % count:
            raise self.shape_error(f"{total} along axis {self.along} is no multiple of {count}")
        else:
            self.sizes = [total // count] * count
        return [
            (*shapes[0][: self.along], size, *shapes[0][self.along + 1 :]) for size in self.sizes
        ]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        return [part.contiguous() for part in torch.split(bottoms[0], self.sizes, self.along)]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        return None if self.along == axis + 2 else super().field(span, axis, bottom, shapes)


@layer("Split")
class Split(Layer):
    """Hand one bottom to several consumers; their diffs add up."""

    tops = (1, None)
    shares_memory = True

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        return [shapes[0]] * len(self.param.top)

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        return [bottoms[0]] * len(self.param.top)

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        if len(top_diffs) == 1:
            return top_diffs
        total = top_diffs[0] + top_diffs[1]
        for diff in top_diffs[2:]:
            total += diff
        return [total]


class _View(Layer):
    """A layer whose top is its bottom's memory with another shape."""

    shares_memory = True
    top_shape: Shape

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        return [bottoms[0].reshape(self.top_shape)]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        return [top_diffs[0].reshape(bottoms[0].shape)]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        same = len(shapes[bottom]) == 4 and shapes[bottom][2:] == self.top_shape[2:]
        return span if same else None


@layer("Flatten")
class Flatten(_View):
    """Make one axis of the axes from `axis` to `end_axis`."""

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        p = self.param.flatten_param
        first, last = self.axis(p.axis, shapes[0]), self.axis(p.end_axis, shapes[0], "end_axis")
        if last < first:
            raise self.error(f"end_axis {p.end_axis} lies before axis {p.axis}")
        middle = math.prod(shapes[0][first : last + 1])
        self.top_shape = (*shapes[0][:first], middle, *shapes[0][last + 1 :])
        return [self.top_shape]


@layer("Reshape")
class Reshape(_View):
    """Give the bottom (or `num_axes` of its axes from `axis` on) another shape."""

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        p, bottom = self.param.reshape_param, shapes[0]
        first = p.axis if p.axis >= 0 else len(bottom) + p.axis + 1
        stop = len(bottom) if p.num_axes == -1 else first + p.num_axes
        if not 0 <= first <= stop <= len(bottom):
            raise self.error(f"axis {p.axis}, num_axes {p.num_axes}: outside its bottom {bottom}")
        dims = list(p.shape.dim)
        if dims.count(-1) > 1 or any(d < -1 for d in dims):
            raise self.error(f"shape {dims} may hold one -1, zeros and positive sizes")
        if any(d == 0 and first + i >= len(bottom) for i, d in enumerate(dims)):
            raise self.error(f"shape {dims} copies (0) an axis that its bottom {bottom} lacks")
        dims = [bottom[first + i] if d == 0 else d for i, d in enumerate(dims)]
        top = [*bottom[:first], *dims, *bottom[stop:]]
        known = math.prod(d for d in top if d != -1)
        if -1 in top:
            if known == 0 or math.prod(bottom) % known:
                raise self.shape_error(f"its bottom {bottom} can't fill the shape {top}")
            top[top.index(-1)] = math.prod(bottom) // known
        if math.prod(top) != math.prod(bottom):
            raise self.shape_error(
                f"its bottom {bottom} holds {math.prod(bottom)} values, "
                f"the shape {top} {math.prod(top)}"
            )
        self.top_shape = tuple(top)
        return [self.top_shape]


@layer("Crop")
class Crop(Layer):
    """Cut the first bottom to the second's size from `axis` on, at `offset`."""

    bottoms = (2, 2)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        p, (bottom, reference) = self.param.crop_param, shapes
        first = self.axis(p.axis, bottom)
        offsets = list(p.offset) or [0]
        cropped = len(bottom) - first
        if len(offsets) not in (1, cropped):
            raise self.error(f"{len(offsets)} offsets; one or {cropped} are accepted")
        if len(reference) != len(bottom):
            raise self.shape_error(f"its bottoms {shapes} must have as many axes")
        offsets = offsets * cropped if len(offsets) == 1 else offsets
        self.cuts = [slice(0, size) for size in bottom[:first]]
        for axis, offset in zip(range(first, len(bottom)), offsets, strict=True):
            if offset + reference[axis] > bottom[axis]:
                raise self.shape_error(
                    f"axis {axis}: offset {offset} and size {reference[axis]} exceed {bottom[axis]}"
                )
            self.cuts.append(slice(offset, offset + reference[axis]))
        return [(*bottom[:first], *reference[first:])]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        return [bottoms[0][tuple(self.cuts)].contiguous()]

    def connects(self, top: int, bottom: int) -> bool:
        return bottom == 0  # of the second only the size counts

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        if len(shapes[0]) != 4:
            return None
        start = self.cuts[axis + 2].start
        return span[0] + start, span[1] + start


@layer("Tile")
class Tile(Layer):
    """Repeat the bottom along an axis."""

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        p = self.param.tile_param
        self.along = self.axis(p.axis, shapes[0])
        if p.tiles < 1:
            raise self.error(f"tiles is {p.tiles}; 1 or more is accepted")
        top = list(shapes[0])
        top[self.along] *= p.tiles
        return [tuple(top)]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        times = [1] * bottoms[0].ndim
        times[self.along] = self.param.tile_param.tiles
        return [bottoms[0].repeat(times)]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        return None if self.along == axis + 2 else super().field(span, axis, bottom, shapes)


@layer("Permute")
class Permute(Layer):
    """Reorder the axes (SSD); axes not named keep their order behind those named."""

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        order = list(self.param.permute_param.order)
        n = len(shapes[0])
        if len(set(order)) != len(order) or any(axis >= n for axis in order):
            raise self.error(f"order {order} must name axes of its bottom {shapes[0]} once each")
        self.order = order + [axis for axis in range(n) if axis not in order]
        return [tuple(shapes[0][axis] for axis in self.order)]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        return [bottoms[0].permute(self.order).contiguous()]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        in_place = len(self.order) == 4 and self.order[axis + 2] == axis + 2
        return span if in_place else None


@layer("ShuffleChannel")
class ShuffleChannel(Layer):
    """Interleave groups of channels (ShuffleNet)."""

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.need_axes(shapes[0], 2)
        group = self.param.shuffle_channel_param.group
        if group < 1 or shapes[0][1] % group:
            raise self.error(f"{shapes[0][1]} channels are no multiple of group {group}")
        return [shapes[0]]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        group = self.param.shuffle_channel_param.group
        n, channels, *rest = bottoms[0].shape
        split = bottoms[0].reshape(n, group, channels // group, *rest)
        return [split.transpose(1, 2).reshape(n, channels, *rest)]


@layer("Filter")
class Filter(Layer):
    """Keep the images whose selector (the last bottom, one value an image) is not zero."""

    bottoms = (2, None)
    tops = (1, None)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        if len(self.param.top) != len(shapes) - 1:
            raise self.error(f"{len(shapes)} bottoms need {len(shapes) - 1} tops")
        batch = shapes[-1][0] if shapes[-1] else 1
        if math.prod(shapes[-1]) != batch or any(not s or s[0] != batch for s in shapes):
            raise self.shape_error(f"the selector {shapes[-1]} must hold one value an image")
        return shapes[:-1]

    def connects(self, top: int, bottom: int) -> bool:
        return bottom in (top, len(self.param.bottom) - 1)

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        keep = bottoms[-1].detach().flatten() != 0
        return [bottom[keep] for bottom in bottoms[:-1]]


@layer("BatchReindex")
class BatchReindex(Layer):
    """Select and repeat the images that the second bottom numbers."""

    bottoms = (2, 2)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.need_axes(shapes[0], 1)
        self.need_axes(shapes[1], 1, 1)
        return [(shapes[1][0], *shapes[0][1:])]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        index = bottoms[1].detach().long()
        if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < len(bottoms[0]):
            raise self.shape_error(f"an index is outside 0 to {len(bottoms[0]) - 1}")
        return [bottoms[0][index]]


@layer("Reduction")
class Reduction(Layer):
    """Sum, sum of magnitudes, sum of squares or mean of everything from `axis` on."""

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.first = self.axis(self.param.reduction_param.axis, shapes[0])
        return [shapes[0][: self.first]]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        p, kinds = self.param.reduction_param, ReductionParameter
        lead = bottoms[0].shape[: self.first]
        x = bottoms[0].reshape(*lead, -1)
        if p.operation == kinds.ASUM:
            x = x.abs()
        elif p.operation == kinds.SUMSQ:
            x = x.square()
        out = x.mean(-1) if p.operation == kinds.MEAN else x.sum(-1)
        return [out * p.coeff]

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        return None


@layer("ArgMax")
class ArgMax(Layer):
    """Positions (and values) of the k largest, over an axis or over each image."""

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        p = self.param.argmax_param
        self.along = self.axis(p.axis, shapes[0]) if p.HasField("axis") else None
        size = math.prod(shapes[0][1:]) if self.along is None else shapes[0][self.along]
        if not 1 <= p.top_k <= size:
            raise self.error(f"top_k is {p.top_k}; 1 to {size} is accepted")
        if self.along is not None:
            return [(*shapes[0][: self.along], p.top_k, *shapes[0][self.along + 1 :])]
        pair = [shapes[0][0], 2 if p.out_max_val else 1, p.top_k]
        return [tuple(pair + [1] * (len(shapes[0]) - 3))]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        p = self.param.argmax_param
        x = bottoms[0].detach()
        along = 1 if self.along is None else self.along
        flat = x.flatten(1) if self.along is None else x
        # Caffe sorts (value, index) pairs from high to low: of equal values the later one first
        values, index = flat.flip(along).sort(stable=True, dim=along, descending=True)
        values = values.narrow(along, 0, p.top_k)
        index = (flat.shape[along] - 1 - index.narrow(along, 0, p.top_k)).float()
        if self.along is not None:
            return [values if p.out_max_val else index]
        pair = [index, values] if p.out_max_val else [index]
        return [torch.stack(pair, 1).reshape(self.reshape([tuple(x.shape)])[0])]

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        return [torch.zeros_like(bottoms[0])]  # Caffe stops the program here

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        return span if self.along == 1 and len(shapes[0]) == 4 else None


@layer("Silence")
class Silence(Layer):
    """Use up blobs that nobody wants as outputs."""

    bottoms = (1, None)
    tops = (0, 0)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        return []

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        return []

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        return [torch.zeros_like(bottom) for bottom in bottoms]
