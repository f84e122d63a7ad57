"""Findings about whole layers: noise, shifts, sparseness, dead units, confusions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from findings.lab import Lab
from findings.registry import Found, finding
from optimize.figures.sheet import Row, draw_sheet

LEVELS = (1, 2, 4, 8)  # grey levels of noise; pixels of shift
_SOME = 384  # photos of the findings that change them
UNSURE, SURE = 0.5, 0.9  # of the highest probability


def changes(
    before: npt.NDArray[np.float32], after: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """Return |after - before| / |before| of each photo (L2 norms): (photos,)."""
    axes = tuple(range(1, before.ndim))
    off = np.sqrt(((after - before).astype(np.float64) ** 2).sum(axis=axes))
    size = np.sqrt((before.astype(np.float64) ** 2).sum(axis=axes))
    return np.asarray(off / np.maximum(size, 1e-12))


def _layers(lab: Lab) -> list[str]:
    return list(dict.fromkeys([*lab.maps[:1], *lab.maps[-1:], lab.class_layer, lab.prob]))


@dataclass(frozen=True, eq=False)
class _Moved:
    """How far the answers moved; `off` (photos, layers) and `flips` (photos,) by level.

    `surest` (photos,) is the highest probability of each unchanged photo.
    """

    off: dict[int, npt.NDArray[np.float64]]
    flips: dict[int, npt.NDArray[np.bool_]]
    surest: npt.NDArray[np.float32]

    def row(self, level: int, label: object, which: npt.NDArray[np.bool_]) -> tuple[object, ...]:
        """Return the means over some photos: label, count, layers, share with another class."""
        means = [float(v) for v in self.off[level][which].mean(axis=0)]
        return (label, int(which.sum()), *means, float(self.flips[level][which].mean()))

    def rows(self) -> list[tuple[object, ...]]:
        """Return the means over all photos, a row a level."""
        every = np.ones(len(self.surest), bool)
        return [self.row(level, level, every) for level in LEVELS]


def _changed(
    lab: Lab, inputs: npt.NDArray[np.float32], level: int, rng: np.random.Generator | None
) -> npt.NDArray[np.float32]:
    """Return inputs with noise, or without `rng` shifted sideways, by some levels."""
    if rng is not None:
        added = rng.standard_normal(inputs.shape) * level * lab.optimizer.grey
        return (inputs + added).astype(np.float32)
    moved = np.roll(inputs, level, axis=3)
    moved[..., :level] = inputs[..., :1]
    return moved


def _under(lab: Lab, rng: np.random.Generator | None = None) -> _Moved:
    """Measure how the net's answers change with noise or shifts of growing size."""
    layers, every = _layers(lab), len(lab.photos)
    chosen = np.linspace(0, every - 1, min(every, _SOME)).round().astype(int)
    off: dict[int, list[npt.NDArray[np.float64]]] = {level: [] for level in LEVELS}
    flips: dict[int, list[npt.NDArray[np.bool_]]] = {level: [] for level in LEVELS}
    surest = []
    for inputs in lab.batches([lab.photos[i] for i in chosen]):
        lab.forward(inputs)
        before = {name: lab.values(name) for name in layers}
        surest.append(before[lab.prob].max(axis=1))
        for level in LEVELS:
            lab.forward(_changed(lab, inputs, level, rng))
            after = {name: lab.values(name) for name in layers}
            off[level].append(np.stack([changes(before[n], after[n]) for n in layers], axis=1))
            best = [values[lab.prob].argmax(axis=1) for values in (before, after)]
            flips[level].append(best[0] != best[1])
    return _Moved(
        {level: np.concatenate(parts) for level, parts in off.items()},
        {level: np.concatenate(parts) for level, parts in flips.items()},
        np.concatenate(surest),
    )


def _head(lab: Lab, first: str) -> tuple[str, ...]:
    return (first, "count", *_layers(lab), "another top class")


def _percent(head: Sequence[str], row: Sequence[object], name: str) -> str:
    return f"{100 * float(str(row[head.index(name)])):.1f} %"


@finding("noise", "is the output or a middle layer more sensitive to a camera's noise?")
def noise(lab: Lab) -> Found:
    """Add Gaussian noise to photos; of the strongest, look at sure and unsure photos apart."""
    moved = _under(lab, np.random.default_rng(0))
    rows, head, most = moved.rows(), _head(lab, "noise (grey levels)"), LEVELS[-1]
    said = (
        f"With noise of {most} grey levels, {lab.top_map} changes by "
        f"{_percent(head, rows[-1], lab.top_map)} of its length, the probabilities by "
        f"{_percent(head, rows[-1], lab.prob)}; {_percent(head, rows[-1], 'another top class')} "
        f"of {len(moved.surest)} photos get another class."
    )
    groups = (
        (f"below {UNSURE}", moved.surest < UNSURE),
        (f"from {UNSURE} to {SURE}", (moved.surest >= UNSURE) & (moved.surest < SURE)),
        (f"from {SURE}", moved.surest >= SURE),
    )
    for name, which in groups:
        if which.any():
            row = moved.row(most, f"{most}, highest probability {name}", which)
            rows.append(row)
            said += (
                f" Where the highest probability is {name} ({int(which.sum())} photos): "
                f"{_percent(head, row, lab.top_map)} and {_percent(head, row, lab.prob)}."
            )
    return Found(head, rows, said)


@finding("shift", "does an answer stay when the photo moves by some pixels?")
def shift(lab: Lab) -> Found:
    """Shift photos sideways; the border is continued."""
    moved = _under(lab)
    rows, head = moved.rows(), _head(lab, "shift (pixels)")
    said = (
        f"A shift of {LEVELS[-1]} pixels changes {lab.top_map} by "
        f"{_percent(head, rows[-1], lab.top_map)} of its length, the probabilities by "
        f"{_percent(head, rows[-1], lab.prob)}; {_percent(head, rows[-1], 'another top class')} "
        f"of {len(moved.surest)} photos get another class."
    )
    return Found(head, rows, said)


@finding("sparseness", "how much of a layer answers to a photo?")
def sparseness(lab: Lab) -> Found:
    """Count the values above zero."""
    rows = [
        (layer, float(share.mean()), float(share.min()), float(share.max()))
        for layer in lab.layers[:-1]
        for share in (lab.survey.positive[layer],)
    ]
    least = min(rows, key=lambda row: row[1])
    said = (
        f"Of {rows[0][0]}'s values {100 * rows[0][1]:.0f} % are above zero on the mean photo; "
        f"{least[0]} is the sparsest layer, with {100 * least[1]:.0f} %."
    )
    return Found(("layer", "mean share above zero", "least photo", "most photo"), rows, said)


@finding("dead-units", "are there units that nothing excites?")
def dead_units(lab: Lab) -> Found:
    """Count units that are never, or hardly ever, above zero anywhere in their map."""
    rows = []
    for layer in lab.layers[:-1]:
        active = (lab.survey.maxima[layer] > 0).mean(axis=0)
        rows.append((layer, len(active), int((active == 0).sum()), int((active < 0.01).sum()),
                     float(active.min())))  # fmt: skip
    dead, rare = sum(row[2] for row in rows), sum(row[3] for row in rows)
    said = (
        f"Of {sum(row[1] for row in rows)} units {dead} are dead on all {len(lab.photos)} held-out "
        f"photos, and {rare} are active on fewer than one in a hundred."
    )
    head = ("layer", "units", "never active", "on less than 1 %", "rarest unit's share")
    return Found(head, rows, said)


@finding("confusions", "are classes that are taken for each other close in the last layer?")
def confusions(lab: Lab) -> Found:
    """Compare the weights of the classes that are confused with those of all pairs."""
    labels = lab.optimizer.labels
    weights = np.array(lab.net.params[lab.class_layer][0].data, np.float64)
    unit = weights / np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-12)
    alike = unit @ unit.T
    best = lab.survey.maxima[lab.prob].argmax(axis=1)
    pairs: Counter[tuple[int, int]] = Counter()
    first: dict[tuple[int, int], int] = {}
    for i, category in enumerate(lab.categories):
        if category in labels and labels[best[i]] != category:
            pair = (labels.index(category), int(best[i]))
            pairs[pair] += 1
            first.setdefault(pair, i)
    common = pairs.most_common(10)
    rows = [(labels[a], labels[b], n, float(alike[a, b])) for (a, b), n in common]
    every = alike[~np.eye(len(alike), dtype=bool)]
    mean = float(np.mean([alike[pair] for pair in pairs.elements()])) if pairs else 0.0
    said = (
        f"{sum(pairs.values())} of {len(lab.photos)} photos are taken for another class. The "
        f"weights of such a pair of classes have a mean cosine of {mean:.2f}; those of any two "
        f"{every.mean():.2f} (standard deviation {every.std():.2f})."
    )
    tiles = [lab.picture(lab.photos[first[pair]]) for pair, _ in common]
    captions = [f"{labels[a]}\nas {labels[b]}" for (a, b), _ in common]
    sheet = [Row("", tiles[i : i + 5], captions[i : i + 5]) for i in range(0, len(tiles), 5)]
    title = "A photo of each of the commonest confusions"
    return Found(("category", "taken for", "photos", "cosine"), rows, said,
                 draw_sheet(title, sheet) if sheet else None)  # fmt: skip
