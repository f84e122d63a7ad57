"""What the user asked for: the model, the photos, and where everything goes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

import settings as settings_file
import torchcaffe as caffe
from optimize.command import settings_defaults
from optimize.command.open_model import ModelSpec, read_labels
from optimize.params import PRESETS, FindParams
from toolbox.pictures.held import HeldError, held_words, parse_held
from toolbox.pictures.whole_file import write_whole
from visualizations import steps
from visualizations.errors import VisualizationsError
from visualizations.identity import digest, model_digest, photos_digest

ROOT = Path(__file__).resolve().parents[1]
BUNDLED = "caffenet-caltech101"
# What people can read on networks that nothing was tuned for (docs/optimize.md has the figures).
PRESET, ITERATIONS = 5, 120
# Of the paper's presets: fewer iterations than the tool's usual 300, with longer steps; on the
# bundled model the images look the same.
_STEPS = {"lr_policy": "rms", "lr_params": {"step": 6.0, "late_step": 3.0}}


def settings_path(model: str | None, settings: Path | None) -> Path:
    """Return the settings file of a model below `models/`, or the one named.

    Raises
    ------
    VisualizationsError
        There is no such model.
    """
    if settings is not None:
        return settings
    name = model or BUNDLED
    path = ROOT / "models" / name / f"settings_local.template-{name}.py"
    if Path(name).name != name or not path.is_file():
        known = sorted(p.parent.name for p in ROOT.glob("models/*/settings_local.template-*.py"))
        raise VisualizationsError(
            f"there is no model {name!r} below models/; there are {', '.join(known)}, and "
            "--settings FILE (with make SETTINGS=FILE) takes a settings file of yours"
        )
    return path


def make_folder(folder: Path) -> Path:
    """Make a folder where there is none, and see that it can be written into."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise VisualizationsError(
            f"the folder {folder} can't be written into: {error.strerror}"
        ) from error


def write_text(place: Path, text: str) -> None:
    """Write a text beside its place, and rename it."""
    try:
        write_whole(place, text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise VisualizationsError(f"{place} cannot be written: {error.strerror}") from error


@dataclass(frozen=True)
class Making:
    """What the user asked for.

    Parameters
    ----------
    settings : Path
        The model's settings file.
    name : str
        The model's, for the work folder's name.
    photos : Path or None
        The training photos; None makes optimised images only.
    layers : list of str or None
        Such as `conv5`, `fc6:0-95`; None for all with weights.
    seeds, iterations : int
        Optimised images a unit, and steps each.
    preset : int
        Of `python -m optimize`.
    tile, quality : int
        Of the files: longest side of an image in pixels (0: true size), and JPEG's quality.
    out, work : Path or None
        Where to, and the folder of work folders; None for the settings' folder, and
        `build/visualizations`.
    threads : int or None
        Processor threads.
    fit : sequence of str
        Options of the scan: how photos become the input.
    image_input, hold : str or None, sequence of str
        Which input takes the picture, and what others hold, as on the command lines.
    """

    settings: Path
    name: str
    photos: Path | None
    layers: Sequence[str] | None
    seeds: int
    iterations: int
    preset: int
    tile: int
    quality: int
    out: Path | None
    work: Path | None
    threads: int | None
    fit: Sequence[str] = ("--resize", "short")
    image_input: str | None = None
    hold: Sequence[str] = ()

    @cached_property
    def spec(self) -> ModelSpec:
        """The network, on the GPU where there is one."""
        spec = settings_defaults.read(self.settings).model
        fetch = self.settings.parent / "fetch.sh"
        files = caffe.opening.files_of(spec.prototxt, spec.weights)
        missing = [path for path in files if not path.exists()]
        if missing and fetch.exists():
            raise VisualizationsError(f"there is no {missing[0]}; {fetch} fetches it")
        try:
            held = spec.held.changed(self.image_input, self.hold)
        except HeldError as error:
            raise VisualizationsError(str(error)) from error
        gpu = spec.gpu if spec.gpu is not None else (0 if torch.cuda.is_available() else None)
        return replace(spec, gpu=gpu, held=held)

    @cached_property
    def target(self) -> Path:
        """The folder of unit images."""
        out = self.out or settings_file.load(self.settings).caffevis_unit_jpg_dir
        if not out:
            raise VisualizationsError(
                f"{self.settings} does not set caffevis_unit_jpg_dir, the folder for the images; "
                "set it, or name one with --out"
            )
        return make_folder(Path(out))

    @cached_property
    def work_folder(self) -> Path:
        """The folder for what is half done: another one for another model of the same name."""
        root = self.work or ROOT / "build" / "visualizations"
        return make_folder(root / f"{self.name}-{model_digest(self.spec)}").resolve()

    @cached_property
    def model(self) -> steps.Model:
        """The network's files and where its optimised images go, each recipe's beside others'."""
        spec = self.spec
        images = make_folder(self.work_folder / f"optimised-{digest(self.recipe)}")
        return steps.Model(
            self.settings.resolve(), spec.prototxt, str(spec.weights), images, spec.gpu,
            self.inputs,
        )  # fmt: skip

    @property
    def inputs(self) -> tuple[str, ...]:
        """Options for inputs that no picture feeds."""
        image = () if self.image_input is None else ("--image-input", self.image_input)
        words = held_words(parse_held(self.hold))
        return (*image, *(part for word in words for part in ("--hold", word)))

    @cached_property
    def listed(self) -> steps.Photos | None:
        """The photos, listed in a folder of their own for these photos."""
        if self.photos is None:
            return None
        lines = steps.list_photos(self.photos, read_labels(self.spec.labels))
        own = photos_digest(self.photos, lines, {"fit": list(self.fit)})
        work = make_folder(self.work_folder / f"photos-{own}")
        write_text(work / "photos.txt", "".join(line + "\n" for line in lines))
        return steps.Photos(
            self.photos.resolve(), work / "photos.txt", len(lines), work, tuple(self.fit)
        )

    @property
    def recipe(self) -> tuple[str, ...]:
        """Options of `python -m optimize`."""
        words = ["--preset", str(self.preset), "--max-iter", str(self.iterations), "--seeds",
                 str(self.seeds)]  # fmt: skip
        if self.preset in PRESETS:
            rates = ",".join(f"{name}={value}" for name, value in self.params.rates.items())
            words += ["--lr-policy", self.params.lr_policy, "--lr-params", rates]
        return tuple(words)

    @property
    def params(self) -> FindParams:
        """The same as settings, with long steps where images are pixels."""
        steps_of_pixels = _STEPS if self.preset in PRESETS else {}
        return FindParams.preset(self.preset, **{**steps_of_pixels, "max_iter": self.iterations})
