"""The ordered list of regularisers, as an iteration applies them."""

from __future__ import annotations

from optimize.regularise.regularisers import (
    AbsoluteBenefits,
    Benefits,
    Blur,
    Decay,
    Pull,
    Regulariser,
    SmallNorms,
    SmallValues,
    TotalVariation,
)
from optimize.regularise.transforms import Crop, Jitter, Noise, Rotate, Scale

# What the net is shown, what is taken off the objective, then what happens to the image after the
# step: the original's six in its order, total variation beside the other that smooths.
REGULARISERS: tuple[type[Regulariser], ...] = (
    Jitter,
    Rotate,
    Scale,
    Crop,
    Noise,
    Pull,
    Decay,
    Blur,
    TotalVariation,
    SmallValues,
    SmallNorms,
    Benefits,
    AbsoluteBenefits,
)
