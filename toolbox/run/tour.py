"""A short scripted tour: keys, pictures written one after the other, captions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolbox.pictures.image_file import ImageError, write_image
from toolbox.run.drive import run_script
from toolbox.run.loop import Loop


@dataclass(frozen=True)
class Stop:
    """One picture of the tour.

    Parameters
    ----------
    name : str
        Of the file, without number and ending.
    keys : str
        Pressed before the picture is taken, as for `--keys`.
    caption : str
        What it shows.
    """

    name: str
    keys: str
    caption: str


TOUR = (
    Stop("photo", "e", "a photo, its most probable classes, and the first layer"),
    Stop("unit", "down right right", "one unit of the first layer, enlarged at the left"),
    Stop("deeper", "o o o o o o o o", "deeper layers answer to larger, rarer things"),
    Stop("deconv", "sel_down_fast right n n", "deconv: what in the photo this unit answers to"),
    Stop("zoom", "z z", "the same, enlarged"),
    Stop("diffs", "z d u u a", "how the units two layers below take part in it"),
    Stop("seen", "esc o o o o o o o o down v r x", "where in the photo a unit is active"),
    Stop("next_photo", "esc e", "the next photo"),
    Stop("help", "h", "all keys"),
)


def run_tour(loop: Loop, stops: Sequence[Stop], folder: Path) -> Iterator[tuple[Path, str]]:
    """Take the tour and write its pictures.

    Parameters
    ----------
    loop : Loop
        Made for a script.
    stops : sequence of Stop
        In order.
    folder : Path
        Made where it is missing; pictures of an earlier tour are replaced.

    Yields
    ------
    (Path, str)
        Each picture written and its caption.

    Raises
    ------
    ImageError
        The folder cannot be made or written to.
    """
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise ImageError(f"The folder {folder} cannot be made: {reason}") from error
    for number, stop in enumerate(stops, 1):
        picture = run_script(loop, loop.bindings.parse_keys(stop.keys))
        path = folder / f"{number:02d}_{stop.name}.png"
        write_image(path, picture)
        yield path, stop.caption
