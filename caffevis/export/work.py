"""Photo by photo through the network, and what is asked for written to files."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffevis.export import written
from caffevis.export.errors import ExportError
from caffevis.export.kinds import CAM, KINDS, Exported
from caffevis.export.written import Line
from caffevis.keys.state import Layer, Origin
from caffevis.model.layer_list import NetLike, missing_layer, producers
from caffevis.net.network import Network
from caffevis.units.image_paths import layer_path
from toolbox.drawing.tiles import as_maps
from toolbox.input.frame import Frame
from toolbox.pictures.crop import to_aspect
from toolbox.pictures.image_file import ImageError, looks_like_picture, read_image, write_image

EVERY = 20  # photos between two writings of the table: what a kill loses at most
GATHERING = {"Pooling", "LRN"}
_UNIT = re.compile(r"(?P<layer>\S+):(?P<unit>\d{1,9})")


@dataclass(frozen=True)
class Job:
    """What to export.

    Parameters
    ----------
    photos : Path
        The folder.
    out : Path
        Where to.
    units : tuple of Origin
        Of which units.
    what : tuple of str
        Of `KINDS`.
    cam_layers : tuple of str
        For each unit, the layer that Grad-CAM is of.
    stretch : bool
        Stretch photos to the input's aspect, else crop the largest centred part.
    """

    photos: Path
    out: Path
    units: tuple[Origin, ...]
    what: tuple[str, ...]
    cam_layers: tuple[str, ...]
    stretch: bool


def parse_units(text: str, net: NetLike, layers: Sequence[Layer]) -> tuple[Origin, ...]:
    """Read `conv5:60,fc8:5`.

    Raises
    ------
    ExportError
        A word has another form, or the network has no such layer or unit.
    """
    known, found = {layer.name: layer for layer in layers}, []
    for word in filter(None, (part.strip() for part in text.split(","))):
        match = _UNIT.fullmatch(word)
        if match is None:
            raise ExportError(
                f"--units {word!r} is not written like conv5:60; several are separated by commas"
            )
        layer, unit = match["layer"], int(match["unit"])
        if layer not in known:
            raise ExportError(f"--units {word}: {missing_layer(net, layer)}")
        if unit >= known[layer].units:
            raise ExportError(
                f"--units {word}: {layer} has the units 0 to {known[layer].units - 1}"
            )
        found.append(Origin(layer, unit))
    if not found:
        raise ExportError("--units names no unit; write them like conv5:60,fc8:5")
    return tuple(dict.fromkeys(found))


def cam_layer(unit: Origin, layers: Sequence[Layer], wanted: str | None, net: NetLike) -> str:
    """Choose the layer for a unit's Grad-CAM: the one asked for, or the last below with maps.

    Layers that only gather or scale another's maps (pooling, LRN) are passed over, as the paper
    takes the last convolution.

    Raises
    ------
    ExportError
        The network has no layer of that name.
    """
    names = [layer.name for layer in layers]
    if wanted is not None:
        if wanted not in names:
            raise ExportError(f"--cam-layer {wanted}: {missing_layer(net, wanted)}")
        return wanted
    types = {name: layer.type for name, layer in zip(net._layer_names, net.layers, strict=True)}
    makers = {blob: types[writers[0]] for blob, writers in producers(net).items()}
    maps = [
        layer.name
        for layer in layers[: names.index(unit.layer)]
        if layer.values > 1 and not layer.repeats and makers.get(layer.name) not in GATHERING
    ]
    return maps[-1] if maps else unit.layer


def photos_in(folder: Path) -> list[str]:
    """List the pictures of a folder and those below it, but hidden ones, sorted.

    Raises
    ------
    ExportError
        It is no folder, cannot be read, or has no picture.
    """

    def refuse(error: OSError) -> None:
        raise ExportError(f"{error.filename} cannot be read: {error.strerror}") from error

    if not folder.is_dir():
        raise ExportError(f"--photos {folder} is not a folder; name the one with the photos")
    found = []
    for here, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        place = Path(here).relative_to(folder)
        found += [
            (place / name).as_posix()
            for name in files
            if not name.startswith(".") and looks_like_picture(Path(here, name))
        ]
    if not found:
        raise ExportError(f"--photos {folder} holds no picture")
    return sorted(found)


@dataclass
class Outcome:
    """What there is to report: exports made now, made before, and bad photos with the reason."""

    made: int = 0
    before: int = 0
    bad: dict[str, str] | None = None


def export(
    job: Job, network: Network, aspect: float, seen: Callable[[str], None] = lambda name: None
) -> Outcome:
    """Export what is not there yet.

    Parameters
    ----------
    job : Job
        What.
    network : Network
        The network.
    aspect : float
        Width over height of its input.
    seen : callable
        Gets each photo's name when it is done.

    Raises
    ------
    ExportError
        A file cannot be written.
    EngineError
        The engine failed.
    """
    lines, outcome = written.read(job.out), Outcome(bad={})
    bad: dict[str, str] = {}
    fresh = 0
    try:
        for number, name in enumerate(photos_in(job.photos)):
            wanted = list(_missing(job, name, lines, outcome))
            if wanted:
                fresh += 1
                try:
                    image = to_aspect(read_image(job.photos / name), job.stretch, aspect)
                except ImageError as error:
                    bad[name] = str(error)
                    continue
                frame = Frame(number, image, name)
                made = [_one(job, network, frame, *which) for which in wanted]
                lines |= {line.key: line for line in made}
                outcome.made += len(made)
                if fresh % EVERY == 0:
                    written.write(job.out, lines)
            seen(name)
    finally:  # also where the user stops it
        written.write(job.out, lines)
    outcome.bad = bad
    return outcome


Which = tuple[Origin, str, str]  # unit, what, layer of Grad-CAM


def _missing(
    job: Job, photo: str, lines: dict[tuple[str, ...], Line], outcome: Outcome
) -> Iterator[Which]:
    """List what is still to be made of a photo; the passes of one unit follow each other."""
    for unit, layer in zip(job.units, job.cam_layers, strict=True):
        for what in job.what:
            below = layer if what == CAM else ""
            if (photo, unit.layer, str(unit.unit), what, below) in lines:
                outcome.before += 1
            else:
                yield unit, what, below


def _one(job: Job, network: Network, frame: Frame, unit: Origin, what: str, below: str) -> Line:
    """Make one export."""
    kind = KINDS[what]
    result = network(kind.ask(frame, unit, below))
    found = kind.draw(result, unit)
    values = as_maps(result.activations)
    value = result.cam.value if result.cam is not None else float(values[unit.unit].max())
    path = layer_path(unit.layer)
    if path is None:
        raise ExportError(f"no file can have the name of layer {unit.layer!r}")
    ending = f"_{below.replace('/', '_')}" if below else ""
    stem = f"{frame.name}/{path.as_posix()}_{unit.unit}_{what}{ending}"
    png, npy = _save(job.out, stem, found)
    return Line(frame.name, unit.layer, str(unit.unit), what, below, f"{value:.6g}", png, npy,
                found.note)  # fmt: skip


def _save(out: Path, stem: str, found: Exported) -> tuple[str, str]:
    """Write an export's files; return their names."""
    png = npy = ""
    if found.values is not None:
        npy, data = f"{stem}.npy", io.BytesIO()
        np.save(data, found.values, allow_pickle=False)
        written.save(out / npy, data.getvalue())
    if found.picture is not None:
        png = f"{stem}.png"
        try:
            write_image(out / png, found.picture)
        except ImageError as error:
            raise ExportError(str(error)) from error
    return png, npy
