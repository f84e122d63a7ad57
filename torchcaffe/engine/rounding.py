"""Poolings that round their size down, in words that every Caffe knows.

`round_mode: FLOOR` is a field of Caffe's last versions only, and OpenCV's reader stumbles over
it. Caffe's own poolings round up: they make the same values and at most one row and column more,
which two Slice layers then cut off.
"""

from __future__ import annotations

from collections.abc import Mapping

from torchcaffe.blobs.blob import Blob, Shape
from torchcaffe.layers.pooling import Pooling
from torchcaffe.proto.caffe_pb2 import LayerParameter, NetParameter, PoolingParameter


def without_round_mode(
    net: NetParameter, layers: Mapping[str, object], blobs: Mapping[str, Blob]
) -> NetParameter:
    """Return a definition that computes the same for the sizes that the blobs have.

    Parameters
    ----------
    net : NetParameter
        Not changed.
    layers, blobs : mapping
        Of the net that was built of it, by name.
    """
    out = NetParameter()
    out.CopyFrom(net)
    del out.layer[:]
    for param in net.layer:
        layer = layers.get(param.name)
        is_floor = param.pooling_param.round_mode == PoolingParameter.FLOOR
        if isinstance(layer, Pooling) and is_floor and len(param.top) == 1:
            out.layer.extend(_rounded_up(param, layer, blobs[param.bottom[0]].shape[2:]))
        else:
            out.layer.add().CopyFrom(param)
    return out


def _rounded_up(param: LayerParameter, layer: Pooling, sizes: Shape) -> list[LayerParameter]:
    up = layer.sizes_out(sizes, floor=False)
    pool = LayerParameter()
    pool.CopyFrom(param)
    pool.pooling_param.ClearField("round_mode")
    chain, idle = [pool], []
    for axis, name in ((2, "rows"), (3, "columns")):
        keep = layer.size[axis - 2]
        if up[axis - 2] == keep:
            continue
        cut = LayerParameter(name=f"{param.name}.{name}", type="Slice")
        whole, rest = f"{cut.name}.all", f"{cut.name}.rest"
        cut.bottom.append(whole)
        cut.top.extend([chain[-1].top[0], rest])
        chain[-1].top[0] = whole
        cut.slice_param.axis = axis
        cut.slice_param.slice_point.append(keep)
        chain.append(cut)
        idle.append(LayerParameter(name=rest, type="Silence", bottom=[rest]))
    return chain + idle
