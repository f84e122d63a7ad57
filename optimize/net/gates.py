"""Layers that can hold a gradient back: what to push instead where they do.

Behind a ReLU that is off, a pooling over such a ReLU or a saturated softmax, a unit's gradient
is zero, and an ascent can't begin. The value before that layer has one.
"""

from __future__ import annotations

import torchcaffe as caffe
from optimize.net.section import Part

# Types without weights whose derivative can be zero, or round to it, at whole stretches.
GATES = frozenset(
    {"ReLU", "ReLU6", "Clip", "Threshold", "Sigmoid", "TanH", "ELU", "BNLL", "Swish", "Softmax"}
)


def find_gates(net: caffe.Net, part: Part) -> tuple[int, ...]:
    """Return the gates between a part's targets and the next layers with weights.

    Of several gates one behind the other only the last is meant; below it the network is as
    it was. An in-place layer on a target is none: the gradient starts before it.

    Parameters
    ----------
    net : torchcaffe.Net
        The net.
    part : Part
        Which of its layers lead to the targets.

    Returns
    -------
    tuple of int
        Numbers of layers in the net, rising.
    """
    names, found, seen = list(net.layer_dict), set[int](), set[int]()
    waiting = list(part.starts.values())
    while waiting:
        index = waiting.pop()
        if index in seen:
            continue
        seen.add(index)
        layer = net.layers[index]
        if layer.type in GATES:
            found.add(index)
        elif not layer.is_input and names[index] not in net.params:
            waiting += _writers(net, part, index)
    return tuple(sorted(found))


def _writers(net: caffe.Net, part: Part, index: int) -> list[int]:
    """Return the layers whose values a layer reads: of in-place ones the last before it."""
    names = list(net.layer_dict)
    out = []
    for bottom in net.bottom_names[names[index]]:
        before = [i for i in part.layers if i < index and bottom in net.top_names[names[i]]]
        out += before[-1:]
    return out
