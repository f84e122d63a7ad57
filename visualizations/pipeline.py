"""From the plan to the finished folder: commands one after the other, then small copies."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence

from toolbox.workers.heartbeat import Heartbeat
from visualizations import steps
from visualizations.errors import VisualizationsError
from visualizations.forecast import say, unscanned
from visualizations.making import ROOT, Making, write_text
from visualizations.plan import Layer, Row, duration
from visualizations.shrink import Shrink, shrink_folder


def make(making: Making, layers: Sequence[Layer], rows: Sequence[Row]) -> None:
    """Do all that is not done yet, and write the finished folder.

    Raises
    ------
    VisualizationsError
        A step failed; the tool's own sentence stands above.
    """
    todo = [s for s in _steps(making, layers) if s.done is None or not s.done.exists()]
    clock = Remaining(sum(row.optimise + row.patches for row in rows), len(todo))
    for number, step in enumerate(todo):
        _do(step, clock.text(number))
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


def _steps(making: Making, layers: Sequence[Layer]) -> list[steps.Step]:
    photos, model = making.listed, making.model
    found = []
    if photos is not None:
        new, known = unscanned(making, layers), photos.scans()
        if new:
            found.append(steps.scan(model, photos, new))
            known.update(dict.fromkeys((la.name for la in new), photos.scan_file(new)))
        found += [steps.crop(model, photos, layer, known[layer.name]) for layer in layers]
    return found + [steps.optimise(model, layer, making.recipe) for layer in layers]


def _do(step: steps.Step, how_far: str) -> None:
    print(f"== {step.title} ({how_far})", flush=True)
    status = subprocess.run(step.command, cwd=ROOT, check=False).returncode
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
    """How long the rest takes, from the plan and the time that has gone."""

    def __init__(self, planned: float, count: int) -> None:
        self._planned, self._count, self._begun = planned, count, time.monotonic()

    def text(self, number: int) -> str:
        """Say which step is next, and about how long all the rest takes."""
        left = max(0.0, self._planned - (time.monotonic() - self._begun))
        return f"{number + 1} of {self._count}, about {duration(left)} left by the plan"
