"""What crop_max_patches does, from options to exit status."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
from tqdm import tqdm

import torchcaffe as caffe
from find_maxes.crops import cards
from find_maxes.crops.patch_pictures import KINDS, PICTURE, Kind, as_tile, layer_path, tiled
from find_maxes.crops.patches import Entry, Patch, Patcher, entries_of
from find_maxes.errors import FindMaxesError, reason_of
from find_maxes.labels import table
from find_maxes.photos.decoders import Decoder
from find_maxes.photos.net_input import Recipe
from find_maxes.photos.photo_list import ImageList, read_images
from find_maxes.scan import maxes_file
from find_maxes.scan.maxes_file import Maxes
from find_maxes.scan.network import NetFiles
from find_maxes.scan.scan import weights_digest
from toolbox.pictures.image_file import ImageError, write_image
from toolbox.pictures.images import Image
from toolbox.pictures.stamp import Stamp, stamp_of, write_stamp
from toolbox.pictures.whole_file import write_whole
from toolbox.workers.heartbeat import SECONDS, Heartbeat

UNITS_AT_ONCE = 256  # their tiles wait in memory for info.txt and the app's pictures


@dataclass
class Unit:
    """What waits until all patches of a unit are there."""

    lines: dict[int, str] = field(default_factory=dict)
    tiles: dict[str, dict[int, Image]] = field(default_factory=dict)


class Writer:
    """The files of one layer.

    Parameters
    ----------
    out : Path
        OUTDIR.
    unit_jpg_dir : Path or None
        The app's folder.
    layer : str
        Its name.
    kinds : sequence of Kind
        PNG files to write.
    info : bool
        Whether to write info.txt.
    names : sequence of str
        Of the images.
    background : tuple of int
        Colour between tiles and where there is none.
    stamp : Stamp
        The network, for the app's folder.
    """

    def __init__(
        self,
        out: Path,
        unit_jpg_dir: Path | None,
        layer: str,
        kinds: Sequence[Kind],
        info: bool,
        names: Sequence[str],
        background: tuple[int, int, int],
        stamp: Stamp,
    ) -> None:
        self._below = layer_path(layer)
        self._layer, self._kinds, self._info, self._names = layer, kinds, info, names
        self._out, self._jpgs, self._background = out, unit_jpg_dir, background
        self._stamp = stamp
        self._units: dict[int, Unit] = {}

    def _folder(self, unit: int) -> Path:
        return _made(self._out / self._below / f"unit_{unit:04d}")

    def add(self, patch: Patch) -> None:
        """Write a patch's PNG files, and keep its line and its tiles."""
        entry = patch.entry
        unit = self._units.setdefault(entry.unit, Unit())
        unit.lines[entry.rank] = _line(patch, self._names)
        for kind in KINDS:
            for_app = self._jpgs is not None and kind.unit_folder is not None
            if not for_app and kind not in self._kinds:
                continue
            image = kind.draw(patch.parts[kind.source])
            if kind in self._kinds:
                _write(self._folder(entry.unit) / f"{kind.name}_{entry.rank:03d}.png", image)
            if for_app and entry.rank < 9:
                unit.tiles.setdefault(kind.name, {})[entry.rank] = as_tile(image)

    def finish(self) -> None:
        """Write what waited."""
        stamped: set[Path] = set()
        for number, unit in self._units.items():
            if self._info:
                rows = [unit.lines[rank] for rank in sorted(unit.lines)]
                text = "\n".join([f"layer {self._layer}, unit {number}", HEAD, *rows, ""])
                path = self._folder(number) / "info.txt"
                try:
                    write_whole(path, text)
                except OSError as error:
                    raise FindMaxesError(f"{path} cannot be written: {reason_of(error)}") from error
            for kind in KINDS:
                if self._jpgs is not None and kind.unit_folder and kind.name in unit.tiles:
                    nine = [unit.tiles[kind.name].get(rank) for rank in range(9)]
                    folder = self._jpgs / kind.unit_folder / self._below
                    name = self._below.with_name(f"{self._below.name}_{number:04d}.jpg")
                    _made((folder / name).parent)
                    _write(folder / name, tiled(nine, self._background))
                    stamped.add(folder)
        for folder in stamped:
            write_stamp(folder, self._stamp)
        self._units = {}


HEAD = "rank\tvalue\tvalue now\timage\tclass\trow\tcolumn\tinput rows\tinput columns\tfile"


def _line(patch: Patch, names: Sequence[str]) -> str:
    """Return a patch's line of info.txt."""
    e, (top, bottom), (left, right) = patch.entry, patch.region.rows, patch.region.columns
    numbers = f"{e.rank}\t{e.value:.6g}\t{patch.value:.6g}\t{e.image}\t{e.label}"
    return f"{numbers}\t{e.row}\t{e.column}\t{top}..{bottom}\t{left}..{right}\t{names[e.image]}"


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FindMaxesError(f"the folder {folder} can't be made: {reason_of(error)}") from error
    return folder


def _write(path: Path, image: Image) -> None:
    try:
        write_image(path, image)
    except ImageError as error:
        raise FindMaxesError(str(error)) from error


def check_names(maxes: Maxes, images: ImageList) -> None:
    """Refuse a list that is not the one of the scan."""
    if maxes.names == images.names:
        return
    pairs = enumerate(zip(maxes.names, images.names, strict=False))
    where = next((i for i, (a, b) in pairs if a != b), min(len(maxes.names), len(images)))
    raise FindMaxesError(
        f"FILELIST is not the list that MAXES was made from: they differ at image {where}, and "
        f"have {len(images)} and {len(maxes.names)} images; name that list, or scan this one with "
        "find_maxes.find_max_acts"
    )


def _kinds(options: argparse.Namespace) -> tuple[list[Kind], bool]:
    """Return which PNG files to write, and whether info.txt."""
    kinds = [kind for kind in KINDS if getattr(options, kind.option.replace("-", "_"))]
    if kinds or options.do_info:
        return kinds, options.do_info
    return ([], False) if options.unit_jpg_dir else (list(KINDS), True)


def _parts(kinds: Sequence[Kind], for_app: bool) -> list[str]:
    """Return which values the pictures need."""
    drawn = [kind for kind in KINDS if kind in kinds or (for_app and kind.unit_folder)]
    return list(dict.fromkeys([PICTURE, *(kind.source for kind in drawn)]))


def check_weights(path: str, maxes: Maxes, weights: str) -> None:
    """Refuse weights that are not those of the scan in `path`."""
    if weights_digest(weights) != maxes.settings["weights_sha256"]:
        raise FindMaxesError(
            f"{path} was made with other weights than {weights}: "
            f"{maxes.settings['weights']}, as they were then; name these, or scan again with "
            "find_maxes.find_max_acts"
        )


def open_patcher(options: argparse.Namespace, maxes: Maxes, images: ImageList) -> Patcher:
    """Open the net, and make sure that MAXES is of it."""
    files_of_net = NetFiles.named(
        options.net_prototxt, options.net_weights, options.gpu, options.allow_python_layers,
        maxes.held,
    )  # fmt: skip
    check_weights(options.maxes, maxes, files_of_net.weights)
    return Patcher(files_of_net, maxes.recipe, images)


@dataclass
class Outcome:
    """What there is to report."""

    patches: int = 0
    bad: dict[int, str] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)

    def count(self, layer: str, patch: Patch, images: ImageList) -> None:
        """Take a patch into account."""
        self.patches += 1
        if not patch.is_reproduced():
            e = patch.entry
            self.changed.append(
                f"not reproduced: {layer} unit {e.unit} gives {patch.value:.6g}, not "
                f"{e.value:.6g}, on {images.names[e.image]}"
            )

    def report(self, images: ImageList, layers: int) -> None:
        """Print it."""
        lines = [f"bad file {images.names[i]}: {why}" for i, why in sorted(self.bad.items())]
        for line in lines + self.changed:
            print(line.encode("utf-8", "backslashreplace").decode(), file=sys.stderr)
        print(
            f"{self.patches} patches of {layers} layer(s); {len(self.bad)} bad file(s), "
            f"{len(self.changed)} value(s) not reproduced"
        )


def _blocks(
    options: argparse.Namespace, maxes: Maxes, layers: Sequence[str]
) -> list[tuple[str, list[Entry]]]:
    """Cut the work into layers and blocks of units."""
    found = []
    for layer in layers:
        units = _units(options, layer, len(maxes.values[layer]))
        for first in range(0, len(units), UNITS_AT_ONCE):
            block = units[first : first + UNITS_AT_ONCE]
            found.append((layer, entries_of(maxes, layer, block, options.top)))
    return found


def _units(options: argparse.Namespace, layer: str, count: int) -> Sequence[int]:
    """Return which units of a layer the options name."""
    units = range(count)[options.idx_begin : options.idx_end]
    if not units:
        raise FindMaxesError(
            f"layer {layer!r} has the units 0 to {count - 1}: none from --idx-begin "
            f"{options.idx_begin} up to --idx-end {options.idx_end}"
        )
    if options.units is None:
        return units
    if options.units[-1] >= count:
        raise FindMaxesError(
            f"layer {layer!r} has the units 0 to {count - 1}, and none of --units "
            f"{options.units[-1]}"
        )
    return [unit for unit in options.units if unit in units]


def _write_all(
    options: argparse.Namespace,
    patcher: Patcher,
    images: ImageList,
    recipe: Recipe,
    blocks: Sequence[tuple[str, list[Entry]]],
) -> Outcome:
    kinds, info = _kinds(options)
    parts = _parts(kinds, options.unit_jpg_dir is not None)
    out, outcome = _made(Path(options.outdir)), Outcome()
    # As the window names them: a .pt2 file is its own weights.
    weights = caffe.opening.weights_file(options.net_prototxt, options.net_weights)
    stamp = stamp_of(options.net_prototxt, weights)
    total = sum(len(entries) for _, entries in blocks)
    interval = 0.5 if sys.stderr.isatty() else SECONDS
    with (
        Decoder(recipe, patcher.size, options.workers) as decoder,
        tqdm(total=total, unit=" patches", mininterval=interval, dynamic_ncols=True) as bar,
        Heartbeat(bar.refresh),
    ):
        for layer, entries in blocks:
            writer = Writer(
                out, options.unit_jpg_dir, layer, kinds, info, images.names, recipe.fill_colour(),
                stamp,
            )  # fmt: skip
            bar.set_description(layer)
            for patch in patcher.run(layer, entries, parts, decoder, outcome.bad):
                writer.add(patch)
                outcome.count(layer, patch, images)
                bar.update()
            writer.finish()
    return outcome


def _write_cards(
    options: argparse.Namespace,
    maxes: Maxes,
    patcher: Patcher,
    images: ImageList,
    layers: Sequence[str],
) -> None:
    """Write the app's cards of units and the table of labels."""
    folder, recipe = options.unit_jpg_dir, maxes.recipe
    weights = caffe.opening.weights_file(options.net_prototxt, options.net_weights)
    stamp = stamp_of(options.net_prototxt, weights)
    shown = [layer for layer in layers if maxes.cards[layer].at_locs is not None]
    if shown:
        with Decoder(recipe, patcher.size, options.workers) as decoder:
            sample = cards.look_at_sample(patcher.net, patcher.size, shown, images, recipe, decoder)
        for layer in tqdm(shown, unit=" layers of cards", mininterval=0.5, dynamic_ncols=True):
            units = range(len(maxes.values[layer]))[options.idx_begin : options.idx_end]
            cards.write_cards(
                folder, layer, maxes.cards[layer], units, sample, patcher.net,
                recipe.fill_colour(), stamp,
            )  # fmt: skip
    table.add_table(folder / table.FOLDER / table.NAME, maxes.cards, maxes.label_names, stamp)


def run(options: argparse.Namespace) -> int:
    """Write what the command line asks for; return the exit status."""
    maxes = maxes_file.read_maxes(Path(options.maxes))
    images = read_images(options.datadir, options.filelist)
    check_names(maxes, images)
    patcher = open_patcher(options, maxes, images)
    layers = list(dict.fromkeys(options.layers)) or list(maxes.values)
    patcher.check(maxes, layers)
    blocks = _blocks(options, maxes, layers)
    cv2.setNumThreads(1)
    outcome = _write_all(options, patcher, images, maxes.recipe, blocks)
    if options.unit_jpg_dir is not None and maxes.cards:
        _write_cards(options, maxes, patcher, images, layers)
    outcome.report(images, len(layers))
    return 1 if outcome.bad or outcome.changed else 0
