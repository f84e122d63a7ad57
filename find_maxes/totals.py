"""All that a scan has found so far, over any set of images; totals of disjoint sets merge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from find_maxes.statistics import Correlation, Histogram
from find_maxes.tracker import Tracker, image_maxima
from torchcaffe.blob import Shape

Arrays = dict[str, np.ndarray]
Range = tuple[int, int]  # first image, and the one after the last


@dataclass(frozen=True)
class Wanted:
    """What to keep: how many images a unit, and which statistics."""

    top: int = 9
    histograms: bool = False
    correlation: bool = False


@dataclass
class LayerTotals:
    """What is kept of one layer."""

    tracker: Tracker
    histogram: Histogram | None = None
    correlation: Correlation | None = None

    @classmethod
    def empty(cls, units: int, wanted: Wanted, device: torch.device | None = None) -> LayerTotals:
        """Return the totals of no image."""
        return cls(
            Tracker.empty(units, wanted.top, device),
            Histogram.empty(units, device) if wanted.histograms else None,
            Correlation.empty(units, device) if wanted.correlation else None,
        )

    def update(self, maps: Tensor, first: int, good: Tensor | None) -> None:
        """Take in a batch (images, units, ...), numbered from `first`."""
        maxima = image_maxima(maps, good)
        self.tracker.update(maps, maxima, first)
        if good is not None:
            maxima = maxima[good]
        for statistic in (self.histogram, self.correlation):
            if statistic is not None and len(maxima):
                statistic.update(maxima)

    def merged(self, other: LayerTotals) -> LayerTotals:
        """Return the totals of both sets of images."""
        histogram, correlation = self.histogram, self.correlation
        if histogram is not None and other.histogram is not None:
            histogram = histogram.merged(other.histogram)
        if correlation is not None and other.correlation is not None:
            correlation = correlation.merged(other.correlation)
        return LayerTotals(self.tracker.merged(other.tracker), histogram, correlation)

    def arrays(self) -> Arrays:
        """Return everything as arrays, by names such as `tracker/values`."""
        return {
            f"{part}/{name}": array
            for part, value in vars(self).items()
            if value is not None
            for name, array in value.arrays().items()
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, device: torch.device | None = None) -> LayerTotals:
        """Return the totals that `arrays` describes."""
        parts: dict[str, Arrays] = {}
        for key, array in arrays.items():
            part, name = key.split("/")
            parts.setdefault(part, {})[name] = array
        return cls(
            Tracker.from_arrays(parts["tracker"], device),
            Histogram.from_arrays(parts["histogram"], device) if "histogram" in parts else None,
            Correlation.from_arrays(parts["correlation"], device)
            if "correlation" in parts
            else None,
        )


@dataclass
class Totals:
    """What is kept of all layers.

    Attributes
    ----------
    layers : dict of str to LayerTotals
        By name.
    bad : dict of int to str
        Image -> why it could not be read.
    done : list of (int, int)
        Which images are in here, in ascending, disjoint ranges.
    """

    layers: dict[str, LayerTotals]
    bad: dict[int, str] = field(default_factory=dict)
    done: list[Range] = field(default_factory=list)

    @classmethod
    def empty(
        cls, shapes: Mapping[str, Shape], wanted: Wanted, device: torch.device | None = None
    ) -> Totals:
        """Return the totals of no image, for layers of these shapes (units first)."""
        return cls({n: LayerTotals.empty(s[0], wanted, device) for n, s in shapes.items()})

    def update(
        self, values: Mapping[str, Tensor], first: int, reasons: Sequence[str | None]
    ) -> None:
        """Take in a group of images, numbered from `first`.

        Parameters
        ----------
        values : mapping of str to Tensor
            Layer -> values (images or more, units, ...); what is beyond `reasons` is padding.
        first : int
            Number of the first.
        reasons : sequence of str or None
            For each image: why it is bad, or None.
        """
        good = torch.tensor([reason is None for reason in reasons])
        mask = None if bool(good.all()) else good
        for name, totals in self.layers.items():
            maps = values[name][: len(reasons)]
            totals.update(maps, first, None if mask is None else mask.to(maps.device))
        self.bad.update({first + i: why for i, why in enumerate(reasons) if why is not None})
        self.done = joined([*self.done, (first, first + len(reasons))])

    def merged(self, other: Totals) -> Totals:
        """Return the totals of both sets of images, which must be disjoint."""
        return Totals(
            {name: mine.merged(other.layers[name]) for name, mine in self.layers.items()},
            dict(sorted({**self.bad, **other.bad}.items())),
            joined([*self.done, *other.done]),
        )

    @property
    def count(self) -> int:
        """How many images are in here, bad ones included."""
        return sum(stop - start for start, stop in self.done)

    def arrays(self) -> Arrays:
        """Return everything as arrays; `from_arrays` reads them."""
        out: Arrays = {
            "done": np.array(self.done, np.int64).reshape(-1, 2),
            "bad_index": np.array(list(self.bad), np.int64),
            "bad_reason": np.array(list(self.bad.values()), np.str_),
        }
        for layer, totals in self.layers.items():
            out.update({f"layer/{layer}/{name}": a for name, a in totals.arrays().items()})
        return out

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], device: torch.device | None = None
    ) -> Totals:
        """Return the totals that `arrays` describes, on the device; they share no memory."""
        layers: dict[str, Arrays] = {}
        for key, array in arrays.items():
            if key.startswith("layer/"):
                layer, part, name = key.removeprefix("layer/").rsplit("/", 2)
                layers.setdefault(layer, {})[f"{part}/{name}"] = array.copy()
        bad = zip(arrays["bad_index"].tolist(), arrays["bad_reason"].tolist(), strict=True)
        done = [(start, stop) for start, stop in arrays["done"].tolist()]
        found = {name: LayerTotals.from_arrays(a, device) for name, a in layers.items()}
        return cls(found, dict(bad), done)

    def to(self, device: torch.device) -> Totals:
        """Return a copy on another device."""
        return Totals.from_arrays(self.arrays(), device)


def joined(ranges: Sequence[Range]) -> list[Range]:
    """Sort ranges and join those that touch."""
    out: list[Range] = []
    for start, stop in sorted(ranges):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(stop, out[-1][1]))
        else:
            out.append((start, stop))
    return out


def remaining(done: Sequence[Range], total: int) -> Iterator[Range]:
    """Yield the ranges of 0 to `total` that are not done."""
    at = 0
    for start, stop in joined(done):
        if start > at:
            yield at, start
        at = max(at, stop)
    if at < total:
        yield at, total
