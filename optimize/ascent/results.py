"""What a run found, as the original's FindResults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from torchcaffe.regions import Region

FloatArray = npt.NDArray[np.float32]

SUCCESS = "Metaresult: majority success"
FAILURE = "Metaresult: majority failure"
ZERO_GRADIENT = "Metaresult: grad 0 failure"
NOT_FINITE = "Metaresult: the gradient is not finite"


@dataclass(eq=False)
class FindResults:
    """One ascent: a value an iteration in each list, and the images.

    Attributes
    ----------
    obj : list of float
        The objective.
    norm, std, dist : list of float
        Of the image minus the mean: L2 norm, standard deviation, distance from the start.
    idxmax : list of (int, int, int)
        Channel, row and column of the layer's strongest unit. Where the net was shown a
        crop, of the strongest at the pushed position.
    ismax : list of bool
        Whether that is the unit pushed.
    ismax_here : list of bool
        Whether no other channel is stronger at the unit's position.
    best_obj, best_ii : float, int
        The best objective (the least, where push_dir is negative) and its iteration.
    meta_result : str
        `Metaresult: majority success` where the unit was the strongest in any iteration,
        `... failure` where it never was, or why the ascent ended early.
    best, last : ndarray of float32, shape (channels, h, w)
        The best and the last image minus the mean: the part in `region`.
    region : Region
        Rows and columns of the net's input that were computed.
    field : Region
        What the unit sees of the input.
    size : (int, int)
        Height and width of the net's input.
    label : str or None
        The class that the unit stands for, where labels are known.
    grey : float
        One grey level in units of the net's input.
    without_gradient : bool
        Whether the gradient was zero from the start on (or, where each iteration shows the
        image otherwise, soon and for good), so that there is no image.
    note : str
        What a user has to know about the run (its gradient was zero, and what was done); else
        empty.
    """

    obj: list[float]
    norm: list[float]
    std: list[float]
    dist: list[float]
    idxmax: list[tuple[int, int, int]]
    ismax: list[bool]
    ismax_here: list[bool]
    best_obj: float
    best_ii: int
    meta_result: str
    best: FloatArray = field(repr=False)
    last: FloatArray = field(repr=False)
    region: Region
    field: Region
    size: tuple[int, int]
    label: str | None = None
    grey: float = 1.0
    note: str = ""
    without_gradient: bool = False

    @property
    def contrast(self) -> float:
        """Standard deviation of what the unit sees of the best image, the channels' mean.

        In grey levels; photos have about 55.
        """
        return float(self.best_crop.std(axis=(1, 2)).mean() / self.grey)

    @property
    def ii(self) -> list[int]:
        """The iterations' numbers."""
        return list(range(len(self.obj)))

    @property
    def best_xx(self) -> FloatArray:
        """The best image minus the mean, (channels, height, width); zero where not computed."""
        return self._embedded(self.best)

    @property
    def last_xx(self) -> FloatArray:
        """The last image minus the mean, (channels, height, width); zero where not computed."""
        return self._embedded(self.last)

    @property
    def best_crop(self) -> FloatArray:
        """The part of the best image that the unit sees, (channels, h, w)."""
        top = self.field.rows[0] - self.region.rows[0]
        left = self.field.columns[0] - self.region.columns[0]
        return self.best[:, top : top + self.field.height, left : left + self.field.width]

    def _embedded(self, part: FloatArray) -> FloatArray:
        if (self.region.height, self.region.width) == self.size:
            return part
        out = np.zeros((part.shape[0], *self.size), np.float32)
        (top, bottom), (left, right) = self.region.rows, self.region.columns
        out[:, top : bottom + 1, left : right + 1] = part
        return out

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the images, as JSON has it."""
        return {
            "meta_result": self.meta_result,
            "best_obj": self.best_obj,
            "best_ii": self.best_ii,
            "label": self.label,
            "note": self.note,
            "rows": list(self.region.rows),
            "columns": list(self.region.columns),
            "field_rows": list(self.field.rows),
            "field_columns": list(self.field.columns),
            "obj": self.obj,
            "norm": self.norm,
            "std": self.std,
            "dist": self.dist,
            "idxmax": [list(at) for at in self.idxmax],
            "ismax": self.ismax,
            "ismax_here": self.ismax_here,
        }
