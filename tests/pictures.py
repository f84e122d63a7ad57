"""Small pictures of units, arranged as the published files and as this project's own."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from toolbox.pictures.image_file import write_image


def colour_of(number: int) -> tuple[int, int, int]:
    """Return a colour that tells a number from its neighbours."""
    return (40 + 61 * number % 200, 40 + 97 * number % 200, 40 + 151 * number % 200)


def plain_tile(height: int, width: int, number: int) -> np.ndarray:
    tile = np.empty((height, width, 3), np.uint8)
    tile[:] = colour_of(number)
    return tile


def textured_tile(side: int, number: int) -> np.ndarray:
    """Make a smooth random texture around mid grey, as optimised images are."""
    noise = np.random.default_rng(number).normal(0, 1, (side, side, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), max(1.0, side / 20))
    return np.clip(128 + 25 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def group(tiles: list[np.ndarray], columns: int, gap: int = 0, border: int = 0, pad: int = 0):
    """Lay tiles out row by row; pixels between them and around have one grey."""
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    shape = (
        rows * height + (rows - 1) * gap + 2 * border,
        columns * width + (columns - 1) * gap + 2 * border,
        3,
    )
    sheet = np.full(shape, pad, np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        top, left = border + row * (height + gap), border + column * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def published(groups: list[list[np.ndarray]], pad: int = 0, between: int = 1) -> np.ndarray:
    """Lay four groups of nine out: a pixel around each image, two more around each group."""
    parts = [group(tiles, 3, between, 3, pad) for tiles in groups]
    return group(parts, 2)


def as_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def write_unit(root: Path, layer: str, unit: int, side: int = 12, first: int = 0) -> None:
    """Write a unit's three files, each of nine tiles of one colour, as this project does."""
    for kind, (folder, ending) in enumerate(
        (("regularized_opt", "_montage.jpg"), ("max_im", ".jpg"), ("max_deconv", ".jpg"))
    ):
        tile = plain_tile(side, side, first + 3 * unit + kind)
        path = root / folder / layer / f"{layer}_{unit:04d}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, group([tile] * 9, 3, gap=1))


def write_sheet(root: Path, layer: str, units: int, side: int = 16, **padding: int) -> None:
    """Write a layer's sheet, each unit a tile of one colour."""
    tiles = [plain_tile(side, side, unit) for unit in range(units)]
    path = root / "regularized_opt" / layer / "whole_layer.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, group(tiles, int(np.ceil(np.sqrt(units))), **padding))
