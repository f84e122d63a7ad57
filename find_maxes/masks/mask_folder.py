"""A folder of masks: `MASKS/<concept>/<path of the photo>.png`, white where the concept is.

The photo's own ending is left out or kept: `cats/a.jpg` has the mask `fur/cats/a.png` or
`fur/cats/a.jpg.png`. A photo that any concept has a mask of counts for all; where a concept has
none, it is nowhere in the photo.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from find_maxes.errors import FindMaxesError, reason_of
from find_maxes.photos.net_input import Recipe
from toolbox.pictures.image_file import ImageError, read_image
from toolbox.pictures.images import Image

SUFFIX = ".png"
GRID = 112  # rows and columns in which masks and maps are compared, as in the paper


@dataclass(frozen=True)
class Masks:
    """Which photos have which masks.

    Attributes
    ----------
    concepts : tuple of str
        Sorted.
    photos : dict of str to dict of int to Path
        Photo, relative to the data's folder -> number of a concept -> its mask.
    """

    concepts: tuple[str, ...]
    photos: dict[str, dict[int, Path]] = field(default_factory=dict)


def find_masks(folder: Path, data: Path) -> Masks:
    """List the masks of a folder.

    Parameters
    ----------
    folder : Path
        With a folder a concept.
    data : Path
        The photos' folder.

    Raises
    ------
    FindMaxesError
        There is no folder or no mask, or a mask has no photo.
    """
    if not folder.is_dir():
        raise FindMaxesError(
            f"MASKS {folder} is not a folder; name the one with a folder a concept"
        )
    try:
        tops = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
        found = [(number, top, path) for number, top in enumerate(tops) for path in _files(top)]
    except OSError as error:
        raise FindMaxesError(f"{error.filename} cannot be read: {reason_of(error)}") from error
    if not found:
        raise FindMaxesError(
            f"MASKS {folder} holds no mask; it needs <concept>/<path of the photo>{SUFFIX}"
        )
    photos: dict[str, dict[int, Path]] = defaultdict(dict)
    for number, top, path in found:
        photos[_photo_of(path.relative_to(top), data, path)][number] = path
    names = tuple(top.name for top in tops)
    return Masks(names, dict(sorted(photos.items())))


def _files(top: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(top):
        folders.sort()
        yield from (
            Path(here) / name
            for name in sorted(names)
            if name.lower().endswith(SUFFIX) and not name.startswith(".")
        )


def _photo_of(below: Path, data: Path, mask: Path) -> str:
    """Find the photo of a mask."""
    stem = below.with_name(below.name[: -len(SUFFIX)])
    if (data / stem).is_file():
        return stem.as_posix()
    place = data / stem.parent
    same = sorted(p.name for p in place.glob(f"{_plain(stem.name)}.*") if p.stem == stem.name)
    if not same:
        raise FindMaxesError(
            f"the mask {mask} has no photo: neither {data / stem} nor one of that name with an "
            "ending is there"
        )
    if len(same) > 1:
        raise FindMaxesError(
            f"the mask {mask} may be of {same[0]} or of {same[1]}; call it "
            f"{same[0]}{SUFFIX} or {same[1]}{SUFFIX}"
        )
    return (stem.parent / same[0]).as_posix()


def _plain(name: str) -> str:
    """Return a name in which no letter has a meaning for `glob`."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def read_mask(path: Path, photo: Image, recipe: Recipe) -> NDArray[np.bool_]:
    """Read a mask as the net sees its photo, and reduce it to the grid.

    Parameters
    ----------
    path : Path
        The mask.
    photo : ndarray of uint8, shape (h, w, 3)
        Its photo, at its own size.
    recipe : Recipe
        How photos become inputs.

    Returns
    -------
    ndarray of bool, shape (GRID, GRID)
        Where more than half of a cell is white.

    Raises
    ------
    FindMaxesError
        It cannot be read, or has another size than its photo.
    """
    try:
        image = read_image(path)
    except ImageError as error:
        raise FindMaxesError(f"the mask {path}: {error}") from error
    if image.shape[:2] != photo.shape[:2]:
        sizes = [f"{shape[1]} x {shape[0]}" for shape in (image.shape, photo.shape)]
        raise FindMaxesError(
            f"the mask {path} has {sizes[0]} pixels and its photo {sizes[1]}; both must be of "
            "the same size"
        )
    white = (recipe.fit(image).mean(2) > 127.5).astype(np.float32)
    small = cv2.resize(white, (GRID, GRID), interpolation=cv2.INTER_AREA)
    return np.asarray(small > 0.5)
