"""Pictures and lists of a scan's statistics: histograms, correlation, dead and redundant units.

They go into the folder `<OUTFILE without .npz>_statistics`:

    histograms/<layer>.png      one small histogram a unit, row by row; dead units in red
    correlation/<layer>.png     unit by unit: red for 1, white for 0, blue for -1
    dead_units.txt              units whose value is the same in every image
    redundant_units.txt         pairs of units whose values rise and fall together
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from find_maxes.crops.patch_pictures import layer_path
from find_maxes.errors import FindMaxesError, reason_of
from find_maxes.scan.running_totals import Totals
from find_maxes.scan.statistics import BINS, SIDE_BINS, Histogram
from toolbox.pictures.image_file import ImageError, write_image
from toolbox.pictures.images import Image, grid_shape
from toolbox.pictures.whole_file import write_whole

HEIGHT, WIDTH = 48, BINS  # of one histogram: no bin is skipped
REDUNDANT = 0.95  # correlation from which two units are listed
MOST_PAIRS = 1000  # of a layer
LEAST_SIDE = 400  # pixels of a correlation's picture, where whole factors reach it
_BACKGROUND, _BAR, _DEAD, _ZERO = 255, (60, 60, 60), (200, 40, 40), (150, 190, 240)


def folder_of(out: Path) -> Path:
    """Return where the pictures of a result go."""
    return out.with_name(f"{out.name.removesuffix('.npz')}_statistics")


def write_charts(out: Path, totals: Totals) -> Path | None:
    """Draw and list what the scan kept.

    Returns
    -------
    Path or None
        The folder; None where no statistics were kept.

    Raises
    ------
    FindMaxesError
        A file cannot be written.
    """
    folder = folder_of(out)
    dead, pairs, drawn = [], [], False
    for name, layer in totals.statistics.items():
        if layer.histogram is not None:
            _draw(folder / "histograms", name, draw_histograms(layer.histogram))
            dead += [f"{name}\t{unit}" for unit in np.flatnonzero(layer.histogram.dead())]
            drawn = True
        if layer.correlation is not None:
            matrix = layer.correlation.matrix()
            _draw(folder / "correlation", name, draw_correlation(matrix))
            pairs += [f"{name}\t{i}\t{j}\t{r:.4f}" for i, j, r in redundant(matrix)]
            drawn = True
    if not drawn:
        return None
    _list(folder / "dead_units.txt", "layer\tunit", dead)
    _list(folder / "redundant_units.txt", "layer\tunit\tunit\tcorrelation", pairs)
    return folder


def draw_histograms(histogram: Histogram) -> Image:
    """Draw one chart a unit: its range of values across, the logarithm of counts upwards."""
    counts = histogram.counts.cpu().numpy()
    dead = histogram.dead()
    rows, columns = grid_shape(len(counts), HEIGHT / WIDTH)
    out = np.full((rows * (HEIGHT + 2), columns * (WIDTH + 2), 3), 230, np.uint8)
    for unit, row in enumerate(counts):
        y, x = (unit // columns) * (HEIGHT + 2) + 1, (unit % columns) * (WIDTH + 2) + 1
        _draw_one(out[y : y + HEIGHT, x : x + WIDTH], row, bool(dead[unit]))
    return out


def _draw_one(canvas: Image, counts: NDArray[np.int64], dead: bool) -> None:
    canvas[:] = _BACKGROUND
    used = np.flatnonzero(counts)
    if not len(used):
        return
    first, last = min(used[0], SIDE_BINS), max(used[-1], SIDE_BINS)
    shown = np.linspace(first, last + 1, WIDTH, endpoint=False).astype(int).clip(0, BINS - 1)
    heights = np.log1p(counts[shown]) / np.log1p(counts.max()) * (HEIGHT - 1)
    canvas[:, np.flatnonzero(shown == SIDE_BINS)[0]] = _ZERO
    bars = np.arange(HEIGHT)[::-1, None] < np.ceil(heights)[None]
    canvas[bars] = _DEAD if dead else _BAR


def draw_correlation(matrix: NDArray[np.float32]) -> Image:
    """Draw a matrix from -1 (blue) over 0 (white) to 1 (red)."""
    fade = np.rint(255 * (1 - np.abs(matrix))).astype(np.uint8)
    full = np.full_like(fade, 255)
    red = np.where(matrix >= 0, full, fade)
    blue = np.where(matrix <= 0, full, fade)
    factor = max(1, LEAST_SIDE // len(matrix))
    return np.stack([red, fade, blue], 2).repeat(factor, 0).repeat(factor, 1)


def redundant(matrix: NDArray[np.float32]) -> list[tuple[int, int, float]]:
    """Return pairs of units that rise and fall together, the closest first."""
    first, second = np.nonzero(np.triu(matrix >= REDUNDANT, 1))
    found = sorted(
        ((int(i), int(j), float(matrix[i, j])) for i, j in zip(first, second, strict=True)),
        key=lambda pair: (-pair[2], pair[:2]),
    )
    return found[:MOST_PAIRS]


def _draw(folder: Path, layer: str, image: Image) -> None:
    below = layer_path(layer)
    path = folder / below.with_name(f"{below.name}.png")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, image)
    except OSError as error:
        raise FindMaxesError(f"{path} cannot be written: {reason_of(error)}") from error
    except ImageError as error:
        raise FindMaxesError(str(error)) from error


def _list(path: Path, head: str, lines: list[str]) -> None:
    try:
        write_whole(path, "\n".join([head, *lines, ""]))
    except OSError as error:
        raise FindMaxesError(f"{path} cannot be written: {reason_of(error)}") from error
