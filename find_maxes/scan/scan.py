"""One pass over the images: decoded in processes, forward in lanes, top N on the device."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import cuda

import torchcaffe as caffe
from find_maxes.errors import FindMaxesError, reason_of
from find_maxes.labels.lots import Lots
from find_maxes.photos.decoders import Decoder, Group, Reasons
from find_maxes.photos.net_input import Recipe
from find_maxes.photos.photo_list import ImageList
from find_maxes.scan.lanes import Lanes
from find_maxes.scan.network import NetFiles, Runner
from find_maxes.scan.running_totals import Range, Totals, Wanted, maxima_of
from find_maxes.scan.top_n import Maxima
from toolbox.pictures.stamp import definition_digest

FORMAT = 1  # of the files; another number where their meaning changes


@dataclass(frozen=True)
class Job:
    """What to find, in which net, and from what pictures; small enough to send around."""

    net: NetFiles
    recipe: Recipe
    layers: tuple[str, ...]
    wanted: Wanted


@dataclass
class Clock:
    """Seconds spent, by part: sums over all decoding processes, and over all lanes.

    Attributes
    ----------
    seconds : dict of str to float
        By part.
    wall : float
        From the first picture to the last.
    """

    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("decode", "wait", "forward", "top"), 0.0)
    )
    wall: float = 0.0

    def add(self, part: str, since: float) -> float:
        """Add the time since then to a part; return the time now."""
        now = time.perf_counter()
        self.seconds[part] += now - since
        return now


@dataclass(frozen=True)
class _Seen:
    """What a lane has made of a group: each layer's maxima, and its seconds by part."""

    maxima: list[Maxima]
    reasons: Reasons
    seconds: dict[str, float]


class Scan:
    """A net ready to scan ranges of images.

    Parameters
    ----------
    job : Job
        What to find.
    runner : Runner, optional
        The job's net, where it is open already.
    lots : Lots, optional
        Of the images that `run` gets, where labels or quantiles are wanted.

    Attributes
    ----------
    clock : Clock
        Where the time went.
    """

    def __init__(self, job: Job, runner: Runner | None = None, lots: Lots | None = None) -> None:
        self.job, self._lots = job, lots
        self.runner = runner or Runner(job.net, job.layers)
        self.clock = Clock()

    def empty(self) -> Totals:
        """Return the totals of no image, on the net's device."""
        return Totals.empty(self.runner.shapes, self.job.wanted, caffe.device.current())

    def run(
        self,
        images: ImageList,
        where: Range,
        decoder: Decoder,
        lanes: Lanes,
        totals: Totals,
        at: int = 0,
    ) -> Iterator[Totals]:
        """Go through a range; yield the totals after each group.

        Parameters
        ----------
        images : ImageList
            The images.
        where : (int, int)
            First image, and the one after the last.
        decoder : Decoder
            For groups of the net's size; holds as many as there are lanes.
        lanes : Lanes
            Of this scan's runner.
        totals : Totals
            Of images before these; they grow.
        at : int
            Number of the list's first image, where the list is part of a longer one.
        """
        size = self.runner.size
        starts = range(*where, size)
        paths = (
            [images.path(i) for i in range(start, min(start + size, where[1]))] for start in starts
        )
        groups = self._timed(_unchanged(images, starts, decoder.groups(paths)))
        now = time.perf_counter()
        for start, seen in zip(starts, lanes.map(_look, groups), strict=True):
            for part, seconds in seen.seconds.items():
                self.clock.seconds[part] += seconds
            begun = time.perf_counter()
            lots = self._lots and self._lots.part(start, start + len(seen.reasons))
            totals.update(seen.maxima, at + start, seen.reasons, lots)
            _wait()
            self.clock.wall += self.clock.add("top", begun) - now
            yield totals
            now = time.perf_counter()

    def _timed(self, groups: Iterator[Group]) -> Iterator[Group]:
        """Pass groups on, and keep the time that they let us wait."""
        while True:
            begun = time.perf_counter()
            group = next(groups, None)
            self.clock.add("wait", begun)
            if group is None:
                return
            self.clock.seconds["decode"] += group.seconds
            yield group


def _unchanged(images: ImageList, starts: range, groups: Iterator[Group]) -> Iterator[Group]:
    """Leave out photos that have become others before they were read, or while they were."""
    for start, group in zip(starts, groups, strict=True):
        for row in range(len(group.reasons)):
            if why := images.change(start + row):
                group.reasons[row] = why
                group.inputs[row] = 0
        yield group


def _look(runner: Runner, group: Group) -> _Seen:
    """Take a group through a net; runs in its lane's thread."""
    begun = time.perf_counter()
    values = runner(group.inputs)
    _wait()
    middle = time.perf_counter()
    maxima = maxima_of(values, group.reasons)
    _wait()
    seconds = {"forward": middle - begun, "top": time.perf_counter() - middle}
    return _Seen(maxima, group.reasons, seconds)


def _wait() -> None:
    if caffe.device.current().type == "cuda":
        cuda.synchronize()


def weights_digest(path: str) -> str:
    """Return a number (hexadecimal) that the weights' file determines."""
    digest = hashlib.sha256()
    if path == caffe.opening.NO_WEIGHTS:
        return digest.hexdigest()
    try:
        with Path(path).open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    except OSError as error:
        raise FindMaxesError(f"could not read weights {path}: {reason_of(error)}") from error
    return digest.hexdigest()


def _definition(path: str) -> str:
    try:
        return definition_digest(path)
    except OSError as error:
        raise FindMaxesError(f"could not read {path}: {reason_of(error)}") from error


def describe(job: Job, images: ImageList) -> dict[str, Any]:
    """Return the settings of a run that determine its result (so not workers or batches)."""
    held = job.net.held.to_json()
    return {
        "format": FORMAT,
        "N": job.wanted.top,
        "layers": list(job.layers),
        "histograms": job.wanted.histograms,
        "correlation": job.wanted.correlation,
        "prototxt": job.net.prototxt,
        "prototxt_sha256": _definition(job.net.prototxt),
        "weights": job.net.weights,
        "weights_sha256": weights_digest(job.net.weights),
        "datadir": images.folder,
        "images": len(images),
        "list_sha256": images.digest(),
        "gpu": job.net.gpu,
        "preprocess": job.recipe.to_json(),
        **({"inputs": held} if held else {}),
        # what is not asked for is left out, as results were written before
        **({"labels": job.wanted.labels} if job.wanted.labels else {}),
        **({"quantiles": True} if job.wanted.quantiles else {}),
    }
