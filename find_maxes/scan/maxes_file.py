"""The files of a scan: MAXES.npz and the checkpoint beside it.

Both are NumPy's .npz without pickles, written beside their place, brought to the disk and
renamed, so that they are whole or not there. The same content is the same bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from find_maxes.errors import FindMaxesError, UnwritableError, reason_of
from find_maxes.labels.card import Card
from find_maxes.labels.sample import PERCENTILES
from find_maxes.photos.net_input import Recipe
from find_maxes.photos.photo_list import ImageList
from find_maxes.scan.running_totals import Arrays, Totals
from find_maxes.scan.top_n import locations
from find_maxes.scan.unit_cards import unit_cards
from toolbox.pictures.array_file import DAMAGED
from toolbox.pictures.held import Held
from torchcaffe.blobs.blob import Shape

# What arrays of other kinds than a scan writes end in.
_OTHER = (LookupError, ValueError, TypeError, AttributeError, RuntimeError, OverflowError)
_VERSIONS = "photo_versions"  # in a checkpoint
_LONGEST = 100  # letters of NumPy's reason


def checkpoint_of(out: Path) -> Path:
    """Return where a scan's checkpoint is: beside its result."""
    return out.with_name(out.name + ".checkpoint")


def check_writable(out: Path) -> None:
    """Make sure, before hours of work, that a file can be written there."""
    if out.is_dir():
        raise FindMaxesError(f"{out} cannot be written: it is a folder; name a file, as max.npz")
    probe = _beside(out)
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise FindMaxesError(f"{out} cannot be written: {reason_of(error)}") from error


def _beside(path: Path) -> Path:
    # One name for all runs: what a killed one left is written over by the next.
    return path.with_name(f"{path.name}.tmp")


def write(path: Path, arrays: Mapping[str, np.ndarray], *, compress: bool) -> None:
    """Write an .npz atomically.

    Raises
    ------
    FindMaxesError
        The disk is full, or the system refuses; what was there before is intact.
    """
    beside = _beside(path)
    save = np.savez_compressed if compress else np.savez
    try:
        with open(beside, "wb") as file:
            save(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise UnwritableError(f"{path} cannot be written: {reason_of(error)}") from error
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def remove(path: Path) -> None:
    """Remove a file, and what a run that was killed while writing it has left beside it."""
    for each in (path, _beside(path)):
        with contextlib.suppress(FileNotFoundError):
            each.unlink()


def _sync_folder(folder: Path) -> None:
    """Bring the renaming to the disk, where the system lets a folder be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read(path: Path, what: str) -> Arrays:
    """Read all of an .npz.

    Raises
    ------
    FindMaxesError
        It is missing, damaged or something else; `what` says what it should be.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("it is a single array")
            arrays = {name: file[name] for name in file.files}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("it holds something else than arrays")
        return arrays
    except FileNotFoundError as error:
        raise FindMaxesError(f"{path} does not exist; it should be {what}") from error
    except DAMAGED as error:
        raise FindMaxesError(f"{path} is not {what} ({_why(error)})") from error


def _why(error: BaseException) -> str:
    """Return NumPy's reason, but not its advice to load files of others with pickle."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "pickle" in text:
        return "it is no .npz file, or holds Python objects"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."  # some quote the file


# ---------------------------------------------------------------- checkpoints


def write_checkpoint(
    path: Path, totals: Totals, settings: Mapping[str, Any], versions: np.ndarray | None = None
) -> None:
    """Write what a scan has found so far, and which versions of the photos it is of."""
    more = {} if versions is None else {_VERSIONS: versions}
    write(path, {"settings": _text(settings), **totals.arrays(), **more}, compress=False)


def read_versions(path: Path) -> np.ndarray | None:
    """Return the photos' versions when the scan of a checkpoint began; None where unknown."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = file[_VERSIONS]
            return found if found.dtype == np.int64 else None
    except (*DAMAGED, AttributeError):
        return None


def read_checkpoint(path: Path, settings: Mapping[str, Any]) -> Totals:
    """Read a checkpoint of a scan with these settings.

    Raises
    ------
    FindMaxesError
        It is damaged, or of a scan with other settings (the sentence says which).
    """
    arrays = read(path, "a checkpoint of find_max_acts")
    try:
        found = json.loads(str(arrays["settings"]))
        totals = Totals.from_arrays(arrays)
    except _OTHER as error:
        raise FindMaxesError(f"{path} is not a checkpoint of find_max_acts") from error
    other = difference(found, settings)
    if other:
        raise FindMaxesError(
            f"{path} is of a scan with {other}; give the options it was begun with, "
            "or start anew without --resume"
        )
    return totals


def read_so_far(path: Path, layer: str, map_shape: Sequence[int], images: ImageList) -> Maxes:
    """Read one layer of a checkpoint, or of a result, as a result.

    Parameters
    ----------
    path : Path
        Either file.
    layer : str
        Which.
    map_shape : sequence of int
        Its axes after the units.
    images : ImageList
        The scan's photos.

    Raises
    ------
    FindMaxesError
        It is missing, damaged or something else, or of other photos.
    """
    if path != checkpoint_of(path.with_suffix("")):
        return read_maxes(path)
    arrays = read(path, "a checkpoint of find_max_acts")
    try:
        settings = json.loads(str(arrays["settings"]))
        totals = Totals.from_arrays(arrays)
        top = totals.trackers()[layer].arrays()
        recipe = Recipe.from_json(settings["preprocess"])
        same = settings["list_sha256"] == images.digest()
    except _OTHER as error:
        raise FindMaxesError(f"{path} is no checkpoint with the layer {layer!r}") from error
    if not same:
        raise FindMaxesError(f"the files in {images.folder} have changed since the scan began")
    places = locations(top["images"], top["places"], map_shape, images.classes)
    values = {layer: top["values"]}
    return Maxes(values, {layer: places}, images.names, settings, recipe, len(totals.bad))


def difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """Name the first setting in which two scans differ."""
    wanted = json.loads(json.dumps(wanted))
    for name in {**wanted, **found}:
        if found.get(name) != wanted.get(name):
            values = (found.get(name), wanted.get(name))
            if any(len(str(value)) > 60 for value in values):
                return f"another {name}"
            return f"{name} {values[0]}, not {values[1]}"
    return None


def _text(settings: Mapping[str, Any]) -> np.ndarray:
    return np.array(json.dumps(settings, indent=1))


# ---------------------------------------------------------------- MAXES.npz


@dataclass(frozen=True, eq=False)
class Maxes:
    """A finished scan.

    Attributes
    ----------
    values : dict of str to ndarray of float32, shape (units, N)
        Layer -> values from highest down.
    locations : dict of str to ndarray of int64, shape (units, N, 4)
        Layer -> image, class, row and column of each.
    names : tuple of str
        Files, relative to DATADIR.
    settings : dict
        How it was made.
    recipe : Recipe
        From pictures to inputs.
    bad : int
        How many files could not be read.
    cards : dict of str to Card
        Layer -> labels, quantiles and silence, as far as they were asked for.
    label_names : tuple of str
        What the labels' numbers stand for.
    """

    values: dict[str, np.ndarray]
    locations: dict[str, np.ndarray]
    names: tuple[str, ...]
    settings: dict[str, Any]
    recipe: Recipe
    bad: int
    cards: dict[str, Card] = field(default_factory=dict)
    label_names: tuple[str, ...] = ()

    @property
    def held(self) -> Held:
        """What the net's inputs held."""
        return Held.from_json(self.settings.get("inputs", {}))


def write_maxes(
    path: Path,
    totals: Totals,
    shapes: Mapping[str, Shape],
    images: ImageList,
    settings: Mapping[str, Any],
    label_names: Sequence[str] = (),
) -> dict[str, Card]:
    """Write the result of a scan; return what it says of units beside their top images."""
    cards = unit_cards(totals, shapes, images)
    arrays: Arrays = {
        "settings": _text(settings),
        "filenames": np.array(images.names, np.str_),
        "classes": images.classes,
        "class_names": np.array(images.class_names, np.str_),
        "bad_index": np.array(list(totals.bad), np.int64),
        "bad_reason": np.array(list(totals.bad.values()), np.str_),
    }
    for name, tracker in totals.trackers().items():
        layer = totals.statistics[name]
        top = {key: value[:, : settings["N"]] for key, value in tracker.arrays().items()}
        arrays[f"{name}/max_vals"] = top["values"]
        arrays[f"{name}/max_locs"] = locations(
            top["images"], top["places"], shapes[name][1:], images.classes
        )
        if layer.histogram is not None:
            found = layer.histogram.arrays()
            arrays[f"{name}/histogram"] = found["counts"]
            arrays[f"{name}/histogram_width"] = np.exp2(found["exponents"].astype(np.float64))
            arrays[f"{name}/lowest"] = found["lowest"]
            arrays[f"{name}/highest"] = found["highest"]
            arrays[f"{name}/dead"] = layer.histogram.dead()
        if layer.correlation is not None:
            arrays[f"{name}/correlation"] = layer.correlation.matrix()
        arrays |= cards[name].arrays(name) if cards else {}
    if cards:
        arrays["label_names"] = np.array(tuple(label_names), np.str_)
        arrays["percentiles"] = np.array(PERCENTILES, np.int64)
    write(path, arrays, compress=True)
    return cards


def read_maxes(path: Path) -> Maxes:
    """Read the result of a scan.

    Raises
    ------
    FindMaxesError
        It is missing, damaged or something else.
    """
    what = "a result of find_max_acts"
    arrays = read(path, what)
    try:
        settings = json.loads(str(arrays["settings"]))
        values = {name: arrays[f"{name}/max_vals"] for name in settings["layers"]}
        places = {name: arrays[f"{name}/max_locs"] for name in settings["layers"]}
        names = tuple(arrays["filenames"].tolist())
        for name in values:
            _check_layer(name, values[name], places[name], len(names))
        recipe = Recipe.from_json(settings["preprocess"])
        str(settings["weights_sha256"] + settings["weights"])
        bad = len(arrays["bad_index"])
        labels = tuple(arrays["label_names"].tolist()) if "label_names" in arrays else ()
        cards = {} if "label_names" not in arrays else {
            name: _card(name, arrays, len(values[name]), len(labels), len(names)) for name in values
        }  # fmt: skip
    except _OTHER as error:
        raise FindMaxesError(f"{path} is not {what} ({_why(error)})") from error
    return Maxes(values, places, names, settings, recipe, bad, cards, labels)


def _card(name: str, arrays: Arrays, units: int, labels: int, images: int) -> Card:
    """Read a layer's card; refuse what no scan of so many images writes."""
    card = Card.from_arrays(name, arrays, units)
    if card.label is not None and card.label.size and not -1 <= card.label.max() < labels:
        raise ValueError(f"layer {name} has labels without a name")
    if card.at_vals is not None and card.at_locs is not None:
        _check_layer(name, card.at_vals, card.at_locs, images)
    return card


def _check_layer(name: str, values: np.ndarray, places: np.ndarray, images: int) -> None:
    """Refuse arrays that no scan of so many images writes."""
    if values.ndim != 2 or places.shape != (*values.shape, 4):
        raise ValueError(f"layer {name} has arrays of the shapes {values.shape}, {places.shape}")
    if values.dtype != np.float32 or places.dtype != np.int64:
        raise ValueError(f"layer {name} has arrays of {values.dtype} and {places.dtype}")
    if places.size and not (places.min() >= -1 and places[..., 0].max() < images):
        raise ValueError(f"layer {name} names images or places that do not exist")
