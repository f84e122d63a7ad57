"""The ascents of a unit, in a thread of their own: first one image, then the batch tool's nine."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from caffevis.live.recipes import RECIPES
from caffevis.live.request import Growth, Wanted
from caffevis.model.opening import ENGINE_ERRORS, compute_on
from optimize.ascent.iterations import Moment
from optimize.ascent.optimizer import GradientOptimizer
from optimize.ascent.results import FindResults
from optimize.batch.unit_jpgs import picture_of
from optimize.command.open_model import open_optimizer, optimizer_of
from optimize.command.settings_defaults import defaults_of
from optimize.errors import OptimizeError
from optimize.output.pictures import plus_mean, tiled
from optimize.params import FindParams, preset_values
from toolbox.pictures.images import Image
from toolbox.settings.config import Settings

SEEDS = 9
EVERY_SECONDS = 0.04  # a picture, at most so often
KEPT = 12  # units whose images are kept: nine of 227 x 227 pixels take 6 MB


@dataclass(frozen=True, eq=False)
class Made:
    """A unit's finished images: as a picture, and as the batch tool has them."""

    growth: Growth
    results: list[FindResults]


class Ascents:
    """Makes a unit's images; all its methods run in one thread, but for the first.

    Parameters
    ----------
    settings : Settings
        They name the network and the batch tool's defaults.
    net : torchcaffe.Net or None
        The window's, whose parameters are used; None: it is opened anew by the bundled engine.
    """

    def __init__(self, settings: Settings, net: Any) -> None:
        self._settings, self._net = settings, net
        self._optimizer: GradientOptimizer | None = None
        self._made: OrderedDict[Wanted, Made] = OrderedDict()

    def __call__(self, wanted: Wanted) -> Iterator[Growth | None]:
        """Run the ascents of a unit; tell how far they are, or None for an iteration unseen."""
        wanted = replace(wanted, recipe=wanted.recipe % len(RECIPES))
        if wanted in self._made:
            self._made.move_to_end(wanted)
            yield self._made[wanted].growth
            return
        try:
            yield from self._make(wanted)
        except (OptimizeError, *ENGINE_ERRORS) as error:
            yield _without(wanted, str(error))

    def _make(self, wanted: Wanted) -> Iterator[Growth | None]:
        optimizer, runs = self._opened(), self.runs(wanted)
        first = yield from self._grow(optimizer, wanted, runs[:1], [])
        if first[0].without_gradient:
            yield _without(wanted, f"{wanted.name}: {first[0].note}")
            return
        picture = picture_of(optimizer, first[0])
        results = yield from self._grow(optimizer, wanted, runs, [picture])
        best = max(found.best_obj for found in results)
        growth = Growth(
            picture=tiled([picture_of(optimizer, found) for found in results]),
            title=f"made now, {RECIPES[wanted.recipe].name}: {len(results)} images",
            caption=f"{wanted.name}, objective {best:.4g}",
            note=next((f"{wanted.name}: {found.note}" for found in results if found.note), ""),
        )
        self._keep(wanted, Made(growth, results))
        yield growth

    def _keep(self, wanted: Wanted, made: Made) -> None:
        results = [replace(found, last=found.last[:, :0]) for found in made.results]
        self._made[wanted] = replace(made, results=results)
        while len(self._made) > KEPT:
            self._made.popitem(last=False)

    def runs(self, wanted: Wanted) -> list[FindParams]:
        """Return the ascents, as `python -m optimize --seeds 9` runs them."""
        recipe = RECIPES[wanted.recipe]
        first = FindParams.from_dict(
            {
                **defaults_of(self._settings).recipe,
                **preset_values(recipe.preset),
                "push_layer": wanted.unit.layer,
                "push_channel": wanted.unit.unit,
            }
        )
        seeds = range(first.rand_seed, first.rand_seed + SEEDS)
        return [first.replaced(rand_seed=seed) for seed in seeds]

    def _opened(self) -> GradientOptimizer:
        if self._optimizer is None:
            compute_on(1)  # one thread: the others are the window's, and the result is the same
            spec = defaults_of(self._settings).model
            own = self._net is None
            self._optimizer = open_optimizer(spec) if own else optimizer_of(spec, self._net)
        return self._optimizer

    def _grow(
        self,
        optimizer: GradientOptimizer,
        wanted: Wanted,
        runs: Sequence[FindParams],
        begun: list[Image],
    ) -> Generator[Growth | None, None, list[FindResults]]:
        """Run ascents side by side as far as the batch tool would; return their results.

        Parameters
        ----------
        begun : list of ndarray
            Images that are there already, and stay until all are.
        """
        size, results, told = optimizer.batch_size(runs[0]), [], -math.inf
        shown: dict[int, Image] = dict(enumerate(begun))
        for at in range(0, len(runs), size):
            moments = optimizer.moments(runs[at : at + size], batch_size=size)
            while True:
                try:
                    moment = next(moments)
                except StopIteration as ended:
                    results += ended.value
                    break
                if time.monotonic() - told < EVERY_SECONDS:
                    yield None
                    continue
                told = time.monotonic()
                shown |= self._seen(optimizer, runs, moment, len(begun))
                yield _growth(wanted, shown, len(runs), moment)
        return results

    def _seen(
        self, optimizer: GradientOptimizer, runs: Sequence[FindParams], moment: Moment, least: int
    ) -> dict[int, Image]:
        """Return what the unit sees of the images, by their numbers; from `least` on."""
        mean = optimizer.mean_at(optimizer.field(runs[0]))
        numbers = [member.rand_seed - runs[0].rand_seed for member in moment.members]
        seen = moment.seen.cpu().numpy()
        return {
            number: plus_mean(image, mean, optimizer.grey, optimizer.channel_swap_to_rgb)
            for number, image in zip(numbers, seen, strict=True)
            if number >= least
        }


def _without(wanted: Wanted, why: str) -> Growth:
    """Say why a unit has no image."""
    return Growth(None, RECIPES[wanted.recipe].name, f"{wanted.name}: no image", why)


def _growth(wanted: Wanted, shown: Mapping[int, Image], count: int, moment: Moment) -> Growth:
    """Say how far some images are, of which those not begun are black."""
    nothing = np.zeros_like(next(iter(shown.values())))
    number, of = moment.iteration + 1, moment.members[0].max_iter
    return Growth(
        picture=tiled([shown.get(k, nothing) for k in range(count)]),
        title=f"made now, {RECIPES[wanted.recipe].name}: image 1"
        + ("" if count == 1 else f" to {count}"),
        caption=f"{wanted.name}, {number} of {of}, objective {float(moment.obj.max()):.4g}",
    )
