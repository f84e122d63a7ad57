"""What a scan knows of a layer's units beside their top images: labels, quantiles, silence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from find_maxes.labels.naming import Labels
from find_maxes.labels.sample import IMAGES, PERCENTILES, SHOWN, Quantiles

AT = len(SHOWN) * IMAGES


@dataclass(frozen=True, eq=False)
class Card:
    """One layer's units; the fields of what was not asked for are None.

    Attributes
    ----------
    label : ndarray of int64, shape (units,)
        Number of the class in the names of labels; -1 for none.
    label_dprime, label_share : ndarray of float32, shape (units,)
        As `naming.Labels` has them.
    label_shuffled : ndarray of float32, shape ()
        Share of units that get a label from shuffled classes.
    quantiles : ndarray of float32, shape (units, len(PERCENTILES))
        Of the images' maxima.
    silent : ndarray of float32, shape (units,)
        Share of images without a value above zero.
    at_vals : ndarray of float32, shape (units, AT)
        Maxima of the images at the 99th, 90th and 50th percentile, three each.
    at_locs : ndarray of int64, shape (units, AT, 4)
        Image, class, row and column of these, as in max_locs.
    """

    label: NDArray[np.int64] | None = None
    label_dprime: NDArray[np.float32] | None = None
    label_share: NDArray[np.float32] | None = None
    label_shuffled: NDArray[np.float32] | None = None
    quantiles: NDArray[np.float32] | None = None
    silent: NDArray[np.float32] | None = None
    at_vals: NDArray[np.float32] | None = None
    at_locs: NDArray[np.int64] | None = None

    def arrays(self, layer: str) -> dict[str, np.ndarray]:
        """Return what there is, under the names that MAXES.npz has for it."""
        return {f"{layer}/{name}": a for name, a in vars(self).items() if a is not None}

    @classmethod
    def from_arrays(cls, layer: str, arrays: Mapping[str, np.ndarray], units: int) -> Card:
        """Read what there is.

        Raises
        ------
        ValueError
            An array has another shape.
        """
        found = {each.name: arrays.get(f"{layer}/{each.name}") for each in fields(cls)}
        for name, array in found.items():
            if array is not None and array.shape != (wanted := _shape(name, units)):
                raise ValueError(f"{layer}/{name} has the shape {array.shape}, not {wanted}")
        return cls(**found)


def _shape(name: str, units: int) -> tuple[int, ...]:
    """Return the shape that one of a card's arrays has."""
    shapes: dict[str, tuple[int, ...]] = {
        "label_shuffled": (),
        "quantiles": (units, len(PERCENTILES)),
        "at_vals": (units, AT),
        "at_locs": (units, AT, 4),
    }
    return shapes.get(name, (units,))


def make_card(
    labels: Labels | None, seen: Quantiles | None, locations: NDArray[np.int64] | None
) -> Card:
    """Put a layer's card together; `locations` are those of the quantiles' images."""
    found = Card() if seen is None else Card(
        quantiles=seen.levels, silent=seen.silent, at_vals=seen.values, at_locs=locations
    )  # fmt: skip
    if labels is None:
        return found
    return replace(
        found,
        label=labels.classes,
        label_dprime=labels.dprime,
        label_share=labels.share,
        label_shuffled=np.array(labels.shuffled, np.float32),
    )
