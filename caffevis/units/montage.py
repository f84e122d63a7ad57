"""How images of units are arranged in their files, told from the pictures themselves.

A file of optimised images holds either one group of 3 x 3 images, as this
project writes it, or four of them in a 2 x 2 arrangement, as published with
caffenet-yos: one pixel around each image, and two more around each group. In
the latter a cross of six pixels and a frame of three have the colour of the
padding; no group of 3 x 3 has a cross of padding through the middle of its
images. So the arrangement is known from the cross, whatever the images' size.

The sheet of a layer, `whole_layer.jpg`, holds one image a unit, row by row.
Number of columns, and pixels between images, follow from the sheet's size: the
remainder of its division by the number of columns is what the padding leaves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from toolbox.drawing.tiles import Grid
from toolbox.pictures.images import Colour, FloatArray, Image, fill, fit, resize

GROUP_MARGIN = 3  # pixels around a published group: one of an image's, two of the group's
EMPTY = 2  # by how much an empty tile is darker than what is between tiles
SMALLEST = 22  # pixels: two times three images of one pixel with their padding
# How far JPEG may bring the padding off its colour, in levels: a share of the contrast, within
# these bounds; below the first, the picture is all of one colour.
LEAST_NOISE, MOST_NOISE = 5, 60
PADDINGS = ((0, 0), (1, 0), (1, 1), (2, 0), (2, 2))  # between images, around all


def nine_images(picture: Image) -> Image:
    """Return the 3 x 3 images to show of a file of optimised images.

    Parameters
    ----------
    picture : ndarray of uint8, shape (h, w, 3)
        One group, or four.

    Returns
    -------
    ndarray of uint8, shape (a, b, 3)
        The group; of four the one at the lower left (the third of the paper's
        settings), without its margin.
    """
    if not has_four_groups(picture):
        return picture
    height, width = picture.shape[0] // 2, picture.shape[1] // 2
    margin = GROUP_MARGIN
    group = picture[height + margin : 2 * height - margin, margin : width - margin]
    return np.ascontiguousarray(group)


def has_four_groups(picture: Image) -> bool:
    """Tell the published arrangement of 2 x 2 groups from a single group.

    Parameters
    ----------
    picture : ndarray of uint8, shape (h, w, 3)
        RGB, with JPEG's noise.

    Returns
    -------
    bool
        Whether a cross through the middle and a frame have one colour from which
        the rest of the picture differs.
    """
    height, width = picture.shape[:2]
    if height % 2 or width % 2 or min(height, width) < SMALLEST:
        return False
    across, down = (slice(length // 2 - 1, length // 2 + 1) for length in (height, width))
    cross = np.concatenate([picture[across].mean(axis=0), picture[:, down].mean(axis=1)])
    frame = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    padding = np.median(cross, axis=0).astype(np.float32)
    contrast = float(np.percentile(_distance(picture, padding), 90))
    near = min(0.45 * contrast, MOST_NOISE)
    return near >= LEAST_NOISE and all(_is_of(line, padding, near) for line in (cross, frame))


def _distance(pixels: np.ndarray, colour: FloatArray) -> FloatArray:
    """Measure how far pixels are from a colour: the channel that differs most."""
    return np.asarray(np.abs(pixels.astype(np.float32) - colour).max(axis=-1))


def _is_of(line: np.ndarray, colour: FloatArray, near: float) -> bool:
    """Whether pixels have a colour, but for noise and the ringing beside hard edges."""
    off = _distance(line, colour)
    return bool((off <= near).mean() >= 0.97 and off.max() <= 2 * near)


@dataclass(frozen=True)
class Sheet:
    """Where the images of a layer's units lie in its sheet.

    Parameters
    ----------
    columns : int
        Images a row.
    height, width : int
        Size of one image in pixels.
    gap, border : int
        Pixels between images, and around all of them.
    """

    columns: int
    height: int
    width: int
    gap: int
    border: int

    def image(self, picture: Image, unit: int) -> Image:
        """Return one unit's image, a part of the sheet's picture."""
        row, column = divmod(unit, self.columns)
        top = self.border + row * (self.height + self.gap)
        left = self.border + column * (self.width + self.gap)
        return picture[top : top + self.height, left : left + self.width]


def find_sheet(height: int, width: int, units: int) -> Sheet | None:
    """Find how a sheet of a size holds the images of a number of units.

    Parameters
    ----------
    height, width : int
        Of the sheet, in pixels.
    units : int
        Images that it must hold, at least 1.

    Returns
    -------
    Sheet or None
        As the published sheets are (a square grid whose last rows may be empty),
        or the nearest to it that divides the sheet into whole pixels, of square
        images where there are such; None where nothing does.
    """
    found = list(_sheets(height, width, units))
    square = [sheet for sheet in found if sheet.height == sheet.width]
    return next(iter(square or found), None)


def _sheets(height: int, width: int, units: int) -> Iterator[Sheet]:
    """List what divides a sheet into whole images, the most probable first."""
    side = math.ceil(math.sqrt(units))
    for columns in sorted(range(1, units + 1), key=lambda count: (abs(count - side), count)):
        filled = math.ceil(units / columns)
        rows = [filled, columns] if columns == side else [filled]
        for gap, border in PADDINGS:
            across = _size(width, columns, gap, border)
            for down in (_size(height, count, gap, border) for count in dict.fromkeys(rows)):
                if across and down and (columns == side or across == down):
                    yield Sheet(columns, down, across, gap, border)


def _size(length: int, count: int, gap: int, border: int) -> int:
    """Divide a length among images; 0 where that leaves a rest."""
    size, rest = divmod(length - 2 * border - gap * (count - 1), count)
    return size if rest == 0 and size > 0 else 0


def shrink(image: Image, room: tuple[int, int]) -> Image:
    """Scale one unit's image into a tile.

    Parameters
    ----------
    image : ndarray of uint8, shape (h, w, 3)
        RGB.
    room : (int, int)
        Height and width of the tile.

    Returns
    -------
    ndarray of uint8, shape (a, b, 3)
        As large as fits the room. A large image is first scaled down by a whole
        factor, each pixel the mean of as many (what is left over at the edges is cut
        off), so that fine textures come out alike in every tile.
    """
    height, width = image.shape[:2]
    factor = min(height // room[0], width // room[1])
    if factor > 1:
        rows, columns = height // factor, width // factor
        top, left = height % factor // 2, width % factor // 2
        inner = image[top : top + rows * factor, left : left + columns * factor]
        image = resize(inner, rows, columns)
    return resize(image, *fit(image.shape[0], image.shape[1], room))


def first_image(nine: Image) -> Image:
    """Cut the first of 3 x 3 images out of a file of optimised images."""
    found = find_sheet(nine.shape[0], nine.shape[1], 9)
    return nine if found is None or found.columns != 3 else found.image(nine, 0)


def overview(
    images: Callable[[int], Image | None], units: int, grid: Grid, background: Colour
) -> Image:
    """Lay the images of all units out in the window's grid.

    Parameters
    ----------
    images : callable
        From a unit to its image (uint8, RGB); to None where it has none, and its tile is
        empty.
    units : int
        How many there are.
    grid : Grid
        Where the tiles lie.
    background : (int, int, int)
        RGB between tiles.

    Returns
    -------
    ndarray of uint8, shape (a, b, 3)
        As large as the grid, each image in the middle of its tile.
    """
    pad = grid.padding
    rows = pad + grid.rows * (grid.height + pad)
    canvas: Image = np.empty((rows, pad + grid.columns * (grid.width + pad), 3), dtype=np.uint8)
    fill(canvas, background)
    for unit in range(units):
        image, (top, left) = images(unit), grid.corner(unit)
        if image is None:
            canvas[top : top + grid.height, left : left + grid.width] //= EMPTY
            continue
        put_tile(canvas, shrink(image, (grid.height, grid.width)), grid, unit)
    return canvas


def put_tile(canvas: Image, small: Image, grid: Grid, unit: int) -> None:
    """Draw an image that `shrink` made into the middle of a unit's tile."""
    top, left = grid.corner(unit)
    top += (grid.height - small.shape[0]) // 2
    left += (grid.width - small.shape[1]) // 2
    part = canvas[top : top + small.shape[0], left : left + small.shape[1]]
    part[:] = small[: part.shape[0], : part.shape[1]]
