"""Single runs: each ascent's pictures, numbers and arrays under a name of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optimize.ascent.optimizer import GradientOptimizer
from optimize.ascent.results import FindResults
from optimize.ascent.starts import FloatArray
from optimize.batch.executor import Batch, Compute, here
from optimize.errors import OptimizeError
from optimize.output.files import check_folder, json_bytes, npz_bytes, read_object, write
from optimize.output.pictures import around_grey, encoded, plus_mean
from optimize.output.progress import Progress
from optimize.params import FindParams

ENDINGS = ("_best_X.jpg", "_best_Xpm.jpg", "_info.txt", ".npz", "_info.json")
DONE = ENDINGS[-1]  # written last


@dataclass(frozen=True)
class Naming:
    """How results are named: prefix, underscore, template filled with the settings."""

    prefix: str
    template: str

    def path(self, params: FindParams) -> str:
        """Return the beginning of a run's file names.

        Raises
        ------
        OptimizeError
            The template names no setting, or has a wrong format.
        """
        values = {**params.to_dict(), "p": params}
        try:
            # Filling in is not evaluating: a template can only name the settings.
            return f"{self.prefix}_{self.template % values}"
        except (KeyError, ValueError, TypeError) as error:
            raise OptimizeError(
                f"--output-template {self.template!r} can't be filled in ({error}); "
                "'%(push_layer)s_%(push_channel)04d_%(rand_seed)d' is an example"
            ) from error


@dataclass(frozen=True)
class Keeping:
    """What is written, and what happens to results that exist.

    Parameters
    ----------
    arrays : bool
        Write the .npz.
    brave : bool
        Overwrite.
    resume : bool
        Keep the results that exist and make the others.
    model : dict or None
        What tells the network's files from others (`ModelSpec.record`): results of another
        network are not kept.
    """

    arrays: bool = True
    brave: bool = False
    resume: bool = False
    model: dict[str, Any] | None = None


def pending(runs: Sequence[FindParams], naming: Naming, keeping: Keeping) -> list[bool]:
    """Return which runs have to be made.

    Raises
    ------
    OptimizeError
        Two runs have one name, or results exist and may not be overwritten, or exist with
        other settings where runs are resumed.
    """
    names = [naming.path(p) for p in runs]
    doubles = {name for name in names if names.count(name) > 1} if len(names) < 2000 else set()
    if len(set(names)) < len(names):
        some = next(iter(doubles), names[0])
        raise OptimizeError(
            f"several runs would be written to {some}...; give --output-template what tells "
            "them apart, such as %(push_channel)04d or %(rand_seed)d"
        )
    for folder in {Path(name).parent for name in names}:
        check_folder(folder)
    if keeping.brave and not keeping.resume:
        return [True] * len(runs)
    return [_is_pending(name, p, keeping) for name, p in zip(names, runs, strict=True)]


def _is_pending(name: str, params: FindParams, keeping: Keeping) -> bool:
    existing = [name + ending for ending in ENDINGS if Path(name + ending).exists()]
    if not existing:
        return True
    if not keeping.resume:
        raise OptimizeError(
            f"{existing[0]} exists already; --brave overwrites, --resume makes only what is missing"
        )
    done = read_object(Path(name + DONE))
    if done is None:
        return True
    if done.get("params") != params.to_dict():
        raise OptimizeError(
            f"{name}{DONE} was made with other settings, so this is no run to resume; --brave "
            "without --resume overwrites"
        )
    if keeping.model is not None and done.get("model", keeping.model) != keeping.model:
        raise OptimizeError(
            f"{name}{DONE} was made with another network, so this is no run to resume; --brave "
            "without --resume overwrites"
        )
    return keeping.arrays and not Path(name + ".npz").exists()


def run_all(
    optimizer: GradientOptimizer,
    runs: Sequence[FindParams],
    naming: Naming,
    keeping: Keeping,
    progress: Progress,
    batch_size: int | None = None,
    starts: Sequence[FloatArray | None] | None = None,
    compute: Compute | None = None,
) -> list[str]:
    """Make all runs that are pending, and write their results.

    Batches are cut from the whole list, so that a resumed run computes the same batches; one
    that is wholly written is left out. `compute` says where; here if it is None.

    Returns
    -------
    list of str
        The beginnings of the file names, one a run.
    """
    wanted = pending(runs, naming, keeping)
    given = list(starts) if starts is not None else [None] * len(runs)
    left = []
    for members in batches(optimizer, runs, batch_size):
        if any(wanted[i] for i in members):
            left.append(members)
        else:
            progress.finish(len(members))
    work = [
        Batch([runs[i] for i in members], len(members), [given[i] for i in members])
        for members in left
    ]
    for number, results in (compute or here(optimizer))(work, progress):
        for i, result in zip(left[number], results, strict=True):
            progress.notes.add_run(runs[i], result)
            if wanted[i]:
                save(optimizer, runs[i], result, naming.path(runs[i]), keeping)
    return [naming.path(p) for p in runs]


def batches(
    optimizer: GradientOptimizer, runs: Sequence[FindParams], size: int | None
) -> list[list[int]]:
    """Cut runs into batches of neighbours in one layer; numbers in the list."""
    out: list[list[int]] = []
    for i, params in enumerate(runs):
        first = runs[out[-1][0]] if out else None
        fits = first is not None and (
            first.push_layer == params.push_layer
            and first.max_iter == params.max_iter
            and len(out[-1]) < (size or optimizer.batch_size(first))
        )
        if fits:
            out[-1].append(i)
        else:
            out.append([i])
    return out


def save(
    optimizer: GradientOptimizer,
    params: FindParams,
    found: FindResults,
    name: str,
    keeping: Keeping,
) -> None:
    """Write a run's files; the one that marks it as done comes last."""
    swap = optimizer.channel_swap_to_rgb
    mean = optimizer.mean_at(found.region)
    write(Path(name + "_best_X.jpg"), encoded(around_grey(found.best, swap)))
    picture = plus_mean(found.best, mean, optimizer.grey, swap)
    write(Path(name + "_best_Xpm.jpg"), encoded(picture))
    write(Path(name + "_info.txt"), info_text(params, found).encode())
    if keeping.arrays:
        values = {"best_xx": found.best, "last_xx": found.last}
        lists = {key: getattr(found, key) for key in ("obj", "norm", "std", "dist", "ismax")}
        write(Path(name + ".npz"), npz_bytes({**values, **lists}))
    model = {} if keeping.model is None else {"model": keeping.model}
    info = {"params": params.to_dict(), "results": found.to_dict(), **model}
    write(Path(name + DONE), json_bytes(info))


def info_text(params: FindParams, found: FindResults) -> str:
    """Return settings and outcome for a reader."""
    unit = f"{params.push_layer} channel {params.push_channel}"
    lines = [
        f"{unit} ({found.label})" if found.label else unit,
        found.meta_result,
        *([found.note] if found.note else []),
        f"best objective {found.best_obj:g} in iteration {found.best_ii} of {len(found.obj)}",
        f"strongest unit in {sum(found.ismax)} iterations, "
        f"at its position in {sum(found.ismax_here)}",
        f"rows {found.region.rows[0]} to {found.region.rows[1]}, columns "
        f"{found.region.columns[0]} to {found.region.columns[1]} of the input",
        "",
        *(f"{key}: {value}" for key, value in params.to_dict().items()),
        "",
        "iteration  objective  norm  std  distance  strongest (channel, row, column)",
    ]
    rows = zip(found.obj, found.norm, found.std, found.dist, found.idxmax, strict=True)
    for i, (obj, norm, std, dist, at) in enumerate(rows):
        lines.append(f"{i:6d}  {obj:12.6g}  {norm:10.2f}  {std:8.3f}  {dist:10.2f}  {at}")
    return "\n".join(lines) + "\n"
