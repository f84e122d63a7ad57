"""Carries trials out in the worker's thread: lesions and disturbances, before and after."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np

from caffevis.causes import disturb
from caffevis.causes.asked import Effect, Trial
from caffevis.causes.engine import TWICE, Held, holder, recompute, touched
from caffevis.causes.units import Units, finite
from caffevis.keys.causes import DOUBLE, DRAW, MEAN, OFF, Disturbance, Lesion
from caffevis.model.layer_list import NetLike, image_of, shown_blobs, start_layer
from caffevis.model.preprocess import Preprocess
from toolbox.input.frame import Frame
from toolbox.pictures.images import FloatArray

NO_LESIONS = "this engine cannot hold units: lesions are shown with the bundled one"
NO_CLASS = "there is no layer of classes to step against"


class Means:
    """Each unit's mean over its map and the frames that its layer was seen on."""

    def __init__(self) -> None:
        self._sums: dict[str, FloatArray] = {}
        self._counts: dict[str, int] = {}
        self._last: dict[str, Frame] = {}

    def see(self, layer: str, frame: Frame, values: FloatArray) -> None:
        """Count a frame's values (units first), once."""
        if self._last.get(layer) is frame:
            return
        self._last[layer] = frame
        new = values.reshape(len(values), -1).mean(axis=1)
        old = self._sums.get(layer)
        self._sums[layer] = new if old is None else old + new
        self._counts[layer] = self._counts.get(layer, 0) + 1

    def of(self, layer: str, unit: int) -> tuple[float, int] | None:
        """Return the mean and the number of frames; None where there are none."""
        if layer not in self._sums:
            return None
        return float(self._sums[layer][unit]) / self._counts[layer], self._counts[layer]


def _replaces(disturbance: Disturbance | None) -> bool:
    """Whether it takes the frame's place: there is nothing to compare it with but itself."""
    return disturbance is not None and disturbance.kind == DRAW


class Trials:
    """Brings a net that holds an undisturbed frame to what a trial makes of it, and back.

    Parameters
    ----------
    net : NetLike
        Used in one thread only.
    prepare : Preprocess
        From frame to input.
    image_input : str
        The input that pictures go to.
    prob_layer : str or None
        Whose values a class list shows.
    """

    def __init__(
        self, net: NetLike, prepare: Preprocess, image_input: str, prob_layer: str | None
    ) -> None:
        self._net, self._prepare, self._prob_layer = net, prepare, prob_layer
        self._input = image_input
        self.units = Units(net)
        self.means = Means()
        self._hold = holder(net)
        self._layers: tuple[str, ...] = ()
        self._copied: frozenset[str] = frozenset()
        self._fixed: dict[Lesion, tuple[float, int]] = {}  # means, from when they were asked for
        self._open = ExitStack()
        self.forget()

    def forget(self) -> None:
        """Take it that the net is about to hold another frame."""
        self._open.close()
        self.trial: Trial | None = None
        self.held: Held = {}
        self._texts: tuple[tuple[Lesion, str], ...] = ()
        self._before: dict[str, FloatArray] = {}
        self._plain: FloatArray = np.zeros(0, np.float32)
        self._slope: FloatArray | None = None
        self._changes: tuple[tuple[str, float], ...] = ()
        self._frame: Frame | None = None
        self._note = ""

    def take(self, frame: Frame, trial: Trial | None) -> None:
        """Make the net hold what a trial makes of the frame that it holds."""
        if self.trial is None:
            self._plain = np.array(self._net.blobs[self._input].data)
        old, self.trial = self.trial, None  # after an error nothing is known
        lifted = {name for name, _ in self.held}
        self._open.close()
        self.held, self._note = {}, ""
        before = old.disturbance if old else None
        after = trial.disturbance if trial else None
        if before != after or (old and trial and old.class_layer != trial.class_layer):
            if _replaces(before) and not _replaces(after):
                self._feed(frame, None)
                self._before = {}
            if not _replaces(after):
                self._remember(set(self._net.blobs))
            self._feed(frame, trial)
            if _replaces(after):
                self._before = {}
            lifted = set()
        self._hold_units(trial, lifted)
        self.trial = trial
        self._changes = self._compare() if trial else ()

    def _remember(self, changing: set[str]) -> None:
        """Copy what the undisturbed frame, or what is drawn instead, makes of changing layers.

        Those that were copied may have changed already, all others have not.
        """
        if not self._layers:
            self._layers = tuple(shown_blobs(self._net))
            names = {*self._layers, *([self._prob_layer] if self._prob_layer else [])}
            self._copied = frozenset(names)
        for name in (self._copied & changing).difference(self._before):
            self._before[name] = np.array(self._net.blobs[name].data)

    def _feed(self, frame: Frame, trial: Trial | None) -> None:
        """Give the net the frame, disturbed or not."""
        values, self._frame = self._plain, None
        if trial is not None and trial.disturbance is not None:
            asked = trial.disturbance
            slope = self._slope_getter(trial.class_layer)
            values = disturb.disturbed(self._prepare, frame, asked, self._plain, slope)
            self._frame = disturb.frame_of(self._prepare, frame, values)
        self._net.blobs[self._input].data[...] = values
        self._net.forward()

    def _slope_getter(self, class_layer: str) -> Callable[[], FloatArray]:
        def slope() -> FloatArray:
            if self._slope is None:
                self._slope = self._loss_slope(class_layer)
            return self._slope

        return slope

    def _loss_slope(self, class_layer: str) -> FloatArray:
        """Return the derivative of -log p of the top class in the input (fast gradient sign)."""
        plain = self._plain
        if not class_layer:
            self._note = NO_CLASS
            return np.zeros_like(plain)
        self._net.blobs[self._input].data[...] = plain
        self._net.forward()
        scores = self._net.blobs[class_layer].data
        first = finite(self.units.first(class_layer, scores).astype(np.float64))
        share = np.exp(first - first.max())
        share /= share.sum()
        share.flat[int(first.argmax())] -= 1
        largest = np.abs(share).max()
        diff = np.zeros_like(scores)
        self.units.first(class_layer, diff)[...] = share / (largest if largest > 0 else 1)
        self._net.backward_from_layer(start_layer(self._net, class_layer), diff, zero_higher=True)
        return np.array(self._net.blobs[self._input].diff)

    def _hold_units(self, trial: Trial | None, lifted: set[str]) -> None:
        """Hold what a trial holds, and compute what depends on it and on what was held before."""
        lesions = trial.lesions if trial else ()
        self._fixed = {le: value for le, value in self._fixed.items() if le in lesions}
        self._texts = tuple((lesion, self._said(lesion)) for lesion in lesions)
        if lesions and self._hold is None:
            self._note, lesions = NO_LESIONS, ()
            self._texts = ()
        self.held = {(le.layer, le.unit): self._value(le) for le in lesions}
        if self.held and self._hold is not None:
            self._remember(touched(self._net, {name for name, _ in self.held}))
            again = self._open.enter_context(self._hold(self.held))
            if not lifted:
                again()
        if lifted:
            recompute(self._net, {*lifted, *(name for name, _ in self.held)})

    def _value(self, lesion: Lesion) -> Any:
        if lesion.how == DOUBLE:
            return TWICE
        return 0.0 if lesion.how == OFF else self._mean(lesion)[0]

    def _mean(self, lesion: Lesion) -> tuple[float, int]:
        """Return a unit's mean, the same as long as the lesion lasts, and of how many frames."""
        if lesion not in self._fixed:
            found = self.means.of(lesion.layer, lesion.unit)
            if found is None:
                values = self.undisturbed(lesion.layer)
                found = float(values[lesion.unit].mean()), 1
            self._fixed[lesion] = found
        return self._fixed[lesion]

    def _said(self, lesion: Lesion) -> str:
        unit = f"{lesion.layer}:{lesion.unit}"
        if lesion.how != MEAN:
            return f"{unit} {lesion.how}"
        mean, frames = self._mean(lesion)
        return f"{unit} at its mean {mean:.3g} over {frames} frame{'s' if frames > 1 else ''}"

    def _compare(self) -> tuple[tuple[str, float], ...]:
        """Say of every layer how much it changed."""
        changes = []
        for name in self._layers:
            if name not in self._before:
                changes.append((name, 0.0))
                continue
            before = finite(image_of(self._before[name]))
            after = finite(image_of(self._net.blobs[name].data))
            length = float(np.linalg.norm(before.ravel()))
            off = float(np.linalg.norm((after - before).ravel()))
            changes.append((name, off / max(length, 1e-12)))
        return tuple(changes)

    def effect(self, layer: str) -> Effect | None:
        """Say what the trial changed; None where there is none."""
        if self.trial is None:
            self._fixed.clear()  # what is held next is held at the mean of then
            return None
        probs = image_of(self._undisturbed(self._prob_layer)).copy() if self._prob_layer else None
        return Effect(
            probs=None if probs is None else probs.flatten(),
            activations=self.units.shown(layer, self._undisturbed(layer)).copy(),
            changes=self._changes,
            held=self._texts,
            frame=self._frame,
            note=self._note,
        )

    def see(self, layer: str, frame: Frame) -> None:
        """Count the undisturbed values of a layer towards the means."""
        self.means.see(layer, frame, self.undisturbed(layer))

    def undisturbed(self, layer: str) -> FloatArray:
        """Return what the undisturbed frame makes of a layer (units first)."""
        return self.units.first(layer, self._undisturbed(layer))

    def _undisturbed(self, layer: str) -> FloatArray:
        values: FloatArray = self._before.get(layer, self._net.blobs[layer].data)
        return values
