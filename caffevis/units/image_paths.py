"""Where images of units lie on disk, and which command makes those that are missing.

    regularized_opt/<layer>/<layer>_<unit:04d>_montage.jpg   optimised images of one unit
    regularized_opt/<layer>/whole_layer.jpg                  one a unit, tiled
    max_im/<layer>/<layer>_<unit:04d>.jpg                    top-9 patches, 3 x 3
    max_deconv/<layer>/<layer>_<unit:04d>.jpg                deconv of those, 3 x 3
    from_pictures/<layer>/<layer>_<unit:04d>_<photo>.jpg     photos shifted towards a unit
    card/<layer>/<layer>_<unit:04d>.jpg                      patches at other levels, 4 x 3

A `/` in a layer's name becomes a folder, of the file's name too; files that lie
directly in the layer's folder are found as well.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from toolbox.settings.config import Settings

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Kind:
    """One of the three pictures that a unit has.

    Parameters
    ----------
    folder : str
        Below the folder of unit images.
    ending : str
        Of the file's name, after layer and unit.
    name : str
        What a message calls it.
    cure : str
        How to have it in the window, where it is missing.
    """

    folder: str
    ending: str
    name: str
    cure: str


_PHOTOS = "--photos DIR finds them"
OPTIMISED = Kind("regularized_opt", "_montage.jpg", "optimised images", "press 2 to make them")
PATCHES = Kind("max_im", ".jpg", "top patches", _PHOTOS)
DECONV = Kind("max_deconv", ".jpg", "deconv of top patches", _PHOTOS)
KINDS = (OPTIMISED, PATCHES, DECONV)
CARD = Kind("card", ".jpg", "patches at 99, 90, 50 %, lowest", "the terminal has the command")
CARD_KINDS = (PATCHES, CARD)
FROM_PICTURES = "from_pictures"  # kept here, and not shown by the window: not of the unit alone
ALL_KINDS = (*KINDS, CARD)
SHEET = "whole_layer.jpg"


def layer_path(layer: str) -> Path | None:
    """Turn a layer's name into a relative path.

    Parameters
    ----------
    layer : str
        As the network names it.

    Returns
    -------
    Path or None
        One folder for each part between slashes; None for a name that would lead
        out of the folder it is put into, or that no file can have.
    """
    parts = layer.split("/")
    if any(part in ("", ".", "..") or set(part) & set("\\:\0") for part in parts):
        return None
    return Path(*parts)


@dataclass(frozen=True)
class UnitFolder:
    """The folder of unit images, and of which layers images are shown.

    Parameters
    ----------
    root : str or None
        `caffevis_unit_jpg_dir`; None where it is not set.
    layers : tuple of str or None
        `caffevis_jpgvis_layers`: only these; None for all.
    remap : mapping of str to str
        `caffevis_jpgvis_remap`: layers that borrow another's images.
    model : tuple of str or None
        Definition and weights of the network; None where they are not known.
    settings : Path or None
        The settings file in use, for the commands; None for none.
    """

    root: str | None
    layers: tuple[str, ...] | None = None
    remap: Mapping[str, str] = field(default_factory=dict)
    model: tuple[str, str] | None = None
    settings: Path | None = None

    def source(self, layer: str) -> str:
        """Name the layer whose images a layer shows."""
        return self.remap.get(layer, layer)

    def shows(self, layer: str) -> bool:
        """Tell whether the settings let a layer's images be shown."""
        return self.layers is None or bool({layer, self.source(layer)} & set(self.layers))

    def sheet(self, layer: str) -> Path | None:
        """Return where a layer's sheet lies; None where no file can."""
        below = layer_path(self.source(layer))
        if self.root is None or below is None:
            return None
        return Path(self.root) / OPTIMISED.folder / below / SHEET

    def unit(self, kind: Kind, layer: str, unit: int) -> list[Path]:
        """Return where a unit's picture may lie, the usual place first."""
        below = layer_path(self.source(layer))
        if self.root is None or below is None:
            return []
        folder = Path(self.root) / kind.folder / below
        return [
            folder / name.with_name(f"{name.name}_{unit:04d}{kind.ending}")
            for name in dict.fromkeys((below, Path(below.name)))
        ]

    def is_empty(self, kind: Kind) -> bool:
        """Tell whether there are no pictures of a kind, of whatever layer."""
        folder = None if self.root is None else Path(self.root) / kind.folder
        try:
            return folder is None or not any(folder.iterdir())
        except OSError:
            return True

    def pictures(self, kind: Kind, layer: str) -> Path | None:
        """Return the folder of a layer's pictures; None where no file can be."""
        below = layer_path(self.source(layer))
        return None if self.root is None or below is None else Path(self.root) / kind.folder / below

    def command(self, kind: Kind, layer: str) -> str:
        """Spell the command that makes a kind of pictures for a layer.

        Parameters
        ----------
        kind : Kind
            What is missing.
        layer : str
            The layer viewed; the command names the one whose images it shows.

        Returns
        -------
        str
            As it is typed in a shell, in the folder where the app was started; `PHOTOS` and
            `FOLDER` stand for folders of the user's own.
        """
        settings = [] if self.settings is None else ["--settings", _typed(self.settings)]
        layers = [*settings, "--layers", shlex.quote(self.source(layer))]
        folder = _typed(self.root) if self.root else "FOLDER"
        if kind is OPTIMISED:
            words = [
                "-m", "optimize", "--preset", "5", *layers, "--seeds", "9", "--unit-jpg-dir", folder
            ]  # fmt: skip
        else:
            out = [] if self.root else ["--out", folder]
            words = ["-m", "visualizations", *layers, *out, "--photos", "PHOTOS"]
        here = [] if Path.cwd() == ROOT else ["cd", shlex.quote(str(ROOT)), "&&"]
        python = _typed(sys.executable or "python")
        if kind is CARD:
            words = self._card_words(python, layer, folder)
        return " ".join([*here, python, *words])

    def _card_words(self, python: str, layer: str, folder: str) -> list[str]:
        """Spell the scan and the crops that make cards, behind a first `python`."""
        settings = [] if self.settings is None else ["--settings", _typed(self.settings)]
        net = [_typed(name) for name in self.model or ("NET", "WEIGHTS")]
        name = shlex.quote(self.source(layer))
        return [
            "-m", "find_maxes.find_max_acts", "--labels", "--quantiles", *settings, "--layers",
            name, "--", *net, "PHOTOS", "-", "max.npz", "&&", python, "-m",
            "find_maxes.crop_max_patches", "--unit-jpg-dir", folder, "max.npz", *net, "PHOTOS",
            "-", "patches", name,
        ]  # fmt: skip


def _typed(path: str | Path) -> str:
    """Write a path as it is typed in the checkout."""
    path = os.path.abspath(path)
    inside = Path(path).is_relative_to(ROOT)
    return shlex.quote(os.path.relpath(path, ROOT) if inside else path)


def folder_from(settings: Settings) -> UnitFolder:
    """Read from the settings where images of units lie."""
    prototxt, weights = settings.caffevis_deploy_prototxt, settings.caffevis_network_weights
    return UnitFolder(
        root=settings.caffevis_unit_jpg_dir,
        layers=settings.caffevis_jpgvis_layers,
        remap=settings.caffevis_jpgvis_remap or {},
        model=(prototxt, weights) if prototxt and weights else None,
        settings=settings.source,
    )
