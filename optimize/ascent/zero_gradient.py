"""Units whose gradient is zero at the start: push the value before what holds it back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Sequence

import torchcaffe as caffe
from optimize.ascent.iterations import Moment
from optimize.ascent.results import FindResults
from optimize.ascent.starts import FloatArray
from optimize.ascent.task import Task
from optimize.net.gates import find_gates

Starts = Sequence[FloatArray | None]
Growth = Generator[Moment, None, list[FindResults]]
Ascend = Callable[[Sequence[Task], Starts], Growth]

_CURE = "other seeds (--rand-seed) or another start (--start-at randu) may have one"


def pushed_before_gates(
    net: caffe.Net, tasks: Sequence[Task], starts: Starts, ascend: Ascend
) -> Growth:
    """Run a batch; members without a gradient run again with the gates before them open.

    Parameters
    ----------
    net : torchcaffe.Net
        The net.
    tasks : sequence of Task
        The batch, of one view.
    starts : sequence of ndarray or None
        As for `GradientOptimizer.run_batch`.
    ascend : callable
        Runs tasks from starts.

    Yields
    ------
    Moment
        After each iteration.

    Returns
    -------
    list of FindResults
        With a `note` for each member that had no gradient. Its objective is the value before
        the gates: what the unit would be if they let everything through.
    """
    results = yield from _apart(tasks, starts, ascend)
    stuck = [i for i, found in enumerate(results) if found.without_gradient]
    if not stuck:
        return results
    gates = find_gates(net, tasks[0].part)
    if gates:
        view = tasks[0].view
        view = dataclasses.replace(view, section=view.section.opened(gates))
        again = [dataclasses.replace(tasks[i], view=view) for i in stuck]
        opened = yield from _apart(again, [starts[i] for i in stuck], ascend)
        for i, found in zip(stuck, opened, strict=True):
            found.without_gradient &= len(found.obj) == 1  # one lost later has left an image
            results[i] = found
    for i in stuck:
        results[i].note = _note(net, gates, helped=not results[i].without_gradient)
    return results


def _apart(tasks: Sequence[Task], starts: Starts, ascend: Ascend) -> Growth:
    """Run a batch; where members without a gradient end it at once, the others without them."""
    results = yield from ascend(tasks, starts)
    others = [i for i, found in enumerate(results) if not found.without_gradient]
    if others and len(others) < len(results) and any(len(found.obj) == 1 for found in results):
        alone = yield from ascend([tasks[i] for i in others], [starts[i] for i in others])
        for i, found in zip(others, alone, strict=True):
            results[i] = found
    return results


def _note(net: caffe.Net, gates: Sequence[int], *, helped: bool) -> str:
    """Say why, and what was done; the end of a sentence that begins with the unit."""
    names = list(net.layer_dict)
    closed = " and ".join(f"{net.nodes[i].layer.type} {names[i]!r}" for i in gates)
    if helped:
        return (
            f"the gradient is zero at the start or soon after, for {closed} lets none through: the "
            "value before it was pushed instead"
        )
    if gates:
        return (
            f"the gradient is zero at the start, before {closed} too, so there is no image: {_CURE}"
        )
    return (
        "the gradient is zero at the start, and no activation function holds it back, so there is "
        f"no image: {_CURE}"
    )
