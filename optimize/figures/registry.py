"""The figures by name, and what each is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from optimize.ascent.optimizer import GradientOptimizer
from optimize.ascent.results import FindResults
from optimize.errors import OptimizeError
from optimize.output.pictures import plus_mean
from optimize.output.progress import Progress
from optimize.params import FindParams, preset_values
from toolbox.pictures.images import Image

BEST_PRESET = 3
_AT_ONCE = 64  # runs between two looks at the progress; a multiple of usual batches


@dataclass(frozen=True)
class Options:
    """What the command line said.

    Parameters
    ----------
    classes : list of str
        Names or numbers of units of the last layer with labels; empty for the figure's own.
    layers : list of str
        Empty for all with weights.
    seeds, seed : int or None, int
        Runs a unit (None: as many as the paper), and the first one's seed.
    max_iter : int
        Iterations.
    count : int
        Draws of the random search.
    photos : list of Path
        Of the statistic: files.
    out : Path
        The picture to write; parts of a search lie beside it.
    """

    classes: Sequence[str] = ()
    layers: Sequence[str] = ()
    seeds: int | None = None
    seed: int = 0
    max_iter: int = 300
    count: int = 300
    photos: Sequence[Path] = ()
    out: Path = Path("figure.png")


@dataclass(eq=False)
class Studio:
    """A network, the options, and how ascents are run and shown.

    Parameters
    ----------
    optimizer : GradientOptimizer
        The network's.
    options : Options
        The command line's.
    quiet : bool
        No progress bar.
    model : mapping
        What tells the network from others, as `ModelSpec.record` gives it.
    """

    optimizer: GradientOptimizer
    options: Options
    quiet: bool = False
    model: Mapping[str, Any] = field(default_factory=dict)

    def params(self, layer: str, channel: int, seed: int, **changes: Any) -> FindParams:
        """Return a unit's settings: every regulariser off but those in `changes`, policy rms."""
        values = {"lr_policy": "rms", "max_iter": self.options.max_iter, **changes}
        return FindParams.from_dict(
            {**values, "push_layer": layer, "push_channel": channel, "rand_seed": seed}
        )

    def best(self, layer: str, channel: int, seed: int) -> FindParams:
        """Return a unit's settings with the best of the paper's presets."""
        return self.params(layer, channel, seed, **preset_values(BEST_PRESET))

    def run(self, params: Sequence[FindParams]) -> list[FindResults]:
        """Run ascents, with a progress bar."""
        progress = Progress(len(params), quiet=self.quiet)
        found: list[FindResults] = []
        try:
            for first in range(0, len(params), _AT_ONCE):
                part = params[first : first + _AT_ONCE]
                tick = progress.ticks(self.options.max_iter)
                found += self.optimizer.run_batch(part, tick=tick)
                progress.finish(len(part))
        finally:
            progress.close()
        for p, one in zip(params, found, strict=True):
            progress.notes.add_run(p, one)
        progress.notes.tell()
        return found

    def tile(self, found: FindResults) -> Image:
        """Return what the unit sees of its best image, at true size (RGB)."""
        mean = self.optimizer.mean_at(found.field)
        swap = self.optimizer.channel_swap_to_rgb
        return plus_mean(found.best_crop, mean, self.optimizer.grey, swap)

    def seeds(self, usual: int) -> list[int]:
        """Return the runs' seeds: as many as asked for, or the usual number."""
        return list(range(self.options.seed, self.options.seed + (self.options.seeds or usual)))

    def layers(self) -> list[str]:
        """Return the layers asked for, or all with weights.

        Raises
        ------
        OptimizeError
            One does not exist.
        """
        named = list(self.options.layers)
        for layer in named:
            self.optimizer.channels(layer)
        net = self.optimizer.net
        return named or [
            name
            for name in net.params
            if name in net.blobs and len(net.blobs[name].shape) in (2, 4)
        ]

    def maps(self) -> list[str]:
        """Return those of the layers that are convolutions: with rows and columns.

        Raises
        ------
        OptimizeError
            There is none.
        """
        net = self.optimizer.net
        found = [name for name in self.layers() if len(net.blobs[name].shape) == 4]
        if not found:
            raise OptimizeError("none of the layers has rows and columns, as a convolution has")
        return found

    def class_layer(self) -> str:
        """Return the layer whose units are the classes: before the softmax, if it is labelled."""
        labelled = [n for n in self.layers_of_net() if n in self.optimizer.label_layers]
        return labelled[0] if labelled else self.layers_of_net()[-1]

    def layers_of_net(self) -> list[str]:
        """Return all layers with weights."""
        return [name for name in self.optimizer.net.params if name in self.optimizer.net.blobs]

    def classes(self, usual: int) -> list[int]:
        """Return the units of the classes asked for, or some, spread evenly.

        Raises
        ------
        OptimizeError
            A class is unknown; the sentence has names that are like it.
        """
        layer = self.class_layer()
        count = self.optimizer.channels(layer)
        if not self.options.classes:
            chosen = np.linspace(0, count - 1, min(usual, count))
            return [int(k) for k in chosen]
        return [self._class(name, layer, count) for name in self.options.classes]

    def _class(self, name: str, layer: str, count: int) -> int:
        labels = self.optimizer.labels
        if name in labels:
            return labels.index(name)
        if name.isascii() and name.isdecimal() and int(name[:9]) < count:
            return int(name)
        like = [label for label in labels if name.lower() in label.lower()][:5]
        hint = f"; there are {', '.join(like)}" if like else ""
        raise OptimizeError(
            f"there is no class {name!r}: {layer} has the units 0 to {count - 1}{hint}"
        )

    def name(self, layer: str, channel: int) -> str:
        """Return a class's label, or `layer:unit`."""
        label = self.optimizer.label(FindParams(push_layer=layer, push_channel=channel))
        return label or f"{layer}:{channel}"


@dataclass(frozen=True)
class Made:
    """What a figure gives.

    Parameters
    ----------
    pictures : dict of str to ndarray of uint8, shape (h, w, 3)
        By what is added to the file's name; RGB.
    record : dict
        The numbers, for the JSON file.
    tables : dict of str to str
        Further texts by the ending of their names, as `.csv`.
    said : str
        For the terminal.
    """

    pictures: dict[str, Image]
    record: dict[str, Any]
    tables: dict[str, str] = field(default_factory=dict)
    said: str = ""


@dataclass(frozen=True)
class Figure:
    """A row of the registry.

    Parameters
    ----------
    name, about : str
        For the command line.
    make : callable
        From a Studio to what it gives.
    takes : tuple of str
        Names of the options, besides those of all figures.
    """

    name: str
    about: str
    make: Callable[[Studio], Made]
    takes: tuple[str, ...]


FIGURES: dict[str, Figure] = {}


def figure(
    name: str, about: str, *takes: str
) -> Callable[[Callable[[Studio], Made]], Callable[[Studio], Made]]:
    """Return a decorator that puts a figure into the registry."""

    def register(make: Callable[[Studio], Made]) -> Callable[[Studio], Made]:
        FIGURES[name] = Figure(name, about, make, takes)
        return make

    return register


def outcome(found: FindResults) -> dict[str, Any]:
    """Return a run's numbers."""
    return {
        "best_obj": found.best_obj,
        "best_ii": found.best_ii,
        "is_strongest": bool(found.ismax_here[found.best_ii]),
        "meta_result": found.meta_result,
    }
