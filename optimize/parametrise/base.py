"""What every parametrisation is given, and what it has to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from optimize.parametrise.photo_statistics import PhotoStatistics
from optimize.params import FindParams
from optimize.regularise.regularisers import Regulariser

_CACHED_VALUES = 160_000


@dataclass(frozen=True, eq=False)
class Canvas:
    """What the images of a batch are, whoever holds them.

    Parameters
    ----------
    members : sequence of FindParams
        The batch's.
    start : Tensor
        Where they start, minus the mean, (n, channels, h, w), the window's size.
    given : sequence of bool
        Whose start is an image that the user gave.
    low, high : Tensor
        Black and white minus the mean, broadcast to the start's shape.
    grey : float
        One grey level in units of the net's input.
    seen : float
        How many values of the image the unit can see.
    after : sequence of Regulariser
        What changes the pixels after a step.
    photos : PhotoStatistics
        What photos are like.
    rgb : sequence of int
        Which channel is red, green and blue.
    """

    members: Sequence[FindParams]
    start: Tensor
    given: Sequence[bool]
    low: Tensor
    high: Tensor
    grey: float
    seen: float
    after: Sequence[Regulariser]
    photos: PhotoStatistics
    rgb: Sequence[int]


@dataclass(frozen=True, eq=False)
class Uphill:
    """What an iteration found out.

    Parameters
    ----------
    grad : Tensor
        The objective's gradient by the images, (n, channels, h, w).
    norm, obj : Tensor
        Its L2 norm and the objective, (n,).
    alive : Tensor
        Which members go on, (n,).
    iteration, iterations : int
        The iteration's number, and how many there are.
    """

    grad: Tensor
    norm: Tensor
    obj: Tensor
    alive: Tensor
    iteration: int
    iterations: int

    @property
    def done(self) -> float:
        """Share of the iterations that is over."""
        return self.iteration / self.iterations


class Parametrisation:
    """Base: holds a batch's images in some form, and changes them.

    Attributes
    ----------
    name : str
        As `FindParams.parametrisation` has it.
    about : str
        One line of help.
    holds_pixels : bool
        Whether what is held are pixels: then rates come from `lr_policy`, and regularisers
        may change them after a step.
    begins_with_picture : bool
        Whether an ascent from a given picture begins with that picture, or only with part of
        what it is.
    """

    name: ClassVar[str] = ""
    about: ClassVar[str] = ""
    holds_pixels: ClassVar[bool] = False
    begins_with_picture: ClassVar[bool] = True

    def __init__(self, canvas: Canvas) -> None:
        raise NotImplementedError

    def begin(self) -> Tensor:
        """Return the images at the start, minus the mean; their distance is measured from it."""
        return self.image()

    def image(self) -> Tensor:
        """Return the images minus the mean, (n, channels, h, w), between black and white."""
        raise NotImplementedError

    def step(self, uphill: Uphill) -> None:
        """Change what is held so that the objective grows."""
        raise NotImplementedError


def draws(canvas: Canvas, shape: tuple[int, ...], stream: int) -> Tensor:
    """Return standard normal numbers, (n, *shape), by each member's seed alone."""
    seeds = [p.rand_seed for p in canvas.members]
    numbers = {
        seed: np.random.default_rng([seed, stream]).standard_normal(shape, np.float32)
        for seed in dict.fromkeys(seeds)  # units of a layer have the same ones
    }
    return torch.from_numpy(np.stack([numbers[seed] for seed in seeds])).to(canvas.start.device)


def parts(value: Tensor) -> list[slice]:
    """Return a batch in parts of few enough members that the processors' caches hold one.

    What is done with all members in a row of short operations is done part by part: each
    operation then finds in the cache what the one before it has left there. Each thread has a
    cache and its share of a part. A GPU gets all at once.
    """
    count, each = len(value), max(1, value[0].numel())
    at_once = max(1, _CACHED_VALUES // each) * torch.get_num_threads()
    most = at_once if value.device.type == "cpu" else count
    return [slice(at, min(at + most, count)) for at in range(0, count, most)]
