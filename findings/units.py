"""Findings about single units: faces, strokes, local codes, and what one unit's loss costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from findings.lab import FACES, Lab, Photo, strongest
from findings.registry import Found, finding
from optimize.figures.sheet import Row, draw_sheet
from toolbox.pictures.images import Image, resize
from torchcaffe.regions import receptive_field

CATS = ("cougar_face", "wild_cat", "Leopards")
_ANIMALS = ("dalmatian", "panda", "okapi", "kangaroo", "llama")
TOP = 100
SOME = 96  # photos of other things that are shown to the net without the face unit
FEW = 7  # photos of a category that can be judged by its share of the strongest
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


def precisions(values: npt.NDArray[np.floating], categories: Sequence[str]) -> dict[str, float]:
    """Return of each category with n photos its share of the n strongest photos.

    A fixed number of strongest photos would measure the categories' sizes: one with 12 photos
    can't have half of 100. Categories with fewer than `FEW` photos are left out.
    """
    order = np.asarray(categories)[strongest(values)]
    sizes = Counter(order.tolist())
    return {
        name: float((order[:size] == name).mean()) for name, size in sizes.items() if size >= FEW
    }


@finding("local-codes", "do single units stand for single categories?")
def local_codes(lab: Lab) -> Found:
    """Measure of each unit how well its strongest photos are those of its best category."""
    names = lab.categories.tolist()
    shuffled = np.random.default_rng(0).permutation(lab.categories).tolist()
    rows = []
    for layer in lab.layers[:-1]:
        values = lab.survey.maxima[layer]
        best = [max(precisions(column, names).items(), key=lambda item: item[1], default=("", 0.0))
                for column in values.T]  # fmt: skip
        chance = [max(precisions(column, shuffled).values(), default=0.0) for column in values.T]
        shares = np.array([share for _, share in best])
        local = {name for name, share in best if share >= 0.5}
        rows.append((layer, len(shares), float(np.median(shares)), float(shares.max()),
                     float((shares >= 0.5).mean()), len(local),
                     float((np.array(chance) >= 0.5).mean())))  # fmt: skip
    first, conv, last = rows[0], rows[len(lab.maps) - 1], rows[-1]
    told = ", ".join(f"{100 * row[4]:.0f} % of {row[0]}'s units" for row in (first, conv, last))
    said = (
        "A unit counts as local where, of as many of its strongest photos as a category has, at "
        f"least half are of that category: {told}, for {first[5]}, {conv[5]} and {last[5]} "
        f"categories. With the categories shuffled: {100 * max(row[6] for row in rows):.0f} % at "
        "most in any layer."
    )
    head = ("layer", "units", "median", "highest", "local units", "categories", "shuffled")
    return Found(head, rows, said)


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
    """Set each unit's map to zero in turn, and classify faces and other photos again."""
    unit, layer = lab.face_unit(), lab.top_map
    faces = lab.of(*FACES)
    shown = [p for p, is_face in zip(lab.photos, faces, strict=True) if is_face]
    rest = [p for p, is_face in zip(lab.photos, faces, strict=True) if not is_face]
    rest = rest[:: max(1, len(rest) // SOME)][:SOME]
    whole, without = _without_each(lab, shown, range(lab.net.blobs[layer].shape[1]))
    others = _without_each(lab, rest, [unit])
    costliest, median = int(without.argmin()), float(np.median(np.delete(without, unit)))
    rows: list[tuple[object, ...]] = [
        ("people's faces", len(shown), "no unit", whole),
        ("", "", f"{layer}:{unit}, the face unit", float(without[unit])),
        ("", "", f"{layer}:{costliest}, the costliest", float(without[costliest])),
        ("", "", "the median unit", median),
        ("other photos", len(rest), "no unit", others[0]),
        ("", "", f"{layer}:{unit}, the face unit", float(others[1][0])),
    ]
    said = (
        f"Without {layer}:{unit} the mean probability of a face's own class (Faces and Faces_easy "
        f"together) goes from {whole:.3f} to {without[unit]:.3f}, the loss of rank "
        f"{1 + int((without < without[unit]).sum())} of {len(without)} units; the costliest "
        f"leaves {without[costliest]:.3f}, the median unit {median:.3f}. Photos of other things: "
        f"{others[0]:.3f} and {others[1][0]:.3f}."
    )
    return Found(("photos of", "count", "without", "probability of the right class"), rows, said)


def _without_each(
    lab: Lab, photos: Sequence[Photo], taken: Sequence[int]
) -> tuple[float, npt.NDArray[np.float64]]:
    """Return the mean probability of the right class: of the whole net, and without each unit."""
    labels = [i for i, name in enumerate(lab.optimizer.labels) if name in FACES]
    whole, without = 0.0, np.zeros(len(taken))
    for first in range(0, len(photos), 32):
        part = photos[first : first + 32]
        own = [_truth(lab, photo, labels) for photo in part]
        lab.forward(lab.inputs(part))
        kept = lab.values(lab.top_map)
        whole += float(_mass(lab, own).sum())
        without += [float(_mass(lab, own, kept, k).sum()) for k in taken]
    return whole / len(photos), without / len(photos)


def _truth(lab: Lab, photo: Photo, labels: Sequence[int]) -> list[int]:
    """Return the classes that are right for a photo: either of faces for a face."""
    if photo.category in FACES:
        return list(labels)
    return [i for i, name in enumerate(lab.optimizer.labels) if name == photo.category]


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
