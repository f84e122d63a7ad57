"""The commands that do the work, in their order; each can be stopped and gone on with."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolbox.command_line import numbers_text
from toolbox.pictures.array_file import DAMAGED
from toolbox.pictures.image_file import PICTURES
from visualizations.errors import VisualizationsError
from visualizations.identity import digest
from visualizations.plan import Layer


@dataclass(frozen=True)
class Step:
    """One command.

    Parameters
    ----------
    title : str
        What it does.
    command : list of str
        The program and its arguments.
    done : Path or None
        A file that tells that it is done; None where the command itself finds out.
    seconds : float
        How long it takes by the plan.
    """

    title: str
    command: list[str]
    done: Path | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Model:
    """Which network, and where things are.

    Parameters
    ----------
    settings : Path
        The settings file.
    prototxt, weights : str
        Of the network.
    images : Path
        For optimised images at true size.
    gpu : int or None
        Which GPU computes.
    inputs : tuple of str
        Options for inputs that no picture feeds.
    """

    settings: Path
    prototxt: str
    weights: str
    images: Path
    gpu: int | None = None
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Photos:
    """A folder of photos, the list of them, how they are fitted, and where results go.

    Parameters
    ----------
    folder : Path
        Where the photos are.
    list : Path
        Their list.
    count : int
        How many there are.
    work : Path
        For scans, patches and their images at true size.
    fit : tuple of str
        Options for how photos become the input.
    """

    folder: Path
    list: Path
    count: int
    work: Path
    fit: tuple[str, ...] = ()

    @property
    def images(self) -> Path:
        """For patches and deconvs at true size."""
        return self.work / "images"

    def scans(self) -> dict[str, Path]:
        """Return the finished scans: layer -> file."""
        found: dict[str, Path] = {}
        for path in sorted(self.work.glob("scan-*.npz")):
            try:
                with np.load(path, allow_pickle=False) as file:
                    layers = json.loads(str(file["settings"]))["layers"]
            except DAMAGED:
                continue  # damaged: it is made again
            found.update(dict.fromkeys(layers, path))
        return found

    def scan_file(self, layers: Sequence[Layer]) -> Path:
        """Return where a scan of some layers goes."""
        return self.work / f"scan-{digest([layer.name for layer in layers])}.npz"


def optimise(model: Model, layer: Layer, recipe: Sequence[str]) -> Step:
    """Return the step that makes a layer's optimised images."""
    units = [] if layer.whole else ["--push-channels", ",".join(map(str, layer.units))]
    gpu = [] if model.gpu is None else ["--gpu", str(model.gpu)]
    return Step(
        f"optimised images of {layer.name}",
        [sys.executable, "-m", "optimize", "--settings", str(model.settings), *model.inputs,
         "--layers", layer.name, *units, *recipe, *gpu, "--resume", "--unit-jpg-dir",
         str(model.images)],
    )  # fmt: skip


def scan(model: Model, photos: Photos, layers: Sequence[Layer]) -> Step:
    """Return the step that finds each unit's strongest photos."""
    return Step(
        f"the photos that excite each unit most, of {len(layers)} layer(s)",
        [sys.executable, "-m", "find_maxes.find_max_acts", "--settings", str(model.settings),
         *photos.fit, *model.inputs, *_gpu(model), "--layers", *(la.name for la in layers),
         "--resume", "--", model.prototxt, model.weights, str(photos.folder), str(photos.list),
         str(photos.scan_file(layers))],
    )  # fmt: skip


def crop(model: Model, photos: Photos, layer: Layer, maxes: Path) -> Step:
    """Return the step that cuts the patches of a layer out, with their deconvs."""
    where = [str(maxes), model.prototxt, model.weights, str(photos.folder)]
    some = [] if layer.whole else ["--units", ",".join(map(str, layer.units))]
    return Step(
        f"patches and deconvs of {layer.name}",
        [sys.executable, "-m", "find_maxes.crop_max_patches", *some, *_gpu(model),
         "--unit-jpg-dir", str(photos.images), "--", *where, str(photos.list),
         str(photos.work / "patches"), layer.name],
        photos.work / f"patches-{_safe(layer)}.done",
    )  # fmt: skip


def _gpu(model: Model) -> list[str]:
    return [] if model.gpu is None else ["--gpu"]


def _safe(layer: Layer) -> str:
    """Return a part of a file's name for a layer and its units."""
    name = "".join(c if c.isalnum() or c in "-_." else "%" + format(ord(c), "x")
                   for c in layer.name)  # fmt: skip
    return name if layer.whole else f"{name}-{numbers_text(layer.units)}"


def list_photos(folder: Path, classes: Sequence[str]) -> list[str]:
    """List the photos of a folder as lines `path<tab>class`.

    Where the network's classes have folders of their own, only these folders are taken, so
    that a data set's other folders (as Caltech-101's BACKGROUND_Google) are left out.

    Raises
    ------
    VisualizationsError
        There is no such folder, or no photo in it.
    """
    if not folder.is_dir():
        raise VisualizationsError(
            f"there is no folder {folder}; PHOTOS names the folder with the training photos"
        )
    named = [name for name in classes if (folder / name).is_dir()]
    tops = sorted(named) if len(named) > len(classes) / 2 else [""]
    lines = []
    for top in tops:
        for path in _walk(folder / top):
            below = path.relative_to(folder)
            if not {"\n", "\t"} & set(str(below)):
                lines.append(f"{below.as_posix()}\t{below.parts[0] if len(below.parts) > 1 else 0}")
    if not lines:
        raise VisualizationsError(
            f"there is no photo in {folder}; files that end in {', '.join(sorted(PICTURES))} are "
            "taken"
        )
    return lines


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if Path(name).suffix.lower() in PICTURES and not name.startswith("."):
                yield Path(root) / name
