"""The scorecard: a row of numbers for each layer of a set of unit images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from optimize.ascent.starts import FloatArray
from optimize.score import measures
from optimize.score.top_photos import Compared
from optimize.score.unit_sets import Unit
from optimize.score.viewer import Viewer
from toolbox.pictures.images import Image

TOP_CLASSES = 5


@dataclass(frozen=True)
class Score:
    """A layer's numbers; NaN where one can't be had.

    Parameters
    ----------
    images : int
        How many there are.
    contrast : float
        Mean standard deviation, in grey levels.
    slope : float
        Mean slope of the power spectrum.
    strongest : float
        Share of the images in which no other channel is stronger at the unit's place.
    diversity : float
        Mean over units of how the images of one differ (`measures.diversity`).
    path : dict of str to float
        By layer on the way: mean similarity to the units' top photos.
    transfer : float
        Share of the images among whose five strongest classes in another network is the
        unit's.
    transferable : int
        How many images that is a share of.
    """

    images: int
    contrast: float
    slope: float
    strongest: float
    diversity: float
    path: dict[str, float] = field(default_factory=dict)
    transfer: float = float("nan")
    transferable: int = 0


def mean(values: Sequence[float]) -> float:
    """Return the mean of those that are numbers; NaN where none is."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


class Scorer:
    """Scores layers of unit images.

    Parameters
    ----------
    viewer : Viewer
        The network that they are of.
    other : Viewer, optional
        Another one, for the transfer; its last layer with labels decides.
    """

    def __init__(self, viewer: Viewer, other: Viewer | None = None) -> None:
        self._viewer, self._other = viewer, other

    def layer(self, units: Sequence[Unit], compared: Sequence[Compared] | None) -> Score:
        """Score the units of one layer, with what they are compared with."""
        viewer, first = self._viewer, units[0].params
        field_, path = viewer.field(first), viewer.path(first.push_layer)
        strongest: list[float] = []
        diverse: list[float] = []
        similar: dict[str, list[FloatArray]] = {name: [] for name in path}
        for i, unit in enumerate(units):
            inputs = [viewer.placed(image, field_) for image in unit.images]
            own = viewer.values(inputs, path)
            strongest += self._strongest(unit, own[first.push_layer])
            styled = next(n for n in reversed(path) if own[n].ndim == 4)
            diverse.append(measures.diversity(viewer.over_field(own[styled], field_)))
            if compared is not None:
                found = self._path(unit, own, compared[i])
                for name, value in found.items():
                    similar[name].append(value)
        images = [image for unit in units for image in unit.images]
        transfer = [hit for unit in units for hit in self._transfer(unit)]
        return Score(
            images=len(images),
            contrast=mean([measures.contrast(image) for image in images]),
            slope=mean([measures.spectrum_slope(image) for image in images]),
            strongest=mean(strongest),
            diversity=mean(diverse),
            path={
                name: measures.path_similarity(values) for name, values in similar.items() if values
            },
            transfer=mean(transfer),
            transferable=len(transfer),
        )

    def _strongest(self, unit: Unit, values: FloatArray) -> list[float]:
        row, column = self._viewer.optimizer.place(unit.params)
        here = values if values.ndim == 2 else values[:, :, row, column]
        return [float(at == unit.params.push_channel) for at in here.argmax(1)]

    def _path(
        self, unit: Unit, own: dict[str, FloatArray], compared: Compared
    ) -> dict[str, FloatArray]:
        field_ = self._viewer.field(unit.params)
        return {
            name: measures.likeness(
                self._viewer.over_field(values, field_).mean(-1),
                compared.top[name],
                compared.others[name],
            )
            for name, values in own.items()
        }

    def _transfer(self, unit: Unit) -> list[float]:
        label, other = self._viewer.optimizer.label(unit.params), self._other
        if label is None or other is None:
            return []
        layers = [n for n in other.net.layer_dict if n in other.optimizer.label_layers]
        inputs = [other.whole(image) for image in unit.images]
        values = other.values(inputs, layers[-1:])[layers[-1]].reshape(len(inputs), -1)
        ranks = [measures.rank(row, other.optimizer.labels, label) for row in values]
        return [float(found < TOP_CLASSES) for found in ranks if found is not None]


def photos_score(photos: Sequence[Image]) -> tuple[float, float]:
    """Return photos' mean contrast and mean slope."""
    return (
        mean([measures.contrast(photo) for photo in photos]),
        mean([measures.spectrum_slope(photo) for photo in photos]),
    )
