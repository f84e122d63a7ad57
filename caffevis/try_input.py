"""`python -m caffevis.try_input PHOTOS...`: the top classes under each way to prepare pictures.

The wrong order of colours or mean is the first thing that goes wrong with a network of one's
own, and it shows nowhere: the network answers, only worse. Side by side, the right way is seen.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import settings as settings_file
from caffevis.from_settings import read_labels
from caffevis.model.layer_list import image_of, shown_blobs
from caffevis.model.opening import EngineError, make_preprocess, open_net, run_once
from caffevis.model.preprocess import InputError
from toolbox.command_line import exit_status
from toolbox.pictures.crop import crop_to
from toolbox.pictures.image_file import ImageError, read_image
from toolbox.pictures.images import FloatArray, Image
from toolbox.settings.config import Settings, SettingsError
from toolbox.settings.presets import PRESETS, with_model, with_preset

TOP = 5
USER_ERRORS = (SettingsError, EngineError, InputError, ImageError)
WIDTH = 26


def top_classes(scores: FloatArray, labels: Sequence[str]) -> list[tuple[float, str]]:
    """Return the highest scores with their classes, as shares where they are none yet."""
    values = np.asarray(scores, np.float64).ravel()
    if values.min() < 0 or values.sum() > 1.001:
        values = np.exp(values - values.max())
        values /= values.sum()
    order = np.argsort(-values, kind="stable")[:TOP]
    return [(float(values[i]), labels[i] if i < len(labels) else f"class {i}") for i in order]


def answers(settings: Settings, photos: Sequence[Image]) -> list[list[tuple[float, str]]]:
    """Run the settings' network on photos; return the top classes of each."""
    net = open_net(settings)
    prepare = make_preprocess(net, settings)
    last = settings.caffevis_prob_layer or shown_blobs(net)[-1]
    labels = read_labels(settings.caffevis_labels)
    found = []
    for photo in photos:
        run_once(net, prepare(crop_to(photo)))
        found.append(top_classes(image_of(net.blobs[last].data), labels))
    return found


def table(name: str, columns: dict[str, list[tuple[float, str]]]) -> str:
    """Return a photo's classes, a column a preset."""
    rows = [[f"{share:4.0%} {label}" for share, label in column] for column in columns.values()]
    lines = ["".join(f"{preset:{WIDTH}}" for preset in columns)]
    for cells in zip(*rows, strict=True):
        lines.append("".join(f"{cell[: WIDTH - 2]:{WIDTH}}" for cell in cells))
    return "\n".join([name, *(f"  {line.rstrip()}" for line in lines), ""])


def surest(columns: dict[str, list[list[tuple[float, str]]]]) -> str:
    """Return the preset under which the network is surest of its first class, on average."""
    return max(columns, key=lambda preset: np.mean([best[0][0] for best in columns[preset]]))


def run(options: argparse.Namespace) -> int:
    """Print a table for each photo, and the preset that the network is surest under."""
    settings = settings_file.load(options.settings)
    if options.model is not None:
        settings = with_model(settings, options.model, options.weights, None)
    if options.labels is not None:
        settings = settings.replaced(caffevis_labels=options.labels)
    photos = [read_image(path) for path in options.photos]
    columns = {}
    for preset in PRESETS:
        columns[preset] = answers(with_preset(settings, preset), photos)
    for i, path in enumerate(options.photos):
        print(table(Path(path).name, {preset: found[i] for preset, found in columns.items()}))
    print(
        f"The network is surest under {surest(columns)!r}; look whether its classes are right, and "
        f'set caffevis_input_preset = "{surest(columns)}".'
    )
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 after one sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m caffevis.try_input",
        description="Show a network's top classes for photos under each input preset.",
    )
    add = parser.add_argument
    add("photos", nargs="+", metavar="PHOTO", help="pictures, best of known classes")
    add("--settings", type=Path, metavar="FILE", help="instead of settings_local.py")
    add("--model", metavar="FILE", help="instead of the settings' network")
    add("--weights", metavar="FILE", help="with --model: its weights")
    add("--labels", metavar="FILE", help="the classes, one a line")
    options = parser.parse_args(arguments)
    return exit_status("try_input", lambda: run(options), USER_ERRORS)


if __name__ == "__main__":
    sys.exit(main())
