"""Layers of public forks of Caffe: their files' bottoms and settings in, the fork's own tops out.

docs/fork_layers.md lists them, with the fork whose definition each follows. Importing this room
registers them. Layers of forks that are small variations of BVLC's (Permute, Swish, ...) stand
beside those in `torchcaffe.layers`.
"""

from torchcaffe.layers.forks import (
    auto_crop,
    detections,
    interp,
    normalise,
    prior_box,
    reorder,
    rois,
    sequences,
    upsample,
    video,
)

__all__ = [
    "auto_crop",
    "detections",
    "interp",
    "normalise",
    "prior_box",
    "reorder",
    "rois",
    "sequences",
    "upsample",
    "video",
]
