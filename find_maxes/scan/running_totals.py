"""All that a scan has found so far, over any set of images; totals of disjoint sets merge."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from find_maxes.labels.class_sums import ClassSums
from find_maxes.labels.lots import Lots
from find_maxes.labels.naming import TOP
from find_maxes.labels.sample import Sample
from find_maxes.scan.statistics import Correlation, Histogram
from find_maxes.scan.top_n import Maxima, Tracker
from torchcaffe.blobs.blob import Shape

Arrays = dict[str, np.ndarray]
Range = tuple[int, int]  # first image, and the one after the last


@dataclass(frozen=True)
class Wanted:
    """What to keep: how many images a unit, and which statistics.

    `labels` is the number of classes of which sums are kept, 0 for none.
    """

    top: int = 9
    histograms: bool = False
    correlation: bool = False
    labels: int = 0
    quantiles: bool = False

    @property
    def tracked(self) -> int:
        """How many images a unit are kept while the scan goes on."""
        return max(self.top, TOP) if self.labels else self.top

    @property
    def needs_lots(self) -> bool:
        """Whether it must be known what each image is used for."""
        return bool(self.labels) or self.quantiles


@dataclass
class Statistics:
    """What is kept of a layer beside its top images."""

    histogram: Histogram | None = None
    correlation: Correlation | None = None

    def update(self, maxima: Tensor) -> None:
        """Take in maxima (images, units)."""
        for part in (self.histogram, self.correlation):
            if part is not None and len(maxima):
                part.update(maxima)

    def merged(self, other: Statistics) -> Statistics:
        """Return the statistics of both sets of images."""
        histogram, correlation = self.histogram, self.correlation
        if histogram is not None and other.histogram is not None:
            histogram = histogram.merged(other.histogram)
        if correlation is not None and other.correlation is not None:
            correlation = correlation.merged(other.correlation)
        return Statistics(histogram, correlation)


@dataclass
class Totals:
    """What is kept of all layers.

    Attributes
    ----------
    units : dict of str to int
        Layer -> how many units it has.
    tracker : Tracker
        Of the units of all layers, in their order: one step a batch for all of them.
    statistics : dict of str to Statistics
        By layer.
    classes : ClassSums or None
        Of the units of all layers, for labels.
    sample : Sample or None
        Of the units of all layers, for quantiles.
    bad : dict of int to str
        Image -> why it could not be read.
    done : list of (int, int)
        Which images are in here, in ascending, disjoint ranges.
    """

    units: dict[str, int]
    tracker: Tracker
    statistics: dict[str, Statistics]
    classes: ClassSums | None = None
    sample: Sample | None = None
    bad: dict[int, str] = field(default_factory=dict)
    done: list[Range] = field(default_factory=list)

    @classmethod
    def empty(
        cls, shapes: Mapping[str, Shape], wanted: Wanted, device: torch.device | None = None
    ) -> Totals:
        """Return the totals of no image, for layers of these shapes (units first)."""
        units = {name: shape[0] for name, shape in shapes.items()}
        statistics = {
            name: Statistics(
                Histogram.empty(count, device) if wanted.histograms else None,
                Correlation.empty(count, device) if wanted.correlation else None,
            )
            for name, count in units.items()
        }
        every = sum(units.values())
        return cls(
            units,
            Tracker.empty(every, wanted.tracked, device),
            statistics,
            ClassSums.empty(wanted.labels, every, device) if wanted.labels else None,
            Sample.empty(every, device) if wanted.quantiles else None,
        )

    def rows(self) -> dict[str, Range]:
        """Return which of all units are a layer's: the first, and the one after the last."""
        ends = list(itertools.accumulate(self.units.values()))
        return dict(zip(self.units, zip([0, *ends[:-1]], ends, strict=True), strict=True))

    def trackers(self) -> dict[str, Tracker]:
        """Return each layer's part of the tracker."""
        return {name: self.tracker.part(*rows) for name, rows in self.rows().items()}

    def update(
        self,
        maxima: Sequence[Maxima],
        first: int,
        reasons: Sequence[str | None],
        lots: Lots | None = None,
    ) -> None:
        """Take in a group of images, numbered from `first`.

        Parameters
        ----------
        maxima : sequence of Maxima
            Of each layer, as `maxima_of` returns them.
        first : int
            Number of the first.
        reasons : sequence of str or None
            For each image: why it is bad, or None.
        lots : Lots, optional
            Of these images, where labels or quantiles are kept.
        """
        together, places = torch.cat([part.values for part in maxima], 1), _Places(maxima)
        self.tracker.update(together, first, places)
        if lots is not None:
            self._update_labels(together, first, reasons, lots, places)
        good = _good(reasons, together.device)
        for statistics, part in zip(self.statistics.values(), maxima, strict=True):
            statistics.update(part.values if good is None else part.values[good])
        self.bad.update({first + i: why for i, why in enumerate(reasons) if why is not None})
        self.done = joined([*self.done, (first, first + len(reasons))])

    def _update_labels(
        self,
        maxima: Tensor,
        first: int,
        reasons: Sequence[str | None],
        lots: Lots,
        places: _Places,
    ) -> None:
        """Take a group into account for labels and quantiles."""
        good = np.array([reason is None for reason in reasons])
        if self.sample is not None:
            self.sample.update(maxima, good, lots, first, places)
        if self.classes is not None:
            rows = np.flatnonzero(good)
            chosen = maxima if good.all() else maxima[torch.from_numpy(rows).to(maxima.device)]
            self.classes.update(chosen, lots.of(rows))

    def merged(self, other: Totals) -> Totals:
        """Return the totals of both sets of images, which must be disjoint."""
        return Totals(
            self.units,
            self.tracker.merged(other.tracker),
            {name: mine.merged(other.statistics[name]) for name, mine in self.statistics.items()},
            self.classes.merged(other.classes) if self.classes and other.classes else None,
            self.sample.merged(other.sample) if self.sample and other.sample else None,
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
            "layers": np.array(list(self.units), np.str_),
            "units": np.array(list(self.units.values()), np.int64),
        }
        out.update({f"top/{name}": array for name, array in self.tracker.arrays().items()})
        for kind, whole in (("classes", self.classes), ("sample", self.sample)):
            arrays = whole.arrays() if whole is not None else {}
            out.update({f"{kind}/{name}": array for name, array in arrays.items()})
        for layer, statistics in self.statistics.items():
            for kind, part in vars(statistics).items():
                arrays = part.arrays() if part is not None else {}
                out.update({f"{kind}/{layer}/{name}": a for name, a in arrays.items()})
        return out

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], device: torch.device | None = None
    ) -> Totals:
        """Return the totals that `arrays` describes, on the device; they share no memory."""
        units = dict(zip(arrays["layers"].tolist(), arrays["units"].tolist(), strict=True))
        statistics = {}
        for layer in units:
            histogram = _below(arrays, f"histogram/{layer}/")
            correlation = _below(arrays, f"correlation/{layer}/")
            statistics[layer] = Statistics(
                Histogram.from_arrays(histogram, device) if histogram else None,
                Correlation.from_arrays(correlation, device) if correlation else None,
            )
        bad = zip(arrays["bad_index"].tolist(), arrays["bad_reason"].tolist(), strict=True)
        done = [(start, stop) for start, stop in arrays["done"].tolist()]
        tracker = Tracker.from_arrays(_below(arrays, "top/"), device)
        classes, sample = _below(arrays, "classes/"), _below(arrays, "sample/")
        return cls(
            units,
            tracker,
            statistics,
            ClassSums.from_arrays(classes, device) if classes else None,
            Sample.from_arrays(sample, device) if sample else None,
            dict(bad),
            done,
        )

    def to(self, device: torch.device) -> Totals:
        """Return a copy on another device."""
        return Totals.from_arrays(self.arrays(), device)


def _below(arrays: Mapping[str, np.ndarray], prefix: str) -> Arrays:
    """Return copies of the arrays whose name has a prefix and one more part."""
    found = {key[len(prefix) :]: array for key, array in arrays.items() if key.startswith(prefix)}
    return {name: array.copy() for name, array in found.items() if "/" not in name}


class _Places:
    """Places of units that are numbered through all layers."""

    def __init__(self, maxima: Sequence[Maxima]) -> None:
        self._maxima = maxima
        self._ends = list(itertools.accumulate(part.values.shape[1] for part in maxima))

    def __call__(self, images: Tensor, units: Tensor, values: Tensor) -> Tensor:
        ends = torch.tensor(self._ends, device=units.device)
        cuts = [0, *torch.searchsorted(units, ends).tolist()]
        found, start = [], 0
        for part, first, last, end in zip(self._maxima, cuts, cuts[1:], self._ends, strict=False):
            if last > first:
                rows = slice(first, last)
                found.append(part.places(images[rows], units[rows] - start, values[rows]))
            start = end
        return torch.cat(found) if found else units


def maxima_of(values: Mapping[str, Tensor], reasons: Sequence[str | None]) -> list[Maxima]:
    """Take the maxima of a group of images.

    Parameters
    ----------
    values : mapping of str to Tensor
        Layer -> values (images or more, units, ...); what is beyond `reasons` is padding.
    reasons : sequence of str or None
        For each image: why it is bad, or None.
    """
    good = _good(reasons, next(iter(values.values())).device)
    return [Maxima.of(maps[: len(reasons)], good) for maps in values.values()]


def _good(reasons: Sequence[str | None], device: torch.device) -> Tensor | None:
    """Return which images are good; None where all are."""
    if all(reason is None for reason in reasons):
        return None
    return torch.tensor([reason is None for reason in reasons], device=device)


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
