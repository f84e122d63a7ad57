"""Images a second of `python -m find_maxes.find_max_acts` against the original's loop."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import torch
from skimage.transform import resize

import torchcaffe as caffe
from bench.lab.nets import CALTECH, MEAN, MODELS
from bench.registry import Table, benchmark
from find_maxes.scan.maxes_file import Maxes, read_maxes

ROOT = MODELS.parent
PHOTOS = ROOT.parent / "shared" / "data" / "caltech101"
OWN_PHOTOS = ROOT / "input_images"
OURS, LOOP = "find_maxes", "the original's loop"
NAMED = "find_maxes with --labels --quantiles"
CLASSES = 50  # of the photos, for labels
IMAGES = 2000  # of a run of the command
LOOP_IMAGES = 32  # of a run of the loop
ROUNDS = 3
TOP = 9
GOAL, MEMORY_GOAL, TOP_GOAL = 5.0, 1.5, 5.0  # times the loop's speed, GB, % of the time
NAMED_GOAL = 1.15  # times as long with labels and quantiles as without


def photos() -> tuple[Path, list[str]]:
    """Return photos in a fixed random order: Caltech-101's, or the toolbox's own, repeated."""
    folder = PHOTOS if PHOTOS.is_dir() else OWN_PHOTOS
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.jpg"))
    random.Random(0).shuffle(names)
    return folder, (names * (IMAGES // len(names) + 1))[:IMAGES]


class OriginalLoop:
    """What the original does with each image: one after the other, one channel after the other.

    Parameters
    ----------
    net : Net
        With a batch of one.
    paths : sequence of Path
        The images.
    layers : sequence of str
        Whose units are watched.
    """

    def __init__(self, net: caffe.Net, paths: Sequence[Path], layers: Sequence[str]) -> None:
        self._net, self._paths = net, paths
        self.seen = 0
        self.best = {name: _nothing(net.blobs[name].shape[1]) for name in layers}

    def run(self, count: int) -> float:
        """Go through some images; return the seconds that one took."""
        begun = time.perf_counter()
        for path in self._paths[self.seen : self.seen + count]:
            photo = caffe.io.load_image(path)
            # As scikit-image did in the original's time, without smoothing first.
            image = resize(photo, (256, 256), order=1, mode="constant", anti_aliasing=False)
            crop = 255 * image[14:241, 14:241, ::-1] - np.array(MEAN, np.float32)
            self._net.blobs["data"].data[...] = crop.transpose(2, 0, 1)[None]
            self._net.forward()
            for name, (values, images) in self.best.items():
                self._update(self._net.blobs[name].data[0], values, images)
            self.seen += 1
        return (time.perf_counter() - begun) / count

    def _update(self, maps: np.ndarray, values: np.ndarray, images: np.ndarray) -> None:
        lines = maps.reshape(len(values), -1)
        places = lines.argmax(1)
        for unit, place in enumerate(places):
            value = lines[unit, place]
            rank = int(np.searchsorted(-values[unit], -value, side="right"))
            if rank < TOP:
                values[unit, rank + 1 :] = values[unit, rank:-1]
                images[unit, rank + 1 :] = images[unit, rank:-1]
                values[unit, rank], images[unit, rank] = value, self.seen


def _nothing(units: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full((units, TOP), -np.inf, np.float32), np.full((units, TOP), -1)


def _tree_memory(pid: int) -> float:
    """Return the memory of a process and its children in GB, shared parts counted once."""
    total, waiting = 0.0, [pid]
    while waiting:
        here = waiting.pop()
        try:
            rollup = Path(f"/proc/{here}/smaps_rollup").read_text(encoding="ascii")
            children = Path(f"/proc/{here}/task/{here}/children").read_text(encoding="ascii")
        except OSError:
            continue
        found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
        total += int(found[1]) * 1024 / 1e9 if found else 0.0
        waiting += map(int, children.split())
    return total


class Command:
    """The command, run on lists of photos.

    Attributes
    ----------
    peak : float
        The most memory seen so far, decoding processes included, in GB.
    shares : str
        Its own account of where the time went.
    """

    def __init__(self, folder: Path, photos: Path, options: Sequence[str] = ()) -> None:
        self._folder, self._photos, self._options = folder, photos, options
        self.peak, self.shares = 0.0, ""

    def run(self, names: Sequence[str]) -> tuple[float, Maxes]:
        """Return the seconds that an image took, start not counted, and the result."""
        listed, out = self._folder / "list.txt", self._folder / "max.npz"
        listed.write_text(
            "".join(f"{name}\t{i % CLASSES}\n" for i, name in enumerate(names)), encoding="utf-8"
        )
        paths = [CALTECH.prototxt, CALTECH.caffemodel, self._photos, listed, out]
        options = ["--N", str(TOP), "--mean", ",".join(map(str, MEAN)), *self._options]
        with open(self._folder / "log.txt", "w+", encoding="utf-8") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "find_maxes.find_max_acts", *options, *map(str, paths)],
                cwd=ROOT, stdout=log, stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
            )  # fmt: skip
            while process.poll() is None:
                self.peak = max(self.peak, _tree_memory(process.pid))
                time.sleep(1.0)  # a look takes 15 ms of the cores that are measured
            log.seek(0)
            printed = log.read()
        rate = re.search(r"^\d+ images, ([\d.]+) images/s", printed, re.MULTILINE)
        if process.returncode or rate is None:
            raise SystemExit(f"find_max_acts failed:\n{printed}")
        self.shares = next(line for line in printed.splitlines() if line.startswith("time: "))
        return 1 / float(rate[1]), read_maxes(out)


def agreement(maxes: Maxes, loop: OriginalLoop) -> str:
    """Compare the top values of both for the same images."""
    worst = 0.0
    for name, (values, _) in loop.best.items():
        off = np.abs(maxes.values[name] - values).max() / np.abs(values).max()
        worst = max(worst, float(off))
    return f"top values of both agree within {worst:.1e} of each layer's largest"


def _verdict(met: bool) -> str:
    return "met" if met else "missed"


def _in_turns(
    command: Command,
    named: Command,
    names: list[str],
    loop_of: Callable[[Maxes], OriginalLoop],
) -> Table:
    _, maxes = command.run(names[: 2 * LOOP_IMAGES])
    loop = loop_of(maxes)
    loop.run(2 * LOOP_IMAGES)
    agrees = agreement(maxes, loop)
    times: dict[str, list[float]] = {OURS: [], NAMED: [], LOOP: []}
    for _ in range(ROUNDS):
        seconds, maxes = command.run(names)
        times[OURS].append(seconds)
        times[NAMED].append(named.run(names)[0])
        times[LOOP].append(loop.run(LOOP_IMAGES))
    seconds_of = {name: median(found) for name, found in times.items()}
    ratio = seconds_of[LOOP] / seconds_of[OURS]
    longer = seconds_of[NAMED] / seconds_of[OURS]
    top = re.search(r"top N (\d+) %", command.shares)
    notes = [
        f"goal of {GOAL:g} times the loop's speed: {_verdict(ratio >= GOAL)} ({ratio:.1f})",
        f"goal of at most {NAMED_GOAL:g} times as long with labels and quantiles: "
        f"{_verdict(longer <= NAMED_GOAL)} ({longer:.2f})",
        f"{command.shares} (goal for top N {TOP_GOAL:g} %: "
        f"{_verdict(top is not None and float(top[1]) <= TOP_GOAL)})",
        f"peak memory, decoders included: {command.peak:.2f} GB (goal {MEMORY_GOAL} GB: "
        f"{_verdict(0 < command.peak < MEMORY_GOAL)})",
        agrees,
        f"{len(names)} photos a run, {len(maxes.values)} layers, "
        f"{sum(map(len, maxes.values.values()))} units",
    ]
    title = f"find_maxes, {CALTECH.title}, from a file to every unit's top {TOP}, one image"
    return Table(title, seconds_of, LOOP, notes=notes)


@benchmark("find_maxes", "images a second of the search for each unit's top images")
def run(budget: float) -> list[Table]:
    """Time the whole command in turns with the loop."""
    folder, names = photos()
    net = CALTECH.load()

    def loop_of(maxes: Maxes) -> OriginalLoop:
        return OriginalLoop(net, [folder / name for name in names], list(maxes.values))

    with tempfile.TemporaryDirectory() as temporary:
        command = Command(Path(temporary), folder)
        named = Command(Path(temporary), folder, ["--labels", "--quantiles"])
        return [_in_turns(command, named, names, loop_of)]
