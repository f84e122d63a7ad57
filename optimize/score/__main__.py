"""`python -m optimize.score`: a scorecard of images of units, a folder a column."""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import torchcaffe as caffe
from optimize.ascent.top_images import read_images
from optimize.command import settings_defaults
from optimize.command.arguments import add_model, checked_words, new_parser
from optimize.command.open_model import model_from, open_optimizer
from optimize.errors import OptimizeError
from optimize.output.files import json_bytes, write
from optimize.params import FindParams
from optimize.photos import photo_files, read_square
from optimize.score import top_photos
from optimize.score.card import Score, Scorer, photos_score
from optimize.score.unit_sets import read_sets
from optimize.score.viewer import Viewer
from toolbox.command_line import exit_status

PROGRAM = "python -m optimize.score"
PHOTOS = 300
_NUMBERS = ("contrast", "slope", "strongest", "diversity", "transfer")
Card = dict[str, dict[str, Score]]  # folder -> layer -> score


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = new_parser(PROGRAM, "Score images of units that python -m optimize --unit-jpg-dir "
                        "made: contrast and spectrum against photos, whether the unit is the "
                        "strongest, likeness to its top photos layer by layer, whether another "
                        "network agrees, and how a unit's images differ.")  # fmt: skip
    add_model(parser)
    add = parser.add_argument_group("what is scored").add_argument
    add("folders", nargs="+", type=Path, metavar="DIR", help="unit images; a column each")
    add("--photos", type=Path, metavar="FOLDER",
        help=f"photos to compare with, {PHOTOS} of them at most")  # fmt: skip
    add("--other-settings", type=Path, metavar="FILE",
        help="settings of another network, for the transfer of classes")  # fmt: skip
    add("--out", type=Path, metavar="FILE", help="write the numbers as JSON too")
    add("--threads", type=int, metavar="N", help="processor threads")
    return checked_words(parser, words)


def score(options: argparse.Namespace) -> tuple[Card, tuple[float, float]]:
    """Score all folders; return the scores, and contrast and slope of the photos."""
    defaults = settings_defaults.read(options.settings).model
    model = model_from(options, defaults)
    viewer = Viewer(open_optimizer(model))
    other = None
    if options.other_settings:
        second = settings_defaults.read(options.other_settings).model
        # On the same device: a net computes where the last one opened does.
        other = Viewer(open_optimizer(dataclasses.replace(second, gpu=model.gpu)))
    sets = {str(folder): read_sets(viewer.optimizer, folder) for folder in options.folders}
    files = photo_files(options.photos, PHOTOS) if options.photos else []
    photos = read_images(viewer.optimizer, [str(path) for path in files])
    scorer, card = Scorer(viewer, other), dict[str, dict[str, Score]]()
    known: dict[tuple[str, ...], list[top_photos.Compared]] = {}
    for folder, layers in sets.items():
        card[folder] = {}
        for layer, units in layers.items():
            print(f"{folder}: {layer}, {len(units)} units", file=sys.stderr, flush=True)
            asked = [_place_of(unit.params) for unit in units]
            key = tuple(params.to_json() for params in asked)
            if photos and key not in known:
                known[key] = top_photos.find(viewer, asked, photos)
            card[folder][layer] = scorer.layer(units, known.get(key))
    return card, photos_score([read_square(path) for path in files])


def _place_of(params: FindParams) -> FindParams:
    """Return a unit without the way that its images were made: folders are compared alike."""
    return FindParams(
        params.push_layer, params.push_channel, params.push_spatial, full_image=params.full_image
    )


def tables(card: Card, photos: tuple[float, float]) -> str:
    """Write the scores as tables in Markdown: the numbers, and the likeness layer by layer."""
    heads = [Path(folder).name for folder in card]
    lines = [_row(["layer", "set", "images", *_NUMBERS]), _row(["---"] * (3 + len(_NUMBERS)))]
    for layer in _layers(card):
        for head, scores in zip(heads, card.values(), strict=True):
            if layer in scores:
                found = scores[layer]
                numbers = [_text(getattr(found, name)) for name in _NUMBERS]
                lines.append(_row([layer, head, str(found.images), *numbers]))
    if not math.isnan(photos[0]):
        lines.append(_row(["photos", "", "", *map(_text, photos), *[""] * (len(_NUMBERS) - 2)]))
    lines += ["", _row(["likeness of", "to its top photos in", *heads]),
              _row(["---"] * (2 + len(heads)))]  # fmt: skip
    for layer in _layers(card):
        rows = [scores[layer].path for scores in card.values() if layer in scores]
        for name in rows[0] if rows else ():
            values = [_text(s[layer].path[name]) if layer in s else "" for s in card.values()]
            lines.append(_row([layer, name, *values]))
    return "\n".join(lines)


def _layers(card: Card) -> list[str]:
    return list(dict.fromkeys(layer for scores in card.values() for layer in scores))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _text(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def record(card: Card, photos: tuple[float, float]) -> Mapping[str, object]:
    """Return the scores as JSON has them, what can't be had as null."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {key: plain(v) for key, v in value.items()}
        return None if isinstance(value, float) and not np.isfinite(value) else value

    sets = {
        folder: {layer: plain(dataclasses.asdict(s)) for layer, s in scores.items()}
        for folder, scores in card.items()
    }
    return {"photos": plain(dict(zip(("contrast", "slope"), photos, strict=True))), "sets": sets}


def run(words: Sequence[str]) -> None:
    """Do what the command line asks for."""
    options = parse(words)
    if options.threads:
        caffe.set_threads(options.threads)
    card, photos = score(options)
    print(tables(card, photos))
    if options.out:
        write(options.out, json_bytes(record(card, photos)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 2 after a sentence, 130 when stopped."""
    words = sys.argv[1:] if arguments is None else arguments
    return exit_status(PROGRAM, lambda: run(words), (OptimizeError, caffe.CaffeError), "stopped")


if __name__ == "__main__":
    sys.exit(main())
