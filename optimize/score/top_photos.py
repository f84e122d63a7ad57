"""What a network makes of the photos that excite units most, cut to what the units see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimize.ascent.starts import FloatArray
from optimize.params import FindParams
from optimize.score.viewer import Viewer

TOP = 9


@dataclass(frozen=True, eq=False)
class Compared:
    """A unit's top photos and photos taken at random, by layer: activations (n, channels)."""

    top: dict[str, FloatArray]
    others: dict[str, FloatArray]


def find(
    viewer: Viewer, units: Sequence[FindParams], photos: Sequence[FloatArray], seed: int = 0
) -> list[Compared]:
    """Return what each of a layer's units is compared with.

    Parameters
    ----------
    viewer : Viewer
        The network.
    units : sequence of FindParams
        Of one layer.
    photos : sequence of ndarray, shape (channels, h, w)
        As inputs, minus the mean.
    seed : int
        Chooses the photos and places at random.
    """
    layer = units[0].push_layer
    values = viewer.values(photos, [layer])[layer]
    maps = values.reshape(*values.shape[:2], *(values.shape[2:] or (1, 1)))
    shape = maps.shape[2:]
    random = np.random.default_rng(seed)
    out = []
    for params in units:
        flat = maps[:, params.push_channel].reshape(len(photos), -1)
        best = np.argsort(-flat.max(1), kind="stable")[:TOP]
        top = [(i, int(flat[i].argmax())) for i in best]
        rest = np.setdiff1d(np.arange(len(photos)), best)
        some = random.choice(rest, min(TOP, len(rest)), replace=False)
        others = [(i, int(random.integers(flat.shape[1]))) for i in some]
        cut = [
            _seen(viewer, photos[i], params, values.ndim, divmod(at, shape[1]))
            for i, at in (*top, *others)
        ]
        found = activations(viewer, cut, params)
        out.append(
            Compared(*({n: v[part] for n, v in found.items()}
                       for part in (slice(len(top)), slice(len(top), None))))
        )  # fmt: skip
    return out


def activations(
    viewer: Viewer, inputs: Sequence[FloatArray], params: FindParams
) -> dict[str, FloatArray]:
    """Return layers' activations on the way to a unit, the means over what it sees.

    Returns
    -------
    dict of str to ndarray, shape (n, channels)
    """
    field = viewer.field(params)
    values = viewer.values(inputs, viewer.path(params.push_layer))
    return {name: viewer.over_field(found, field).mean(-1) for name, found in values.items()}


def _seen(
    viewer: Viewer, photo: FloatArray, params: FindParams, axes: int, place: tuple[int, int]
) -> FloatArray:
    return photo if axes == 2 else viewer.moved(photo, params, place)
