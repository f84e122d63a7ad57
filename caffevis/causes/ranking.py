"""Who matters: the units of a layer by what a class, or another unit, would lose without them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np

from caffevis.causes.asked import Question, Ranked, Ranking
from caffevis.causes.engine import Held, recompute
from caffevis.causes.units import Units, finite
from caffevis.keys.state import Origin
from caffevis.model.layer_list import NetLike, start_layer
from toolbox.pictures.images import FloatArray

TOP = 10
NO_TARGET = "nothing to matter for: freeze a unit above (d), or name the layer of classes"


class Rankings:
    """Ranks the units of a layer, in the worker's thread.

    Parameters
    ----------
    net : NetLike
        Holds what the frame, or a trial of it, makes of every layer.
    units : Units
        Where its units are.
    prob_layer : str or None
        The classes' probabilities.
    hold : callable or None
        Holds units for a while; None where the engine cannot.
    """

    def __init__(
        self,
        net: NetLike,
        units: Units,
        prob_layer: str | None,
        hold: Callable[[Held], AbstractContextManager[Callable[[], None]]] | None,
    ) -> None:
        self._net, self._units, self._prob_layer, self._hold = net, units, prob_layer, hold

    def __call__(self, question: Question, top: int | None) -> Ranking:
        """Rank the units of a layer: one back pass, then a true lesion of each of the first.

        Parameters
        ----------
        question : Question
            Of kind `MATTERS`.
        top : int or None
            The class that it is about, where no unit is named.

        Returns
        -------
        Ranking
            The largest amounts first, those that speak against the target among them.
        """
        target = question.target
        if target is None and question.class_layer and top is not None:
            target = Origin(question.class_layer, top)
        if target is None:
            return Ranking(question, note=NO_TARGET)
        row, column = self._place(target)
        estimates = self._estimates(question.layer, target, row, column)
        found = Ranking(question, target, self._value(target, row, column), self._prob(target))
        if not estimates.any() or target.layer == question.layer:
            name = f"{target.layer}:{target.unit}"
            return replace(found, note=f"no unit of {question.layer} reaches {name}")
        order = np.argsort(-np.abs(estimates), kind="stable")[:TOP]
        chosen = [int(unit) for unit in order if estimates[unit]]
        effects = self._effects(question.layer, chosen, target, (row, column), found)
        rows = [
            Ranked(unit, float(estimates[unit]), *effects.get(unit, (None, None)))
            for unit in chosen
        ]
        return replace(found, rows=tuple(rows))

    def _place(self, target: Origin) -> tuple[int, int]:
        """Return where the target's map is strongest."""
        unit_map = self._units.data(target.layer)[target.unit]
        row, column = divmod(int(finite(unit_map).argmax()), unit_map.shape[1])
        return row, column

    def _value(self, target: Origin, row: int, column: int) -> float:
        return float(finite(self._units.data(target.layer)[target.unit])[row, column])

    def _prob(self, target: Origin) -> float | None:
        """Return the probability of the class that a target stands for."""
        if self._prob_layer is None:
            return None
        probs = self._net.blobs[self._prob_layer].data
        first, units = self._units.first(self._prob_layer, probs), self._units.data(target.layer)
        same = len(first) == len(units) and units[0].size == first[0].size == 1
        shares = same and float(first.min()) >= 0 and float(first.max()) <= 1  # else scores
        return float(first[target.unit].flat[0]) if shares else None

    def _estimates(self, layer: str, target: Origin, row: int, column: int) -> FloatArray:
        """Return each unit's activation times its diff, summed over its map."""
        blob = self._net.blobs[target.layer]
        diff = np.zeros(tuple(blob.shape), np.float32)
        flat = self._units.number(target.layer, target.unit, row, column)
        diff.reshape(-1)[flat] = 1  # the first image's values come first
        self._net.backward_from_layer(start_layer(self._net, target.layer), diff, zero_higher=True)
        seen: Any = self._net.blobs[layer]
        return self._units.sums(layer, finite(seen.data * seen.diff))

    def _effects(
        self, layer: str, chosen: list[int], target: Origin, place: tuple[int, int], whole: Ranking
    ) -> dict[int, tuple[float, float | None]]:
        """Switch each unit off in turn; say what the target loses, and the class's probability."""
        if self._hold is None:
            return {}
        found: dict[int, tuple[float, float | None]] = {}
        try:
            for unit in chosen:
                with self._hold({(layer, unit): 0.0}) as again:
                    again()
                    lost = whole.value - self._value(target, *place)
                    found[unit] = lost, self._prob(target)
        finally:
            recompute(self._net, [layer])
        return found
