"""From what a batch recorded to each member's results."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optimize.ascent.iterations import Track
from optimize.ascent.results import FAILURE, NOT_FINITE, SUCCESS, ZERO_GRADIENT, FindResults
from optimize.ascent.task import Planner, Task
from torchcaffe.regions import Region

_FAILURES = {1: ZERO_GRADIENT, 2: NOT_FINITE, 3: ZERO_GRADIENT}
_COLUMNS = (
    "obj", "norm", "total", "dist", "strongest", "channel",
    "ended", "failed", "best_ii", "best", "last",
)  # fmt: skip


def collect(
    planner: Planner, tasks: Sequence[Task], track: Track, kept: Region
) -> list[FindResults]:
    """Return the results of a batch's members.

    Parameters
    ----------
    planner : Planner
        Knows the layers' shapes.
    tasks : sequence of Task
        The members.
    track : Track
        What they recorded.
    kept : Region
        Rows and columns of the recorded images.
    """
    columns = {name: getattr(track, name).cpu().numpy() for name in _COLUMNS}
    return [_result(planner, task, columns, i, kept) for i, task in enumerate(tasks)]


def _result(
    planner: Planner, task: Task, columns: dict[str, np.ndarray], i: int, kept: Region
) -> FindResults:
    params, best_ii = task.params, int(columns["best_ii"][i])
    done, failed = int(columns["ended"][i]), int(columns["failed"][i])
    lists = {name: columns[name][:done, i] for name in _COLUMNS[:6]}
    count = int(np.prod(planner.shape))
    mean = lists["total"] / count
    std = np.sqrt(np.maximum(lists["norm"] ** 2 / count - mean**2, 0))
    place = planner.place(task.layer, params.push_spatial)
    unit = (params.push_channel, *place)
    idxmax = _positions(planner, task, lists["strongest"], place)
    ismax = [at == unit for at in idxmax]
    return FindResults(
        obj=lists["obj"].tolist(),
        norm=lists["norm"].tolist(),
        std=std.tolist(),
        dist=lists["dist"].tolist(),
        idxmax=idxmax,
        ismax=ismax,
        ismax_here=(lists["channel"] == params.push_channel).tolist(),
        best_obj=float(columns["obj"][best_ii, i]),
        best_ii=best_ii,
        meta_result=_FAILURES.get(failed, SUCCESS if any(ismax) else FAILURE),
        best=columns["best"][i].copy(),
        last=columns["last"][i].copy(),
        region=kept,
        field=task.view.field,
        size=planner.shape[1:],
        without_gradient=failed == 3 or (failed == 1 and done == 1),
    )


def _positions(
    planner: Planner, task: Task, flat: np.ndarray, place: tuple[int, int]
) -> list[tuple[int, int, int]]:
    """Turn flat indices into channel, row and column in the whole layer."""
    if task.view.cropped:
        return [(int(channel), *place) for channel in flat]
    shape = planner.maps(task.layer)
    height, width = shape[2:] if len(shape) == 4 else (1, 1)
    return [
        (int(at) // (height * width), int(at) // width % height, int(at) % width) for at in flat
    ]
