"""From what the user asked for to the finished folder: plan, steps, small copies."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

import settings as settings_file
import torchcaffe as caffe
from optimize.command import settings_defaults
from optimize.command.open_model import ModelSpec, open_optimizer, read_labels
from optimize.params import FindParams, preset_values
from visualizations import speed_probe, steps
from visualizations.errors import VisualizationsError
from visualizations.plan import Layer, Rates, estimate, table
from visualizations.shrink import Shrink, shrink_folder

ROOT = Path(__file__).resolve().parents[1]
BUNDLED = "caffenet-caltech101"
PHOTOS_TRIED = 64
# Fewer iterations than the tool's usual 300, with longer steps: on the bundled model the images
# look the same.
PRESET, ITERATIONS, STEP, LATE_STEP = 3, 120, 6.0, 3.0
PATCH = 1.5  # a patch takes as long as so many photos: its image goes forward, and one unit back


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
    beside = place.with_name(place.name + ".part")
    try:
        beside.write_text(text, encoding="utf-8", errors="surrogateescape")
        os.replace(beside, place)
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
        The model's, for the work folder.
    photos : Path or None
        The training photos; None makes optimised images only.
    layers : list of str or None
        Such as `conv5`, `fc6:0-95`; None for all with weights.
    seeds, iterations : int
        Optimised images a unit, and steps each.
    tile, quality : int
        Of the files: longest side of an image in pixels (0: true size), and JPEG's quality.
    out, work : Path or None
        Where to; None for the settings' folder, and `build/visualizations/NAME`.
    threads : int or None
        Processor threads.
    """

    settings: Path
    name: str
    photos: Path | None
    layers: Sequence[str] | None
    seeds: int
    iterations: int
    tile: int
    quality: int
    out: Path | None
    work: Path | None
    threads: int | None

    @cached_property
    def spec(self) -> ModelSpec:
        """The network, on the GPU where there is one."""
        spec = settings_defaults.read(self.settings).model
        fetch = self.settings.parent / "fetch.sh"
        files = caffe.opening.files_of(spec.prototxt, spec.weights)
        missing = [path for path in files if not path.exists()]
        if missing and fetch.exists():
            raise VisualizationsError(f"there is no {missing[0]}; {fetch} fetches it")
        gpu = spec.gpu if spec.gpu is not None else (0 if torch.cuda.is_available() else None)
        return replace(spec, gpu=gpu)

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
    def model(self) -> steps.Model:
        """The network's files and the work folder."""
        work = make_folder(self.work or ROOT / "build" / "visualizations" / self.name)
        spec = self.spec
        return steps.Model(
            self.settings.resolve(), spec.prototxt, str(spec.weights), work.resolve(), spec.gpu
        )

    @cached_property
    def listed(self) -> steps.Photos | None:
        """The photos, listed in the work folder."""
        if self.photos is None:
            return None
        lines = steps.list_photos(self.photos, read_labels(self.spec.labels))
        place = self.model.work / "photos.txt"
        write_text(place, "".join(line + "\n" for line in lines))
        return steps.Photos(self.photos.resolve(), place, len(lines))

    @property
    def recipe(self) -> tuple[str, ...]:
        """Options of `python -m optimize`."""
        return (
            "--preset", str(PRESET), "--max-iter", str(self.iterations), "--seeds",
            str(self.seeds), "--lr-policy", "rms", "--lr-params",
            f"step={STEP},late_step={LATE_STEP}",
        )  # fmt: skip

    # ------------------------------------------------------------ what it will take

    def plan(self) -> list[Layer]:
        """Measure, print what it will take, and return the layers.

        Raises
        ------
        VisualizationsError, OptimizeError, SettingsError, CaffeError
            What is wrong, before anything is computed.
        """
        if self.threads:
            caffe.set_threads(self.threads)
            os.environ["OMP_NUM_THREADS"] = str(self.threads)
        target, photos = self.target, self.listed
        optimizer = open_optimizer(self.spec)
        layers = speed_probe.layers_of(optimizer, self.layers)
        values = {**preset_values(PRESET), "lr_policy": "rms", "lr_params": None}
        recipe = FindParams.from_dict(values)
        ascent = {la.name: speed_probe.ascent_rate(optimizer, la.name, recipe) for la in layers}
        photo = self._photo(photos, layers) if photos else 0.0
        rows = estimate(
            layers, Rates(ascent, photo, PATCH * photo), seeds=self.seeds,
            iterations=self.iterations, with_photos=photos is not None, tile=self.tile,
        )  # fmt: skip
        scan = photos.count * photo if photos else 0.0
        print(f"{self.name} to {target}\n{table(rows, scan, self.tile)}", flush=True)
        if photos is None:
            print("without photos there are no patches; --photos DIR (with make PHOTOS=DIR) names "
                  "them", flush=True)  # fmt: skip
        return layers

    def _photo(self, photos: steps.Photos, layers: Sequence[Layer]) -> float:
        """Return the seconds a photo takes."""
        lines = photos.list.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        with tempfile.TemporaryDirectory() as folder:
            short = Path(folder) / "short.txt"
            every = max(1, photos.count // PHOTOS_TRIED)
            write_text(short, "\n".join(lines[::every][:PHOTOS_TRIED]) + "\n")
            few = steps.Photos(photos.folder, short, PHOTOS_TRIED)
            return speed_probe.photo_rate(
                steps.scan(self.model, few, layers, Path(folder) / "max.npz")
            )

    # ------------------------------------------------------------ the work

    def make(self, layers: Sequence[Layer]) -> None:
        """Do all that is not done yet, and write the finished folder.

        Raises
        ------
        VisualizationsError
            A step failed; the tool's own sentence stands above.
        """
        for step in self._steps(layers):
            if step.done is None or not step.done.exists():
                self._do(step)
        columns = max(c for c in range(1, 6) if (c - 1) ** 2 < self.seeds)
        fields = {layer.name: layer.side for layer in layers}
        how = Shrink(self.tile or None, self.quality, columns, fields=fields)
        count, size = shrink_folder(self.model.full, self.target, how)
        print(f"{count} files, {size / 1e6:.1f} MB, in {self.target}")

    def _steps(self, layers: Sequence[Layer]) -> list[steps.Step]:
        photos, model = self.listed, self.model
        found = []
        if photos is not None:
            found.append(steps.scan(model, photos, layers, model.maxes))
            found += [steps.crop(model, photos, layer) for layer in layers]
        return found + [steps.optimise(model, layer, self.recipe) for layer in layers]

    def _do(self, step: steps.Step) -> None:
        print(f"== {step.title}", flush=True)
        status = subprocess.run(step.command, cwd=ROOT, check=False).returncode
        if status in (130, -2):
            raise KeyboardInterrupt
        # 1: some photos were bad, and were named
        if status not in (0, 1):
            raise VisualizationsError(
                f"{step.title}: the command ended with {status}; after mending what it says above, "
                "the same command goes on"
            )
        if step.done is not None and not step.done.exists():
            write_text(step.done, step.title + "\n")
