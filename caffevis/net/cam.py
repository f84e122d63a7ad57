"""Grad-CAM: where in a picture a layer sees what speaks for a unit (Selvaraju et al. 2017).

Each map of the layer is weighted by the mean, over its places, of the derivative of the unit's
value; the sum of the weighted maps, where it is above zero, is what speaks for the unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caffevis.keys.state import STRONGEST, Origin
from toolbox.pictures.images import FloatArray


@dataclass(frozen=True, eq=False)
class Cam:
    """What speaks for a unit in a layer, or why there is nothing.

    Parameters
    ----------
    origin : Origin
        The unit.
    values : ndarray of float32, shape (h, w), or None
        In the layer's map; zero and above.
    why : str
        Why there is none.
    value : float
        The unit's value: of a map, the highest.
    """

    origin: Origin
    values: FloatArray | None = None
    why: str = ""
    value: float = 0.0


def grad_cam(activations: FloatArray, gradient: FloatArray) -> FloatArray:
    """Weigh and add the maps of a layer.

    Parameters
    ----------
    activations, gradient : ndarray of float32, shape (units, h, w)
        The layer's values, and the derivative of the unit's value by each.

    Returns
    -------
    ndarray of float32, shape (h, w)
        Zero and above.
    """
    weights = gradient.mean(axis=(1, 2), dtype=np.float64)
    total = np.tensordot(weights, activations.astype(np.float64), axes=1)
    return np.maximum(total, 0).astype(np.float32)


def seed(values: FloatArray, unit: int) -> tuple[int, FloatArray]:
    """Choose where a back pass for a unit's value begins.

    Parameters
    ----------
    values : ndarray of float32, shape (units, ...)
        The unit's layer.
    unit : int
        The unit, or `STRONGEST`.

    Returns
    -------
    int, ndarray of float32, shape of `values`
        The unit, and a diff of 1 at its highest value, else 0.
    """
    flat = np.nan_to_num(values.reshape(len(values), -1), nan=-np.inf)
    if unit == STRONGEST:
        unit = int(flat.max(axis=1).argmax())
    diff = np.zeros_like(values)
    diff.reshape(len(values), -1)[unit, int(flat[unit].argmax())] = 1
    return unit, diff
