"""From the plan to the finished folder: commands one after the other, then small copies."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from toolbox.workers import file_lock
from toolbox.workers.heartbeat import Heartbeat
from visualizations import steps
from visualizations.errors import VisualizationsError
from visualizations.forecast import Forecast, is_optimised, say, unscanned
from visualizations.making import ROOT, Making, write_text
from visualizations.plan import duration
from visualizations.shrink import Shrink, shrink_folder

_TOLD = 10.0  # planned seconds after which the pace tells something


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[tuple[int, ...]]:
    """Wait until no other process works in a folder; give what the commands are to hold.

    A command goes on where only the process that started it is killed, so the lock is its own too.
    """
    with (folder / "at_work").open("ab") as file:
        note = f"another process works in {folder}, or a command of one that was killed: waiting"
        file_lock.wait_for(file, lambda: say(note))
        yield (file.fileno(),) if file_lock.there_are_locks() else ()


def make(making: Making, plan: Forecast, held: tuple[int, ...] = ()) -> None:
    """Do all that is not done yet, and write the finished folder.

    Parameters
    ----------
    making : Making
        What is wanted.
    plan : Forecast
        What is not there yet.
    held : tuple of int
        Open files that the commands hold as well (`alone`).

    Raises
    ------
    VisualizationsError
        A step failed; the tool's own sentence stands above.
    """
    layers = plan.layers
    todo = [s for s in _steps(making, plan) if s.done is None or not s.done.exists()]
    clock = Remaining([step.seconds for step in todo])
    for number, step in enumerate(todo):
        _do(step, clock.text(number), held)
    columns = max(c for c in range(1, 6) if (c - 1) ** 2 < making.seeds)
    how = Shrink(making.tile or None, making.quality, columns,
                 fields={layer.name: layer.side for layer in layers})  # fmt: skip
    photos = making.listed
    sources = [making.model.images, *([photos.images] if photos else [])]
    names = {layer.name for layer in layers}
    count = size = 0
    with Heartbeat(lambda: say("making the small copies")):
        for source in sources:
            files, length = shrink_folder(source, making.target, how, names)
            count, size = count + files, size + length
    print(f"{count} files, {size / 1e6:.1f} MB, in {making.target}")


def _steps(making: Making, plan: Forecast) -> list[steps.Step]:
    photos, model = making.listed, making.model
    found = []
    if photos is not None:
        new, known = unscanned(making, plan.layers), photos.scans()
        if new:
            found.append(replace(steps.scan(model, photos, new), seconds=plan.scan))
            known.update(dict.fromkeys((la.name for la in new), photos.scan_file(new)))
        for row in plan.rows:
            step = steps.crop(model, photos, row.layer, known[row.layer.name])
            found.append(replace(step, seconds=row.patches))
    for row in plan.rows:
        if not is_optimised(making, row.layer):
            step = steps.optimise(model, row.layer, making.recipe)
            found.append(replace(step, seconds=row.optimise))
    return found


def _do(step: steps.Step, how_far: str, held: tuple[int, ...]) -> None:
    print(f"== {step.title} ({how_far})", flush=True)
    status = subprocess.run(step.command, cwd=ROOT, check=False, pass_fds=held).returncode
    if status in (130, -2):
        raise KeyboardInterrupt
    # 1: some photos were bad, or some units have no image, and were named
    if status not in (0, 1):
        raise VisualizationsError(
            f"{step.title}: the command ended with {status}; after mending what it says above, "
            "the same command goes on"
        )
    if step.done is not None and not step.done.exists():
        write_text(step.done, step.title + "\n")


class Remaining:
    """How long the rest takes: by the plan, at the pace so far.

    Parameters
    ----------
    planned : sequence of float
        Seconds of each step.
    clock : callable
        Seconds; another one in tests.
    """

    def __init__(
        self, planned: Sequence[float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._planned, self._clock, self._begun = planned, clock, clock()

    def text(self, number: int) -> str:
        """Say which step is next, and about how long it and all the rest take."""
        done, gone = sum(self._planned[:number]), self._clock() - self._begun
        pace = gone / done if done > _TOLD else 1.0
        left = duration(pace * sum(self._planned[number:]))
        return f"{number + 1} of {len(self._planned)}, about {left} left"
