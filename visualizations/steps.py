"""The commands that do the work, in their order; each can be stopped and gone on with."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from visualizations.errors import VisualizationsError
from visualizations.plan import Layer

# Cameras' and cutters' pictures; what else lies in a folder of photos is not listed.
_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


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
    """

    title: str
    command: list[str]
    done: Path | None = None


@dataclass(frozen=True)
class Model:
    """Which network, and where things are.

    Parameters
    ----------
    settings : Path
        The settings file.
    prototxt, weights : str
        Of the network.
    work : Path
        For what is needed until all is done, and to go on.
    gpu : int or None
        Which GPU computes.
    """

    settings: Path
    prototxt: str
    weights: str
    work: Path
    gpu: int | None = None

    @property
    def full(self) -> Path:
        """Where the images are at true size."""
        return self.work / "full"

    @property
    def maxes(self) -> Path:
        """The scan's result."""
        return self.work / "max.npz"


@dataclass(frozen=True)
class Photos:
    """A folder of photos, the list of them, and how many there are."""

    folder: Path
    list: Path
    count: int


def optimise(model: Model, layer: Layer, recipe: Sequence[str]) -> Step:
    """Return the step that makes a layer's optimised images."""
    units = [] if layer.whole else ["--push-channels", ",".join(map(str, layer.units))]
    gpu = [] if model.gpu is None else ["--gpu", str(model.gpu)]
    return Step(
        f"optimised images of {layer.name}",
        [sys.executable, "-m", "optimize", "--settings", str(model.settings), "--layers",
         layer.name, *units, *recipe, *gpu, "--resume", "--unit-jpg-dir", str(model.full)],
    )  # fmt: skip


def scan(model: Model, photos: Photos, layers: Sequence[Layer], result: Path) -> Step:
    """Return the step that finds each unit's strongest photos."""
    return Step(
        "the photos that excite each unit most",
        [sys.executable, "-m", "find_maxes.find_max_acts", "--settings", str(model.settings),
         "--resize", "short", *_gpu(model), "--layers", *(layer.name for layer in layers),
         "--resume", "--", model.prototxt, model.weights, str(photos.folder), str(photos.list),
         str(result)],
        result,
    )  # fmt: skip


def crop(model: Model, photos: Photos, layer: Layer) -> Step:
    """Return the step that cuts the patches of a layer out, with their deconvs."""
    where = [str(model.maxes), model.prototxt, model.weights, str(photos.folder)]
    some = ["--idx-begin", str(layer.units[0]), "--idx-end", str(layer.units[-1] + 1)]
    return Step(
        f"patches and deconvs of {layer.name}",
        [sys.executable, "-m", "find_maxes.crop_max_patches", *some, *_gpu(model),
         "--unit-jpg-dir", str(model.full), "--", *where, str(photos.list),
         str(model.work / "patches"), layer.name],
        model.work / f"patches-{_safe(layer)}.done",
    )  # fmt: skip


def _gpu(model: Model) -> list[str]:
    return [] if model.gpu is None else ["--gpu"]


def _safe(layer: Layer) -> str:
    """Return a part of a file's name for a layer and its units."""
    name = "".join(c if c.isalnum() or c in "-_." else "%" + format(ord(c), "x")
                   for c in layer.name)  # fmt: skip
    return name if layer.whole else f"{name}-{layer.units[0]}-{layer.units[-1]}"


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
            f"there is no photo in {folder}; files that end in {', '.join(_ENDINGS)} are taken"
        )
    return lines


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(_ENDINGS) and not name.startswith("."):
                yield Path(root) / name
