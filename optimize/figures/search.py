"""The random search for settings: a contact sheet, and a table of settings and scores."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from optimize.figures.registry import Made, Studio, figure, outcome
from optimize.figures.sheet import Row, draw_sheet
from optimize.output.files import json_bytes, npz_bytes, read_npz, read_object, write
from optimize.params import PRESETS, FindParams
from toolbox.pictures.images import Image

OFF = 0.5  # the chance that a regulariser is off in a draw
COLUMNS = 10
_AT_ONCE = 16  # draws between two writings of what is done
_TILE = 160  # pixels of a tile in the sheet, at most
SETTINGS = ("decay", "blur_radius", "blur_every", "small_norm_percentile",
            "px_abs_benefit_percentile", "step")  # fmt: skip


def draw(seed: int) -> dict[str, float]:
    """Draw settings at random; a seed always gives the same.

    Returns
    -------
    dict of str to float
        Each of the paper's four regularisers is off with a chance of one half, and its strength
        else spread over the useful range: decay 1e-4 to 0.3 and step 2 to 20 evenly in the
        logarithm, blur radius 0.3 to 2, every 1 to 8, percentiles 5 to 95.
    """
    rng = np.random.default_rng(seed)
    values: dict[str, float] = {"step": round(float(np.exp(rng.uniform(*np.log([2, 20])))), 3)}
    on = rng.random(4) >= OFF
    drawn = {
        "decay": round(float(np.exp(rng.uniform(*np.log([1e-4, 0.3])))), 6),
        "blur_radius": round(float(rng.uniform(0.3, 2)), 3),
        "small_norm_percentile": round(float(rng.uniform(5, 95)), 1),
        "px_abs_benefit_percentile": round(float(rng.uniform(5, 95)), 1),
    }
    every = int(rng.integers(1, 9))
    values.update(
        {name: v if is_on else 0 for (name, v), is_on in zip(drawn.items(), on, strict=True)}
    )
    values["blur_every"] = every if on[1] else 0
    return values


def _params(studio: Studio, layer: str, unit: int, number: int) -> FindParams:
    values = draw(studio.options.seed + number)
    step = values.pop("step")
    rates = {"step": step, "late_step": step / 2}
    return studio.params(layer, unit, studio.options.seed, lr_params=rates, **values)


@figure("search", "settings drawn at random: a contact sheet and a table", "classes", "count")
def search(studio: Studio) -> Made:
    """Make the random search, going on where an earlier one of the same unit ended."""
    layer, unit = studio.class_layer(), studio.classes(1)[0]
    folder = studio.options.out.with_name(studio.options.out.stem + "_parts")
    rows: list[dict[str, Any]] = []
    tiles: list[Image] = []
    for first in range(0, studio.options.count, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, studio.options.count))
        part = _part(studio, folder, layer, unit, numbers)
        rows += part[0]
        tiles += part[1]
    sheet = []
    for first in range(0, len(rows), COLUMNS):
        some = rows[first : first + COLUMNS]
        sheet.append(Row(str(first), tiles[first : first + COLUMNS], [_caption(r) for r in some]))
    title = (f"{studio.name(layer, unit)}: {len(rows)} settings drawn at random\n"
             "s step, d decay, b blur radius / every, n and c percentiles of norm and "
             "contribution, a activation")  # fmt: skip
    table = io.StringIO()
    writer = csv.DictWriter(table, ["draw", *SETTINGS, "best_obj", "best_ii", "is_strongest"],
                            extrasaction="ignore", lineterminator="\n")  # fmt: skip
    writer.writeheader()
    writer.writerows(rows)
    best = max(rows, key=lambda row: row["best_obj"])
    said = f"the highest activation: draw {best['draw']}, {_caption(best).replace(chr(10), ', ')}"
    return Made({"": draw_sheet(title, sheet)}, {"presets": PRESETS, "draws": rows},
                {".csv": table.getvalue()}, said)  # fmt: skip


def _part(
    studio: Studio, folder: Path, layer: str, unit: int, numbers: range
) -> tuple[list[dict[str, Any]], list[Image]]:
    """Return some draws' rows and tiles: from an earlier run, or made now."""
    wanted = [_params(studio, layer, unit, number) for number in numbers]
    key = {"model": dict(studio.model), "settings": [params.to_dict() for params in wanted]}
    place = folder / f"{numbers[0]:04d}-{numbers[-1]:04d}"
    kept, arrays = read_object(place.with_suffix(".json")), read_npz(place.with_suffix(".npz"))
    same = kept is not None and all(kept.get(name) == value for name, value in key.items())
    if kept is not None and same and arrays is not None:
        found, tiles = kept.get("rows"), list(arrays.get("tiles", ()))
        if isinstance(found, list) and len(found) == len(tiles) == len(numbers):
            return found, tiles
    results = studio.run(wanted)
    tiles = [_reduced(studio.tile(found)) for found in results]
    rows = [{"draw": number, **draw(studio.options.seed + number), **outcome(found)}
            for number, found in zip(numbers, results, strict=True)]  # fmt: skip
    write(place.with_suffix(".npz"), npz_bytes({"tiles": np.stack(tiles)}))
    write(place.with_suffix(".json"), json_bytes({**key, "rows": rows}))
    return rows, tiles


def _reduced(tile: Image) -> Image:
    """Take every second pixel's mean where a tile is large, so that a sheet can be looked at."""
    factor = -(-max(tile.shape[:2]) // _TILE)
    height, width = (side // factor * factor for side in tile.shape[:2])
    blocks = tile[:height, :width].reshape(height // factor, factor, width // factor, factor, 3)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)


def _caption(row: dict[str, Any]) -> str:
    """Write a draw's settings and score in short lines."""
    blur = f"{row['blur_radius']:.2g}/{row['blur_every']:g}" if row["blur_radius"] else "0"
    return (f"{row['draw']}: a {row['best_obj']:.3g}\ns {row['step']:.2g} d {row['decay']:.2g}\n"
            f"b {blur}\nn {row['small_norm_percentile']:.0f} "
            f"c {row['px_abs_benefit_percentile']:.0f}")  # fmt: skip
