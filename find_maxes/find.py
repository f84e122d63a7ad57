"""What find_max_acts does, from options to exit status."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import cv2
import torch
from tqdm import tqdm

import torchcaffe as caffe
from find_maxes.errors import FindMaxesError
from find_maxes.labels.lots import check_classes, class_names, draw_lots
from find_maxes.labels.table import NAME as TABLE
from find_maxes.labels.table import write_table
from find_maxes.labels.words import label_words
from find_maxes.options import held_from, make_recipe, read_settings
from find_maxes.photos.decoders import Decoder
from find_maxes.photos.photo_list import ImageList, read_images
from find_maxes.reports import charts, summary
from find_maxes.scan import dask_shards, maxes_file
from find_maxes.scan.lanes import Lanes
from find_maxes.scan.network import NetFiles, Runner, image_input
from find_maxes.scan.running_totals import Totals, Wanted, remaining
from find_maxes.scan.scan import Job, Scan, describe
from toolbox.pictures.file_versions import FileVersions
from toolbox.workers.heartbeat import SECONDS, Heartbeat

CPU = torch.device("cpu")


class Progress:
    """Bar, log of bad files and checkpoints of a run.

    Parameters
    ----------
    out : Path
        Where the result goes.
    settings : dict
        What determines the result.
    images : ImageList
        The images.
    every : float
        Seconds between checkpoints.
    """

    def __init__(
        self, out: Path, settings: dict[str, Any], images: ImageList, every: float
    ) -> None:
        self.path = maxes_file.checkpoint_of(out)
        self._settings, self._images, self._every = settings, images, every
        self._saved, self._saved_at = -1, time.monotonic()
        self._logged: set[int] = set()
        self._bar: tqdm[Any] | None = None

    @contextlib.contextmanager
    def shown(self, done: int) -> Iterator[Progress]:
        """Context with the bar on the screen, drawn anew every few seconds in a log too."""
        interval = 0.5 if sys.stderr.isatty() else SECONDS
        with (
            tqdm(
                total=len(self._images), initial=done, unit=" images", mininterval=interval,
                dynamic_ncols=True,
            ) as self._bar,
            Heartbeat(self._bar.refresh),
        ):  # fmt: skip
            yield self

    def show(self, count: int, bad: dict[int, str]) -> None:
        """Move the bar on, and log files that have turned out bad."""
        for index in sorted(bad.keys() - self._logged):
            name = self._images.names[index].encode("utf-8", "backslashreplace").decode()
            tqdm.write(f"bad file {name}: {bad[index]}", file=sys.stderr)
            self._logged.add(index)
        if self._bar is not None:
            self._bar.update(count - self._bar.n)

    def is_due(self) -> bool:
        """Return whether it is time for a checkpoint."""
        return time.monotonic() - self._saved_at >= self._every

    def save(self, totals: Totals) -> None:
        """Write a checkpoint.

        Raises
        ------
        FindMaxesError
            The system refuses; the one before is intact.
        """
        try:
            versions = self._images.versions
            maxes_file.write_checkpoint(self.path, totals, self._settings, versions)
        except FindMaxesError as error:
            kept = ""
            if self.path.exists():
                kept = "; the checkpoint before it is intact: make room and go on with --resume"
            raise FindMaxesError(f"{error}{kept}") from error
        self._saved, self._saved_at = totals.count, time.monotonic()


class Stop:
    """Context in which Ctrl-C, or a polite kill (of SLURM, of a shutdown), asks for an end.

    The run ends after the group it is at, so that what it writes is whole. A second Ctrl-C
    ends it at once.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def open_job(options: argparse.Namespace, images: ImageList) -> tuple[Job, Runner]:
    """Open the net and work out what is to be done with it."""
    settings = read_settings(options.settings)
    net = NetFiles.named(
        options.net_prototxt,
        options.net_weights,
        gpu=options.gpu or settings.caffevis_mode_gpu,
        python=options.allow_python_layers or settings.caffevis_allow_python_layers,
        held=held_from(options, settings),
    )
    runner = Runner(net, options.layers)
    others = net.held.channels(runner.net, image_input(runner.net))
    recipe = make_recipe(options, settings, runner.input_shape, others)
    wanted = Wanted(
        options.top,
        options.histograms,
        options.correlation,
        check_classes(images) if options.labels else 0,
        options.quantiles,
    )
    return Job(net, recipe, tuple(runner.shapes), wanted), runner


def _begin(
    options: argparse.Namespace, progress: Progress, settings: dict[str, Any]
) -> Totals | None:
    """Return what an earlier run has found, or nothing."""
    found = progress.path.exists()
    if options.resume and found:
        return maxes_file.read_checkpoint(progress.path, settings)
    if options.resume:
        print(f"no checkpoint {progress.path}: starting anew", file=sys.stderr)
    elif found:
        print(
            f"note: this run replaces the checkpoint {progress.path} (--resume would go on)",
            file=sys.stderr,
        )
    return None


def _finished(out: Path, settings: dict[str, Any]) -> maxes_file.Maxes | None:
    """Return OUTFILE where it is the result of a run with these settings."""
    try:
        found = maxes_file.read_maxes(out)
    except FindMaxesError:
        return None
    return found if maxes_file.difference(found.settings, settings) is None else None


def _status(bad: int, images: ImageList, options: argparse.Namespace) -> int:
    return 1 if bad > options.max_bad * len(images) else 0


def scan_here(
    scan: Scan, images: ImageList, base: Totals, progress: Progress, options: argparse.Namespace
) -> Totals:
    """Scan what is left on this machine.

    Raises
    ------
    KeyboardInterrupt
        It was asked to end, and a checkpoint is written.
    """
    base = base.to(caffe.device.current())
    lanes = Lanes(scan.runner)
    decoder = Decoder(
        scan.job.recipe, scan.runner.size, options.workers, options.batch_size, lanes.count
    )
    with Stop() as stop, decoder, lanes:
        for where in remaining(base.done, len(images)):
            # After a cluster's run there may be images behind these: then they are merged.
            follows = not base.done or base.done[-1][1] <= where[0]
            totals = base if follows else scan.empty()
            for _ in scan.run(images, where, decoder, lanes, totals):
                count = totals.count if follows else base.count + totals.count
                progress.show(count, totals.bad)
                if stop.asked or progress.is_due():
                    progress.save(totals if follows else base.merged(totals))
                if stop.asked:
                    raise KeyboardInterrupt
            base = totals if follows else base.merged(totals)
    return base


def _watched(options: argparse.Namespace, images: ImageList) -> ImageList:
    """Note the photos' versions, or take those of the run that is continued.

    On a cluster, each worker may see the photos in a file system of its own.
    """
    if options.scheduler is not None:
        return images
    before = maxes_file.checkpoint_of(options.outfile)
    return images.watched(maxes_file.read_versions(before) if options.resume else None)


def run(options: argparse.Namespace) -> int:
    """Find the maxima that the command line asks for; return the exit status."""
    images = _watched(options, read_images(options.datadir, options.filelist))
    maxes_file.check_writable(options.outfile)
    files = FileVersions(caffe.opening.files_of(options.net_prototxt, options.net_weights))
    job, runner = open_job(options, images)
    settings = describe(job, images)
    if why := files.changed():
        raise FindMaxesError(f"{why}: start again")
    progress = Progress(options.outfile, settings, images, options.checkpoint_every)
    if options.resume and not progress.path.exists():
        found = _finished(options.outfile, settings)
        if found is not None:
            print(f"{options.outfile} is finished already")
            return _status(found.bad, images, options)
    cv2.setNumThreads(1)
    lots = draw_lots(images) if job.wanted.needs_lots else None
    scan, begun = Scan(job, runner, lots), time.perf_counter()
    base = _begin(options, progress, settings) or scan.empty()
    before = base.count
    try:
        with progress.shown(base.count):
            progress.show(base.count, base.bad)
            totals = _totals(scan, images, base, progress, options)
    except KeyboardInterrupt:
        print(f"stopped; {progress.path} is kept: go on with --resume", file=sys.stderr)
        return 130
    _write(options, scan, totals, images, settings)
    maxes_file.remove(progress.path)
    # on this machine, without the time that starting the decoders took
    seconds = scan.clock.wall or time.perf_counter() - begun
    print(summary.summary(totals, images, options.outfile, seconds, totals.count - before))
    print(summary.shares(scan.clock), file=sys.stderr)
    return _status(len(totals.bad), images, options)


def _write(
    options: argparse.Namespace,
    scan: Scan,
    totals: Totals,
    images: ImageList,
    settings: dict[str, Any],
) -> None:
    """Write the result, and pictures and lists beside it; say what they hold."""
    names = label_words(class_names(images), read_settings(options.settings).caffevis_labels)
    cards = maxes_file.write_maxes(
        options.outfile, totals, scan.runner.shapes, images, settings, names
    )
    folder = charts.folder_of(options.outfile)
    if charts.write_charts(options.outfile, totals) is not None:
        print(f"{summary.dead(totals)}; pictures and lists in {folder}")
    if cards:
        write_table(folder / TABLE, cards, names)
        print("\n".join([*summary.labelled(cards), f"a line a unit in {folder / TABLE}"]))


def _totals(
    scan: Scan, images: ImageList, base: Totals, progress: Progress, options: argparse.Namespace
) -> Totals:
    """Scan what is left, here or on a cluster."""
    if options.scheduler is None:
        return scan_here(scan, images, base, progress, options)
    totals = base.to(CPU)
    with Stop() as stop, dask_shards.connect(options.scheduler) as client:
        for part in dask_shards.scan_there(client, scan.job, images, base.done, scan.runner.size):
            totals = totals.merged(part)
            progress.show(totals.count, totals.bad)
            if stop.asked or progress.is_due():
                progress.save(totals)
            if stop.asked:
                raise KeyboardInterrupt
    return totals
