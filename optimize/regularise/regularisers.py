"""Regularisers: what keeps the ascent near images that could be photos.

`REGULARISERS` is the ordered list that an iteration applies. A regulariser works on a batch
(n, channels, h, w) in which every member has settings of its own, and takes part in some of
three places: `before` changes what the net is shown (and is differentiated through), `toll` takes
something off the objective, `after` changes the image once the step is made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from optimize.params import FindParams

WHOLE = 1 << 30  # reach of what looks at every pixel of the image
TRUNCATE = 4.0  # sigmas, SciPy's default
_TV_FLOOR = 1.0  # grey levels; keeps the total variation smooth where the image is flat


@dataclass(frozen=True)
class Place:
    """Where in the image a batch is computed.

    Parameters
    ----------
    height, width : int
        Size of the members' images (the window).
    centre : (float, float)
        Row and column that turning and scaling leave in place: what the unit sees.
    device : torch.device
        Where the batch is.
    grey : float
        One grey level in units of the net's input.
    side : int
        Shorter side in pixels of what the unit sees.
    shown : (int, int, int, int), optional
        What of the window the net is shown: first row and column, height and width.
    placed : bool
        Whether the unit is one of several of its channel, each at a place of the image.
    """

    height: int
    width: int
    centre: tuple[float, float]
    device: torch.device
    grey: float = 1.0
    side: int = WHOLE
    shown: tuple[int, int, int, int] | None = None
    placed: bool = False


class Regulariser:
    """Base: does nothing in either place.

    Attributes
    ----------
    reads_gradient : bool
        Class attribute: `after` looks at the gradient.
    pointwise : bool
        Class attribute: `before` changes each pixel by itself, and so takes a part of the window.
    """

    reads_gradient: ClassVar[bool] = False
    pointwise: ClassVar[bool] = False

    def __init__(self, members: Sequence[FindParams], place: Place) -> None:
        self.place = place

    @classmethod
    def is_on(cls, params: FindParams) -> bool:
        """Whether a member uses it."""
        raise NotImplementedError

    @classmethod
    def reach(cls, params: FindParams, field: tuple[int, int]) -> int:
        """Return how many pixels beside what the unit sees take part (0: none)."""
        return 0

    def before(self, x: Tensor, iteration: int) -> Tensor:
        """Return what the net is shown."""
        return x

    def after(self, x: Tensor, grad: Tensor, iteration: int) -> Tensor:
        """Return the image after the step; may change `x` in place."""
        return x

    def toll(self, x: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is taken off the objective, (n,), and the gradient without its gradient."""
        return torch.zeros(len(x), device=x.device), grad


def _column(members: Sequence[FindParams], name: str, device: torch.device) -> Tensor:
    return torch.tensor([float(getattr(p, name)) for p in members], device=device)


class Decay(Regulariser):
    """L2 decay: x *= 1 - decay."""

    def __init__(self, members: Sequence[FindParams], place: Place) -> None:
        kept = [1 - p.decay for p in members]
        self._kept = torch.tensor(kept, device=place.device).view(-1, 1, 1, 1)

    @classmethod
    def is_on(cls, params: FindParams) -> bool:
        """Whether a member uses it."""
        return params.decay > 0

    def after(self, x: Tensor, grad: Tensor, iteration: int) -> Tensor:
        """Return the image after the step."""
        return x.mul_(self._kept)


def blur_matrix(size: int, sigma: float) -> Tensor:
    """Return the matrix (size, size) that blurs one axis as SciPy's gaussian_filter1d.

    The border is reflected (`mode="reflect"`: d c b a | a b c d | d c b a), also where the
    kernel, truncated at 4 sigma, is longer than the axis.
    """
    radius = int(TRUNCATE * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 / (sigma * sigma) * offsets**2)
    weights /= weights.sum()
    at = (np.arange(size)[:, None] + offsets) % (2 * size)
    at = np.where(at < size, at, 2 * size - 1 - at)
    matrix = np.zeros((size, size))
    np.add.at(matrix, (np.arange(size)[:, None], at), weights)
    return torch.from_numpy(matrix)


class Blur(Regulariser):
    """Gaussian blur of every channel, every so many iterations.

    One matrix product an axis: the border is part of the matrix, and a batch of small images
    takes no more than one large one.
    """

    def __init__(self, members: Sequence[FindParams], place: Place) -> None:
        self._matrices: dict[tuple[float, int], tuple[Tensor, Tensor, list[int]]] = {}
        self._count = len(members)
        for i, p in enumerate(members):
            if not p.blurs:
                continue
            key = (p.blur_radius, p.blur_every)
            if key not in self._matrices:
                rows, columns = (
                    blur_matrix(size, p.blur_radius).to(place.device, torch.float32)
                    for size in (place.height, place.width)
                )
                self._matrices[key] = rows, columns.T.contiguous(), []
            self._matrices[key][2].append(i)

    @classmethod
    def is_on(cls, params: FindParams) -> bool:
        """Whether a member uses it."""
        return params.blurs

    @classmethod
    def reach(cls, params: FindParams, field: tuple[int, int]) -> int:
        """Return how far all blurs together carry a pixel: three of their sigmas."""
        times = math.ceil(params.max_iter / params.blur_every)
        return math.ceil(3 * params.blur_radius * math.sqrt(times))

    def after(self, x: Tensor, grad: Tensor, iteration: int) -> Tensor:
        """Return the image after the step."""
        for (_, every), (rows, columns, which) in self._matrices.items():
            if iteration % every:
                continue
            if len(which) == self._count:
                x = rows @ (x @ columns)
            else:
                x[which] = rows @ (x[which] @ columns)
        return x


def percentile(values: Tensor, share: float) -> Tensor:
    """Return each row's percentile (n, 1) of (n, m) values, between two as NumPy's linear."""
    count = values.shape[1]
    at = share / 100 * (count - 1)
    low = min(int(at), count - 1)
    first = values.kthvalue(low + 1, dim=1, keepdim=True).values
    if at == low or low + 1 >= count:
        return first
    return torch.lerp(first, values.kthvalue(low + 2, dim=1, keepdim=True).values, at - low)


class Clipping(Regulariser):
    """Base of the four clippings: what measures less than a percentile becomes zero."""

    name = ""

    def __init__(self, members: Sequence[FindParams], place: Place) -> None:
        self._groups: dict[float, list[int]] = {}
        for i, p in enumerate(members):
            share = getattr(p, self.name)
            if share > 0:
                self._groups.setdefault(share, []).append(i)

    @classmethod
    def is_on(cls, params: FindParams) -> bool:
        """Whether a member uses it."""
        return bool(getattr(params, cls.name) > 0)

    @classmethod
    def reach(cls, params: FindParams, field: tuple[int, int]) -> int:
        """Say that the percentile is that of the whole image."""
        return WHOLE

    def measure(self, x: Tensor, grad: Tensor) -> Tensor:
        """Return what is compared: (n, channels or 1, h, w)."""
        raise NotImplementedError

    def after(self, x: Tensor, grad: Tensor, iteration: int) -> Tensor:
        """Return the image after the step."""
        for share, which in self._groups.items():
            part = x if len(which) == len(x) else x[which]
            own = grad[which] if self.reads_gradient and len(which) < len(x) else grad
            sizes = self.measure(part, own)
            rows = sizes.flatten(1)
            part = part.masked_fill(sizes < percentile(rows, share).view(-1, 1, 1, 1), 0.0)
            if len(which) == len(x):
                x = part
            else:
                x[which] = part
        return x


class SmallValues(Clipping):
    """Values small beside the image's others."""

    name = "small_val_percentile"

    def measure(self, x: Tensor, grad: Tensor) -> Tensor:
        """Return |x|."""
        return x.abs()


class SmallNorms(Clipping):
    """Pixels whose norm over channels is small (the paper's theta_n_pct)."""

    name = "small_norm_percentile"

    def measure(self, x: Tensor, grad: Tensor) -> Tensor:
        """Return the norm over channels."""
        return torch.linalg.vector_norm(x, dim=1, keepdim=True)


class Benefits(Clipping):
    """Pixels whose loss, to first order, would lower the objective least, or raise it."""

    name = "px_benefit_percentile"
    reads_gradient = True

    def measure(self, x: Tensor, grad: Tensor) -> Tensor:
        """Return the sum over channels of -x * gradient."""
        return (x * grad).sum(1, keepdim=True).neg_()


class AbsoluteBenefits(Clipping):
    """Pixels that contribute little either way (the paper's theta_c_pct)."""

    name = "px_abs_benefit_percentile"
    reads_gradient = True

    def measure(self, x: Tensor, grad: Tensor) -> Tensor:
        """Return |sum over channels of x * gradient|."""
        return (x * grad).sum(1, keepdim=True).abs_()


def variation_step(x: Tensor, floor: float) -> Tensor:
    """Return minus the gradient of sum sqrt(dx^2 + dy^2 + floor^2) of each channel.

    `x` is (n, channels, h, w); dx and dy are the differences to the right and lower
    neighbour, zero at the border.
    """
    down = torch.zeros_like(x)
    right = torch.zeros_like(x)
    down[..., :-1, :] = x[..., 1:, :] - x[..., :-1, :]
    right[..., :-1] = x[..., 1:] - x[..., :-1]
    size = (down.square() + right.square() + floor * floor).sqrt_()
    down, right = down / size, right / size
    out = down + right
    out[..., 1:, :] -= down[..., :-1, :]
    out[..., 1:] -= right[..., :-1]
    return out


class TotalVariation(Regulariser):
    """A step down the total variation (as in Mahendran and Vedaldi 2015)."""

    def __init__(self, members: Sequence[FindParams], place: Place) -> None:
        weights = _column(members, "tv", place.device) * place.grey
        self._weights, self._floor = weights.view(-1, 1, 1, 1), _TV_FLOOR * place.grey

    @classmethod
    def is_on(cls, params: FindParams) -> bool:
        """Whether a member uses it."""
        return params.tv > 0

    @classmethod
    def reach(cls, params: FindParams, field: tuple[int, int]) -> int:
        """Return how far the smoothing spreads: a diffusion of one pixel an iteration."""
        return math.ceil(3 * math.sqrt(params.max_iter))

    def after(self, x: Tensor, grad: Tensor, iteration: int) -> Tensor:
        """Return the image after the step."""
        return x.addcmul_(self._weights, variation_step(x, self._floor))


class Pull(Regulariser):
    """lambda * |x - x0|^2 off the objective, x0 the picture that the image starts from.

    Lambda is in proportion to the gradient at the start, so that the same number holds the
    images of all units and nets alike: 2 * lambda * d * grey * sqrt(m) = pull * d * |g0| for an
    image of m values at a distance of d grey levels. With it, the picture is shifted towards the
    unit and stays that picture (accentuation, Hamblin et al. 2024).
    """

    def __init__(self, members: Sequence[FindParams], place: Place) -> None:
        self._pull = _column(members, "pull", place.device).view(-1, 1, 1, 1)
        self._dirs = _column(members, "push_dir", place.device)
        self._grey = place.grey
        self._begun: tuple[Tensor, Tensor] | None = None

    @classmethod
    def is_on(cls, params: FindParams) -> bool:
        """Whether a member uses it."""
        return params.pull > 0

    def toll(self, x: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is taken off the objective, and the gradient without its gradient."""
        if self._begun is None:
            norm = torch.linalg.vector_norm(grad, dim=(1, 2, 3), keepdim=True)
            twice = self._pull * norm / (self._grey * x[0].numel() ** 0.5)
            self._begun = x.clone(), twice
        start, twice = self._begun
        away = x - start
        taken = (twice / 2 * away.square()).sum(dim=(1, 2, 3))
        return taken / self._dirs, grad - twice * away
