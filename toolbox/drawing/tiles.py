"""Scaling activations to grey levels or red and green, and tiling all units of a layer.

Everything is vectorised over units: a whole layer is scaled to palette
indices, laid out at its own resolution and enlarged in one step, by a handful
of NumPy calls whatever its number of units.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from toolbox.drawing.palettes import GRAY_MAP, PALETTES, RED_GREEN, Pixels, as_bytes, pack
from toolbox.pictures.images import Colour, FloatArray, Image

MAX_PADDING = 4


def as_maps(values: FloatArray) -> FloatArray:
    """Give any layer's values the shape (units, height, width).

    Parameters
    ----------
    values : ndarray of float32, shape (units,), (units, n) or (units, ..., h, w)
        One image's values, without the batch axis.

    Returns
    -------
    ndarray of float32, shape (units, h, w)
        A vector's units are 1 x 1, a sequence's 1 x n; further axes before the
        last are stacked into the height.
    """
    if values.ndim < 2:
        return values.reshape(-1, 1, 1)
    return values.reshape(values.shape[0], -1, values.shape[-1])


def _range(maps: FloatArray) -> tuple[FloatArray, float, float]:
    """Return values, minimum and maximum; a broken net's NaN and infinity become zero."""
    low, high = float(maps.min()), float(maps.max())
    if np.isfinite(low) and np.isfinite(high):
        return maps, low, high
    finite = np.nan_to_num(maps, nan=0.0, posinf=0.0, neginf=0.0)
    return finite, float(finite.min()), float(finite.max())


def scale_grey(
    maps: FloatArray, indiv: float, gamma: float, shown: FloatArray | None = None
) -> npt.NDArray[np.uint8]:
    """Scale a layer's activations together: minimum black, maximum white.

    Parameters
    ----------
    maps : ndarray of float32, shape (units, h, w)
        Activations of the whole layer.
    indiv : float
        `boost_individual`: each unit is multiplied by its own `max ** -indiv`.
    gamma : float
        `boost_gamma`: everything is raised to this power.
    shown : ndarray of float32, shape (units or 1, a, b), optional
        The samples of `maps` to scale, where not all are shown.

    Returns
    -------
    ndarray of uint8, shape of `shown`
        0 to 255: indices into one of `PALETTES`.
    """
    maps, low, high = _range(maps)
    values = maps if shown is None else _range(shown)[0]
    if high <= low:
        return np.zeros(values.shape, dtype=np.uint8)
    scale = 1 / (high - low)
    if indiv <= 0 and gamma == 1:
        return _to_bytes(values, 255 * scale, -255 * low * scale)
    unit = np.clip((values - low) * np.float32(scale), 0, 1)
    if indiv > 0:
        own = (values if len(values) == 1 else maps).max(axis=(1, 2), keepdims=True)
        unit *= _boost((own - low) * scale, indiv)
    if gamma != 1:
        np.power(unit, np.float32(gamma), out=unit)
    return _to_bytes(unit, 255, 0)


def _to_bytes(values: FloatArray, factor: float, offset: float) -> npt.NDArray[np.uint8]:
    """Compute `factor * values + offset`, rounded and kept within 0 to 255."""
    flat = np.ascontiguousarray(values).reshape(values.shape[0], -1)
    # One pass over the values; the offset keeps them from becoming negative.
    scaled = cv2.convertScaleAbs(flat, alpha=factor, beta=offset)
    return np.asarray(scaled, dtype=np.uint8).reshape(values.shape)


def scale_signed(
    maps: FloatArray, indiv: float, gamma: float, shown: FloatArray | None = None
) -> npt.NDArray[np.uint16]:
    """Scale a layer's diffs around zero by the largest absolute value.

    Parameters
    ----------
    maps, indiv, gamma, shown
        As for `scale_grey`, with the largest absolute value as a unit's peak.

    Returns
    -------
    ndarray of uint16, shape of `shown`
        0 to 510, 255 for zero: indices into the palette `RED_GREEN`.
    """
    maps, low, high = _range(maps)
    values = maps if shown is None else _range(shown)[0]
    top = max(-low, high)
    if top <= 0:
        return np.full(values.shape, 255, dtype=np.uint16)
    unit = values * np.float32(1 / top)
    if indiv > 0:
        own = np.abs(values if len(values) == 1 else maps).max(axis=(1, 2), keepdims=True)
        unit *= _boost(own / top, indiv)
    if gamma != 1:
        unit = np.copysign(np.power(np.abs(unit), np.float32(gamma)), unit)
    unit *= 255
    unit += np.float32(255.5)
    return unit.astype(np.uint16)


def _boost(peaks: npt.NDArray[np.floating], indiv: float) -> FloatArray:
    return (np.where(peaks > 0, peaks, 1.0) ** -indiv).astype(np.float32)


@dataclass(frozen=True)
class Grid:
    """Where the tiles of a layer lie in a pane.

    Parameters
    ----------
    rows, columns : int
        Shape of the grid; tiles fill it row by row.
    height, width : int
        Size of one tile in pixels.
    padding : int
        Pixels between tiles and around the grid.
    """

    rows: int
    columns: int
    height: int
    width: int
    padding: int

    def corner(self, unit: int) -> tuple[int, int]:
        """Return the row and column, in pixels, of a unit's top left pixel."""
        row, column = divmod(unit, self.columns)
        return (
            self.padding + row * (self.height + self.padding),
            self.padding + column * (self.width + self.padding),
        )

    def place(self, row: int, column: int) -> int | None:
        """Return which place of the grid a pixel is in, counted as units are; None in padding."""
        down, below = divmod(row - self.padding, self.height + self.padding)
        across, beside = divmod(column - self.padding, self.width + self.padding)
        inside = 0 <= down < self.rows and 0 <= across < self.columns
        if not inside or below >= self.height or beside >= self.width:
            return None
        return down * self.columns + across


@lru_cache(maxsize=256)
def plan_grid(shape: tuple[int, int], rows: int, columns: int, room: tuple[int, int]) -> Grid:
    """Fit a grid of equal tiles into a pane.

    Tiles keep their aspect (a sequence, 1 x n, becomes square). One pixel of
    the data between tiles is scaled with them, within bounds.

    Parameters
    ----------
    shape : (int, int)
        Height and width of one unit's map.
    rows, columns : int
        Shape of the grid.
    room : (int, int)
        Height and width of the pane.

    Returns
    -------
    Grid
        Tiles are at least 1 x 1, so a tiny pane may hold only the first ones.
    """
    height, width = shape if shape[0] > 1 else (1, 1)
    scale = min((room[0] - rows - 1) / (rows * height), (room[1] - columns - 1) / (columns * width))
    padding = max(1, round(min(scale, scale * min(height, width) / 12, MAX_PADDING)))
    scale = min(
        (room[0] - (rows + 1) * padding) / (rows * height),
        (room[1] - (columns + 1) * padding) / (columns * width),
    )
    return Grid(rows, columns, max(1, int(height * scale)), max(1, int(width * scale)), padding)


@lru_cache(maxsize=64)
def _sources(tiles: int, size: int, shown: int, padding: int) -> npt.NDArray[np.intp]:
    """Find for each pixel along one axis of a sheet the data it shows.

    Parameters
    ----------
    tiles : int
        Tiles along the axis.
    size : int
        Values of a tile along the axis.
    shown : int
        Pixels of a tile along the axis.
    padding : int
        Pixels before each tile.

    Returns
    -------
    ndarray of int, shape (tiles * (padding + shown),)
        Index among `tiles * size` values, and that number itself for padding.
    """
    one = np.arange(shown) * size // shown
    index = np.full((tiles, padding + shown), tiles * size, dtype=np.intp)
    index[:, padding:] = one + size * np.arange(tiles)[:, None]
    return index.ravel()


def _nearest(maps: FloatArray, grid: Grid) -> FloatArray | None:
    """Take of large maps only the values whose pixels are shown; None for small ones."""
    if maps.shape[1] * maps.shape[2] <= grid.height * grid.width:
        return None
    rows = np.arange(grid.height) * maps.shape[1] // grid.height
    columns = np.arange(grid.width) * maps.shape[2] // grid.width
    return maps.take(rows, axis=1).take(columns, axis=2)


def tile_grey(
    canvas: Image,
    maps: FloatArray,
    grid: Grid,
    indiv: float,
    gamma: float,
    pad: Colour,
    palette: Pixels = PALETTES[GRAY_MAP],
) -> None:
    """Tile a layer's activations, brighter for larger, or in the colours of a palette.

    Parameters
    ----------
    canvas : ndarray of uint8, shape (h, w, 3)
        Drawn into at the top left, cut off where the grid is larger.
    maps : ndarray of float32, shape (units, h, w)
        Activations.
    grid : Grid
        From `plan_grid`.
    indiv, gamma : float
        Boosts, see `scale_grey`.
    pad : (int, int, int)
        RGB between tiles and where the grid has no unit.
    palette : Pixels
        One of `PALETTES`.
    """
    indices = scale_grey(maps, indiv, gamma, _nearest(maps, grid))
    _draw_sheet(canvas, palette.take(indices), grid, pad)


def tile_signed(
    canvas: Image, maps: FloatArray, grid: Grid, indiv: float, gamma: float, pad: Colour
) -> None:
    """Tile a layer's diffs: negative red, positive green, zero black.

    Parameters are those of `tile_grey`, without the palette.
    """
    indices = scale_signed(maps, indiv, gamma, _nearest(maps, grid))
    _draw_sheet(canvas, RED_GREEN.take(indices), grid, pad)


@lru_cache(maxsize=4)
def _scratch(small_rows: int, rows: int, columns: int) -> tuple[Pixels, Pixels]:
    """Keep memory for enlarging: asking for it anew costs more than the enlarging."""
    wide = np.empty((small_rows, columns), dtype=np.uint32)
    return wide, np.empty((rows, columns), dtype=np.uint32)


def _small_sheet(tiles: Pixels, grid: Grid, pad: Colour) -> Pixels:
    """Lay tiles (units, h, w) out at their own size, with one row and column of padding."""
    units, height, width = tiles.shape
    edge = pack(*([part] for part in pad))[0]
    small = np.full((grid.rows * height + 1, grid.columns * width + 1), edge, dtype=np.uint32)
    full, rest = divmod(units, grid.columns)
    above = full * height
    small[:above, :-1] = (
        tiles[: full * grid.columns]
        .reshape(full, grid.columns, height, width)
        .transpose(0, 2, 1, 3)
        .reshape(above, grid.columns * width)
    )
    if rest:
        last = tiles[full * grid.columns :].transpose(1, 0, 2).reshape(height, rest * width)
        small[above : above + height, : rest * width] = last
    return small


def _draw_sheet(canvas: Image, tiles: Pixels, grid: Grid, pad: Colour) -> None:
    """Lay tiles (units, h, w) out, and enlarge them with the padding into a canvas."""
    _, height, width = tiles.shape
    small = _small_sheet(tiles, grid, pad)
    rows = _sources(grid.rows, height, grid.height, grid.padding)[: canvas.shape[0]]
    columns = _sources(grid.columns, width, grid.width, grid.padding)[: canvas.shape[1]]
    wide, sheet = _scratch(len(small), len(rows), len(columns))
    small.take(columns, axis=1, out=wide, mode="clip")
    wide.take(rows, axis=0, out=sheet, mode="clip")
    cv2.cvtColor(as_bytes(sheet), cv2.COLOR_RGBA2RGB, dst=canvas[: len(rows), : len(columns)])


def frame_tile(canvas: Image, grid: Grid, unit: int, colour: Colour) -> None:
    """Frame one tile in the padding around it, at least two pixels wide.

    Parameters
    ----------
    canvas : ndarray of uint8, shape (h, w, 3)
        The pane that a sheet was drawn into at the top left; changed in place.
    grid : Grid
        From `plan_grid`.
    unit : int
        Which tile.
    colour : (int, int, int)
        RGB.
    """
    top, left = grid.corner(unit)
    width = max(2, grid.padding)
    rows = slice(max(0, top - width), top + grid.height + width)
    columns = slice(max(0, left - width), left + grid.width + width)
    inside = canvas[top : top + grid.height, left : left + grid.width].copy()
    canvas[rows, columns] = colour
    canvas[top : top + grid.height, left : left + grid.width] = inside
