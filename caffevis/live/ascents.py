"""The ascents of a unit, in a thread of their own: first one image, then the batch tool's nine."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar

import numpy as np

from caffevis.keys.state import Origin
from caffevis.live.recipes import RECIPES
from caffevis.live.request import Fill, Growth, News, Wanted
from caffevis.live.unfinished import Unfinished
from caffevis.model.opened_files import OpenedFiles
from caffevis.model.opening import ENGINE_ERRORS, compute_on
from caffevis.units.loader import Filled
from caffevis.units.montage import shrink
from optimize.ascent.iterations import Moment
from optimize.ascent.optimizer import GradientOptimizer
from optimize.ascent.results import FindResults
from optimize.batch.unit_jpgs import picture_of
from optimize.command.open_model import ModelSpec, open_optimizer, optimizer_of
from optimize.command.settings_defaults import defaults_of
from optimize.errors import OptimizeError
from optimize.output.pictures import plus_mean, tiled
from optimize.params import FindParams, preset_values
from toolbox.input.frame import Frame
from toolbox.pictures.images import FloatArray, Image
from toolbox.settings.config import Settings
from toolbox.workers.cache import drop_oldest

SEEDS = 9
EVERY_SECONDS = 0.04  # a picture, at most so often
PULL = 0.02  # towards the picture: balanced at 50 grey levels' distance
KEPT_BYTES = 16 << 20  # of units' finished images: nine of 227 x 227 pixels take 7 MB
BEGUN_BYTES = 32 << 20  # of images that are not finished, and wait for their unit to be shown again
COPIES = 10  # of an image that its ascent holds, at most: as it is, its best, momenta, a gradient
TILES_BYTES = 16 << 20  # of layers' first images, in the size that the layers pane shows them
RECORDS = 1 << 17  # bytes of what is noted of a unit's images beside them, about


Key = tuple[Origin, int, Frame | None]


@dataclass(frozen=True, eq=False)
class Made:
    """A unit's finished images as the batch tool has them, and who made them.

    Parameters
    ----------
    optimizer, spec : GradientOptimizer, ModelSpec
        The network.
    recipe : FindParams
        How; the first of them.
    results : list of FindResults
        One an image.
    photo : str
        File name of the picture that they start from; empty where that is noise.
    """

    optimizer: GradientOptimizer
    spec: ModelSpec
    recipe: FindParams
    results: list[FindResults]
    photo: str = ""


class Ascents:
    """Makes units' images; all its methods run in one thread.

    Parameters
    ----------
    settings : Settings
        They name the network and the batch tool's defaults.
    net : torchcaffe.Net or None
        The window's, whose parameters are used; None: it is opened anew by the bundled engine.
    prepare : callable
        From a frame to the network's input.
    files : OpenedFiles, optional
        What the window's network was read from: no other files are taken.
    """

    def __init__(
        self,
        settings: Settings,
        net: Any,
        prepare: Callable[[Frame], FloatArray],
        files: OpenedFiles | None = None,
    ) -> None:
        self._settings, self._net, self._prepare = settings, net, prepare
        self._files = files
        self._optimizer: GradientOptimizer | None = None
        self._made: OrderedDict[Key, Growth] = OrderedDict()
        self._unfinished: Unfinished[Growth, Growth] = Unfinished(BEGUN_BYTES, attrgetter("held"))
        self._tiles: OrderedDict[tuple[str, int, tuple[int, int]], dict[int, Image]] = OrderedDict()

    def open(self) -> None:
        """Open the optimiser before it is needed; what is wrong is said when it is."""
        with contextlib.suppress(OptimizeError, *ENGINE_ERRORS):
            self._opened()

    def __call__(self, wanted: Wanted) -> Iterator[News | None]:
        """Make what is wanted; tell how far it is, or None after an iteration not looked at."""
        recipe, growth = wanted.recipe % len(RECIPES), None
        if wanted.unit is not None:
            key = (wanted.unit, recipe, wanted.photo)
            for growth in self._unit(key):
                yield None if growth is None else News(growth)
            growth = self._made.get(key, growth)
        if wanted.fill is not None:
            for filled in self._fill(wanted.fill, recipe):
                yield None if filled is None else News(growth, filled)

    def _unit(self, key: Key) -> Iterator[Growth | None]:
        """Make a unit's images, and keep them for a while."""
        try:
            if key not in self._made:
                made = yield from self._unfinished.go_on(key, partial(self._make, *key))
                self._made[key] = made
                drop_oldest(self._made, KEPT_BYTES, attrgetter("held"))
            self._made.move_to_end(key)
            yield self._made[key]
        except (OptimizeError, *ENGINE_ERRORS) as error:
            yield _without(key[0], key[1], str(error))

    def _make(
        self, unit: Origin, recipe: int, photo: Frame | None
    ) -> Generator[Growth | None, None, Growth]:
        """Make one image, and where it starts from noise then all; return how they look."""
        optimizer, runs = self._opened(), self.runs(unit, recipe)
        starts, about, held = None, RECIPES[recipe].name, RECORDS
        if photo is not None:
            runs, about = (
                [runs[0].replaced(pull=PULL)],
                f"{about} from {os.path.basename(photo.name)}",
            )
            starts = [np.asarray(self._prepare(photo)[0], np.float32)]
            held += starts[0].nbytes + sum(image.nbytes for image in photo.images)

        def growth(step: Step) -> Growth:
            return _growth(unit, about, step, held)

        results = yield from _told(_run(optimizer, runs[:1], [], starts), growth)
        if results[0].without_gradient:
            return _without(unit, recipe, f"{_name(unit)}: {results[0].note}")
        if photo is None:
            picture = picture_of(optimizer, results[0])
            results = yield from _told(_run(optimizer, runs, [picture]), growth)
        spec, name = defaults_of(self._settings).model, photo.name if photo is not None else ""
        made = Made(optimizer, spec, runs[0], results, os.path.basename(name))
        return _finished(unit, about, made, held)

    def _fill(self, fill: Fill, recipe: int) -> Iterator[Filled | None]:
        """Make the first image of one unit after the other."""
        tiles = self._tiles.setdefault(key := (fill.layer, recipe, fill.room), {})
        self._tiles.move_to_end(key)
        drop_oldest(self._tiles, TILES_BYTES, _bytes_of)
        left = [unit for unit in fill.units if unit not in tiles]
        yield Filled(dict(tiles), len(left))
        for done, unit in enumerate(left):
            to_come = len(left) - done
            try:
                optimizer = self._opened()
                steps = _run(optimizer, self.runs(Origin(fill.layer, unit), recipe)[:1], [])
                growing = _told(steps, partial(_filled, tiles, unit, fill.room, to_come))
                (found,) = yield from growing
            except (OptimizeError, *ENGINE_ERRORS) as error:
                yield Filled(dict(tiles), 0, str(error))
                return
            tiles[unit] = shrink(picture_of(optimizer, found), fill.room)
            yield Filled(dict(tiles), to_come - 1)

    def runs(self, unit: Origin, recipe: int) -> list[FindParams]:
        """Return the ascents, as `python -m optimize --seeds 9` runs them."""
        values = {**defaults_of(self._settings).recipe, **preset_values(RECIPES[recipe].preset)}
        first = FindParams.from_dict(
            {**values, "push_layer": unit.layer, "push_channel": unit.unit}
        )
        seeds = range(first.rand_seed, first.rand_seed + SEEDS)
        return [first.replaced(rand_seed=seed) for seed in seeds]

    def _opened(self) -> GradientOptimizer:
        if self._optimizer is None:
            compute_on(1)  # one thread: the others are the window's, and the result is the same
            spec = defaults_of(self._settings).model
            self._refuse_others()
            own = self._net is None
            found = open_optimizer(spec) if own else optimizer_of(spec, self._net)
            self._refuse_others()
            self._optimizer = found
        return self._optimizer

    def _refuse_others(self) -> None:
        """Refuse files that are not those of the window's network, as far as they are read here."""
        files = self._files
        if files and (why := files.changed() if self._net is None else files.beside_changed()):
            raise OptimizeError(why)


@dataclass(frozen=True, eq=False)
class Step:
    """Images on the way, by number, of so many; and the moment they were looked at."""

    shown: Mapping[int, Image]
    count: int
    moment: Moment


def _run(
    optimizer: GradientOptimizer,
    runs: Sequence[FindParams],
    begun: Sequence[Image],
    starts: Sequence[FloatArray] | None = None,
) -> Generator[Step | None, None, list[FindResults]]:
    """Run ascents side by side as far as the batch tool would; return their results.

    Parameters
    ----------
    optimizer : GradientOptimizer
        The network's.
    runs : sequence of FindParams
        Of one unit; seeds count up.
    begun : sequence of ndarray
        The first of their images, which are there already, and stay until all are.
    starts : sequence of ndarray, optional
        What they start from, of so few that they run side by side.
    """
    size, told = optimizer.batch_size(runs[0]), -math.inf
    shown, results = dict(enumerate(begun)), list[FindResults]()
    for at in range(0, len(runs), size):
        moments = optimizer.moments(runs[at : at + size], starts, size)
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
            seen = _seen(optimizer, runs[0], moment)
            shown |= {number: image for number, image in seen.items() if number >= len(begun)}
            yield Step(dict(shown), len(runs), moment)
    return results


def _seen(optimizer: GradientOptimizer, first: FindParams, moment: Moment) -> dict[int, Image]:
    """Return what the unit sees of the images, by their numbers."""
    mean, swap = optimizer.mean_at(optimizer.field(first)), optimizer.channel_swap_to_rgb
    numbers = [member.rand_seed - first.rand_seed for member in moment.members]
    images = (plus_mean(x, mean, optimizer.grey, swap) for x in moment.seen.cpu().numpy())
    return dict(zip(numbers, images, strict=True))


T = TypeVar("T")


def _told(
    steps: Generator[Step | None, None, list[FindResults]], tell: Callable[[Step], T]
) -> Generator[T | None, None, list[FindResults]]:
    """Say of each step what there is to tell; return the results."""
    while True:
        try:
            step = next(steps)
        except StopIteration as ended:
            found: list[FindResults] = ended.value
            return found
        yield None if step is None else tell(step)


# ---------------------------------------------------------------- what is told


def _name(unit: Origin) -> str:
    return f"{unit.layer}:{unit.unit}"


def _without(unit: Origin, recipe: int, why: str) -> Growth:
    """Say why a unit has no image."""
    return Growth(None, RECIPES[recipe].name, f"{_name(unit)}: no image", why, held=RECORDS)


def _growth(unit: Origin, about: str, step: Step, held: int) -> Growth:
    """Say how far some images are, of which those not begun are black; `held` beside them."""
    nothing = np.zeros_like(next(iter(step.shown.values())))
    number, of = step.moment.iteration + 1, step.moment.members[0].max_iter
    which = "image 1" if step.count == 1 else f"images 1 to {step.count}"
    objective = float(step.moment.obj.max())
    return Growth(
        picture=tiled([step.shown.get(k, nothing) for k in range(step.count)]),
        title=f"{about}: {which}",
        caption=f"{_name(unit)}, {number} of {of}, objective {objective:.4g}",
        held=held + COPIES * step.moment.images.nbytes,
    )


def _finished(unit: Origin, about: str, made: Made, held: int) -> Growth:
    """Show the images as the batch tool does; `held` beside them."""
    results, name = made.results, _name(unit)
    objective = max(found.best_obj for found in results)
    picture = tiled([picture_of(made.optimizer, found) for found in results])
    return Growth(
        picture=picture,
        title=f"{about}: {len(results)} image" + "s" * (len(results) > 1),
        caption=f"{name}, objective {objective:.4g}",
        note=next((f"{name}: {found.note}" for found in results if found.note), ""),
        # The last images, beside the best ones, are not kept: a copy, as a view would keep them.
        made=replace(
            made, results=[replace(found, last=found.last[:, :0].copy()) for found in results]
        ),
        held=held + picture.nbytes + sum(found.best.nbytes for found in results),
    )


def _bytes_of(tiles: Mapping[int, Image]) -> int:
    return sum(tile.nbytes for tile in tiles.values())


def _filled(
    tiles: Mapping[int, Image], unit: int, room: tuple[int, int], to_come: int, step: Step
) -> Filled:
    """Show the image that grows among those that are finished."""
    return Filled({**tiles, unit: shrink(step.shown[0], room)}, to_come)
