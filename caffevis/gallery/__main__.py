"""Make a static site of a model's unit images, to be opened in any browser.

It shows each layer's units, and of each unit the three pictures that the live app shows. Nothing
has to be installed or served to look at it: open index.html.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import settings as settings_file
from caffevis.from_settings import model_name, namer, read_labels
from caffevis.gallery.collect import collect
from caffevis.gallery.errors import GalleryError
from caffevis.gallery.site import Words, check_folder, write
from caffevis.gallery.weights import weight_pictures
from caffevis.keys.state import Layer
from caffevis.model.classes import find_classes
from caffevis.model.layer_list import LayerError, list_layers
from caffevis.model.opening import EngineError, open_shapes
from caffevis.units.image_paths import folder_from
from toolbox.command_line import exit_status, show_warning
from toolbox.settings.config import Settings, SettingsError

PROGRAM = "caffevis.gallery"


class Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong with the command line."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and exit with 2."""
        self.exit(2, f"{PROGRAM}: {message} (see python -m {PROGRAM} --help)\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog=f"python -m {PROGRAM}", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--out", metavar="DIR", type=Path, required=True,
        help="where to write the site: a new or empty folder, or an older gallery to replace",
    )  # fmt: skip
    parser.add_argument(
        "--unit-jpg-dir", metavar="DIR", type=Path,
        help="the folder of unit images; without it caffevis_unit_jpg_dir of the settings",
    )  # fmt: skip
    parser.add_argument(
        "--settings", metavar="FILE", type=Path,
        help="instead of settings_local.py: names the network (order and names of the layers) and "
        "the labels; without either, the bundled model's",
    )  # fmt: skip
    parser.add_argument(
        "--link", action="store_true",
        help="show the pictures where they are, by relative paths, instead of copying them",
    )  # fmt: skip
    return parser.parse_args(arguments)


def read_layers(
    settings: Settings, labels: tuple[str, ...]
) -> tuple[str, tuple[Layer, ...], tuple[str, ...]]:
    """Read the network's name, its layers and those of classes; none where it cannot be built.

    Raises
    ------
    LayerError
        It has no layers to show.
    """
    try:
        net = open_shapes(settings)
    except EngineError as error:
        show_warning(f"layers are shown in the order of their names, because of this: {error}")
        folder = Path(settings.caffevis_deploy_prototxt).resolve().parent.name
        return folder, (), settings.caffevis_label_layers or ()
    layers = list_layers(net, 1.0, namer(settings), settings.caffevis_filter_layers)
    return model_name(net, settings), layers, find_classes(net, layers, settings, labels).layers


def run(options: argparse.Namespace) -> str:
    """Make the site; return what to tell the user."""
    settings = settings_file.load(options.settings)
    folder = folder_from(settings)
    if options.unit_jpg_dir is not None:
        folder = replace(folder, root=str(options.unit_jpg_dir))
    if folder.root is not None:
        check_folder(options.out.resolve(), Path(folder.root))
    labels = read_labels(settings.caffevis_labels)
    name, layers, labelled = read_layers(settings, labels)
    found = collect(folder, layers, labels, labelled)
    words = Words(name, settings.caffevis_fast_move_dist)
    for note in found.notes:
        show_warning(note)
    weights = weight_pictures(settings, [entry.name for entry in found.layers])
    written = write(found, words, options.out, link=options.link, weights=weights)
    units = sum(entry.units for entry in found.layers)
    return (
        f"{options.out / 'index.html'}: {len(found.layers)} layers, {units} units, "
        f"{written.pictures} pictures of units, {written.size / 1e6:.1f} MB"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name.

    Returns
    -------
    int
        0; 2 after one sentence on standard error; 130 where the user stopped it.
    """
    words = sys.argv[1:] if arguments is None else arguments
    errors = (GalleryError, SettingsError, LayerError)
    return exit_status(
        PROGRAM, lambda: print(run(parse(words))), errors, "stopped, nothing is changed"
    )


if __name__ == "__main__":
    sys.exit(main())
