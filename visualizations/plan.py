"""What is to be made, how long it will take and how large it will be: pure, but for texts."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from visualizations.errors import VisualizationsError

# Bits a pixel of the JPEG files, measured on the bundled model: conv2 to fc8, the mean of
# optimised images, patches and deconvs, at true size in quality 95, and as tiles of 96 pixels
# in quality 75.
BITS_A_PIXEL = {"fine": 3.6, "small": 1.45}
KINDS_WITH_PHOTOS = 3
GAP = 1
OPTIMISED, PATCHES = "optimised", "patches"


@dataclass(frozen=True)
class Layer:
    """A layer and which of its units are shown.

    Parameters
    ----------
    name : str
        As in the prototxt.
    units : tuple of int
        Channels, rising.
    whole : bool
        Whether these are all.
    side : int
        Longest side in pixels of what a unit sees, at most that of the input.
    """

    name: str
    units: tuple[int, ...]
    whole: bool
    side: int


@dataclass(frozen=True)
class Rates:
    """What was measured before the work.

    Parameters
    ----------
    ascent : mapping of str to float
        Seconds an image and iteration, by layer.
    patch : mapping of str to float
        Seconds a patch, by layer: its share of a forward pass, and a deconv.
    start : float
        Seconds that a command takes to begin.
    """

    ascent: Mapping[str, float]
    patch: Mapping[str, float] = field(default_factory=dict)
    start: float = 0.0


@dataclass(frozen=True)
class Row:
    """The estimate for a layer: seconds, and bytes at true size and made small."""

    layer: Layer
    images: int
    optimise: float
    patches: float
    fine: float
    small: float


def parse_layer(text: str) -> tuple[str, str | None]:
    """Split `fc6:0-95` into a layer's name and which units; None stands for all.

    Raises
    ------
    VisualizationsError
        What follows the colon is no list of numbers.
    """
    match = re.fullmatch(r"(.+?)(?::([0-9][0-9,\- ]*))?", text)
    if match is None or not match[1].strip():
        raise VisualizationsError(
            f"{text!r} names no layer; conv5 (all units) and fc6:0-95 (some) are accepted"
        )
    return match[1], match[2]


def estimate(
    layers: Sequence[Layer],
    rates: Rates,
    *,
    seeds: int,
    iterations: int,
    with_photos: bool,
    tile: int,
    done: Collection[tuple[str, str]] = (),
) -> list[Row]:
    """Work out what each layer takes.

    Parameters
    ----------
    layers : sequence of Layer
        What is made.
    rates : Rates
        What was measured.
    seeds, iterations : int
        Optimised images a unit, and steps each.
    with_photos : bool
        Whether patches and deconvs are made too.
    tile : int
        Longest side of a tile in the small copies, 0 for none.
    done : collection of (str, str)
        Layers with `OPTIMISED` or `PATCHES`, which are made already.

    Returns
    -------
    list of Row
        In the order of the layers.
    """
    kinds = KINDS_WITH_PHOTOS if with_photos else 1
    rows = []
    for layer in layers:
        images = len(layer.units) * seeds
        ascent = patches = 0.0
        if (layer.name, OPTIMISED) not in done:
            ascent = rates.start + images * iterations * rates.ascent[layer.name]
        if with_photos and (layer.name, PATCHES) not in done:
            patches = rates.start + 9 * len(layer.units) * rates.patch[layer.name]
        small = min(tile, layer.side) if tile else layer.side
        rows.append(
            Row(layer, images, ascent, patches,
                kinds * len(layer.units) * _size(layer.side, seeds, "fine"),
                kinds * len(layer.units) * _size(small, seeds, "small")),
        )  # fmt: skip
    return rows


def _size(side: int, tiles: int, quality: str) -> float:
    """Return the bytes of a file of square tiles."""
    across = math.ceil(math.sqrt(tiles)) * (side + GAP)
    return 600 + across**2 * BITS_A_PIXEL[quality] / 8


def duration(seconds: float) -> str:
    """Write a time as `12 s`, `34 min` or `5 h 06 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def table(rows: Sequence[Row], scan: float, tile: int) -> str:
    """Lay the estimate out for the terminal."""
    head = ("layer", "units", "images", "optimise", "patches", "at true size")
    lines = [head + (("made small",) if tile else ())]
    for row in rows:
        cells = (row.layer.name, str(len(row.layer.units)), str(row.images),
                 _left(row.optimise), _left(row.patches), _megabytes(row.fine))  # fmt: skip
        lines.append(cells + ((_megabytes(row.small),) if tile else ()))
    total = sum(row.optimise + row.patches for row in rows) + scan
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = ["  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
    fine, small = sum(r.fine for r in rows), sum(r.small for r in rows)
    ending = f", made small {_megabytes(small)}" if tile else ""
    if scan:
        text.append(f"once through the photos: {duration(scan)}")
    text.append(
        f"together about {duration(total)} on this machine as it is now; files {_megabytes(fine)}"
        f"{ending}"
    )
    return "\n".join(text)


def _left(seconds: float) -> str:
    return duration(seconds) if seconds else "-"


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB"
