"""AutoCrop: two blobs come in; out goes the part of the first that lies over the second."""

from __future__ import annotations

from torchcaffe.layers.base import layer
from torchcaffe.layers.shape import Crop


@layer("AutoCrop")
class AutoCrop(Crop):
    """Crop whose offset follows from the layers before it (FCN's V1 CROP, RCF's AutoCrop).

    The net works the offset out when it is built (`torchcaffe.engine.auto_crop`) and puts it
    into `crop_param`.
    """
