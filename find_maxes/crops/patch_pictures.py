"""Pictures of patches: which there are, how values become colours, and 3 x 3 tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from find_maxes.errors import FindMaxesError
from find_maxes.photos.net_input import FloatArray
from toolbox.pictures.images import Image
from torchcaffe.regions import Region

PICTURE, DECONV, BACKPROP = "picture", "deconv", "backprop"
TILE = 120  # pixels of a tile's longer side in the app's pictures, at most
COLUMNS = 3


def as_picture(values: FloatArray) -> Image:
    """Round a picture (h, w, 3), RGB from 0 to 255, to 8 bits."""
    return np.asarray(np.rint(values).clip(0, 255), np.uint8)


def signed(values: FloatArray) -> Image:
    """Draw diffs (h, w, 3): zero mid grey, scaled by the largest absolute value."""
    largest = float(np.abs(values).max())
    scale = 127.5 / largest if largest > 0 else 0.0
    return np.asarray(np.rint(values * scale + 127.5).clip(0, 255), np.uint8)


def norm(values: FloatArray) -> Image:
    """Draw the L2 norm of diffs (h, w, 3) over channels: minimum black, maximum white."""
    length = np.sqrt((values.astype(np.float64) ** 2).sum(2))
    low, high = float(length.min()), float(length.max())
    scaled = (length - low) * (255 / (high - low) if high > low else 0.0)
    return np.repeat(np.asarray(np.rint(scaled), np.uint8)[:, :, None], 3, axis=2)


@dataclass(frozen=True)
class Kind:
    """One of the pictures that a patch can have.

    Attributes
    ----------
    name : str
        Of its file.
    option : str
        Of the command line, without `--`.
    source : str
        What it shows: the picture, or the deconv or backprop diff.
    draw : callable
        From values (h, w, 3) to colours.
    unit_folder : str or None
        Where the app looks for nine of them.
    """

    name: str
    option: str
    source: str
    draw: Callable[[FloatArray], Image]
    unit_folder: str | None = None


KINDS = (
    Kind("maxim", "do-maxes", PICTURE, as_picture, "max_im"),
    Kind("deconv", "do-deconv", DECONV, signed, "max_deconv"),
    Kind("deconvnorm", "do-deconv-norm", DECONV, norm),
    Kind("backprop", "do-backprop", BACKPROP, signed),
    Kind("backpropnorm", "do-backprop-norm", BACKPROP, norm),
)


def cut(values: FloatArray, region: Region, outside: Sequence[float]) -> FloatArray:
    """Cut a region out of (height, width, channels), with `outside` where it leaves it."""
    height, width = values.shape[:2]
    out = np.empty((region.height, region.width, values.shape[2]), np.float32)
    out[:] = np.asarray(outside, np.float32)
    top, left = region.rows[0], region.columns[0]
    y0, y1 = max(top, 0), min(region.rows[1] + 1, height)
    x0, x1 = max(left, 0), min(region.columns[1] + 1, width)
    if y0 < y1 and x0 < x1:
        out[y0 - top : y1 - top, x0 - left : x1 - left] = values[y0:y1, x0:x1]
    return out


def as_tile(image: Image) -> Image:
    """Bring a patch to a tile's size: small ones by a whole factor, with hard edges."""
    height, width = image.shape[:2]
    longer = max(height, width)
    if longer <= TILE:
        factor = TILE // longer
        return image.repeat(factor, 0).repeat(factor, 1)
    size = (max(1, round(width * TILE / longer)), max(1, round(height * TILE / longer)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def tiled(tiles: Sequence[Image | None], background: Sequence[int], rows: int = COLUMNS) -> Image:
    """Lay tiles (None: nothing there) out in rows of three, one pixel around each."""
    known = [tile for tile in tiles if tile is not None]
    height = max((tile.shape[0] for tile in known), default=TILE)
    width = max((tile.shape[1] for tile in known), default=TILE)
    out = np.empty((rows * (height + 1) + 1, COLUMNS * (width + 1) + 1, 3), np.uint8)
    out[:] = np.asarray(background, np.uint8)
    for i, tile in enumerate(tiles[: COLUMNS * rows]):
        if tile is not None:
            y, x = 1 + (i // COLUMNS) * (height + 1), 1 + (i % COLUMNS) * (width + 1)
            out[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return out


def layer_path(layer: str) -> Path:
    """Return the folder of a layer: a `/` in its name makes folders.

    Raises
    ------
    FindMaxesError
        The name would lead out of the folder it is put into.
    """
    parts = layer.split("/")
    if any(part in ("", ".", "..") or set(part) & set("\\:\0") for part in parts):
        raise FindMaxesError(f"no folder can have the name of layer {layer!r}")
    return Path(*parts)
