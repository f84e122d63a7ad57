"""Findings about whole layers: noise, shifts, sparseness, dead units, confusions."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

from findings.lab import Lab
from findings.registry import Found, finding
from optimize.figures.sheet import Row, draw_sheet

LEVELS = (1, 2, 4, 8)  # grey levels of noise; pixels of shift
_SOME = 192  # photos of the findings that change them


def change(before: npt.NDArray[np.float32], after: npt.NDArray[np.float32]) -> float:
    """Return the mean over photos of |after - before| / |before| (L2 norms)."""
    axes = tuple(range(1, before.ndim))
    off = np.sqrt(((after - before).astype(np.float64) ** 2).sum(axis=axes))
    size = np.sqrt((before.astype(np.float64) ** 2).sum(axis=axes))
    return float((off / np.maximum(size, 1e-12)).mean())


def _under(lab: Lab, what: str) -> tuple[list[tuple[object, ...]], int]:
    """Measure how the net's answers change with noise or shifts of growing size."""
    layers = [*lab.maps[:1], *lab.maps[-1:], lab.class_layer, lab.prob]
    layers = list(dict.fromkeys(layers))
    photos = lab.photos[:: max(1, len(lab.photos) // _SOME)][:_SOME]
    sums: dict[int, list[list[float]]] = {level: [] for level in LEVELS}
    other: dict[int, list[float]] = {level: [] for level in LEVELS}
    rng = np.random.default_rng(0)
    for inputs in lab.batches(photos):
        lab.forward(inputs)
        before = {name: lab.values(name) for name in layers}
        for level in LEVELS:
            if what == "noise":
                noise = rng.standard_normal(inputs.shape) * level * lab.optimizer.grey
                changed = (inputs + noise).astype(np.float32)
            else:
                changed = np.roll(inputs, level, axis=3)
                changed[..., :level] = inputs[..., :1]
            lab.forward(changed)
            after = {name: lab.values(name) for name in layers}
            sums[level].append([change(before[n], after[n]) * len(inputs) for n in layers])
            flips = before[lab.prob].argmax(axis=1) != after[lab.prob].argmax(axis=1)
            other[level].append(float(flips.sum()))
    rows: list[tuple[object, ...]] = []
    for level in LEVELS:
        means = np.sum(sums[level], axis=0) / len(photos)
        rows.append((level, *(float(v) for v in means), sum(other[level]) / len(photos)))
    return rows, len(photos)


def _head(lab: Lab, first: str) -> tuple[str, ...]:
    layers = list(dict.fromkeys([*lab.maps[:1], *lab.maps[-1:], lab.class_layer, lab.prob]))
    return (first, *layers, "another top class")


@finding("noise", "is the output or a middle layer more sensitive to a camera's noise?")
def noise(lab: Lab) -> Found:
    """Add Gaussian noise to photos."""
    rows, count = _under(lab, "noise")
    head = _head(lab, "noise (grey levels)")
    last = dict(zip(head, rows[-1], strict=True))
    said = (
        f"With noise of {LEVELS[-1]} grey levels, {lab.top_map} changes by "
        f"{100 * float(str(last[lab.top_map])):.1f} % of its length, the probabilities by "
        f"{100 * float(str(last[lab.prob])):.1f} %; "
        f"{100 * float(str(last['another top class'])):.1f} % of {count} photos get another class."
    )
    return Found(head, rows, said)


@finding("shift", "does an answer stay when the photo moves by some pixels?")
def shift(lab: Lab) -> Found:
    """Shift photos sideways; the border is continued."""
    rows, count = _under(lab, "shift")
    head = _head(lab, "shift (pixels)")
    last = dict(zip(head, rows[-1], strict=True))
    said = (
        f"A shift of {LEVELS[-1]} pixels changes {lab.top_map} by "
        f"{100 * float(str(last[lab.top_map])):.0f} % of its length, the probabilities by "
        f"{100 * float(str(last[lab.prob])):.0f} %; "
        f"{100 * float(str(last['another top class'])):.1f} % of {count} photos get another class."
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
