"""Both arrangements of optimised images, and sheets of every padding, on synthesised files."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from caffevis.units.montage import (
    Sheet,
    find_sheet,
    first_image,
    has_four_groups,
    nine_images,
    overview,
    shrink,
)
from tests.pictures import as_jpeg, colour_of, group, plain_tile, published, textured_tile
from toolbox.drawing.tiles import plan_grid

SIDES = [5, 11, 16, 51, 67, 100, 163, 227]


def own_group(side: int, seed: int, gap: int = 1, border: int = 0) -> np.ndarray:
    return group([textured_tile(side, seed + n) for n in range(9)], 3, gap, border)


def four_groups(side: int, pad: int = 0, between: int = 1) -> np.ndarray:
    tiles = [[textured_tile(side, 9 * part + n) for n in range(9)] for part in range(4)]
    return published(tiles, pad, between)


@pytest.mark.parametrize("quality", [50, 75, 95])
@pytest.mark.parametrize("side", SIDES)
def test_of_four_groups_the_lower_left_is_shown(side: int, quality: int):
    picture = as_jpeg(four_groups(side), quality)
    shown = nine_images(picture)
    expected = group([textured_tile(side, 18 + n) for n in range(9)], 3, gap=1)
    assert shown.shape == expected.shape
    off = np.abs(shown.astype(float) - expected).mean()
    other = np.abs(shown.astype(float) - own_group(side, 27)).mean()
    assert off < other / 1.5
    assert shown.flags.owndata or shown.base is None


@pytest.mark.parametrize("quality", [50, 75, 95])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("padding", [(0, 0), (1, 0), (1, 1), (2, 2)])
def test_a_single_group_is_shown_whole(side: int, quality: int, padding):
    picture = as_jpeg(own_group(side, 0, *padding), quality)
    assert nine_images(picture) is picture


@pytest.mark.parametrize("pad", [0, 40, 255])
@pytest.mark.parametrize("between", [1, 2])
def test_the_paddings_colour_and_the_gaps_within_a_group_do_not_matter(pad: int, between: int):
    assert has_four_groups(as_jpeg(four_groups(51, pad, between), 75))


@pytest.mark.parametrize("make", [four_groups, lambda side: own_group(side, 0)])
def test_noise_does_not_change_the_arrangement(make):
    picture = make(100).astype(float)
    noise = np.random.default_rng(0).normal(0, 5, picture.shape)
    noisy = np.clip(picture + noise, 0, 255).astype(np.uint8)
    assert has_four_groups(as_jpeg(noisy, 75)) == (make is four_groups)


DEAD = [plain_tile(20, 20, 0) * 0 + 128] * 9


def test_dead_units_images_of_one_colour_are_told_apart_by_their_padding():
    assert has_four_groups(published([DEAD] * 4))
    assert not has_four_groups(group(DEAD, 3, gap=1))
    assert not has_four_groups(group(DEAD, 3, gap=1, border=1))


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (21, 21), (300, 301), (90, 300), (20, 400)])
def test_any_other_picture_is_shown_whole(shape):
    picture = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    assert nine_images(picture) is picture
    flat = np.full((*shape, 3), 128, np.uint8)
    assert nine_images(flat) is flat


PADDINGS = [(0, 0), (1, 0), (1, 1), (2, 0), (2, 2)]
UNITS = [12, 48, 64, 96, 101, 256, 384, 512, 1000]


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("side", [1, 7, 11, 16])
@pytest.mark.parametrize("square", [True, False])
def test_a_sheets_tiles_are_found_from_its_size(units: int, padding, side: int, square: bool):
    gap, border = padding
    columns = int(np.ceil(np.sqrt(units)))
    rows = columns if square else -(-units // columns)
    height, width = (n * side + (n - 1) * gap + 2 * border for n in (rows, columns))
    sheet = find_sheet(height, width, units)
    assert sheet is not None
    if columns <= 4 and padding in [(1, 1), (2, 2)]:
        assert abs(sheet.width - side) <= 2  # so few columns leave room for two readings
        return
    assert (sheet.columns, sheet.height, sheet.width) == (columns, side, side)


@pytest.mark.parametrize("units", [1, 2, 3, 4])
def test_sheets_of_few_units_are_found(units: int):
    columns = int(np.ceil(np.sqrt(units)))
    rows = -(-units // columns)
    assert find_sheet(rows * 30, columns * 30, units) == Sheet(columns, 30, 30, 0, 0)


def test_sheets_of_other_shapes_are_found_or_refused():
    assert find_sheet(4 * 20, 24 * 20, 96) == Sheet(24, 20, 20, 0, 0)
    assert find_sheet(10 * 9, 10 * 16, 100) == Sheet(10, 9, 16, 0, 0)
    assert find_sheet(97, 101, 96) is None
    assert find_sheet(5, 5, 96) is None


def test_each_units_image_lies_in_row_major_order():
    tiles = [plain_tile(9, 9, unit) for unit in range(20)]
    picture = group(tiles, 5, gap=1, border=1)
    sheet = find_sheet(*picture.shape[:2], 20)
    assert sheet == Sheet(5, 9, 9, 1, 1)
    for unit, tile in enumerate(tiles):
        assert np.array_equal(sheet.image(picture, unit), tile)


def test_large_images_become_means_by_a_whole_factor():
    image = np.random.default_rng(1).integers(0, 255, (60, 60, 3), dtype=np.uint8)
    means = image.reshape(20, 3, 20, 3, 3).mean((1, 3))
    assert np.abs(shrink(image, (20, 20)).astype(float) - means).max() <= 0.5
    # A rest is cut off evenly at both sides.
    assert np.array_equal(shrink(np.pad(image, ((1, 1), (1, 1), (0, 0))), (20, 20)),
                          shrink(image, (20, 20)))  # fmt: skip
    assert shrink(image, (50, 55)).shape == (50, 50, 3)
    assert shrink(image[:30], (20, 20)).shape == (10, 20, 3)
    assert shrink(image[:7, :7], (20, 30)).shape == (20, 20, 3)
    assert shrink(image, (1, 1)).shape == (1, 1, 3)


def test_an_overview_has_each_image_in_its_tile():
    tiles = [plain_tile(30, 15, unit) for unit in range(7)]
    picture = group(tiles, 3)
    grid = plan_grid((1, 1), 2, 4, (100, 200))
    tiles = Sheet(3, 30, 15, 0, 0)
    made = overview(partial(tiles.image, picture), 7, grid, (9, 8, 7))
    for unit in range(7):
        top, left = grid.corner(unit)
        middle = made[top + grid.height // 2, left + grid.width // 2]
        assert middle.tolist() == list(colour_of(unit))
        assert made[top + grid.height // 2, left].tolist() == [9, 8, 7]
    top, left = grid.corner(7)
    assert np.all(made[top:, left:] == (9, 8, 7))


def test_units_without_an_image_have_empty_tiles():
    grid = plan_grid((1, 1), 2, 4, (100, 200))
    made = overview(
        lambda unit: plain_tile(30, 15, unit) if unit % 2 else None, 7, grid, (60, 50, 40)
    )
    for unit in range(7):
        top, left = grid.corner(unit)
        middle = made[top + grid.height // 2, left + grid.width // 2]
        assert middle.tolist() == (list(colour_of(unit)) if unit % 2 else [30, 25, 20])


@pytest.mark.parametrize("gap", [0, 1])
def test_the_first_of_nine_images_is_cut_out(gap):
    tiles = [plain_tile(30, 30, unit) for unit in range(9)]
    nine = np.zeros((90 + 2 * gap, 90 + 2 * gap, 3), np.uint8)
    for number, tile in enumerate(tiles):
        top, left = ((30 + gap) * part for part in divmod(number, 3))
        nine[top : top + 30, left : left + 30] = tile
    first = first_image(nine)
    assert first.shape == (30, 30, 3)
    assert np.array_equal(first, tiles[0])
