"""Layers that move values about: join, cut, repeat, reorder, reduce."""

from __future__ import annotations

import numpy as np

from tests.torchcaffe.layers.replicas.case import array, canonical, count, maker


def concat(p, bottoms, params):
    """Join along an axis."""
    q = p.concat_param
    return [np.concatenate(bottoms, q.concat_dim if q.HasField("concat_dim") else q.axis)]


def slices(p, bottoms, params):
    """Cut along an axis."""
    q, (x,) = p.slice_param, bottoms
    axis = canonical(q.slice_dim if q.HasField("slice_dim") else q.axis, x.ndim)
    points = list(q.slice_point)
    if not points:
        size = x.shape[axis] // len(p.top)
        points = [size * i for i in range(1, len(p.top))]
    return [
        np.take(x, range(a, b), axis)
        for a, b in zip([0, *points], [*points, x.shape[axis]], strict=True)
    ]


def split(p, bottoms, params):
    """The same for everybody."""
    return [bottoms[0]] * len(p.top)


def flatten(p, bottoms, params):
    """One axis of several."""
    q, (x,) = p.flatten_param, bottoms
    first, last = canonical(q.axis, x.ndim), canonical(q.end_axis, x.ndim)
    return [x.reshape(*x.shape[:first], count(x.shape, first, last + 1), *x.shape[last + 1 :])]


def reshape(p, bottoms, params):
    """Another shape: 0 copies an axis, -1 takes what is left."""
    q, (x,) = p.reshape_param, bottoms
    first = q.axis if q.axis >= 0 else x.ndim + q.axis + 1
    stop = x.ndim if q.num_axes == -1 else first + q.num_axes
    dims = [x.shape[first + i] if d == 0 else d for i, d in enumerate(q.shape.dim)]
    return [x.reshape(*x.shape[:first], *dims, *x.shape[stop:])]


def crop(p, bottoms, params):
    """Cut to the second bottom's size."""
    q, (x, like) = p.crop_param, bottoms
    first = canonical(q.axis, x.ndim)
    for i, axis in enumerate(range(first, x.ndim)):
        offset = 0 if not q.offset else q.offset[i if len(q.offset) > 1 else 0]
        x = np.take(x, range(offset, offset + like.shape[axis]), axis)
    return [x]


def tile(p, bottoms, params):
    """Repeat along an axis."""
    return [np.concatenate([bottoms[0]] * p.tile_param.tiles, p.tile_param.axis)]


def permute(p, bottoms, params):
    """Reorder; axes that are not named stay behind in their order."""
    order = list(p.permute_param.order)
    return [bottoms[0].transpose(order + [i for i in range(bottoms[0].ndim) if i not in order])]


def shuffle(p, bottoms, params):
    """Channel i of group g goes to place i * groups + g."""
    (x,), groups = bottoms, p.shuffle_channel_param.group
    each, y = x.shape[1] // groups, np.zeros_like(x)
    for g in range(groups):
        for i in range(each):
            y[:, i * groups + g] = x[:, g * each + i]
    return [y]


def keep(p, bottoms, params):
    """Images whose selector is not zero."""
    chosen = [i for i, v in enumerate(bottoms[-1].flat) if v]
    return [x[chosen] for x in bottoms[:-1]]


def reindex(p, bottoms, params):
    """Images by number."""
    return [np.stack([bottoms[0][int(i)] for i in bottoms[1].flat])]


def reduction(p, bottoms, params):
    """Sum, magnitudes, squares or mean of everything from `axis` on."""
    q, (x,) = p.reduction_param, bottoms
    axis = canonical(q.axis, x.ndim)
    lead = x.shape[:axis]
    rows = x.reshape(count(lead), -1)
    kinds = {1: rows, 2: np.abs(rows), 3: rows**2, 4: rows / rows.shape[1]}
    return [(kinds[q.operation].sum(1) * q.coeff).reshape(lead)]


def argmax(p, bottoms, params):
    """The k largest (value, place) pairs from high to low: of equals the later place first."""
    q, (x,) = p.argmax_param, bottoms
    if not q.HasField("axis"):
        rows = x.reshape(len(x), -1)
        pairs = [sorted(((v, i) for i, v in enumerate(r)), reverse=True)[: q.top_k] for r in rows]
        index = np.array([[i for _, i in row] for row in pairs], float)
        values = np.array([[v for v, _ in row] for row in pairs])
        y = np.stack([index, values], 1) if q.out_max_val else index[:, None]
        return [y.reshape(*y.shape, *[1] * (x.ndim - 3))]
    axis = canonical(q.axis, x.ndim)

    def best(column):
        found = sorted(((v, i) for i, v in enumerate(column)), reverse=True)[: q.top_k]
        return np.array([v if q.out_max_val else i for v, i in found], float)

    return [np.apply_along_axis(best, axis, x)]


def nothing(p, bottoms, params):
    """No top."""
    return []


S = (2, 3, 4, 5)
TIES = np.round(np.random.default_rng(7).normal(size=(3, 4, 5)))
CONCAT = maker("Concat", concat)
SLICE = maker("Slice", slices)
FLATTEN = maker("Flatten", flatten)
RESHAPE = maker("Reshape", reshape)
CROP = maker("Crop", crop, labels=(1,))
TILE = maker("Tile", tile)
PERMUTE = maker("Permute", permute)
FILTER = maker("Filter", keep)
REINDEX = maker("BatchReindex", reindex, labels=(1,))
REDUCE = maker("Reduction", reduction)
ARGMAX = maker("ArgMax", argmax, gradient="zero")


def _to(text):
    return f"reshape_param {{ {text} }}"


CASES = [
    CONCAT("three", "", S, (2, 1, 4, 5), (2, 2, 4, 5)),
    CONCAT("legacy", "concat_param { concat_dim: 0 }", S, (1, 3, 4, 5)),
    CONCAT("negative", "concat_param { axis: -1 }", (2, 3), (2, 4)),
    CONCAT("one", "", S),
    SLICE("legacy", "slice_param { slice_dim: 0 }", S, tops=2, diff_tops=(0, 1)),
    SLICE("equal", "slice_param { axis: 2 }", S, tops=4, diff_tops=(0, 1, 2, 3)),
    SLICE("points", "slice_param { axis: -1 slice_point: 1 slice_point: 2 }", S, tops=3,
          diff_tops=(0, 2)),
    SLICE("one", "", S),
    maker("Split", split)("three", "", S, tops=3, diff_tops=(0, 1, 2)),
    FLATTEN("middle", "flatten_param { axis: 1 end_axis: 2 }", S),
    FLATTEN("all", "flatten_param { axis: 0 end_axis: -1 }", S),
    FLATTEN("negative", "flatten_param { axis: -3 end_axis: -2 }", (2, 3, 2, 2, 2)),
    FLATTEN("one_axis", "flatten_param { axis: 2 end_axis: 2 }", S),
    RESHAPE("infer", _to("shape { dim: 0 dim: -1 }"), S),
    RESHAPE("copy", _to("shape { dim: 0 dim: 2 dim: 0 dim: -1 dim: 3 }"), (2, 4, 3, 3)),
    RESHAPE("range", _to("shape { dim: 6 dim: 2 } axis: 1 num_axes: 2"), S),
    RESHAPE("insert", _to("shape { dim: 1 dim: 1 } axis: 1 num_axes: 0"), S),
    RESHAPE("append", _to("shape { dim: 1 } axis: -1 num_axes: 0"), S),
    RESHAPE("last", _to("shape { dim: 10 dim: -1 } axis: -3"), S),
    CROP("offsets", "crop_param { axis: 1 offset: 1 offset: 0 offset: 2 }", (2, 4, 6, 7), (1, 2, 5,
         4)),
    CROP("one_offset", "crop_param { axis: 2 offset: 2 }", (2, 2, 6, 7), (2, 9, 3, 4)),
    CROP("no_offset", "crop_param { axis: -1 }", (2, 3, 6), (1, 1, 2)),
    CROP("all_axes", "crop_param { axis: 0 offset: 1 }", (3, 4, 5), (2, 2, 3)),
    TILE("axis_2", "tile_param { axis: 2 tiles: 3 }", S),
    TILE("first", "tile_param { axis: 0 tiles: 2 }", S),
    TILE("negative", "tile_param { axis: -1 tiles: 2 }", (2, 3)),
    PERMUTE("ssd", "permute_param { order: 0 order: 2 order: 3 order: 1 }", S),
    PERMUTE("part", "permute_param { order: 3 order: 1 }", S),
    PERMUTE("none", "", (2, 3, 4)),
    maker("ShuffleChannel", shuffle)("groups", "shuffle_channel_param { group: 3 }", (2, 12, 2, 3)),
    maker("ShuffleChannel", shuffle)("one_group", "", (2, 4, 2, 2)),
    FILTER("two", "", (4, 3), (4, 2, 2), array(1, 0, 0, 2), tops=2, diff_tops=(0, 1), labels=(2,)),
    FILTER("all", "", (3, 2), np.ones((3, 1, 1, 1)), labels=(1,)),
    REINDEX("repeat", "", (3, 2, 2), array(2, 0, 2, 2)),
    REINDEX("fewer", "", (4, 3), array(3.0, 1.0)),
    REDUCE("sum", "reduction_param { axis: 2 coeff: -0.5 }", S),
    REDUCE("magnitudes", "reduction_param { operation: ASUM axis: 1 coeff: 2 }", S),
    REDUCE("squares", "reduction_param { operation: SUMSQ axis: -1 }", S),
    REDUCE("mean_all", "reduction_param { operation: MEAN coeff: 3 }", S),
    REDUCE("mean_vector", "reduction_param { operation: MEAN }", (5,)),
    ARGMAX("plain_ties", "", TIES),
    ARGMAX("top_3", "argmax_param { top_k: 3 }", (2, 3, 4, 2)),
    ARGMAX("values", "argmax_param { top_k: 2 out_max_val: true }", (2, 3, 4, 2)),
    ARGMAX("axis_ties", "argmax_param { axis: 1 top_k: 2 }", TIES),
    ARGMAX("axis_values", "argmax_param { axis: -1 top_k: 2 out_max_val: true }", S),
    ARGMAX("axis_0", "argmax_param { axis: 0 }", (4, 3)),
    maker("Silence", nothing)("two", "", S, (3,), tops=0, gradient="zero", diff_tops=()),
    maker("HDF5Output", nothing)("two", 'hdf5_output_param { file_name: "none.h5" }', S, (2,),
                                 tops=0, gradient="zero", diff_tops=()),
]  # fmt: skip
