"""Images of units as `python -m optimize --unit-jpg-dir` wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optimize.ascent.optimizer import GradientOptimizer
from optimize.batch.unit_jpgs import KIND, LayerFolder
from optimize.errors import OptimizeError
from optimize.output.files import read_object
from optimize.output.pictures import GAP, columns_for
from optimize.params import FindParams
from toolbox.pictures.image_file import ImageError, read_image
from toolbox.pictures.images import Image


@dataclass(frozen=True, eq=False)
class Unit:
    """A unit and its images, RGB at true size, one a seed."""

    params: FindParams
    images: list[Image]


def read_sets(optimizer: GradientOptimizer, folder: Path) -> dict[str, list[Unit]]:
    """Read a folder's images, by layer in the net's order.

    Raises
    ------
    OptimizeError
        The folder has none, or they are not this network's or not at true size.
    """
    found: dict[str, list[Unit]] = {}
    for path in sorted((folder / KIND).rglob("scores*.json")):
        record = (read_object(path) or {}).get("record")
        if record is None:
            continue
        params = _settings_of(path, record)
        place = LayerFolder(folder, params.push_layer)
        size = optimizer.field(params).height, optimizer.field(params).width
        units = found.setdefault(params.push_layer, [])
        for channel in record["channels"]:
            images = list(_tiles(place.montage(channel), record["seeds"], size))
            units.append(Unit(params.replaced(push_channel=channel), images))
    if not found:
        raise OptimizeError(
            f"there are no scores of units in {folder}; python -m optimize --unit-jpg-dir {folder} "
            "makes images with them"
        )
    order = list(optimizer.net.layer_dict)
    return {layer: found[layer] for layer in sorted(found, key=order.index)}


def _settings_of(path: Path, record: Any) -> FindParams:
    """Return the settings in a file of scores; refuse what `optimize` does not write."""
    try:
        seeds, channels = record["seeds"], record["channels"]
        whole = all(isinstance(n, int) and n >= 0 for n in (seeds, *channels)) and seeds > 0
        params = FindParams.from_dict(record["settings"])
    except (KeyError, TypeError, ValueError, AttributeError, OptimizeError) as error:
        raise OptimizeError(f"{path} holds no scores of units ({error}); remove it") from error
    if not whole:
        raise OptimizeError(f"{path} holds no scores of units; remove it, or make the images again")
    return params


def _tiles(path: Path, count: int, size: tuple[int, int]) -> Iterator[Image]:
    try:
        montage = read_image(str(path))
    except ImageError as error:
        raise OptimizeError(str(error)) from error
    (height, width), columns = size, columns_for(count)
    rows = -(-count // columns)
    wanted = (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP)
    if montage.shape[:2] != wanted:
        raise OptimizeError(
            f"{path} has {montage.shape[0]}x{montage.shape[1]} pixels; {count} images of what the "
            f"unit sees have {wanted[0]}x{wanted[1]}; images at true size, of the network that "
            "the command names, are accepted"
        )
    for i in range(count):
        top, left = i // columns * (height + GAP), i % columns * (width + GAP)
        yield np.ascontiguousarray(montage[top : top + height, left : left + width])
