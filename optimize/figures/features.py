"""Figures 5 and S1: what the units of all layers prefer, at true size."""

from __future__ import annotations

import math

from optimize.figures.registry import Made, Studio, figure, outcome
from optimize.figures.sheet import GAP, Row, draw_sheet
from optimize.output.pictures import tiled
from optimize.params import FindParams

_ROOM = 1400  # pixels for a layer's units in figure 5
_MOST = 20  # units of a layer


@figure("fig5", "units of every layer at their true sizes, four runs each",
        "classes", "layers", "seeds")  # fmt: skip
def features(studio: Studio) -> Made:
    """Make figure 5: a row a layer, the last layer above, its units' runs in blocks."""
    seeds = studio.seeds(4)
    across = math.ceil(math.sqrt(len(seeds)))
    chosen = {}
    for layer in reversed(studio.layers()):
        field = studio.optimizer.field(FindParams(push_layer=layer))
        count = studio.optimizer.channels(layer)
        room = max(1, _ROOM // (across * (field.width + 1) + GAP))
        if layer == studio.class_layer():
            chosen[layer] = studio.classes(min(room, _MOST))
        else:
            some = min(room, _MOST, count)
            chosen[layer] = [round(i * (count - 1) / max(1, some - 1)) for i in range(some)]
    runs = [studio.best(layer, k, s) for layer, units in chosen.items() for k in units
            for s in seeds]  # fmt: skip
    found = iter(studio.run(runs))
    sheet, record = [], []
    for layer, units in chosen.items():
        blocks = []
        for unit in units:
            results = [next(found) for _ in seeds]
            blocks.append(tiled([studio.tile(r) for r in results]))
            record += [{"layer": layer, "unit": unit, "seed": s, **outcome(r)}
                       for s, r in zip(seeds, results, strict=True)]  # fmt: skip
        named = layer in studio.optimizer.label_layers
        captions = [studio.name(layer, k) if named else str(k) for k in units]
        sheet.append(Row(layer, blocks, captions))
    title = f"What units of each layer prefer, at true size, {len(seeds)} runs a unit"
    return Made({"": draw_sheet(title, sheet)}, {"runs": record})


@figure("s1", "one image for every unit of every convolution layer", "layers")
def every_filter(studio: Studio) -> Made:
    """Make figure S1: one picture a layer, ten units a row or more."""
    pictures, record = {}, []
    for layer in studio.maps():
        count = studio.optimizer.channels(layer)
        runs = [studio.best(layer, k, studio.options.seed) for k in range(count)]
        results = studio.run(runs)
        tiles = [studio.tile(r) for r in results]
        across = 10 * max(1, round(math.sqrt(count) / 10))
        rows = [
            Row(str(first), tiles[first : first + across],
                [f"+{i}" for i in range(len(tiles[first : first + across]))] if first == 0 else ())
            for first in range(0, count, across)
        ]  # fmt: skip
        strongest = sum(r.ismax_here[r.best_ii] for r in results)
        title = (f"{layer}: what each of its {count} units prefers\n"
                 f"{strongest} are the strongest of their layer in their image")  # fmt: skip
        pictures[f"_{layer.replace('/', '_')}"] = draw_sheet(title, rows)
        record += [{"layer": layer, "unit": k, **outcome(r)} for k, r in enumerate(results)]
    return Made(pictures, {"runs": record})
