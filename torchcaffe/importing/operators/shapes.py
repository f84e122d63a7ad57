"""What joins, cuts, reorders and reshapes."""

from __future__ import annotations

from torchcaffe.importing.operators.registry import Matched, Part, layer, one, row


@row("cat.default", "concat.default")
def join(m: Matched) -> list[Part] | None:
    """Concat of values."""
    names = m.blobs("tensors")
    if names is None or any(m.shape_of(name) == (0,) for name in names):
        return None
    part = Part(layer("Concat"), names)
    part.param.concat_param.axis = (m["dim"] or 0) % len(m.shape_of(names[0]))
    return [part]


@row("flatten.using_ints")
def flatten(m: Matched) -> list[Part] | None:
    """Flatten."""
    part = one("Flatten", m.blob("self"))
    axes = len(m.shape("self"))
    if part is None or axes == 0 or m["start_dim"] % axes == 0:
        return None
    p = part.param.flatten_param
    p.axis, p.end_axis = m["start_dim"] % axes, m["end_dim"] % axes
    return [part]


@row("reshape.default")
def view(m: Matched) -> list[Part] | None:
    """Reshape, with -1 where the images are counted."""
    part, place = one("Reshape", m.blob("self")), m.batch_axis(m.call.outputs[0])
    if part is None or m.batch_axis(part.bottoms[0]) is None or place is None:
        return None
    part.param.reshape_param.shape.dim.extend(
        -1 if i == place else size for i, size in enumerate(m.output())
    )
    return [part]


@row("unsqueeze.default", "squeeze.dim", "squeeze.dims", "unflatten.int")
def fixed_reshape(m: Matched) -> list[Part] | None:
    """Reshape where axes of size 1 come or go, or one axis is cut in two."""
    return view(m)


def _permuted(m: Matched, order: list[int]) -> list[Part] | None:
    part = one("Permute", m.blob("self"))
    if part is None:
        return None
    part.param.permute_param.order.extend(order)
    return [part]


@row("permute.default")
def permute(m: Matched) -> list[Part] | None:
    """Permute."""
    axes = len(m.shape("self"))
    return _permuted(m, [axis % axes for axis in m["dims"]])


@row("transpose.int", "t.default", "swapaxes.default")
def transpose(m: Matched) -> list[Part] | None:
    """Permute of two axes."""
    axes = len(m.shape("self"))
    first, second = (m["dim0"], m["dim1"]) if m["dim0"] is not None else (0, 1)
    if m["axis0"] is not None:
        first, second = m["axis0"], m["axis1"]
    order = list(range(axes))
    order[first % axes], order[second % axes] = second % axes, first % axes
    return _permuted(m, order)


@row("split.Tensor", "split_with_sizes.default", "chunk.default", "split.sizes")
def split(m: Matched) -> list[Part] | None:
    """Slice, where every part is used."""
    part = one("Slice", m.blob("self"))
    names = m.call.outputs
    if part is None or len(names) < 2 or any(name is None for name in names):
        return None
    axis = (m["dim"] or 0) % len(m.shape("self"))
    part.param.slice_param.axis = axis
    ends, at = [], 0
    for name in names[:-1]:
        at += m.shape_of(str(name))[axis]
        ends.append(at)
    part.param.slice_param.slice_point.extend(ends)
    return [part]
