"""Findings about single units: faces, strokes, local codes, and what one unit's loss costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from findings.lab import FACES, Lab, strongest
from findings.registry import Found, finding
from optimize.figures.sheet import Row, draw_sheet
from toolbox.images import Image, resize
from torchcaffe.regions import receptive_field

CATS = ("cougar_face", "wild_cat", "Leopards")
_ANIMALS = ("dalmatian", "panda", "okapi", "kangaroo", "llama")
TOP = 100
STROKES = ("conv3", 120)  # found by looking at the top patches of conv3's units


@finding("face-unit", "does conv5 have a unit for faces, and does it fire on cats' faces?")
def face_unit(lab: Lab) -> Found:
    """Compare the face unit's answers to people, cats, other animals and the rest."""
    unit = lab.face_unit()
    values = lab.survey.maxima[lab.top_map][:, unit]
    faces = lab.of(*FACES)
    groups = [("people's faces", faces)]
    groups += [(name, lab.categories == name) for name in CATS]
    groups.append(("other animals", np.isin(lab.categories, _ANIMALS)))
    groups.append(("all but people", ~faces))
    groups = [(name, which) for name, which in groups if which.any()]
    rows = [(name, int(which.sum()), float(values[which].mean()), float(values[which].max()),
             pairs_won(values[which], values[~which & ~faces]))
            for name, which in groups]  # fmt: skip
    among = faces[strongest(values)[: min(TOP, int(faces.sum()))]]
    above = float((values[faces] > values[~faces].max()).mean())
    said = (
        f"{lab.top_map}:{unit} is a face unit: {int(among.sum())} of the {len(among)} held-out "
        f"photos that excite it most show people's faces, and {100 * above:.0f} % of the faces "
        "excite it more than any other photo does."
    )
    sheet = []
    for name, which in groups:
        best = strongest(np.where(which, values, -np.inf))[: min(6, int(which.sum()))]
        sheet.append(Row(name, [lab.picture(lab.photos[i]) for i in best],
                         [f"{values[i]:.1f}" for i in best]))  # fmt: skip
    title = f"{lab.top_map}:{unit}, the strongest photos of each group and its activation"
    head = ("photos of", "count", "mean", "highest", "above a photo of neither")
    return Found(head, rows, said, draw_sheet(title, sheet))


def pairs_won(some: npt.NDArray[np.floating], others: npt.NDArray[np.floating]) -> float:
    """Return in which share of all pairs the first value is the higher; ties count half."""
    if not len(some) or not len(others):
        return float("nan")
    higher = (some[:, None] > others).mean()
    return float(higher + (some[:, None] == others).mean() / 2)


def selectivity(values: npt.NDArray[np.floating], categories: Sequence[str]) -> float:
    """Return the share that the commonest category has among the strongest photos."""
    names = np.asarray(categories)[strongest(values)[:TOP]]
    return Counter(names).most_common(1)[0][1] / len(names)


@finding("local-codes", "do single units stand for single categories?")
def local_codes(lab: Lab) -> Found:
    """Measure how much of each unit's strongest photos is of one category."""
    rows = []
    for layer in lab.layers[:-1]:
        values = lab.survey.maxima[layer]
        shares = np.array([selectivity(values[:, k], lab.categories.tolist())
                           for k in range(values.shape[1])])  # fmt: skip
        rows.append((layer, len(shares), float(np.median(shares)), float(shares.max()),
                     float((shares > 0.5).mean())))  # fmt: skip
    first, last = rows[0], rows[len(lab.maps) - 1]
    said = (
        f"Of the {min(TOP, len(lab.photos))} photos that excite a unit most, the commonest "
        f"category has more than half for {100 * first[4]:.0f} % of {first[0]}'s units and for "
        f"{100 * last[4]:.0f} % of {last[0]}'s. So there are local codes, but most units answer "
        f"to several categories (median {100 * last[2]:.0f} % in {last[0]})."
    )
    return Found(("layer", "units", "median share", "highest", "units above half"), rows, said)


@finding("no-class", "are there units for things that are no class?")
def no_class(lab: Lab) -> Found:
    """Show a unit that answers to rows of strokes, in photos of many categories."""
    layer, unit = STROKES if STROKES[0] in lab.maps else (lab.maps[0], 0)
    unit = min(unit, lab.net.blobs[layer].shape[1] - 1)
    values = lab.survey.maxima[layer][:, unit]
    order = strongest(values)
    names = Counter(lab.categories[order[:TOP]])
    rows = [(name, count) for name, count in names.most_common(8)]
    tiles = [_patch(lab, int(i), layer, unit) for i in order[:12]]
    captions = [f"{lab.photos[i].category}\n{values[i]:.1f}" for i in order[:12]]
    sheet = [Row("", tiles[i : i + 6], captions[i : i + 6]) for i in range(0, len(tiles), 6)]
    said = (
        f"{layer}:{unit} answers to rows of short strokes (print, frets, rails, windows), which "
        "are no class: its "
        f"{min(TOP, len(order))} strongest photos are of {len(names)} categories, none with more "
        f"than {names.most_common(1)[0][1]}. The picture shows what it sees in the first twelve."
    )
    title = f"{layer}:{unit}: what it sees where it answers most, category and activation"
    return Found(("category", "photos"), rows, said, draw_sheet(title, sheet))


def _patch(lab: Lab, photo: int, layer: str, unit: int) -> Image:
    """Return what a unit sees at its strongest place in a photo (RGB, outside is grey)."""
    lab.forward(lab.inputs([lab.photos[photo]]))
    values = lab.values(layer)[0, unit]
    row, column = divmod(int(values.argmax()), values.shape[1])
    region = receptive_field(lab.net, layer, row, column, lab.input)
    height, width = lab.optimizer.shape[1:]
    side = max(height, width)
    picture = lab.picture(lab.photos[photo], side)[:height, :width]
    out = np.full((region.height, region.width, 3), 128, np.uint8)
    top, left = region.rows[0], region.columns[0]
    y0, y1 = max(top, 0), min(region.rows[1] + 1, height)
    x0, x1 = max(left, 0), min(region.columns[1] + 1, width)
    out[y0 - top : y1 - top, x0 - left : x1 - left] = picture[y0:y1, x0:x1]
    return resize(out, 110, 110)


@finding("ablation", "what does the net lose with its face unit?")
def ablation(lab: Lab) -> Found:
    """Set the face unit's map to zero, and other units' maps, and classify the faces again."""
    unit = lab.face_unit()
    layer = lab.top_map
    units = lab.net.blobs[layer].shape[1]
    others = [k for k in np.linspace(0, units - 1, min(units, 12)).astype(int) if k != unit]
    faces = lab.of(*FACES)
    shown = [photo for photo, is_face in zip(lab.photos, faces, strict=True) if is_face][:96]
    rest = [photo for photo, is_face in zip(lab.photos, faces, strict=True) if not is_face]
    rest = rest[:: max(1, len(rest) // 96)][:96]
    labels = [i for i, name in enumerate(lab.optimizer.labels) if name in FACES]
    rows = []
    for name, photos in (("people's faces", shown), ("other photos", rest)):
        whole, without, with_others = [], [], []
        for first in range(0, len(photos), 16):
            part = photos[first : first + 16]
            own = [_truth(lab, photo, labels) for photo in part]
            lab.forward(lab.inputs(part))
            kept = lab.values(layer)
            whole.append(_mass(lab, own))
            without.append(_mass(lab, own, kept, unit))
            with_others.append(np.mean([_mass(lab, own, kept, k) for k in others], axis=0))
        rows.append((name, len(photos), *(float(np.concatenate(parts).mean())
                                          for parts in (whole, without, with_others))))  # fmt: skip
    said = (
        f"Without {layer}:{unit} the mean probability of a face's own class (Faces and Faces_easy "
        f"together) goes from {rows[0][2]:.3f} to {rows[0][3]:.3f}; without another unit it is "
        f"{rows[0][4]:.3f}. Photos of other things: {rows[1][2]:.3f}, {rows[1][3]:.3f} and "
        f"{rows[1][4]:.3f}. The code for faces is spread over more units than this one."
    )
    head = ("photos", "count", "whole net", f"without {layer}:{unit}", "without another unit")
    return Found(head, rows, said)


def _truth(lab: Lab, photo: object, labels: Sequence[int]) -> list[int]:
    """Return the classes that are right for a photo: either of faces for a face."""
    category = getattr(photo, "category", "")
    if category in FACES:
        return list(labels)
    return [i for i, name in enumerate(lab.optimizer.labels) if name == category]


def _mass(
    lab: Lab,
    right: Sequence[Sequence[int]],
    kept: npt.NDArray[np.float32] | None = None,
    unit: int = -1,
) -> npt.NDArray[np.float64]:
    """Return the probability of the right classes; with `kept`, after setting a unit to zero."""
    if kept is not None:
        blob = lab.net.blobs[lab.top_map].data
        blob[...] = kept
        blob[:, unit] = 0
        lab.net.forward(start=_behind(lab))
    prob = lab.net.blobs[lab.prob].data
    return np.array([prob[i, list(own)].sum() for i, own in enumerate(right)], np.float64)


def _behind(lab: Lab) -> str:
    """Return the first layer that reads the last convolution and is not in place on it."""
    for name in lab.net.layer_dict:
        bottoms, tops = lab.net.bottom_names[name], lab.net.top_names[name]
        if lab.top_map in bottoms and lab.top_map not in tops:
            return str(name)
    return lab.class_layer
