"""`python -m optimize`: images that units prefer, one or all of a network."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torchcaffe as caffe
from optimize.ascent.optimizer import GradientOptimizer
from optimize.ascent.starts import FloatArray, facets
from optimize.ascent.top_images import read_images
from optimize.batch import dask_batches
from optimize.batch.executor import Compute, here
from optimize.batch.runs import Keeping, Naming, run_all
from optimize.batch.unit_jpgs import LayerJob, check, make
from optimize.command import settings_defaults
from optimize.command.arguments import PROGRAM, RECIPE, parse
from optimize.command.open_model import ModelSpec, model_from, open_optimizer
from optimize.errors import OptimizeError
from optimize.output.notes import Notes
from optimize.output.progress import Progress
from optimize.parametrise.pixels import Pixels
from optimize.params import WITHOUT_PIXELS, FindParams, preset_values
from toolbox.command_line import exit_status
from toolbox.pictures.file_versions import FileVersions

MONTAGE_SEEDS = 9


def recipe_from(options: argparse.Namespace, default: dict[str, object]) -> FindParams:
    """Return the settings of the runs: the defaults, the preset, the command line."""
    values = dict(default)
    if options.preset:
        values.update(preset_values(options.preset))
    elif options.parametrisation not in (None, Pixels.name):
        values.update(WITHOUT_PIXELS)  # the settings' regularisers are for pixels
    given = {name: getattr(options, name) for name in RECIPE}
    values.update({name: value for name, value in given.items() if value is not None})
    if given["lr_policy"] is not None and given["lr_params"] is None:
        same = given["lr_policy"] == default.get("lr_policy")
        values["lr_params"] = default.get("lr_params") if same else None
    return FindParams.from_dict(values)


def default_layer(optimizer: GradientOptimizer) -> str:
    """Return the first layer with labels, or the last one that can be pushed."""
    names = [n for n in optimizer.net.layer_dict if n in optimizer.net.blobs]
    labelled = [n for n in names if n in optimizer.label_layers]
    return labelled[0] if labelled else names[-1]


def units_from(
    options: argparse.Namespace, optimizer: GradientOptimizer
) -> list[tuple[str, tuple[int, ...], bool]]:
    """Return layers, their channels, and whether these are all."""
    layers = options.layers or [options.push_layer or default_layer(optimizer)]
    if options.layers and (options.push_layer or options.push_channel is not None):
        raise OptimizeError("--layers goes with --push-channels, not --push-layer, --push-channel")
    if options.push_channels and options.push_channel is not None:
        raise OptimizeError("--push-channel and --push-channels exclude each other")
    out = []
    for layer in dict.fromkeys(layers):
        every = tuple(range(optimizer.channels(layer)))
        single = (options.push_channel or 0,)
        channels = options.push_channels or (every if options.layers else single)
        beyond = [c for c in channels if c not in every]
        if beyond:
            raise OptimizeError(
                f"layer {layer!r} has no channel {beyond[0]}; 0 to {every[-1]} are accepted"
            )
        out.append((layer, channels, channels == every))
    return out


def make_unit_jpgs(
    options: argparse.Namespace,
    optimizer: GradientOptimizer,
    recipe: FindParams,
    spec: ModelSpec,
    record: dict[str, Any],
    compute: Compute,
    notes: Notes,
) -> str:
    """Write the live app's images; return what to tell the user."""
    if recipe.objective is not None or options.start_images:
        raise OptimizeError("--unit-jpg-dir shows single units: no --objective, no --start-images")
    seeds = options.seeds or MONTAGE_SEEDS
    stamp = spec.stamp()
    jobs = [
        LayerJob(layer, channels, whole, recipe, seeds, options.batch_size, record, stamp)
        for layer, channels, whole in units_from(options, optimizer)
    ]
    for job in jobs:  # errors of the last layer come before the work on the first
        optimizer.place(recipe.replaced(push_layer=job.layer))
    check(options.unit_jpg_dir, jobs, Keeping(brave=options.brave, resume=options.resume))
    progress = Progress(sum(len(job.channels) * seeds for job in jobs), quiet=options.quiet,
                        notes=notes)  # fmt: skip
    lines = []
    try:
        for job in jobs:
            units = make(optimizer, options.unit_jpg_dir, job, progress, compute)
            strongest = sum(unit["is_strongest"][unit["best_seed"]]
                            for unit in units)  # fmt: skip
            lines.append(
                f"{job.layer}: {len(units)} units, {strongest} of them the strongest of their "
                "layer in their best image"
            )
    finally:
        progress.close()
    return "\n".join([*lines, f"The images are in {options.unit_jpg_dir}."])


def facet_starts(
    options: argparse.Namespace, optimizer: GradientOptimizer, seed: int
) -> list[FloatArray] | None:
    """Return the starts that --start-images and --facets ask for."""
    if bool(options.start_images) != bool(options.facets):
        raise OptimizeError("--facets needs --start-images, and the other way round")
    if not options.start_images:
        return None
    if options.seeds:
        raise OptimizeError("--facets takes the place of --seeds: one image a facet")
    return facets(read_images(optimizer, options.start_images), options.facets, seed)


def make_runs(
    options: argparse.Namespace,
    optimizer: GradientOptimizer,
    recipe: FindParams,
    prefix: str,
    record: dict[str, Any],
    compute: Compute,
    notes: Notes,
) -> str:
    """Make single runs; return what to tell the user."""
    begin = facet_starts(options, optimizer, recipe.rand_seed)
    count = len(begin) if begin else options.seeds or 1
    units = [("", (0,), False)] if recipe.objective else units_from(options, optimizer)
    runs: list[FindParams] = []
    for layer, channels, _ in units:
        own = recipe.replaced(push_layer=layer) if layer else recipe
        for channel in channels:
            runs += [
                own.replaced(push_channel=channel, rand_seed=recipe.rand_seed + k)
                for k in range(count)
            ]
    for params in runs[:: max(1, count)]:
        optimizer.check(params)
    starts = begin * (len(runs) // count) if begin else None
    naming = Naming(options.output_prefix or prefix, options.output_template)
    keeping = Keeping(not options.skipbig, options.brave, options.resume, record)
    progress = Progress(len(runs), quiet=options.quiet, notes=notes)
    try:
        names = run_all(
            optimizer, runs, naming, keeping, progress, options.batch_size, starts, compute
        )
    finally:
        progress.close()
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}_best_Xpm.jpg{more}"


@contextlib.contextmanager
def place_to_compute(
    address: str | None, optimizer: GradientOptimizer, spec: ModelSpec
) -> Iterator[Compute]:
    """Give what computes batches: this process, or the cluster at an address."""
    if address is None:
        yield here(optimizer)
        return
    with dask_batches.connect(address) as client:
        yield dask_batches.there(client, spec, optimizer)


def _opened(spec: ModelSpec) -> tuple[GradientOptimizer, dict[str, Any]]:
    """Open a network; return its optimiser, and what tells its files from others."""
    files = FileVersions(spec.files())
    optimizer, record = open_optimizer(spec), spec.record()
    if why := files.changed():
        raise OptimizeError(f"{why}: start again")
    return optimizer, record


def run(options: argparse.Namespace) -> int:
    """Do what the command line asks for; return the exit status."""
    defaults = settings_defaults.read(options.settings)
    recipe = recipe_from(options, defaults.recipe)
    if options.threads:
        caffe.set_threads(options.threads)
    begun = time.perf_counter()
    spec = model_from(options, defaults.model)
    optimizer, record = _opened(spec)
    notes = Notes()
    with place_to_compute(options.scheduler, optimizer, spec) as compute:
        if options.unit_jpg_dir:
            told = make_unit_jpgs(options, optimizer, recipe, spec, record, compute, notes)
        else:
            prefix = defaults.output_prefix
            told = make_runs(options, optimizer, recipe, prefix, record, compute, notes)
    notes.tell()
    print(f"{told}\n{time.perf_counter() - begun:.1f} s")
    return 1 if notes.failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name.

    Returns
    -------
    int
        0; 1 where some unit has no image, for its gradient is zero; 2 after one sentence on
        standard error; 130 where the user stopped it.
    """
    words = sys.argv[1:] if arguments is None else arguments
    stopped = "stopped; the same command with --resume goes on"
    return exit_status(
        PROGRAM, lambda: run(parse(words)), (OptimizeError, caffe.CaffeError), stopped
    )


if __name__ == "__main__":
    sys.exit(main())
