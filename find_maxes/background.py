"""`python -m find_maxes.background`: a scan for somebody who looks on, at low priority.

What to scan is a line of JSON on standard input; how far it is are lines of JSON on standard
output. It ends when its input does, which the system sees to whatever happens to the other side.
Its files are those of find_max_acts: a checkpoint every few seconds, the result at the end.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import cv2

import torchcaffe as caffe
from find_maxes.errors import FindMaxesError, UnwritableError, reason_of
from find_maxes.options import USER_ERRORS
from find_maxes.photos.decoders import Decoder
from find_maxes.photos.net_input import Recipe
from find_maxes.photos.photo_list import CHANGED, GONE, WALK, ImageList, read_images
from find_maxes.scan import maxes_file
from find_maxes.scan.lanes import Lanes
from find_maxes.scan.network import NetFiles, Runner
from find_maxes.scan.running_totals import Totals, Wanted, remaining
from find_maxes.scan.scan import Job, Scan, describe
from toolbox.pictures.file_versions import FileVersions, Version
from toolbox.pictures.held import Held
from toolbox.workers import file_lock

NICE = 19  # the least of priorities
RESULT = "max.npz"
PASSING = "changed.npz"  # in its place, where photos changed: for this window alone
LOCK = "lock"  # held by the process that scans
EVERY_SECONDS = 2.0  # a checkpoint at most so often
_PATHS = ("prototxt", "weights", "datadir")  # what is in them counts, not what they are called
SHARE = 20  # of the time that a checkpoint takes at least goes by before the next


@dataclass(frozen=True)
class Order:
    """What to scan.

    Parameters
    ----------
    net : NetFiles
        The network.
    recipe : Recipe
        From photos to its input.
    photos : str
        A folder; all pictures in it and below, of which some may be bad.
    cache : str
        The folder in which this scan has one of its own, named by what determines its result.
    files : mapping of str to (int, int)
        The network's files and their versions: no others are to be scanned with.
    """

    net: NetFiles
    recipe: Recipe
    photos: str
    cache: str
    files: Mapping[str, Version] = field(default_factory=dict)

    def to_line(self) -> str:
        """Return the order as a line of JSON."""
        net = {**vars(self.net), "held": self.net.held.to_json()}
        values: dict[str, Any] = {"net": net, "recipe": self.recipe.to_json()}
        values |= {"photos": self.photos, "cache": self.cache, "files": dict(self.files)}
        return json.dumps(values) + "\n"

    @classmethod
    def from_line(cls, line: str) -> Order:
        """Return the order that `to_line` wrote."""
        values = json.loads(line)
        held = Held.from_json(values["net"].pop("held"))
        net = NetFiles(**values["net"], held=held)
        recipe = Recipe.from_json(values["recipe"])
        return cls(net, recipe, values["photos"], values["cache"], values["files"])


@dataclass(frozen=True)
class Place:
    """Where a scan's files are, and what they are of.

    Parameters
    ----------
    images : ImageList
        The photos.
    settings : dict
        What determines the result, but for the layers, which are all.
    folder : Path
        Its own: another one where the result is another, and where files have changed under
        the same name.
    """

    images: ImageList
    settings: dict[str, Any]
    folder: Path

    @classmethod
    def of(cls, order: Order) -> Place:
        """Look the photos and the network's files up; errors as for `scan`."""
        images = read_images(order.photos, WALK).watched()
        settings = describe(Job(order.net, order.recipe, (), Wanted()), images)
        named = {name: value for name, value in settings.items() if name not in _PATHS}
        digest = hashlib.sha256(json.dumps(named, sort_keys=True).encode())
        if images.versions is not None:
            digest.update(images.versions.astype("<i8").tobytes())
        return cls(images, settings, Path(order.cache) / digest.hexdigest()[:24])

    @property
    def result(self) -> Path:
        """The file that is there when all photos are scanned."""
        return self.folder / RESULT

    def finished(self) -> maxes_file.Maxes | None:
        """Return the result of an earlier scan; None where there is none, or it is damaged."""
        try:
            found = maxes_file.read_maxes(self.result)
        except FindMaxesError:
            return None
        wanted = {**self.settings, "layers": found.settings["layers"]}
        if maxes_file.difference(found.settings, wanted) is not None:
            return None
        return found


class Teller:
    """Tells how far a scan is, and writes its checkpoints.

    Parameters
    ----------
    out : file
        Gets the lines.
    images : ImageList
        The photos.
    """

    def __init__(self, out: IO[str], images: ImageList) -> None:
        self._out, self._images = out, images
        self._due = 0.0

    def tell(self, **values: Any) -> None:
        """Write a line."""
        print(json.dumps(values), file=self._out, flush=True)

    def far(self, totals: Totals, path: Path, settings: Mapping[str, Any]) -> None:
        """Write a checkpoint where it is time for one, and say how far the scan is."""
        begun = time.monotonic()
        if begun < self._due:
            self.count(totals)
            return
        maxes_file.write_checkpoint(path, totals, settings)
        now = time.monotonic()
        self._due = now + max(EVERY_SECONDS, SHARE * (now - begun))
        self.count(totals, saved=str(path))

    def count(self, totals: Totals, **more: Any) -> None:
        """Say how many photos are scanned, of how many, and how many were bad."""
        self.tell(done=totals.count, of=len(self._images), bad=len(totals.bad), **more)


def scan(order: Order, out: IO[str]) -> None:
    """Scan the photos, going on where an earlier scan ended.

    A photo that changes after this has begun is left out, and the result is for this window alone.

    Raises
    ------
    FindMaxesError, CaffeError
        One sentence.
    """
    place = Place.of(order)
    images, teller = place.images, Teller(out, place.images)
    _refuse_others(order)
    runner = Runner(order.net)
    job = Job(order.net, order.recipe, tuple(runner.shapes), Wanted())
    settings = describe(job, images)
    _refuse_others(order)
    _make(place.folder)
    with _alone(place.folder, teller) as waited:
        if waited and (found := place.finished()):
            count = {"done": len(images), "of": len(images), "bad": found.bad}
            teller.tell(**count, saved=str(place.result), finished=True)
            return
        checkpoint = maxes_file.checkpoint_of(place.result)
        totals = _begun(checkpoint, settings) or Scan(job, runner).empty()
        totals = totals.to(caffe.device.current())
        _go_through(Scan(job, runner), images, totals, teller, (checkpoint, settings))
        path, told = _whole(place, totals)
        maxes_file.write_maxes(path, totals, runner.shapes, images, settings)
        maxes_file.remove(checkpoint)
        teller.count(totals, saved=str(path), finished=True, **told)


def _refuse_others(order: Order) -> None:
    """Refuse files that are not those of the order: before they are read, and after."""
    if why := FileVersions((), order.files).changed():
        raise FindMaxesError(f"the photos are not scanned: {why}")


def _whole(place: Place, totals: Totals) -> tuple[Path, dict[str, str]]:
    """Return where the result goes, and what to tell where photos were left out of it.

    The folder is of the photos as they were when the scan began: a result without some of these
    is no result for the next window.
    """
    changed = [index for index, why in totals.bad.items() if why in (CHANGED, GONE)]
    if not changed:
        return place.result, {}
    first = place.images.names[changed[0]].encode("utf-8", "backslashreplace").decode()
    note = f"{first} has changed during the scan and is left out until the window is opened again"
    if len(changed) > 1:
        note = f"{len(changed):,} photos have changed during the scan and are left out until the "
        note += f"window is opened again, the first {first}"
    return place.folder / PASSING, {"note": note}


@contextlib.contextmanager
def _alone(folder: Path, teller: Teller) -> Iterator[bool]:
    """Context in which no other process scans into the folder; tells whether it had to wait.

    The system lets go of the lock when a process ends, however it ends.
    """
    try:
        lock = open(folder / LOCK, "wb")  # noqa: SIM115
    except OSError as error:
        raise UnwritableError(f"{folder} cannot be written: {reason_of(error)}") from error
    with lock:
        note = "another window scans these photos: this one waits for it"
        waited = file_lock.wait_for(lock, lambda: teller.tell(note=note))
        if waited:
            teller.tell(note="")
        yield waited


def _go_through(
    scan: Scan,
    images: ImageList,
    totals: Totals,
    teller: Teller,
    checkpoint: tuple[Path, Mapping[str, Any]],
) -> None:
    """Take in all photos that are not in the totals yet."""
    teller.count(totals)
    lanes = Lanes(scan.runner, 1)
    with Decoder(scan.job.recipe, scan.runner.size, 0, held=1) as decoder, lanes:
        for where in list(remaining(totals.done, len(images))):
            for _ in scan.run(images, where, decoder, lanes, totals):
                if totals.bad and not os.path.isdir(images.folder):
                    raise FindMaxesError(f"the folder of photos {images.folder} has gone")
                teller.far(totals, *checkpoint)


def _begun(checkpoint: Path, settings: Mapping[str, Any]) -> Totals | None:
    """Return what an earlier scan has found; a damaged checkpoint, or another's, is none."""
    try:
        return maxes_file.read_checkpoint(checkpoint, settings)
    except FindMaxesError:
        return None


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnwritableError(f"{folder} cannot be made: {reason_of(error)}") from error


def end_with(stream: IO[str]) -> None:
    """End this process when a stream does: then nobody looks on any more."""

    def wait() -> None:
        while stream.read(1):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def main() -> int:
    """Scan what the first line of standard input says; return the exit status."""
    os.nice(NICE)
    if hasattr(os, "SCHED_IDLE"):  # Linux: whoever else wakes up goes first at once
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the window's, which ends this
    caffe.set_threads(1)
    cv2.setNumThreads(1)
    order = Order.from_line(sys.stdin.readline())
    end_with(sys.stdin)
    try:
        scan(order, sys.stdout)
    except USER_ERRORS as error:
        told = {"error": str(error), "unwritable": isinstance(error, UnwritableError)}
        print(json.dumps(told), flush=True)
        return 2
    return 0


if __name__ == "__main__":
    os._exit(main())  # all is written; at this priority, tidying up could take seconds
