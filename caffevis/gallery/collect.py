"""What a gallery shows: which layers, which of their units have which pictures.

Reads the folder of unit images and writes nothing. The layers are the network's, in its
order; layers that only the folder has come after them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from caffevis.gallery.errors import GalleryError, reason
from caffevis.keys.state import Layer
from caffevis.units.image_paths import ALL_KINDS, CARD, KINDS, OPTIMISED, Kind, UnitFolder
from caffevis.units.montage import Sheet, find_sheet, has_four_groups
from caffevis.units.words import Words, read_words
from toolbox.pictures.image_file import ImageError, read_image
from toolbox.pictures.stamp import StampError, foreign, read_stamp, stamp_of

JPEG = b"\xff\xd8\xff"  # how every JPEG file begins
# Pixels of a sheet that a browser is asked to decode; above, each unit's own file is shown.
LARGEST_SHEET = 40_000_000
ABOUT = re.compile(r"(README|LICEN[CS]E|ATTRIBUTION|NOTICE|COPYING)[\w.-]*", re.IGNORECASE)


@dataclass(frozen=True)
class SheetFile:
    """A layer's overview.

    Parameters
    ----------
    path : Path
        `whole_layer.jpg`.
    height, width : int
        In pixels.
    grid : Sheet
        Where in it each unit is.
    """

    path: Path
    height: int
    width: int
    grid: Sheet


@dataclass(frozen=True)
class LayerEntry:
    """One layer of the gallery.

    Parameters
    ----------
    name : str
        As the network and the folder call it.
    title : str
        As the list of layers calls it.
    units : int
        How many it has, with or without pictures.
    pictures : tuple of mapping of int to Path
        For each of the collection's kinds, the files by unit.
    sheet : SheetFile or None
        The overview, where there is one that fits the number of units.
    four_groups : bool
        Whether the optimised images are arranged as those of caffenet-yos.
    labels : tuple of str
        Names of the units; may be shorter than `units`.
    words : mapping of int to Words
        What units answer to, where that is known.
    borrowers : tuple of str
        Layers that show the same pictures (`caffevis_jpgvis_remap`).
    """

    name: str
    title: str
    units: int
    pictures: tuple[Mapping[int, Path], ...]
    sheet: SheetFile | None = None
    four_groups: bool = False
    labels: tuple[str, ...] = ()
    borrowers: tuple[str, ...] = ()
    words: Mapping[int, Words] = field(default_factory=dict)


@dataclass(frozen=True)
class Collection:
    """All that a gallery shows.

    Parameters
    ----------
    root : Path
        The folder of unit images.
    layers : tuple of LayerEntry
        At least one.
    about : tuple of Path
        Texts beside the images: licences, whom to credit.
    kinds : tuple of Kind
        Which pictures units have: with cards, where the folder has any.
    notes : tuple of str
        What the user should be told, a sentence each.
    """

    root: Path
    layers: tuple[LayerEntry, ...]
    about: tuple[Path, ...] = ()
    kinds: tuple[Kind, ...] = KINDS
    notes: tuple[str, ...] = ()


def collect(
    folder: UnitFolder, layers: Sequence[Layer], labels: Sequence[str], labelled: Iterable[str]
) -> Collection:
    """Look for the pictures of every layer.

    Parameters
    ----------
    folder : UnitFolder
        Where they lie, which layers are shown, and which borrow another's.
    layers : sequence of Layer
        The network's, in order; none where it is not known.
    labels : sequence of str
        Names of the classes.
    labelled : iterable of str
        The layers whose units are the classes.

    Raises
    ------
    GalleryError
        The folder cannot be read, holds no pictures, or those of another network.
    """
    if folder.root is None:
        raise GalleryError(
            "no folder of unit images: neither --unit-jpg-dir nor caffevis_unit_jpg_dir is given"
        )
    root = Path(folder.root)
    _names(root)  # a folder that cannot be read is an error; one that lacks a kind is none
    notes: list[str] = []
    found = [_entry(folder, each, notes) for each in _sources(folder, layers, notes)]
    names = set(labelled)
    known, problem = read_words(folder)
    notes += [problem] if problem else []
    shown = tuple(
        replace(
            entry,
            labels=tuple(labels) if names & {entry.name, *entry.borrowers} else (),
            words=known.get(entry.name, {}),
        )
        for entry in found
        if any(entry.pictures)
    )
    if not shown:
        raise GalleryError(
            f"{root} holds no images of units (such as {OPTIMISED.folder}/conv1/"
            f"conv1_0000{OPTIMISED.ending}); python -m optimize --layers ... --unit-jpg-dir "
            "makes some"
        )
    without = [entry.name for entry in found if not any(entry.pictures)]
    if without:
        notes.append(f"no images of {', '.join(without)}")
    about = [root / name for name in _names(root) if ABOUT.fullmatch(name)]
    texts = tuple(path for path in about if path.is_file())
    return Collection(root, shown, texts, _kinds(folder), tuple(notes))


def _kinds(folder: UnitFolder) -> tuple[Kind, ...]:
    return ALL_KINDS if (Path(folder.root or "") / CARD.folder).is_dir() else KINDS


def _sources(folder: UnitFolder, layers: Sequence[Layer], notes: list[str]) -> Iterator[LayerEntry]:
    """List the layers whose own pictures are shown, still without these."""
    groups: dict[str, list[Layer]] = {}
    for layer in layers:
        if folder.shows(layer.name):
            groups.setdefault(folder.source(layer.name), []).append(layer)
    for source, group in groups.items():
        main = next((layer for layer in group if layer.name == source), group[0])
        others = tuple(layer.name for layer in group if layer is not main)
        yield LayerEntry(main.name, main.label, main.units, (), borrowers=others)
    known = {layer.name for layer in layers} | set(groups)
    extra = [name for name in _on_disk(folder) if name not in known and folder.shows(name)]
    if extra and layers:
        notes.append(f"not among the network's layers, so shown last: {', '.join(extra)}")
    for name in extra:
        yield LayerEntry(name, name, 0, ())


def _entry(folder: UnitFolder, entry: LayerEntry, notes: list[str]) -> LayerEntry:
    """Find a layer's pictures."""
    _check_stamps(folder, entry.name)
    broken: list[Path] = []
    pictures = tuple(_pictures(folder, kind, entry.name, broken) for kind in _kinds(folder))
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        notes.append(f"left out, as no JPEG pictures: {broken[0]}{more}")
    last = max((unit for files in pictures for unit in files), default=-1)
    if entry.units and last >= entry.units:
        path = next(files[last] for files in pictures if last in files)
        raise GalleryError(
            f"{path} is of unit {last}, but {entry.name} of the settings' network has "
            f"{entry.units} units; --settings FILE names those of the images' own network"
        )
    entry = replace(entry, units=entry.units or last + 1, pictures=pictures)
    if last < 0:
        return entry
    return replace(
        entry, sheet=_sheet(folder, entry, notes), four_groups=_four_groups(pictures[0], notes)
    )


def _check_stamps(folder: UnitFolder, layer: str) -> None:
    """Refuse a layer's pictures that were made from another network than the settings'.

    A gallery needs no weights; without these nothing is known of the network.
    """
    root, model = folder.root, folder.model
    if root is None or model is None or not all(map(os.path.isfile, model)):
        return
    try:
        places = [place for kind in ALL_KINDS if (place := folder.pictures(kind, layer))]
        for place in places:
            if read_stamp(place, root) and (sentence := foreign(place, root, stamp_of(*model))):
                raise GalleryError(
                    f"{sentence}; --settings FILE names those of the images' own network"
                )
    except StampError as error:
        raise GalleryError(str(error)) from error


def _pictures(folder: UnitFolder, kind: Kind, layer: str, broken: list[Path]) -> dict[int, Path]:
    """Find a layer's pictures of one kind, by unit; those that are no JPEG are named."""
    found: dict[int, Path] = {}
    zero = f"_0000{kind.ending}"
    for first in folder.unit(kind, layer, 0):
        stem = re.escape(first.name.removesuffix(zero))
        pattern = re.compile(rf"{stem}_(\d{{4,}}){re.escape(kind.ending)}")
        for name in _names(first.parent, may_lack=True):
            match = pattern.fullmatch(name)
            if match is None or match[1] != f"{int(match[1]):04d}":
                continue
            path = first.with_name(name)
            if _is_jpeg(path):
                found.setdefault(int(match[1]), path)
            else:
                broken.append(path)
    return dict(sorted(found.items()))


def _is_jpeg(path: Path) -> bool:
    try:
        if not path.is_file():  # opening a pipe would wait for ever
            return False
        with path.open("rb") as file:
            return file.read(len(JPEG)) == JPEG
    except OSError:
        return False


def _names(folder: Path, may_lack: bool = False) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError) as error:
        if may_lack:
            return []
        raise GalleryError(
            f"the folder of unit images {folder} is not there; --unit-jpg-dir names another"
        ) from error
    except OSError as error:
        raise GalleryError(f"the folder {folder} cannot be read: {reason(error)}") from error


def _on_disk(folder: UnitFolder) -> list[str]:
    """Name the layers that the folder has pictures of, in the order a person would count."""
    found: set[str] = set()
    for kind in ALL_KINDS:
        top = os.path.join(folder.root or "", kind.folder)
        for where, _, files in os.walk(top):
            if any(name.endswith(kind.ending) for name in files) and where != top:
                found.add(Path(where).relative_to(top).as_posix())
    return sorted(
        (n for n in found if any(_pictures(folder, k, n, []) for k in ALL_KINDS)), key=_order
    )


def _order(name: str) -> list[tuple[str, int]]:
    """Sort conv10 behind conv9."""
    return [(text, int(part or 0)) for text, part in re.findall(r"(\D*)(\d*)", name)]


def _sheet(folder: UnitFolder, entry: LayerEntry, notes: list[str]) -> SheetFile | None:
    """Find out how a layer's overview is arranged; None where there is none to use."""
    path = folder.sheet(entry.name)
    if path is None or not path.is_file():
        return None
    try:
        height, width = read_image(path).shape[:2]
    except ImageError as error:
        notes.append(str(error))
        return None
    grid = find_sheet(height, width, entry.units)
    if grid is None:
        notes.append(f"{path} is no grid of {entry.units} images and is left out")
        return None
    return SheetFile(path, height, width, grid)


def _four_groups(optimised: Mapping[int, Path], notes: list[str]) -> bool:
    """Tell from its first picture how a layer's optimised images are arranged."""
    for path in list(optimised.values())[:1]:
        try:
            return has_four_groups(read_image(path))
        except ImageError as error:
            notes.append(str(error))
    return False
