"""Images of units where the live app finds them, layer by layer.

    regularized_opt/<layer>/<layer>_<unit:04d>_montage.jpg   one tile a seed
    regularized_opt/<layer>/whole_layer.jpg                  each unit's best tile
    regularized_opt/<layer>/scores.json                      settings, objectives, outcomes

Of only some units there is no sheet, and `scores_0-95.json` names which.

A batch of units is computed together; what the last two files need of it waits in a file of
its own under `.batches`, whose presence says that the batch is done. So a run that was killed
goes on with the batch it was in, and ends with the files of a run that was not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optimize.ascent.optimizer import GradientOptimizer
from optimize.ascent.results import ZERO_GRADIENT, FindResults
from optimize.ascent.starts import FloatArray
from optimize.batch.executor import Batch, Compute, here
from optimize.batch.runs import Keeping
from optimize.errors import OptimizeError
from optimize.output.files import (
    check_folder,
    json_bytes,
    npz_bytes,
    read_json,
    read_npz,
    read_object,
    write,
)
from optimize.output.notes import pale
from optimize.output.pictures import encoded, plus_mean, sheet, tiled
from optimize.output.progress import Progress
from optimize.params import FindParams
from toolbox.command_line import numbers_text
from toolbox.pictures.stamp import NAME, Stamp, StampError, foreign, write_stamp

KIND = "regularized_opt"
SHEET = "whole_layer.jpg"


@dataclass(frozen=True)
class LayerJob:
    """The images of a layer's units.

    Parameters
    ----------
    layer : str
        The layer.
    channels : tuple of int
        Which units.
    whole : bool
        Whether these are all: then there is a sheet.
    recipe : FindParams
        The settings; channel and seed are filled in.
    seeds : int
        Tiles a unit, from the recipe's seed on.
    batch_size : int or None
        Images side by side.
    model : mapping
        What identifies the network, for the record.
    stamp : Stamp or None
        The same for the window, which shows no network another one's images; None writes none.
    """

    layer: str
    channels: tuple[int, ...]
    whole: bool
    recipe: FindParams
    seeds: int
    batch_size: int | None
    model: Mapping[str, Any]
    stamp: Stamp | None = None

    def runs(self, channel: int) -> list[FindParams]:
        """Return a unit's ascents."""
        first = self.recipe.rand_seed
        return [
            self.recipe.replaced(push_layer=self.layer, push_channel=channel, rand_seed=seed)
            for seed in range(first, first + self.seeds)
        ]

    def place(self, root: Path) -> LayerFolder:
        """Return where its files are."""
        some = "" if self.whole else numbers_text(self.channels)
        return LayerFolder(root, self.layer, some)

    def record(self) -> dict[str, Any]:
        """Return what has to be the same for a run to be resumed."""
        settings = self.recipe.replaced(push_layer=self.layer, push_channel=0).to_dict()
        return {
            "settings": settings,
            "seeds": self.seeds,
            "batch_size": self.batch_size,
            "channels": list(self.channels),
            "model": dict(self.model),
        }


class LayerFolder:
    """Where a layer's files are.

    Parameters
    ----------
    root : Path
        The folder of unit images.
    layer : str
        The layer; a `/` in its name becomes a folder.
    some : str
        Which units are made, where these are not all.

    Raises
    ------
    OptimizeError
        The name leads out of the folder.
    """

    def __init__(self, root: Path, layer: str, some: str = "") -> None:
        parts = layer.split("/")
        if any(part in ("", ".", "..") or set(part) & set("\\:\0") for part in parts):
            raise OptimizeError(f"no folder can have the name of the layer {layer!r}")
        self.folder = root / KIND / Path(*parts)
        self._stem = Path(*parts)
        self._some = "_" + some if some else ""

    def montage(self, channel: int) -> Path:
        """Return the path of a unit's tiles."""
        return self.folder / self._stem.with_name(f"{self._stem.name}_{channel:04d}_montage.jpg")

    @property
    def sheet(self) -> Path:
        """The path of the whole layer's tiles."""
        return self.folder / SHEET

    @property
    def scores(self) -> Path:
        """The path of settings and scores, written last."""
        return self.folder / f"scores{self._some}.json"

    def waiting(self, name: str) -> Path:
        """Return the path of a file that waits for the layer to be done."""
        return self.folder / f".batches{self._some}" / name

    def clear_waiting(self) -> None:
        """Remove what waited."""
        folder = self.waiting("job.json").parent
        with contextlib.suppress(OSError):
            for path in sorted(folder.glob("*")):
                path.unlink()
            folder.rmdir()


def check(root: Path, jobs: Sequence[LayerJob], keeping: Keeping) -> None:
    """Make sure, before anything is computed, that every layer can be written.

    Raises
    ------
    OptimizeError
        A folder can't be written into; results exist and may not be overwritten; or those
        to be resumed were made with other settings.
    """
    for job in jobs:
        place = job.place(root)
        check_folder(place.folder)
        _check_stamp(place, root, job, keeping)
        if keeping.resume:
            _check_same(place, job)
        elif not keeping.brave:
            existing = [p for p in (place.scores, place.waiting("job.json")) if p.exists()]
            existing += [p for c in job.channels if (p := place.montage(c)).exists()]
            if existing:
                raise OptimizeError(
                    f"{existing[0]} exists already; --brave overwrites, --resume makes only "
                    "what is missing"
                )
        else:
            with contextlib.suppress(OSError):
                place.scores.unlink()
            place.clear_waiting()


def _check_stamp(place: LayerFolder, root: Path, job: LayerJob, keeping: Keeping) -> None:
    """Refuse to put a network's pictures among another's; all of a layer replace all others."""
    if job.stamp is None or (keeping.brave and job.whole):
        return
    try:
        sentence = foreign(place.folder, root, job.stamp)
    except StampError as error:
        raise OptimizeError(str(error)) from error
    if sentence:
        raise OptimizeError(
            f"{sentence}; --unit-jpg-dir names another folder, and --brave with all units of "
            f"{job.layer} overwrites"
        )


def _write_stamp(place: LayerFolder, job: LayerJob) -> None:
    """Say beside the pictures what they are made from, before the first is there.

    Some pictures among older ones, of which nobody knows, make these no more certain.
    """
    if job.stamp is None:
        return
    known = job.whole or (place.folder / NAME).exists()
    if known or not any(place.folder.rglob("*.jpg")):
        try:
            write_stamp(place.folder, job.stamp)
        except StampError as error:
            raise OptimizeError(str(error)) from error


def _check_same(place: LayerFolder, job: LayerJob) -> None:
    done = read_object(place.scores)
    before = done.get("record") if done else read_object(place.waiting("job.json"))
    before = before if isinstance(before, dict) else None
    if before is not None and before != job.record():
        differing = [key for key in job.record() if before.get(key) != job.record()[key]]
        raise OptimizeError(
            f"the images in {place.folder} were begun with other {' and '.join(differing)}, so "
            "this is no run to resume; --brave without --resume overwrites"
        )


def make(
    optimizer: GradientOptimizer,
    root: Path,
    job: LayerJob,
    progress: Progress,
    compute: Compute | None = None,
) -> list[dict[str, Any]]:
    """Make a layer's images, going on where an earlier run ended.

    Parameters
    ----------
    optimizer : GradientOptimizer
        The network's.
    root : Path
        The folder of unit images.
    job : LayerJob
        What to make.
    progress : Progress
        The bar.
    compute : callable, optional
        Where batches are computed; here if there is none.

    Returns
    -------
    list of dict
        Each unit's scores, as in `scores.json`.
    """
    place = job.place(root)
    done = as_units((read_object(place.scores) or {}).get("units"), job.channels, job.seeds)
    files = [place.montage(channel) for channel in job.channels] + [place.sheet] * job.whole
    if done is not None and all(path.exists() for path in files):
        place.clear_waiting()
        progress.finish(len(job.channels) * job.seeds)
        return _noted(job, done, progress)
    _write_stamp(place, job)
    write(place.waiting("job.json"), json_bytes(job.record()))
    cut = _batches(optimizer, job)
    kept = {number: _waiting(place, number, cut[number], job.seeds) for number in range(len(cut))}
    left = [number for number, found in kept.items() if found is None]
    progress.finish(sum(len(cut[n]) for n in kept if n not in left) * job.seeds)
    work = [_work(optimizer, job, cut[number]) for number in left]
    for at, results in (compute or here(optimizer))(work, progress):
        _keep(optimizer, place, job, left[at], cut[left[at]], results)
    images: list[np.ndarray] = []
    units: list[dict[str, Any]] = []
    for number in range(len(cut)):
        found = kept[number] or _waiting(place, number, cut[number], job.seeds)
        if found is None:
            raise OptimizeError(
                f"{place.waiting('')} was changed while its images were made; the same command "
                "with --resume makes what is missing"
            )
        images += list(found[0])
        units += found[1]
    if job.whole:
        write(place.sheet, encoded(sheet(images)))
    write(place.scores, json_bytes({"record": job.record(), "units": units}))
    place.clear_waiting()
    return _noted(job, units, progress)


def _noted(job: LayerJob, units: list[dict[str, Any]], progress: Progress) -> list[dict[str, Any]]:
    """Keep what the user has to know about a layer's units; return them."""
    for unit in units:
        note = unit.get("note", "")
        failed = bool(note) and all(found == ZERO_GRADIENT for found in unit["meta_result"])
        if not note and "contrast" in unit:  # files of earlier versions have none
            note = pale(job.recipe, unit["contrast"][unit["best_seed"]])
        progress.notes.add(job.layer, unit["channel"], note, failed=failed)
    return units


def _batches(optimizer: GradientOptimizer, job: LayerJob) -> list[tuple[int, ...]]:
    """Cut the units into batches; whole units, so that a batch's files are its own."""
    size = job.batch_size or optimizer.batch_size(job.runs(job.channels[0])[0])
    each = max(1, size // job.seeds)
    return [job.channels[i : i + each] for i in range(0, len(job.channels), each)]


def _work(optimizer: GradientOptimizer, job: LayerJob, channels: Sequence[int]) -> Batch:
    runs = [params for channel in channels for params in job.runs(channel)]
    size = job.batch_size or optimizer.batch_size(runs[0])
    return Batch(runs, size, keeps_last=False)


def _waiting(
    place: LayerFolder, number: int, channels: Sequence[int], seeds: int
) -> tuple[np.ndarray, list[dict[str, Any]]] | None:
    """Return the best tiles and scores of a batch that was made; None where it was not."""
    tiles = (read_npz(place.waiting(f"{number:04d}.npz")) or {}).get("tiles")
    units = as_units(read_json(place.waiting(f"{number:04d}.json")), channels, seeds)
    if tiles is None or units is None:
        return None
    whole = tiles.dtype == np.uint8 and tiles.ndim == 4 and 0 not in tiles.shape
    return (tiles, units) if whole and tiles.shape[::3] == (len(channels), 3) else None


def as_units(found: Any, channels: Sequence[int], seeds: int) -> list[dict[str, Any]] | None:
    """Return these units' scores; None for anything else than `_score` writes."""
    units = [unit for unit in found if isinstance(unit, dict)] if isinstance(found, list) else []
    found_channels = [unit.get("channel") for unit in units]
    if found_channels != list(channels) or not all(map(_is_whole, found_channels)):
        return None
    kinds = {"is_strongest": bool, "meta_result": str, "contrast": int | float}
    for unit in units:
        values = {name: unit.get(name) for name in kinds if name in unit or name != "contrast"}
        best = unit.get("best_seed")
        if not _is_whole(best) or best not in range(seeds):
            return None
        if not isinstance(unit.get("note", ""), str):
            return None
        for name, value in values.items():
            if not isinstance(value, list) or len(value) != seeds:
                return None
            if not all(isinstance(each, kinds[name]) for each in value):
                return None
    return units


def _is_whole(value: Any) -> bool:
    """Tell whether it is a whole number; JSON's 2.0 and true, which are equal to some, are none."""
    return type(value) is int


def _keep(
    optimizer: GradientOptimizer,
    place: LayerFolder,
    job: LayerJob,
    number: int,
    channels: Sequence[int],
    results: Sequence[FindResults],
) -> None:
    """Write a batch's pictures, and what waits of it for the layer's end."""
    tiles, units = [], []
    for i, channel in enumerate(channels):
        own = results[i * job.seeds : (i + 1) * job.seeds]
        pictures = [picture_of(optimizer, found) for found in own]
        best = _best(own, job.recipe.push_dir)
        write(place.montage(channel), encoded(tiled(pictures)))
        tiles.append(pictures[best])
        units.append(_score(channel, own, best))
    write(place.waiting(f"{number:04d}.npz"), npz_bytes({"tiles": np.stack(tiles)}))
    write(place.waiting(f"{number:04d}.json"), json_bytes(units))


def picture_of(optimizer: GradientOptimizer, found: FindResults) -> np.ndarray:
    """Return what the unit sees of its image, true size."""
    mean: FloatArray = optimizer.mean_at(found.field)
    swap = optimizer.channel_swap_to_rgb
    return plus_mean(found.best_crop, mean, optimizer.grey, swap)


def _best(results: Sequence[FindResults], push_dir: float) -> int:
    return int(np.argmax([np.sign(push_dir) * found.best_obj for found in results]))


def _score(channel: int, results: Sequence[FindResults], best: int) -> dict[str, Any]:
    return {
        "channel": channel,
        "label": results[best].label,
        "best_seed": best,
        "best_obj": [found.best_obj for found in results],
        "best_ii": [found.best_ii for found in results],
        # whether no other channel is stronger at the unit's place in the best image
        "is_strongest": [found.ismax_here[found.best_ii] for found in results],
        "meta_result": [found.meta_result for found in results],
        "note": next((found.note for found in results if found.note), ""),
        "contrast": [round(found.contrast, 2) for found in results],
    }
