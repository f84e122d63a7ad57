"""The N images that excite each unit of a layer most, kept up to date batch by batch.

An image counts once, with its maximum over positions and the place of the first maximum
(row by row). Larger values come first, equal ones in the order of the images: the order is
total, so trackers of disjoint sets of images merge associatively and in any order.

NaN counts as no value: it is passed over within a map, and a map of nothing but NaN gives its
image no entry. Nor does minus infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

NONE = float("-inf")  # the value where there is no image yet


@dataclass
class Maxima:
    """Each unit's maximum in each image of a batch, and what it takes to find its place.

    Attributes
    ----------
    values : Tensor, shape (images, units)
        Without NaN: minus infinity where there is no value.
    """

    values: Tensor
    _maps: Tensor
    _places: Tensor | None = None

    @classmethod
    def of(cls, maps: Tensor, good: Tensor | None = None) -> Maxima:
        """Take the maxima of maps.

        Parameters
        ----------
        maps : Tensor, shape (images, units, ...)
            Activations; any axes after the units are positions.
        good : Tensor of bool, shape (images,), optional
            False where a row holds no image.
        """
        found = cls._by_pooling(maps)
        if found is None:
            flat = _flat(maps)
            found = cls(flat.amax(2) if flat.shape[2] > 1 else flat[:, :, 0], maps)
        if bool(found.values.isnan().any()):
            values = _flat(maps).nan_to_num(nan=NONE, posinf=math.inf, neginf=NONE).amax(2)
            found = cls(values, maps)
        if good is not None:
            found.values = found.values.masked_fill(~good[:, None], NONE)
        return found

    @classmethod
    def _by_pooling(cls, maps: Tensor) -> Maxima | None:
        """Take maxima and places at once, where that is quick.

        In this layout all units of a place lie side by side, and PyTorch's pooling goes
        through the memory once, from the first place to the last: half the time of `amax`.
        """
        if maps.ndim != 4 or maps.device.type != "cpu":
            return None
        if not maps.is_contiguous(memory_format=torch.channels_last):
            return None
        size = (maps.shape[2], maps.shape[3])
        values, places = F.max_pool2d(maps, size, return_indices=True)
        return cls(values[:, :, 0, 0], maps, places[:, :, 0, 0])

    def places(self, images: Tensor, units: Tensor, values: Tensor) -> Tensor:
        """Return where in their maps, counted row by row, some images' units have their values.

        Parameters
        ----------
        images, units : Tensor of int64, shape (entries,)
            Which.
        values : Tensor, shape (entries,)
            Their maxima. Of several places, the first is returned.
        """
        if self._places is not None:
            return self._places[images, units]
        # of several places, argmax gives the first
        lines = _flat(self._maps)[images, units]
        return (lines == values[:, None]).to(torch.uint8).argmax(1)


def _flat(maps: Tensor) -> Tensor:
    """Return maps as (images, units, positions), one position where there is no map."""
    if maps.ndim == 1:
        return maps[:, None, None]
    return maps.flatten(2) if maps.ndim > 2 else maps[:, :, None]


Places = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass
class Tracker:
    """The top N of some units: those of a layer, or of all layers one after the other.

    Attributes
    ----------
    values : Tensor of float32, shape (units, N)
        From highest down; minus infinity where there is no image yet.
    images : Tensor of int64, shape (units, N)
        Their numbers; -1 where there is none.
    places : Tensor of int64, shape (units, N)
        Position in the map, counted row by row; -1 where there is none.
    """

    values: Tensor
    images: Tensor
    places: Tensor

    @classmethod
    def empty(cls, units: int, top: int, device: torch.device | None = None) -> Tracker:
        """Return a tracker that has seen no image."""
        shape = (units, top)
        none = torch.full(shape, -1, dtype=torch.int64, device=device)
        return cls(torch.full(shape, NONE, device=device), none, none.clone())

    def update(self, values: Tensor, first: int, places: Places) -> None:
        """Take in a batch of images that come after all seen so far.

        Parameters
        ----------
        values : Tensor, shape (images, units)
            Maxima, as in `Maxima`.
        first : int
            Number of the first image; the others follow.
        places : callable
            As `Maxima.places`; units are asked for in ascending order.
        """
        # An equal value of a later image changes nothing, so most units are left out here.
        units = (values.amax(0) > self.values[:, -1]).nonzero()[:, 0]
        if not len(units):
            return
        top = self.values.shape[1]
        both = torch.cat([self.values[units], values[:, units].T], 1)
        best, order = both.sort(dim=1, descending=True, stable=True)
        best, order = best[:, :top], order[:, :top]
        row, rank = ((order >= top) & (best > NONE)).nonzero(as_tuple=True)
        image = order[row, rank] - top
        old = order.clamp(max=top - 1)
        images = self.images[units].gather(1, old)
        found = self.places[units].gather(1, old)
        images[row, rank] = image + first
        found[row, rank] = places(image, units[row], best[row, rank])
        nothing = best == NONE
        self.values[units] = best
        self.images[units] = images.masked_fill_(nothing, -1)
        self.places[units] = found.masked_fill_(nothing, -1)

    def part(self, start: int, stop: int) -> Tracker:
        """Return the units from `start` up to `stop`, in the same memory."""
        units = slice(start, stop)
        return Tracker(self.values[units], self.images[units], self.places[units])

    @classmethod
    def joined(cls, parts: Sequence[Tracker]) -> Tracker:
        """Return one tracker of the units of several."""
        return cls(
            torch.cat([part.values for part in parts]),
            torch.cat([part.images for part in parts]),
            torch.cat([part.places for part in parts]),
        )

    def merged(self, other: Tracker) -> Tracker:
        """Return the top N of both trackers' images, which must be different ones."""
        values = torch.cat([self.values, other.values.to(self.values.device)], 1)
        images = torch.cat([self.images, other.images.to(self.values.device)], 1)
        places = torch.cat([self.places, other.places.to(self.values.device)], 1)
        order = images.argsort(dim=1, stable=True)
        by_value = values.gather(1, order).argsort(dim=1, descending=True, stable=True)
        order = order.gather(1, by_value)[:, : self.values.shape[1]]
        return Tracker(values.gather(1, order), images.gather(1, order), places.gather(1, order))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the three tensors as arrays, by name."""
        return {
            "values": self.values.cpu().numpy(),
            "images": self.images.cpu().numpy(),
            "places": self.places.cpu().numpy(),
        }

    @classmethod
    def from_arrays(
        cls, arrays: dict[str, np.ndarray], device: torch.device | None = None
    ) -> Tracker:
        """Return the tracker that `arrays` describes."""
        parts = (torch.from_numpy(arrays[name]) for name in ("values", "images", "places"))
        return cls(*(part.to(device) for part in parts))


def locations(
    images: np.ndarray, places: np.ndarray, map_shape: Sequence[int], classes: np.ndarray
) -> np.ndarray:
    """Return what MAXES.npz calls max_locs.

    Parameters
    ----------
    images, places : ndarray of int64, shape (units, N)
        As a tracker has them.
    map_shape : sequence of int
        Axes of the layer after its units; empty where it has no map. One axis is a row of
        positions; of more than two, all but the last count as rows.
    classes : ndarray of int64, shape (all images,)
        Class of each image.

    Returns
    -------
    ndarray of int64, shape (units, N, 4)
        Image, class, row, column; -1 where there is none.
    """
    found = np.full((*images.shape, 4), -1, np.int64)
    there = images >= 0
    found[..., 0] = images
    found[..., 1] = np.where(there, classes[images], -1)
    if map_shape:
        found[..., 2] = np.where(there, places // map_shape[-1], -1)
        found[..., 3] = np.where(there, places % map_shape[-1], -1)
    return found
