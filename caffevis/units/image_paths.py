"""Where images of units lie on disk, and which command makes those that are missing.

    regularized_opt/<layer>/<layer>_<unit:04d>_montage.jpg   optimised images of one unit
    regularized_opt/<layer>/whole_layer.jpg                  one a unit, tiled
    max_im/<layer>/<layer>_<unit:04d>.jpg                    top-9 patches, 3 x 3
    max_deconv/<layer>/<layer>_<unit:04d>.jpg                deconv of those, 3 x 3

A `/` in a layer's name becomes a folder, of the file's name too; files that lie
directly in the layer's folder are found as well.
"""

from __future__ import annotations

import os
import shlex
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
    """

    folder: str
    ending: str
    name: str


OPTIMISED = Kind("regularized_opt", "_montage.jpg", "optimised images")
PATCHES = Kind("max_im", ".jpg", "top patches")
DECONV = Kind("max_deconv", ".jpg", "deconv of top patches")
KINDS = (OPTIMISED, PATCHES, DECONV)
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
    model : tuple of str
        Definition and weights of the network, for the commands.
    """

    root: str | None
    layers: tuple[str, ...] | None = None
    remap: Mapping[str, str] = field(default_factory=dict)
    model: tuple[str, ...] = ("DEPLOY.prototxt", "WEIGHTS.caffemodel")

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
            To be run in the checkout; words in capitals stand for the user's own
            files.
        """
        folder, *model = (_short(path) for path in (self.root or "FOLDER", *self.model))
        layer = shlex.quote(self.source(layer))
        if kind is OPTIMISED:
            return (
                f"python -m optimize --preset 5 --layers {layer} --seeds 9 --unit-jpg-dir {folder}"
            )
        return (
            "python -m find_maxes.crop_max_patches --do-maxes --do-deconv --unit-jpg-dir "
            f"{folder} MAXES.npz {' '.join(model)} PHOTOS LIST OUT {layer}"
        )


def _short(path: str) -> str:
    """Write a path as it is typed in the checkout."""
    inside = Path(path).is_relative_to(ROOT)
    return shlex.quote(os.path.relpath(path, ROOT) if inside else path)


def folder_from(settings: Settings) -> UnitFolder:
    """Read from the settings where images of units lie."""
    return UnitFolder(
        root=settings.caffevis_unit_jpg_dir,
        layers=settings.caffevis_jpgvis_layers,
        remap=settings.caffevis_jpgvis_remap or {},
        model=(
            settings.caffevis_deploy_prototxt or "DEPLOY.prototxt",
            settings.caffevis_network_weights or "WEIGHTS.caffemodel",
        ),
    )
