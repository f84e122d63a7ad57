"""A whole layer in three colours: its first three principal components over places.

Each place of the maps is a point with a coordinate a unit; the components are the three
directions in which these points are spread most. Places of like colour are alike to the layer.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from toolbox.pictures.images import FloatArray

COMPONENTS = 3

Floats = NDArray[np.float64]


def principal(maps: FloatArray) -> tuple[Floats, Floats] | None:
    """Find the first components of a layer's maps.

    Parameters
    ----------
    maps : ndarray of float32, shape (units, h, w)
        Activations; what is no number counts as 0.

    Returns
    -------
    (ndarray, ndarray), shapes (COMPONENTS, units) and (places, COMPONENTS), or None
        Directions of length 1, the widest spread first, and the places' coordinates along them;
        zero where there are fewer. None where there are fewer than two places.
    """
    points = np.nan_to_num(maps.reshape(len(maps), -1).T.astype(np.float64), posinf=0, neginf=0)
    if len(points) < 2:
        return None
    points -= points.mean(0)
    basis = np.zeros((COMPONENTS, points.shape[1]))
    # the smaller of the two matrices that have the same values
    wide = points.shape[1] > len(points)
    values, vectors = np.linalg.eigh(points @ points.T if wide else points.T @ points)
    for number, at in enumerate(range(len(values) - 1, max(len(values) - 1 - COMPONENTS, -1), -1)):
        if values[at] > 1e-9 * max(values[-1], 1e-30):
            along = points.T @ vectors[:, at] if wide else vectors[:, at]
            basis[number] = along / np.linalg.norm(along)
    return basis, points @ basis.T


class Principal:
    """Keeps colours steady: signs and order are those nearest to the last frame's."""

    def __init__(self) -> None:
        self._last: dict[str, Floats] = {}

    def __call__(self, layer: str, maps: FloatArray) -> FloatArray | None:
        """Return a layer's components as colours.

        Parameters
        ----------
        layer : str
            Its name.
        maps : ndarray of float32, shape (units, h, w)
            Its activations.

        Returns
        -------
        ndarray of float32, shape (h, w, 3), or None
            0 to 1, 0.5 the mean; two standard deviations reach from there to the ends. None
            where the layer has no map.
        """
        found = principal(maps)
        if found is None:
            return None
        basis, along = found
        order, signs = self._nearest(layer, basis)
        basis, along = basis[order] * signs[:, None], along[:, order] * signs
        self._last[layer] = basis
        spread = along.std(0)
        colours = 0.5 + along / (4 * np.where(spread > 0, spread, 1))
        return colours.clip(0, 1).astype(np.float32).reshape(*maps.shape[1:], COMPONENTS)

    def _nearest(self, layer: str, basis: Floats) -> tuple[list[int], Floats]:
        """Choose the order and signs in which a basis is nearest to the last one."""
        last = self._last.get(layer)
        if last is None or last.shape != basis.shape:
            largest = np.abs(basis).argmax(1)
            signs = np.where(basis[np.arange(COMPONENTS), largest] < 0, -1.0, 1.0)
            return list(range(COMPONENTS)), signs
        alike = last @ basis.T
        rows = range(COMPONENTS)
        best = max(permutations(rows), key=lambda to: sum(abs(alike[i, to[i]]) for i in rows))
        return list(best), np.array([-1.0 if alike[i, best[i]] < 0 else 1.0 for i in rows])


def similarity(maps: FloatArray, row: int, column: int) -> FloatArray:
    """Say how alike every place of a layer is to one: the cosine between their units.

    Parameters
    ----------
    maps : ndarray of float32, shape (units, h, w)
        Activations.
    row, column : int
        The place.

    Returns
    -------
    ndarray of float32, shape (h, w)
        From -1 to 1; 0 where all units of either place are 0.
    """
    points = np.nan_to_num(maps.astype(np.float64), posinf=0, neginf=0)
    lengths = np.sqrt((points * points).sum(0))
    products = np.tensordot(points[:, row, column], points, axes=1)
    scale = lengths * lengths[row, column]
    found = np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)
    return np.asarray(found.clip(-1, 1), np.float32)
