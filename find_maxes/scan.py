"""One pass over the images: decoded in processes, forward in groups, top N on the device."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import cuda

import torchcaffe as caffe
from find_maxes.decode import Decoder
from find_maxes.errors import FindMaxesError, reason_of
from find_maxes.filelist import ImageList
from find_maxes.network import NetFiles, Runner
from find_maxes.picture import Recipe
from find_maxes.totals import Range, Totals, Wanted

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
    """Seconds spent, by part; `decode` is the sum over all processes."""

    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("decode", "wait", "forward", "top"), 0.0)
    )

    def add(self, part: str, since: float) -> float:
        """Add the time since then to a part; return the time now."""
        now = time.perf_counter()
        self.seconds[part] += now - since
        return now

    def total(self) -> float:
        """Return the seconds of all parts that follow one another."""
        return sum(self.seconds.values()) - self.seconds["decode"]


class Scan:
    """A net ready to scan ranges of images.

    Parameters
    ----------
    job : Job
        What to find.
    runner : Runner, optional
        The job's net, where it is open already.

    Attributes
    ----------
    clock : Clock
        Where the time went.
    """

    def __init__(self, job: Job, runner: Runner | None = None) -> None:
        self.job = job
        self.runner = runner or Runner(job.net, job.layers)
        self.clock = Clock()

    def empty(self) -> Totals:
        """Return the totals of no image, on the net's device."""
        return Totals.empty(self.runner.shapes, self.job.wanted, caffe.device.current())

    def run(
        self, images: ImageList, where: Range, decoder: Decoder, totals: Totals, at: int = 0
    ) -> Iterator[Totals]:
        """Go through a range; yield the totals after each group.

        Parameters
        ----------
        images : ImageList
            The images.
        where : (int, int)
            First image, and the one after the last.
        decoder : Decoder
            For groups of the net's size.
        totals : Totals
            Of images before these; they grow.
        at : int
            Number of the list's first image, where the list is part of a longer one.
        """
        size = self.runner.size
        starts = range(*where, size)
        groups = (
            [images.path(i) for i in range(start, min(start + size, where[1]))] for start in starts
        )
        now = time.perf_counter()
        try:
            for start, group in zip(starts, decoder.groups(groups), strict=True):
                now = self.clock.add("wait", now)
                self.clock.seconds["decode"] += group.seconds
                values = self.runner(group.inputs)
                self._wait()
                now = self.clock.add("forward", now)
                totals.update(values, at + start, group.reasons)
                self._wait()
                now = self.clock.add("top", now)
                yield totals
                now = time.perf_counter()
        finally:
            self.runner.release()

    def _wait(self) -> None:
        if caffe.device.current().type == "cuda":
            cuda.synchronize()


def weights_digest(path: str) -> str:
    """Return a number (hexadecimal) that the weights' file determines."""
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    except OSError as error:
        raise FindMaxesError(f"could not read weights {path}: {reason_of(error)}") from error
    return digest.hexdigest()


def describe(job: Job, images: ImageList) -> dict[str, Any]:
    """Return the settings of a run that determine its result (so not workers or batches)."""
    return {
        "format": FORMAT,
        "N": job.wanted.top,
        "layers": list(job.layers),
        "histograms": job.wanted.histograms,
        "correlation": job.wanted.correlation,
        "prototxt": job.net.prototxt,
        "weights": job.net.weights,
        "weights_sha256": weights_digest(job.net.weights),
        "datadir": images.folder,
        "images": len(images),
        "list_sha256": images.digest(),
        "gpu": job.net.gpu,
        "preprocess": job.recipe.to_json(),
    }
