"""Slow, plain NumPy replicas of what BVLC Caffe's layers compute, and the cases to run.

They follow the definitions in Caffe's C++ layers (those of forks in the fork's), use
float64 and loops, and share nothing with torchcaffe but the parsed prototxt.
"""

from tests.torchcaffe.layers.replicas import (
    fork_boxes,
    fork_maps,
    losses,
    neurons,
    sequences,
    shapes,
    spatial,
    sums,
)
from tests.torchcaffe.layers.replicas.case import Case

CASES: list[Case] = [
    case
    for module in (spatial, neurons, sums, shapes, losses, sequences, fork_maps, fork_boxes)
    for case in module.CASES
]

__all__ = ["CASES", "Case"]
