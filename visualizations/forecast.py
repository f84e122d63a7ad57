"""What the images will take: seconds and megabytes, measured and printed before the work."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torchcaffe as caffe
from optimize.batch.unit_jpgs import LayerFolder
from optimize.command.open_model import open_optimizer
from toolbox.command_line import numbers_text
from toolbox.pictures.stamp import NAME as STAMP
from toolbox.pictures.stamp import read_stamp
from toolbox.workers.cores import cores
from visualizations import steps
from visualizations.identity import model_stamp
from visualizations.making import Making
from visualizations.plan import OPTIMISED, PATCHES, Layer, Rates, Row, estimate, table
from visualizations.shrink import KINDS
from visualizations.speed_probe import Probe

# A pass back serves a group of photos, and in its last turns few of them still have a unit: so
# many times the share of a full group.
_TURNS = 1.5


@dataclass(frozen=True)
class Forecast:
    """What is to be made, and what it takes.

    Parameters
    ----------
    layers : sequence of Layer
        What is made.
    rows : sequence of Row
        What is left of each.
    scan : float
        Seconds that going through the photos takes; 0 where that is done.
    """

    layers: Sequence[Layer]
    rows: Sequence[Row]
    scan: float


def forecast(making: Making) -> Forecast:
    """Measure, print what it will take, and return it.

    Raises
    ------
    VisualizationsError, OptimizeError, SettingsError, CaffeError
        What is wrong, before anything is computed.
    """
    if making.threads:
        caffe.set_threads(making.threads)
        os.environ["OMP_NUM_THREADS"] = str(making.threads)
    target = making.target
    say(f"reading {making.name}")
    optimizer = open_optimizer(making.spec)
    start = time.process_time()  # what every command needs before it begins
    probe = Probe(optimizer, making.params, say)
    layers = probe.layers(making.layers)
    if making.photos is not None:
        say(f"looking at {making.photos}")
    photos = making.listed
    ascent = probe.measure(layers)
    photo, patch = _photo_rates(making, probe, layers) if photos else (0.0, {})
    rows = estimate(
        layers, Rates(ascent, patch, start), seeds=making.seeds, iterations=making.iterations,
        with_photos=photos is not None, tile=making.tile, done=_done(making, layers),
    )  # fmt: skip
    new = unscanned(making, layers)
    scan = start + photos.count * photo if photos and new else 0.0
    print(f"{making.name} to {target}\n{table(rows, scan, making.tile)}", flush=True)
    if photos is None:
        print("without photos there are no patches; --photos DIR (with make PHOTOS=DIR) names "
              "them", flush=True)  # fmt: skip
    for line in _others_there(making, layers):
        print(f"note: {line}", flush=True)
    return Forecast(layers, rows, scan)


def _photo_rates(
    making: Making, probe: Probe, layers: Sequence[Layer]
) -> tuple[float, dict[str, float]]:
    """Return the seconds a photo takes in the scan, and a patch of each layer."""
    photos = making.listed
    if photos is None:
        return 0.0, {}
    lines = photos.list.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    paths = [photos.folder / line.split("\t")[0] for line in lines]
    read = probe.decoding(paths) / cores()
    patch, most = {}, 0.0
    for layer in layers:
        forward, backward = probe.whole(layer)
        entries = 9 * len(layer.units)
        share = min(1.0, len(paths) / entries)  # of patches whose photo goes forward for them
        patch[layer.name] = share * (read + forward) + _TURNS * backward
        most = max(most, forward)
    return read + most, patch


def _done(making: Making, layers: Sequence[Layer]) -> set[tuple[str, str]]:
    """Return which layers have their optimised images or their patches already."""
    found, photos = set(), making.listed
    for layer in layers:
        if is_optimised(making, layer):
            found.add((layer.name, OPTIMISED))
        if photos is not None:
            done = steps.crop(making.model, photos, layer, Path()).done
            if done is not None and done.exists():
                found.add((layer.name, PATCHES))
    return found


def is_optimised(making: Making, layer: Layer) -> bool:
    """Return whether a layer has all its optimised images at true size."""
    some = "" if layer.whole else numbers_text(layer.units)
    place = LayerFolder(making.model.images, layer.name, some)
    files = [place.scores, *(place.montage(unit) for unit in layer.units)]
    return all(path.exists() for path in [*files, *([place.sheet] if layer.whole else [])])


def unscanned(making: Making, layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers that no scan of these photos has."""
    photos = making.listed
    known = photos.scans() if photos is not None else {}
    return [layer for layer in layers if photos is not None and layer.name not in known]


def _others_there(making: Making, layers: Sequence[Layer]) -> list[str]:
    """Say which other layers' images in the target are another network's."""
    own, names = model_stamp(making.spec), {layer.name for layer in layers}
    foreign: list[str] = []
    for kind in KINDS:
        for path in sorted((making.target / kind).rglob(STAMP)):
            layer = path.parent.relative_to(making.target / kind).as_posix()
            found = read_stamp(path.parent, path.parent)
            if found is not None and not found.same(own) and layer not in foreign:
                foreign.append(layer)
    others = [layer for layer in foreign if layer not in names]
    lines = []
    if foreign:
        lines.append(f"images in {making.target} of {', '.join(foreign)} are another network's")
    if others:
        lines.append(f"--layers {' '.join(others)} makes those of {', '.join(others)} anew")
    return lines


def say(text: str) -> None:
    """Say what is being done."""
    print(f"... {text}", flush=True)
