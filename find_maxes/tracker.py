"""The N images that excite each unit of a layer most, kept up to date batch by batch.

An image counts once, with its maximum over positions and the place of the first maximum
(row by row). Larger values come first, equal ones in the order of the images: the order is
total, so trackers of disjoint sets of images merge associatively and in any order.

NaN counts as no value: it is passed over within a map, and a map of nothing but NaN gives its
image no entry. Nor does minus infinity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

NONE = float("-inf")  # the value where there is no image yet


def image_maxima(maps: Tensor, good: Tensor | None = None) -> Tensor:
    """Return each unit's maximum in each image.

    Parameters
    ----------
    maps : Tensor, shape (images, units, ...)
        Activations; any axes after the units are positions.
    good : Tensor of bool, shape (images,), optional
        False where a row holds no image.

    Returns
    -------
    Tensor, shape (images, units)
        Without NaN: minus infinity where there is no value.
    """
    flat = _flat(maps)
    values = flat.amax(2) if flat.shape[2] != 1 else flat[:, :, 0]
    if bool(values.isnan().any()):
        values = flat.nan_to_num(nan=NONE, posinf=math.inf, neginf=NONE).amax(2)
    if good is not None:
        values = values.masked_fill(~good[:, None], NONE)
    return values


def _flat(maps: Tensor) -> Tensor:
    """Return maps as (images, units, positions), one position where there is no map."""
    if maps.ndim == 1:
        return maps[:, None, None]
    return maps.flatten(2) if maps.ndim > 2 else maps[:, :, None]


@dataclass
class Tracker:
    """The top N of one layer.

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

    def update(self, maps: Tensor, maxima: Tensor, first: int) -> None:
        """Take in a batch of images that come after all seen so far.

        Parameters
        ----------
        maps : Tensor, shape (images, units, ...)
            Activations.
        maxima : Tensor, shape (images, units)
            Their `image_maxima`.
        first : int
            Number of the first image; the others follow.
        """
        # An equal value of a later image changes nothing, so most units are left out here.
        units = (maxima.amax(0) > self.values[:, -1]).nonzero()[:, 0]
        if not len(units):
            return
        top = self.values.shape[1]
        values = torch.cat([self.values[units], maxima[:, units].T], 1)
        values, order = values.sort(dim=1, descending=True, stable=True)
        values, order = values[:, :top], order[:, :top]
        row, rank = ((order >= top) & (values > NONE)).nonzero(as_tuple=True)
        image = order[row, rank] - top
        maps_there = _flat(maps)[image, units[row]]
        places = torch.gather(self.places[units], 1, order.clamp(max=top - 1))
        images = torch.gather(self.images[units], 1, order.clamp(max=top - 1))
        images[row, rank] = image + first
        # of several maxima, argmax gives the first
        places[row, rank] = (maps_there == values[row, rank][:, None]).to(torch.uint8).argmax(1)
        nothing = values == NONE
        self.values[units] = values
        self.images[units] = images.masked_fill(nothing, -1)
        self.places[units] = places.masked_fill(nothing, -1)

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
