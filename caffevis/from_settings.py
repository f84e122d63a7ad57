"""What the app takes from the settings, checked: labels, names of layers, the state's options."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from caffevis.keys.state import MAKE_MISSING, MAKE_NONE, Options
from caffevis.model.layer_list import NetLike
from caffevis.units.image_paths import OPTIMISED, folder_from
from toolbox.settings.config import Settings, SettingsError

LONGEST_NAME = 80  # letters of a network's name in the window's title
SYNSET = re.compile(r"^n\d{8}\s+(?=\S)")  # WordNet's number, as in Caffe's synset_words.txt


def read_labels(path: str | None) -> tuple[str, ...]:
    """Read class labels, one a line; the synset in front of a name (`n01532829`) is left out.

    Raises
    ------
    SettingsError
        The file cannot be read.
    """
    if path is None:
        return ()
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SettingsError(f"caffevis_labels: {path} cannot be read: {reason}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"caffevis_labels: {path} is not a text file (UTF-8).") from error
    return tuple(SYNSET.sub("", line.strip()) for line in lines if line.strip())


def namer(settings: Settings) -> Callable[[str], str]:
    """Return what turns a layer's name into its label in the list."""
    names = settings.caffevis_layer_pretty_name_dict or settings.caffevis_layer_pretty_names or {}
    function = settings.caffevis_layer_pretty_name_fn

    def label(name: str) -> str:
        known = names.get(name, name)
        return str(function(known)) if function is not None else known

    return label


def model_name(net: NetLike, settings: Settings) -> str:
    """Name the network: as its prototxt does, else as the prototxt's folder is called."""
    written = str(getattr(net, "name", "") or "")
    printable = "".join(letter if letter.isprintable() else " " for letter in written)
    prototxt = settings.caffevis_deploy_prototxt
    folder = Path(prototxt).resolve().parent.name if prototxt else ""
    return printable.strip()[:LONGEST_NAME] or folder or "unnamed"


def options_from(settings: Settings) -> Options:
    """Collect what the state needs of the settings.

    Raises
    ------
    SettingsError
        A default index is beyond its list of choices.
    """
    for kind in ("indiv", "gamma"):
        index = getattr(settings, f"caffevis_boost_{kind}_default_idx")
        count = len(getattr(settings, f"caffevis_boost_{kind}_choices"))
        if index >= count:
            raise SettingsError(
                f"caffevis_boost_{kind}_default_idx is {index}, but there are {count} choices."
            )
    return Options(
        boost_indiv=settings.caffevis_boost_indiv_choices,
        boost_gamma=settings.caffevis_boost_gamma_choices,
        indiv_index=settings.caffevis_boost_indiv_default_idx,
        gamma_index=settings.caffevis_boost_gamma_default_idx,
        fast=settings.caffevis_fast_move_dist,
        show_labels=settings.caffevis_init_show_label_predictions,
        show_unit_jpgs=settings.caffevis_init_show_unit_jpgs,
        fills=settings.caffevis_make_images is not False,
        make=MAKE_MISSING if _makes_missing(settings) else MAKE_NONE,
    )


def _makes_missing(settings: Settings) -> bool:
    """Tell whether units without images get them while one looks."""
    wanted: bool | None = settings.caffevis_make_images
    return folder_from(settings).is_empty(OPTIMISED) if wanted is None else wanted
