"""Scaling activations to grey or red and green, and tiling all units of a layer.

Everything is vectorised over units: a whole layer is gathered, scaled and laid
out by a handful of NumPy calls, whatever its number of units.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from toolbox.images import Colour, FloatArray, Image

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
    if values.ndim == 0:
        return values.reshape(1, 1, 1)
    if values.ndim == 1:
        return values.reshape(-1, 1, 1)
    return values.reshape(values.shape[0], -1, values.shape[-1])


def _finite(values: FloatArray) -> FloatArray:
    """Replace what cannot be scaled (a broken net's NaN and infinity) by zero."""
    if np.isfinite(values.sum(dtype=np.float64)):
        return values
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)


def scale_grey(
    maps: FloatArray, indiv: float, gamma: float, shown: FloatArray | None = None
) -> Image:
    """Scale a layer's activations together: minimum black, maximum white.

    Parameters
    ----------
    maps : ndarray of float32, shape (units, h, w)
        Activations of the whole layer.
    indiv : float
        `boost_individual`: each unit is multiplied by its own `max ** -indiv`.
    gamma : float
        `boost_gamma`: everything is raised to this power.
    shown : ndarray of float32, shape (units, a, b), optional
        The samples of `maps` to scale, where not all are shown.

    Returns
    -------
    ndarray of uint8, shape of `shown`
        0 to 255.
    """
    maps = _finite(maps)
    shown = maps if shown is None else _finite(shown)
    low, high = float(maps.min()), float(maps.max())
    span = high - low
    if span <= 0:
        return np.zeros(shown.shape, dtype=np.uint8)
    values = (shown - low) * np.float32(1 / span)
    if indiv > 0:
        peaks = (maps.max(axis=(1, 2), keepdims=True) - low) / span
        values *= _boost(peaks, indiv)
    if gamma != 1:
        np.power(values, np.float32(gamma), out=values)
    return np.asarray(values * 255 + 0.5, dtype=np.uint8)


def scale_signed(
    maps: FloatArray, indiv: float, gamma: float, shown: FloatArray | None = None
) -> tuple[Image, Image]:
    """Scale a layer's diffs around zero by the largest absolute value.

    Parameters
    ----------
    maps, indiv, gamma, shown
        As for `scale_grey`, with the largest absolute value as a unit's peak.

    Returns
    -------
    (ndarray of uint8, ndarray of uint8), each of the shape of `shown`
        How negative and how positive each value is, 0 to 255.
    """
    maps = _finite(maps)
    shown = maps if shown is None else _finite(shown)
    peaks = np.abs(maps).max(axis=(1, 2), keepdims=True)
    top = float(peaks.max())
    if top <= 0:
        return np.zeros(shown.shape, np.uint8), np.zeros(shown.shape, np.uint8)
    values = shown * np.float32(1 / top)
    if indiv > 0:
        values *= _boost(peaks / top, indiv)
    size = np.abs(values)
    if gamma != 1:
        np.power(size, np.float32(gamma), out=size)
    level = np.asarray(size * 255 + 0.5, dtype=np.uint8)
    none = np.uint8(0)
    return np.where(values < 0, level, none), np.where(values > 0, level, none)


def _boost(peaks: npt.NDArray[np.floating], indiv: float) -> FloatArray:
    with np.errstate(divide="ignore"):
        factors = np.where(peaks > 0, peaks, 1.0) ** -indiv
    return factors.astype(np.float32)


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
    padding = round(min(scale, scale * min(height, width) / 12, MAX_PADDING))
    padding = max(1, padding)
    scale = min(
        (room[0] - (rows + 1) * padding) / (rows * height),
        (room[1] - (columns + 1) * padding) / (columns * width),
    )
    return Grid(rows, columns, max(1, int(height * scale)), max(1, int(width * scale)), padding)


def _sample(maps: npt.NDArray, height: int, width: int) -> npt.NDArray:
    """Take the nearest source pixel for each pixel of height x width tiles."""
    rows = np.arange(height) * maps.shape[1] // height
    columns = np.arange(width) * maps.shape[2] // width
    return maps.take(rows, axis=1).take(columns, axis=2)


def tile_grey(maps: FloatArray, grid: Grid, indiv: float, gamma: float, pad: Colour) -> Image:
    """Tile a layer's activations, brighter for larger.

    Parameters
    ----------
    maps : ndarray of float32, shape (units, h, w)
        Activations.
    grid : Grid
        From `plan_grid`.
    indiv, gamma : float
        Boosts, see `scale_grey`.
    pad : (int, int, int)
        RGB between tiles and where the grid has no unit.

    Returns
    -------
    ndarray of uint8, shape (rows x height, columns x width, 3), with paddings
        RGB.
    """
    if maps.shape[1] * maps.shape[2] > grid.height * grid.width:
        tiles = scale_grey(maps, indiv, gamma, _sample(maps, grid.height, grid.width))
    else:
        tiles = _sample(scale_grey(maps, indiv, gamma), grid.height, grid.width)
    sheet = _lay_out(tiles, grid)
    return _paint_padding(cv2.cvtColor(sheet, cv2.COLOR_GRAY2RGB), len(maps), grid, pad)


def tile_signed(maps: FloatArray, grid: Grid, indiv: float, gamma: float, pad: Colour) -> Image:
    """Tile a layer's diffs: negative red, positive green, zero black.

    Parameters and the return value are those of `tile_grey`.
    """
    if maps.shape[1] * maps.shape[2] > grid.height * grid.width:
        red, green = scale_signed(maps, indiv, gamma, _sample(maps, grid.height, grid.width))
    else:
        both = scale_signed(maps, indiv, gamma)
        red, green = (_sample(part, grid.height, grid.width) for part in both)
    sheets = [_lay_out(red, grid), _lay_out(green, grid)]
    return _paint_padding(cv2.merge([*sheets, np.zeros_like(sheets[0])]), len(maps), grid, pad)


def _lay_out(tiles: Image, grid: Grid) -> Image:
    """Copy tiles (units, h, w) into one sheet, padding left zero."""
    step = (grid.height + grid.padding, grid.width + grid.padding)
    sheet = np.zeros((grid.rows, step[0], grid.columns, step[1]), dtype=np.uint8)
    cells = sheet.transpose(0, 2, 1, 3)[:, :, grid.padding :, grid.padding :]
    full, rest = divmod(len(tiles), grid.columns)
    cells[:full] = tiles[: full * grid.columns].reshape(full, grid.columns, grid.height, grid.width)
    if rest:
        cells[full, :rest] = tiles[full * grid.columns :]
    return sheet.reshape(grid.rows * step[0], grid.columns * step[1])


def _paint_padding(sheet: np.ndarray, units: int, grid: Grid, pad: Colour) -> Image:
    """Colour the padding above and left of each tile, and the cells without a unit."""
    step = (grid.height + grid.padding, grid.width + grid.padding)
    cells = sheet.reshape(grid.rows, step[0], grid.columns, step[1], 3)
    cells[:, : grid.padding] = pad
    cells[:, :, :, : grid.padding] = pad
    full, rest = divmod(units, grid.columns)
    if full < grid.rows:
        cells[full, :, rest:] = pad
        cells[full + 1 :] = pad
    return np.asarray(sheet, dtype=np.uint8)


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
