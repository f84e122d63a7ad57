"""Writing a gallery: pages of our own, the data beside them, and the pictures.

A page opened from `file://` may load scripts, styles and pictures but may not fetch data, so the
data is a script of its own. Its paths, like all that comes from files of users, reach the
page as text and addresses only, never as HTML.
"""

from __future__ import annotations

import errno
import html
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from caffevis.gallery.collect import LARGEST_SHEET, Collection, LayerEntry, SheetFile
from caffevis.gallery.errors import GalleryError, reason
from caffevis.gallery.weights import place
from caffevis.keys.keymap import BINDINGS
from caffevis.units.words import Words as UnitWords
from toolbox.app.core import CORE_BINDINGS
from toolbox.pictures.image_file import ImageError, write_image
from toolbox.pictures.images import Image

HERE = Path(__file__).resolve().parent
PAGE, DATA, IMAGES = "index.html", "data.js", "images"
PARTS = ("page.css", "logic.js", "page.js")
MARK = '<meta name="generator" content="caffevis.gallery">'

# The actions that a gallery shares with the live app, by tag.
ACTIONS = (
    "sel_left", "sel_right", "sel_down", "sel_up",
    "sel_left_fast", "sel_right_fast", "sel_down_fast", "sel_up_fast",
    "sel_layer_left", "sel_layer_right",
    "zoom_mode", "pattern_mode", "toggle_unit_jpgs", "help_mode", "reset_state",
)  # fmt: skip


@dataclass(frozen=True)
class Words:
    """What a gallery says of its network.

    Parameters
    ----------
    title : str
        The network's name.
    fast : int
        Units or layers that a fast move goes (`caffevis_fast_move_dist`).
    """

    title: str
    fast: int = 3


@dataclass(frozen=True)
class Written:
    """What was written: pictures, and the bytes of all files."""

    pictures: int
    size: int


def write(
    collection: Collection,
    words: Words,
    out: Path,
    *,
    link: bool = False,
    weights: Mapping[str, Image] = MappingProxyType({}),
) -> Written:
    """Write a gallery beside its place and rename it.

    Parameters
    ----------
    collection : Collection
        What it shows.
    words : Words
        What it says.
    out : Path
        Its folder: new, empty, or an older gallery, which is replaced.
    link : bool
        Show the pictures where they are, instead of copies.
    weights : mapping of str to ndarray of uint8
        Layer -> a picture of its weights, which is written too.

    Raises
    ------
    GalleryError
        The folder holds something else, or files cannot be read or written.
    """
    out = out.resolve()
    check_folder(out, collection.root)
    beside = out.with_name(out.name + ".part")
    if not _is_ours(beside):
        raise GalleryError(f"{beside}, where the site is written first, is in the way")
    places = Places(collection.root, out if link else None)
    try:
        _clear(beside)
        beside.mkdir(parents=True)
        written = _fill(collection, words, places, beside, weights)
        _put(beside, out)
    except OSError as error:
        # A copy that the disk has no room for names what is copied.
        where = out if error.errno == errno.ENOSPC else error.filename or out
        raise GalleryError(f"{where} cannot be read or written: {reason(error)}") from error
    except ImageError as error:
        raise GalleryError(str(error)) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return written


def check_folder(out: Path, images: Path) -> None:
    """Make sure that a gallery may be written to a folder.

    Raises
    ------
    GalleryError
        It holds something else, or the images themselves.
    """
    if not out.name:
        raise GalleryError(f"{out} cannot be a gallery's folder; --out names a new or empty one")
    if images.resolve().is_relative_to(out):
        raise GalleryError(
            f"the unit images lie in {out}, which would be replaced; --out names another folder"
        )
    if not _is_ours(out):
        raise GalleryError(
            f"{out} holds something that is no gallery of this program; --out names a new folder, "
            "an empty one or an older gallery"
        )


def _is_ours(folder: Path) -> bool:
    """Whether a folder is absent, empty or nothing but a gallery."""
    if not os.path.lexists(folder):
        return True
    try:
        names = {path.name for path in folder.iterdir()}
        if not names:
            return True
        page = (folder / PAGE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return MARK in page and names <= {PAGE, DATA, IMAGES, *PARTS}


def _clear(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _put(beside: Path, out: Path) -> None:
    """Rename the new gallery to its place, and remove the older one that was there."""
    if not out.exists():
        beside.rename(out)
        return
    older = out.with_name(out.name + ".old.part")
    if not _is_ours(older):
        raise GalleryError(f"{older}, where the older site is kept meanwhile, is in the way")
    _clear(older)
    out.rename(older)
    try:
        beside.rename(out)
    except OSError:
        older.rename(out)
        raise
    _clear(older)


@dataclass(frozen=True)
class Places:
    """Where the pictures are, as seen from the page.

    Parameters
    ----------
    root : Path
        The folder of unit images.
    linked_from : Path or None
        The gallery's folder where it has no copies.
    """

    root: Path
    linked_from: Path | None = None

    def below(self, path: Path) -> Path:
        """Return where a copy lies in the gallery."""
        return Path(IMAGES) / path.relative_to(self.root)

    def address(self, path: Path) -> str:
        """Return a picture's relative address."""
        if self.linked_from is None:
            return quote(self.below(path).as_posix())
        try:
            relative = os.path.relpath(path.resolve(), self.linked_from)
        except ValueError as error:  # on another drive
            raise GalleryError(f"{path} cannot be linked from {self.linked_from}") from error
        return quote(Path(relative).as_posix())


def _fill(
    collection: Collection,
    words: Words,
    places: Places,
    folder: Path,
    weights: Mapping[str, Image],
) -> Written:
    """Write all files of a gallery into an empty folder; the page first, which marks it."""
    _write(folder / PAGE, _page(words))
    for name in PARTS:
        shutil.copyfile(HERE / name, folder / name)
    drawn = {name: place(name, number) for number, name in enumerate(weights)}
    _write(folder / DATA, script(collection, words, places, drawn))
    for name, below in drawn.items():
        path = folder / IMAGES / below
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, weights[name])
    pictures = sum(len(files) for entry in collection.layers for files in entry.pictures)
    if places.linked_from is None:
        for path in _files(collection):
            copy = folder / places.below(path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Written(pictures, size)


def _files(collection: Collection) -> Iterator[Path]:
    yield from collection.about
    for entry in collection.layers:
        for files in entry.pictures:
            yield from files.values()
        if entry.sheet is not None:
            yield entry.sheet.path


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _page(words: Words) -> str:
    template = Template((HERE / PAGE.replace("index", "page")).read_text(encoding="utf-8"))
    return template.substitute(title=html.escape(words.title), mark=MARK)


def script(
    collection: Collection,
    words: Words,
    places: Places,
    weights: Mapping[str, Path] = MappingProxyType({}),
) -> str:
    """Return the data as a script; `weights` says where pictures of layers' weights lie.

    Returns
    -------
    str
        ASCII, without the letters that could end a script or begin HTML.
    """
    rows = {row.tag: row.keys for row in BINDINGS} | {row.tag: row.keys for row in CORE_BINDINGS}
    data = {
        "title": words.title,
        "fast": words.fast,
        "keys": {tag: rows[tag] for tag in ACTIONS},
        "kinds": [kind.name for kind in collection.kinds],
        "layers": [_layer(entry, places, weights) for entry in collection.layers],
        "about": [
            {"name": path.name, "address": places.address(path)} for path in collection.about
        ],
    }
    text = json.dumps(data, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return f"window.GALLERY = {text};\n"


def _layer(entry: LayerEntry, places: Places, weights: Mapping[str, Path]) -> dict[str, Any]:
    own = weights.get(entry.name)
    return {
        "weights": None if own is None else quote((Path(IMAGES) / own).as_posix()),
        "name": entry.name,
        "title": entry.title,
        "units": entry.units,
        "labels": [_printable(label) for label in entry.labels[: entry.units]],
        "borrowers": entry.borrowers,
        "words": {unit: _words(words) for unit, words in entry.words.items()},
        "fourGroups": entry.four_groups,
        "pictures": [_runs(files, places) for files in entry.pictures],
        "sheet": None if entry.sheet is None else _sheet(entry.sheet, places),
    }


def _printable(label: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in label)


def _words(words: UnitWords) -> list[Any]:
    """Return a unit's label, its d' (0 without one), and the lines that the page shows."""
    dprime = round(words.dprime, 2) if words.label else 0
    return [_printable(words.label), dprime, [_printable(line) for line in words.lines()]]


def _sheet(sheet: SheetFile, places: Places) -> dict[str, Any]:
    grid = sheet.grid
    return {
        "address": places.address(sheet.path),
        "whole": [sheet.width, sheet.height],
        "tile": [grid.width, grid.height],
        "columns": grid.columns,
        "gap": grid.gap,
        "border": grid.border,
        "asTiles": sheet.width * sheet.height <= LARGEST_SHEET,
    }


def _runs(files: Mapping[int, Path], places: Places) -> list[list[Any]]:
    """Say in few words where pictures are: runs of units with what the address has around each.

    Returns
    -------
    list of [str, str, int, int]
        Before and after the unit's number, the first and the last unit of the run.
    """
    runs: list[list[Any]] = []
    for unit, path in files.items():
        number = f"_{unit:04d}"
        before, _, after = path.name.rpartition(number)
        folder = places.address(path.with_name(f"{before}_"))
        around = [folder, quote(after)]
        if runs and runs[-1][:2] == around and runs[-1][3] == unit - 1:
            runs[-1][3] = unit
        else:
            runs.append([*around, unit, unit])
    return runs
