"""The occlusion map (Zeiler and Fergus 2013): what a value loses where the picture is covered.

A net of its own, with the same parameters, computes it a batch at a time in a thread of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from caffevis.causes.engine import twin_of, use_one_thread
from caffevis.causes.units import Units, finite
from caffevis.keys.state import Origin
from caffevis.model.layer_list import NetLike
from caffevis.model.preprocess import Preprocess
from toolbox.input.frame import Frame
from toolbox.pictures.images import FloatArray

GRID = 15  # places in each direction
SHARE = 6  # the occluder's side is this part of the picture's
MOST = 5  # images at once: a new question, or the end, waits for no more
ROOM = 256 << 20  # bytes that their blobs may take
NOT_HERE = "the occlusion map is made with the bundled engine only"


@dataclass(frozen=True)
class MapRequest:
    """A map.

    Parameters
    ----------
    frame : Frame
        The picture.
    target : Origin or None
        Whose value; None for the probability of the top class.
    """

    frame: Frame
    target: Origin | None


@dataclass(frozen=True, eq=False)
class OcclusionMap:
    """What is known of a map.

    Parameters
    ----------
    request : MapRequest
        What it answers.
    losses : ndarray of float32, shape (GRID, GRID)
        What is lost with the occluder there; NaN where that is not known yet.
    name : str
        Whose value: `conv5:60`, or the class's number in its layer.
    target : Origin or None
        The same.
    whole : float
        The value of the whole picture.
    finished : bool
        Whether all is known.
    note : str
        Why there is no map.
    """

    request: MapRequest
    losses: FloatArray = field(default_factory=lambda: np.full((GRID, GRID), np.nan, np.float32))
    target: Origin | None = None
    whole: float = 0.0
    finished: bool = False
    note: str = ""

    @property
    def share(self) -> float:
        """How much of it is done."""
        return float(np.isfinite(self.losses).mean())


class Occluder:
    """Makes maps, in one thread.

    Parameters
    ----------
    net : NetLike
        Whose parameters are used; it may compute at the same time.
    prepare : Preprocess
        From frame to input.
    image_input : str
        The input that pictures go to; the others keep what they hold.
    prob_layer : str or None
        Whose top class a map is of, where no unit is named.
    """

    def __init__(
        self, net: NetLike, prepare: Preprocess, image_input: str, prob_layer: str | None
    ) -> None:
        self._net, self._prepare, self._input = net, prepare, image_input
        self._prob_layer = prob_layer
        self._others = {
            name: np.array(net.blobs[name].data) for name in net.inputs if name != image_input
        }
        self._twin: Any = None
        self._units = Units(net)

    def __call__(self, request: MapRequest) -> Iterator[OcclusionMap]:
        """Look at the whole picture, then cover some places at a time; tell what is known."""
        if self._twin is None:
            use_one_thread()
            self._twin = self._opened()
        if self._twin is None:
            yield OcclusionMap(request, finished=True, note=NOT_HERE)
        elif request.target is None and self._prob_layer is None:
            yield OcclusionMap(request, finished=True, note="choose a unit: there are no classes")
        else:
            yield from self._covered(request)

    def _covered(self, request: MapRequest) -> Iterator[OcclusionMap]:
        plain = self._prepare(request.frame.image, request.frame.second)
        self._run(plain)
        target = request.target or self._top()
        values = finite(self._values(target)[0])
        place = int(values.argmax())
        known = OcclusionMap(request, target=target, whole=float(values[place]))
        yield known
        batch = self._twin.blobs[self._input].shape[0]
        for first in range(0, GRID * GRID, batch):
            numbers = list(range(first, min(first + batch, GRID * GRID)))
            inputs = np.repeat(plain, batch, axis=0)
            for image, number in enumerate(numbers):
                self._cover(inputs[image], plain[0], *divmod(number, GRID))
            self._run(inputs)
            found = finite(self._values(target)[: len(numbers), place])
            losses = known.losses.copy()
            losses.flat[numbers] = known.whole - found
            known = replace(known, losses=losses, finished=numbers[-1] + 1 == GRID * GRID)
            yield known

    def _top(self) -> Origin:
        """Return the class of highest probability."""
        layer = self._prob_layer or ""  # without one, nobody has come here
        probs = self._units.first(layer, self._twin.blobs[layer].data)
        return Origin(layer, int(finite(probs).argmax()))

    def _opened(self) -> Any | None:
        per_image = sum(4 * math.prod(blob.shape) for blob in self._net.blobs.values())
        batch = min(MOST, max(1, ROOM // max(per_image, 1)))
        twin = twin_of(self._net, batch)
        if twin is not None:
            for name, values in self._others.items():
                twin.blobs[name].data[...] = values[:1]
            self._units = Units(twin)
        return twin

    def _run(self, values: FloatArray) -> None:
        self._twin.blobs[self._input].data[...] = values
        self._twin.forward()

    def _values(self, target: Origin) -> FloatArray:
        """Return the target's maps of all images, flat: (images, places)."""
        data = self._twin.blobs[target.layer].data
        rows = [
            self._units.maps(target.layer, data[i : i + 1])[target.unit] for i in range(len(data))
        ]
        return np.stack([row.ravel() for row in rows])

    def _cover(self, values: FloatArray, plain: FloatArray, row: int, column: int) -> None:
        """Cover a place of an input with the picture's mean."""
        fed = len(values) - (0 if self._prepare.others is None else len(self._prepare.others))
        height, width = values.shape[1:]
        tall, wide = max(1, height // SHARE), max(1, width // SHARE)
        top = round((row + 0.5) * height / GRID - tall / 2)
        left = round((column + 0.5) * width / GRID - wide / 2)
        part = np.s_[:fed, max(top, 0) : top + tall, max(left, 0) : left + wide]
        values[part] = plain[:fed].mean(axis=(1, 2), keepdims=True)
