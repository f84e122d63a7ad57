"""Tiling against a plain loop, unit by unit and pixel by pixel."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from toolbox.drawing.palettes import PALETTES
from toolbox.drawing.tiles import (
    as_maps,
    plan_grid,
    scale_grey,
    scale_signed,
    tile_grey,
    tile_signed,
)
from toolbox.pictures.images import grid_shape

PAD = (9, 8, 7)


def slow_tiles(maps, grid, levels, room):
    """Do what the vectorised tiling does, one pixel at a time."""
    canvas = np.zeros((*room, 3), np.uint8)
    height = min(room[0], grid.rows * (grid.height + grid.padding))
    width = min(room[1], grid.columns * (grid.width + grid.padding))
    canvas[:height, :width] = PAD
    for unit in range(len(maps)):
        top, left = grid.corner(unit)
        for row in range(grid.height):
            for column in range(grid.width):
                if top + row < room[0] and left + column < room[1]:
                    source = (row * maps.shape[1] // grid.height,
                              column * maps.shape[2] // grid.width)  # fmt: skip
                    canvas[top + row, left + column] = levels(maps[unit][source])
    return canvas


SHAPES = [(7, 3, 3), (7, 2, 5), (12, 1, 1), (3, 40, 40), (5, 1, 6), (1, 4, 4), (30, 9, 9)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("room", [(61, 83), (12, 15)])
def test_grey_tiles_are_those_of_the_plain_loop(shape, room):
    maps = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    grid = plan_grid(shape[1:], *grid_shape(shape[0]), room)
    low, high = maps.min(), maps.max()
    canvas = np.zeros((*room, 3), np.uint8)
    tile_grey(canvas, maps, grid, 0, 1, PAD)
    expected = slow_tiles(maps, grid, lambda v: round(255 * float(v - low) / (high - low)), room)
    # Rounding a half may go either way.
    assert np.abs(canvas.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", PALETTES)
def test_palettes_colour_tiles_as_opencv_does(name):
    maps = np.random.default_rng(3).normal(size=(7, 4, 4)).astype(np.float32)
    grid = plan_grid((4, 4), *grid_shape(7), (61, 83))
    grey, coloured = np.zeros((61, 83, 3), np.uint8), np.zeros((61, 83, 3), np.uint8)
    tile_grey(grey, maps, grid, 0, 1, PAD)
    tile_grey(coloured, maps, grid, 0, 1, PAD, PALETTES[name])
    expected = grey.copy()
    if name != "gray":
        number = getattr(cv2, f"COLORMAP_{name.upper()}")
        expected = cv2.applyColorMap(grey[:, :, 0], number)[:, :, ::-1].copy()
    beside = np.all(grey == PAD, axis=2)  # no grey level is PAD, so that is just the padding
    expected[beside] = PAD
    rows = grid.rows * (grid.height + grid.padding)
    columns = grid.columns * (grid.width + grid.padding)
    assert np.array_equal(coloured[:rows, :columns], expected[:rows, :columns])
    assert beside.any()


def test_there_are_the_four_colour_maps_gray_first():
    assert list(PALETTES) == ["gray", "viridis", "plasma", "jet"]


@pytest.mark.parametrize("shape", SHAPES)
def test_signed_tiles_are_those_of_the_plain_loop(shape):
    maps = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    grid = plan_grid(shape[1:], *grid_shape(shape[0]), (61, 83))
    top = np.abs(maps).max()
    canvas = np.zeros((61, 83, 3), np.uint8)
    tile_signed(canvas, maps, grid, 0, 1, PAD)

    def levels(value):
        level = round(255 * abs(float(value)) / top)
        return (level, 0, 0) if value < 0 else (0, level, 0)

    assert np.abs(canvas.astype(int) - slow_tiles(maps, grid, levels, (61, 83))).max() <= 1


@pytest.mark.parametrize("units", [1, 2, 5, 96, 256, 512, 4096])
@pytest.mark.parametrize("shape", [(1, 1), (13, 13), (55, 55), (10, 30)])
def test_all_tiles_fit_the_pane_with_their_padding(units, shape):
    grid = plan_grid(shape, *grid_shape(units), (870, 900))
    top, left = grid.corner(units - 1)
    assert top + grid.height + grid.padding <= 870 or grid.height == 1
    assert left + grid.width + grid.padding <= 900 or grid.width == 1
    assert grid.padding >= 1
    aspect = (grid.width / grid.height) / (shape[1] / shape[0])
    assert abs(aspect - 1) < 2 / min(grid.width, grid.height)


def slow_grey(maps, indiv, gamma):
    unit = (maps - maps.min()) / (maps.max() - maps.min())
    for one in unit:
        if one.max() > 0:
            one *= one.max() ** -indiv
    return 255 * unit**gamma


@pytest.mark.parametrize("indiv", [0, 0.3, 1])
@pytest.mark.parametrize("gamma", [1, 0.5])
def test_grey_levels_follow_the_formula(indiv, gamma):
    maps = np.random.default_rng(3).random((6, 5, 5)).astype(np.float32) ** 3
    expected = slow_grey(maps.astype(np.float64), indiv, gamma)
    assert np.abs(scale_grey(maps, indiv, gamma) - expected).max() < 0.51
    one = scale_grey(maps, indiv, gamma, maps[2:3])
    assert np.array_equal(one[0], scale_grey(maps, indiv, gamma)[2])


@pytest.mark.parametrize("indiv", [0, 0.5])
@pytest.mark.parametrize("gamma", [1, 0.3])
def test_signed_levels_follow_the_formula(indiv, gamma):
    maps = np.random.default_rng(4).normal(size=(6, 5, 5)).astype(np.float32)
    unit = maps.astype(np.float64) / np.abs(maps).max()
    unit *= np.abs(unit).max((1, 2), keepdims=True) ** -indiv
    expected = 255 + 255 * np.sign(unit) * np.abs(unit) ** gamma
    levels = scale_signed(maps, indiv, gamma)
    assert np.abs(levels - expected).max() < 0.52
    assert np.array_equal(scale_signed(maps, indiv, gamma, maps[3:4])[0], levels[3])


def test_flat_layers_are_black():
    flat = np.full((3, 2, 2), 4, np.float32)
    assert np.all(scale_grey(flat, 0, 1) == 0)
    assert np.all(scale_signed(0 * flat, 0.5, 0.5) == 255)


def test_values_of_any_number_of_axes_become_maps():
    shapes = {(4,): (4, 1, 1), (4, 3): (4, 1, 3), (4, 2, 3): (4, 2, 3), (4, 5, 2, 3): (4, 10, 3),
              (): (1, 1, 1)}  # fmt: skip
    for shape, expected in shapes.items():
        assert as_maps(np.zeros(shape, np.float32)).shape == expected
