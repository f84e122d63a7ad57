"""Smaller copies of unit images: for a repository, or to send to somebody.

The tools write tiles at their true size in high quality. The window shows three tiles a row in
about 300 pixels, so tiles of 96 pixels in medium quality look the same there and take a sixth
of the space.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from toolbox.pictures.image_file import ImageError, read_image
from toolbox.pictures.images import Image
from toolbox.pictures.stamp import StampError, read_stamp, write_stamp
from toolbox.pictures.whole_file import write_whole
from visualizations.errors import VisualizationsError

GAP = 1  # pixels between tiles
KINDS = ("regularized_opt", "max_im", "max_deconv")
SHEET = "whole_layer.jpg"


@dataclass(frozen=True)
class Shrink:
    """How files are made smaller.

    Parameters
    ----------
    tile : int or None
        Longest side of a tile of a unit's file in pixels; larger ones are reduced. None:
        files are copied as they are.
    quality : int
        Of the JPEG files, 1 to 100.
    columns : int
        Tiles a row in the optimised images; patches always have three.
    sheet_tile : int
        Longest side of a tile of a layer's sheet in pixels.
    fields : mapping of str to int
        Longest side in pixels of what a layer's units see: patches that were enlarged, so that
        they fill their place, are brought back to it.
    """

    tile: int | None
    quality: int
    columns: int = 3
    sheet_tile: int = 64
    fields: Mapping[str, int] = field(default_factory=dict)


def shrink_folder(
    source: Path, target: Path, how: Shrink, layers: Collection[str] | None = None
) -> tuple[int, int]:
    """Write smaller copies of unit images of a folder, and their stamps.

    Parameters
    ----------
    source, target : Path
        Folders of unit images. Other files of the target stay, but for the pictures of a
        layer that another network made (its stamp says so).
    how : Shrink
        Sizes and quality.
    layers : collection of str, optional
        Which layers'; default: all.

    Returns
    -------
    files, bytes : int
        How many files were written, and their size together.

    Raises
    ------
    VisualizationsError
        A picture is corrupt or one can't be written; the sentence names it.
    """
    count = total = 0
    stamped: set[Path] = set()
    for path in unit_files(source):
        below = path.relative_to(source)
        layer = layer_of(below)
        if layers is not None and layer not in layers:
            continue
        folder = Path(below.parts[0], layer)
        if folder not in stamped:
            stamped.add(folder)
            _stamp(source / folder, target / folder, layer)
        data = shrink_file(path, how, layer)
        place = target / below
        try:
            write_whole(place, data)
        except OSError as error:
            raise VisualizationsError(f"{place} cannot be written: {error.strerror}") from error
        count, total = count + 1, total + len(data)
    return count, total


def layer_of(below: Path) -> str:
    """Return the layer of a unit's picture, from its place in a folder of unit images.

    A `/` in a layer's name is a folder, and stands in the files' names again:
    `max_im/a/b/a/b_0001.jpg` is of `a/b`.
    """
    folders = below.parts[1:-1]
    if below.name != SHEET:
        folders = folders[: (len(folders) + 1) // 2]
    return "/".join(folders)


def _stamp(source: Path, target: Path, layer: str) -> None:
    """Say which network a layer's pictures are of; remove those of another one."""
    try:
        own, found = read_stamp(source, source), read_stamp(target, target)
        if own is None:
            return
        if found is not None and not found.same(own):
            for folder in (target, target / Path(layer).parent):
                for path in folder.glob("*.jpg"):
                    path.unlink()
        write_stamp(target, own)
    except StampError as error:
        raise VisualizationsError(str(error)) from error
    except OSError as error:
        raise VisualizationsError(f"{target} cannot be changed: {error.strerror}") from error


def unit_files(root: Path) -> Iterator[Path]:
    """Yield the pictures in a folder of unit images, sorted; hidden files are left out."""
    for kind in KINDS:
        yield from sorted(p for p in (root / kind).rglob("*.jpg") if not p.name.startswith("."))


def shrink_file(path: Path, how: Shrink, layer: str = "") -> bytes:
    """Return one picture of a layer's, smaller, as a JPEG file's bytes.

    Raises
    ------
    VisualizationsError
        It is no picture.
    """
    if how.tile is None:
        return path.read_bytes()
    try:
        picture = read_image(path)
    except ImageError as error:
        raise VisualizationsError(str(error)) from error
    if path.name == SHEET:
        units = sum(1 for _ in path.parent.glob("*_montage.jpg"))
        picture = shrink_tiles(picture, math.ceil(math.sqrt(max(units, 1))), how.sheet_tile)
    else:
        columns = how.columns if KINDS[0] in path.parts else 3
        picture = shrink_tiles(picture, columns, min(how.tile, how.fields.get(layer, how.tile)))
    return _encoded(picture, how.quality)


def shrink_tiles(picture: Image, columns: int, tile: int) -> Image:
    """Reduce each tile by itself, so that the gaps between them stay sharp.

    Parameters
    ----------
    picture : ndarray of uint8, shape (h, w, 3)
        Tiles with one pixel between them, and with or without one around all.
    columns : int
        Tiles a row.
    tile : int
        Longest side of a tile.

    Returns
    -------
    ndarray of uint8, shape (a, b, 3)
        With gaps as before; the picture itself where its tiles are no larger.
    """
    height, width = picture.shape[:2]
    border = GAP if (width - GAP) % columns == 0 and (width + GAP) % columns else 0
    across = (width - 2 * border + GAP) // columns - GAP
    rows = max(1, round((height - 2 * border + GAP) / (across + GAP)))
    down = (height - 2 * border + GAP) // rows - GAP
    if max(across, down) <= tile or min(across, down) < 1:
        return picture
    factor = tile / max(across, down)
    small = (max(1, round(down * factor)), max(1, round(across * factor)))
    size = [n * (s + GAP) - GAP + 2 * border for n, s in zip((rows, columns), small, strict=True)]
    out = np.empty((*size, 3), np.uint8)
    # The gaps' colour: of the first gap between tiles, or of the border.
    out[:] = picture[0, 0] if border else picture[0, min(across, width - 1)]
    for i in range(rows * columns):
        y, x = divmod(i, columns)
        old = (border + y * (down + GAP), border + x * (across + GAP))
        new = (border + y * (small[0] + GAP), border + x * (small[1] + GAP))
        part = picture[old[0] : old[0] + down, old[1] : old[1] + across]
        out[new[0] : new[0] + small[0], new[1] : new[1] + small[1]] = cv2.resize(
            part, small[::-1], interpolation=cv2.INTER_AREA
        )
    return out


def _encoded(picture: Image, quality: int) -> bytes:
    options = [
        cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1,
        cv2.IMWRITE_JPEG_PROGRESSIVE, 1,
    ]  # fmt: skip
    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise VisualizationsError(f"OpenCV cannot encode a picture of {picture.shape[:2]} pixels")
    return data.tobytes()
