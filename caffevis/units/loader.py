"""Loading images of units, away from the main thread: a frozen request in, a result out."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from caffevis.keys.state import Origin
from caffevis.units.image_paths import (
    CARD_KINDS,
    KINDS,
    OPTIMISED,
    SHEET,
    Kind,
    UnitFolder,
    layer_path,
)
from caffevis.units.montage import find_sheet, first_image, nine_images, overview
from toolbox.drawing.tiles import Grid, plan_grid
from toolbox.pictures.image_file import ImageError, read_image
from toolbox.pictures.images import Colour, Image
from toolbox.pictures.stamp import Stamp, StampError, made_from_another, read_stamp, stamp_of
from toolbox.workers.cache import ByteCache

OTHER_FOLDER = "the setting caffevis_unit_jpg_dir names their folder: set it to one of your own"


@dataclass(frozen=True)
class SheetRequest:
    """The optimised images of a whole layer, for the layers pane.

    Parameters
    ----------
    layer : str
        The layer viewed.
    units, rows, columns : int
        Its units and the shape of their grid.
    room : (int, int)
        Height and width of the pane.
    unit : int or None
        The only unit to show, at its full size; None for all.
    """

    layer: str
    units: int
    rows: int
    columns: int
    room: tuple[int, int]
    unit: int | None = None

    def grid(self) -> Grid:
        """Place the tiles: square ones, whatever the images' shape."""
        return plan_grid((1, 1), self.rows, self.columns, self.room)


@dataclass(frozen=True)
class ImagesRequest:
    """What the panes need: pictures of a unit (of its card), a layer's sheet, or either."""

    unit: Origin | None = None
    sheet: SheetRequest | None = None
    card: bool = False


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture, or why there is none.

    Parameters
    ----------
    image : ndarray of uint8, shape (h, w, 3), or None
        RGB.
    note : tuple of str
        Paragraphs that say what is missing and how to have it.
    title, caption : str
        What stands above it, where that is not the same for all of its kind, and below.
    """

    image: Image | None = None
    note: tuple[str, ...] = ()
    title: str = ""
    caption: str = ""


@dataclass(frozen=True, eq=False)
class Filled:
    """How far a layer's first images are.

    Parameters
    ----------
    tiles : mapping of int to ndarray of uint8, shape (h, w, 3)
        Unit -> its image as large as its tile has room for, the one that grows included.
    to_come : int
        How many are not finished.
    note : str
        Why there are none; else empty.
    """

    tiles: Mapping[int, Image]
    to_come: int
    note: str = ""


@dataclass(frozen=True, eq=False)
class ImagesResult:
    """What was found on disk.

    Parameters
    ----------
    request : ImagesRequest
        What it answers.
    pictures : tuple of Picture
        Of the unit, in the order of `KINDS`; empty where none was asked for.
    sheet : Picture or None
        Of the layer, where it was asked for.
    problems : tuple of str
        Files that are there and cannot be read, one sentence each.
    commands : tuple of (Kind, str, str)
        Which pictures are missing, of what, and the command that makes them.
    missing : tuple of int
        Units without an image, of a layer without a sheet whose overview was asked for.
    """

    request: ImagesRequest
    pictures: tuple[Picture, ...]
    sheet: Picture | None
    problems: tuple[str, ...]
    commands: tuple[tuple[Kind, str, str], ...] = ()
    missing: tuple[int, ...] = ()


class Loader:
    """Answers requests for images of units; all its methods run in one thread.

    Nothing is remembered of files that are missing, so that those made while the
    app runs are found when they are asked for again; and what is kept of a file is
    forgotten when the file changes.

    Parameters
    ----------
    folder : UnitFolder
        Where the images lie.
    limit : int
        Bytes of pictures that are kept.
    background : (int, int, int)
        RGB between the tiles of an overview.
    own : callable, optional
        Identifies the network at hand (default: from the folder's two files).
    """

    def __init__(
        self,
        folder: UnitFolder,
        limit: int,
        background: Colour,
        own: Callable[[], Stamp] | None = None,
    ) -> None:
        self._folder, self._own = folder, own
        self._background = background
        self.cache = ByteCache(limit)
        self._problems: list[str] = []
        self._commands: dict[str, tuple[Kind, str]] = {}
        self._missing: tuple[int, ...] = ()
        self._was_there = self._is_there()

    def __call__(self, request: ImagesRequest) -> ImagesResult:
        """Load what a request asks for."""
        self._problems, self._commands, self._missing = [], {}, ()
        self._look_for_folder()
        unit = request.unit
        kinds = CARD_KINDS if request.card else KINDS
        pictures = () if unit is None else tuple(self._picture(kind, unit) for kind in kinds)
        sheet = None if request.sheet is None else self._sheet(request.sheet)
        problems = tuple(dict.fromkeys(self._problems))
        commands = tuple((*what, command) for command, what in self._commands.items())
        return ImagesResult(request, pictures, sheet, problems, commands, self._missing)

    def _look_for_folder(self) -> None:
        """Notice that the folder has gone; one that never was is no error."""
        there = self._is_there()
        if self._was_there and not there:
            self._problems.append(f"the folder of unit images has gone: {self._folder.root}")
        self._was_there = self._was_there or there

    def _is_there(self) -> bool:
        return self._folder.root is not None and Path(self._folder.root).is_dir()

    def _picture(self, kind: Kind, unit: Origin) -> Picture:
        """Load one of a unit's pictures."""
        if foreign := self._foreign(kind, unit.layer):
            return Picture(note=(foreign, OTHER_FOLDER))
        adapt = nine_images if kind is OPTIMISED else None
        for path in self._folder.unit(kind, unit.layer, unit.unit):
            stamp = _stamp(path)
            if stamp is not None:
                return self._kept((path, stamp), partial(_read, path, adapt))
        return Picture(note=self._missing_of(kind, unit.layer))

    def _sheet(self, wanted: SheetRequest) -> Picture:
        """Make a layer's overview, or cut one unit out of its sheet."""
        if foreign := self._foreign(OPTIMISED, wanted.layer):
            return Picture(note=(foreign, OTHER_FOLDER))
        path = self._folder.sheet(wanted.layer)
        stamp = None if path is None else _stamp(path)
        if path is None or stamp is None:
            return self._of_some(wanted)
        whole = (path, stamp)
        return self._kept((*whole, wanted), partial(self._from_sheet, path, whole, wanted))

    def _of_some(self, wanted: SheetRequest) -> Picture:
        """Make the overview of a layer without a sheet from what files its units have."""
        files: dict[int, tuple[Path, tuple[int, int]]] = {}
        for unit in range(wanted.units) if wanted.unit is None else [wanted.unit]:
            for path in self._folder.unit(OPTIMISED, wanted.layer, unit):
                if (stamp := _stamp(path)) is not None:
                    files.setdefault(unit, (path, stamp))
        if wanted.unit is None:
            self._missing = tuple(unit for unit in range(wanted.units) if unit not in files)
        if not files:
            return Picture(note=self._missing_of(OPTIMISED, wanted.layer))
        return self._kept((tuple(files.items()), wanted), partial(self._from_files, files, wanted))

    def _from_files(
        self, files: Mapping[int, tuple[Path, tuple[int, int]]], wanted: SheetRequest
    ) -> Image:
        def image(unit: int) -> Image | None:
            return first_image(_read(files[unit][0], nine_images)) if unit in files else None

        if wanted.unit is not None:
            return first_image(_read(files[wanted.unit][0], nine_images)).copy()
        return overview(image, wanted.units, wanted.grid(), self._background)

    def _foreign(self, kind: Kind, layer: str) -> str:
        """Say that a layer's pictures were made from another network; empty where not."""
        folder, root, model = (
            self._folder.pictures(kind, layer),
            self._folder.root,
            self._folder.model,
        )
        try:
            if folder is None or root is None or model is None or not read_stamp(folder, root):
                return ""
            made = made_from_another(folder, root, self._own() if self._own else stamp_of(*model))
            return f"the {kind.name} of {self._folder.source(layer)} were {made}" if made else ""
        except StampError as error:
            self._problems.append(str(error))
            return ""

    def _from_sheet(self, path: Path, key: Hashable, wanted: SheetRequest) -> Image:
        picture = self.cache.get(key)
        if picture is None:
            picture = _read(path, None)
            self.cache.put(key, picture)
        height, width = picture.shape[:2]
        sheet = find_sheet(height, width, wanted.units)
        if sheet is None:
            source = self._folder.source(wanted.layer)
            raise ImageError(
                f"{SHEET} of {source} has {width} x {height} pixels, which is no grid of "
                f"{wanted.units} images"
            )
        if wanted.unit is not None:
            return sheet.image(picture, wanted.unit).copy()
        tiles = partial(sheet.image, picture)
        return overview(tiles, wanted.units, wanted.grid(), self._background)

    def _kept(self, key: Hashable, make: Callable[[], Image]) -> Picture:
        """Return what the cache has, or make it; remember what goes wrong."""
        image = self.cache.get(key)
        if image is None:
            try:
                image = make()
            except ImageError as error:
                self._problems.append(str(error))
                return Picture(note=(str(error),))
            self.cache.put(key, image)
        return Picture(image)

    def _missing_of(self, kind: Kind, layer: str) -> tuple[str, ...]:
        """Say what is missing and how to have it; keep the command that makes it for good."""
        source = self._folder.source(layer)
        if layer_path(source) is None:
            return (f"no {kind.name}: a layer called {source} can have no files",)
        command = self._folder.command(kind, layer)
        self._commands.setdefault(command, (kind, f"no {kind.name} of {source}"))
        return (f"no {kind.name}: {kind.cure}",)


def _read(path: Path, adapt: Callable[[Image], Image] | None) -> Image:
    picture = read_image(path)
    return picture if adapt is None else adapt(picture)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return what changes with a file's content; None where there is no file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (found.st_mtime_ns, found.st_size) if stat.S_ISREG(found.st_mode) else None
