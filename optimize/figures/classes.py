"""Figures 3 and 4: what each regulariser does, and four sets of them together."""

from __future__ import annotations

from optimize.figures.registry import Made, Studio, figure, outcome
from optimize.figures.sheet import Row, draw_sheet
from optimize.output.pictures import tiled
from optimize.params import PRESETS, preset_values

# Weak to strong. Decay and clippings are shares and percentiles; the blur is every 4 iterations.
SWEEPS: dict[str, tuple[str, tuple[float, ...], dict[str, float]]] = {
    "decay": ("L2 decay", (0, 0.003, 0.01, 0.03, 0.1, 0.3), {}),
    "blur_radius": ("Gaussian blur\nradius", (0, 0.3, 0.5, 1, 1.5, 2.5), {"blur_every": 4}),
    "small_norm_percentile": ("clip small norm\npercentile", (0, 20, 50, 80, 90, 97), {}),
    "px_abs_benefit_percentile": ("clip small\ncontribution\npercentile",
                                  (0, 20, 50, 80, 90, 97), {}),
}  # fmt: skip
# A strong decay holds the image near grey unless the steps are long as well.
RATES = {2: {"step": 24.0, "late_step": 12.0}}


@figure("fig3", "each regulariser alone, from weak to strong", "classes")
def sweeps(studio: Studio) -> Made:
    """Make figure 3: rows are regularisers, columns their strength."""
    layer, seed = studio.class_layer(), studio.options.seed
    units = studio.classes(1)
    rows = [(unit, name) for unit in units for name in SWEEPS]
    runs = [
        studio.params(layer, unit, seed, **{**others, name: value})
        for unit, name in rows
        for _, values, others in (SWEEPS[name],)
        for value in values
    ]
    found = iter(studio.run(runs))
    sheet, record = [], []
    for unit, name in rows:
        label, values, _ = SWEEPS[name]
        results = [next(found) for _ in values]
        sheet.append(
            Row(f"{studio.name(layer, unit)}\n{label}", [studio.tile(r) for r in results],
                [f"{value:g}" for value in values])
        )  # fmt: skip
        record += [
            {"layer": layer, "unit": unit, name: value, **outcome(r)}
            for value, r in zip(values, results, strict=True)
        ]
    title = "Each regulariser alone, from weak (left) to strong (right)"
    return Made({"": draw_sheet(title, sheet)}, {"runs": record})


@figure("fig4", "the four presets of table 1, nine runs each, for some classes",
        "classes", "seeds")  # fmt: skip
def presets(studio: Studio) -> Made:
    """Make figure 4: a row a class, a block of runs a preset."""
    layer, seeds = studio.class_layer(), studio.seeds(9)
    units = studio.classes(4)
    runs = [
        studio.params(layer, unit, seed, **preset_values(number), lr_params=RATES.get(number))
        for unit in units
        for number in PRESETS
        for seed in seeds
    ]
    found = iter(studio.run(runs))
    sheet, record = [], []
    for unit in units:
        blocks = []
        for number in PRESETS:
            results = [next(found) for _ in seeds]
            blocks.append(tiled([studio.tile(r) for r in results]))
            record += [
                {"layer": layer, "unit": unit, "preset": number, "seed": seed, **outcome(r)}
                for seed, r in zip(seeds, results, strict=True)
            ]
        sheet.append(Row(studio.name(layer, unit), blocks, [_caption(n) for n in PRESETS]))
    title = f"The four presets of table 1, {len(seeds)} runs each"
    return Made({"": draw_sheet(title, sheet)}, {"runs": record})


def _caption(number: int) -> str:
    """Return a preset's number, look and values."""
    look = {1: "sparse regions", 2: "high frequencies", 3: "low frequencies", 4: "sparse outlines"}
    values = ", ".join(f"{name} {value:g}" for name, value in PRESETS[number].items())
    if number in RATES:
        values += f"; step {RATES[number]['step']:g}"
    return f"preset {number}: {look[number]}\n{values}"
