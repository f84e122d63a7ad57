"""Where batches of ascents are computed: here, one after the other, or somewhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from optimize.ascent.optimizer import GradientOptimizer
from optimize.ascent.results import FindResults
from optimize.ascent.starts import FloatArray
from optimize.output.progress import Progress
from optimize.params import FindParams


@dataclass(frozen=True, eq=False)
class Batch:
    """Ascents that are computed together.

    Parameters
    ----------
    params : sequence of FindParams
        One for each.
    size : int
        How many run side by side.
    starts : sequence of ndarray or None, optional
        As for `GradientOptimizer.run_batch`.
    keeps_last : bool
        Whether the last images are wanted too, or only the best ones.
    """

    params: Sequence[FindParams]
    size: int
    starts: Sequence[FloatArray | None] | None = None
    keeps_last: bool = True


# From batches to (number of the batch, its results), in any order; the progress is theirs.
Compute = Callable[[Sequence[Batch], Progress], Iterator[tuple[int, list[FindResults]]]]


def here(optimizer: GradientOptimizer) -> Compute:
    """Return what computes batches in this process, in their order."""

    def compute(
        batches: Sequence[Batch], progress: Progress
    ) -> Iterator[tuple[int, list[FindResults]]]:
        for number, batch in enumerate(batches):
            progress.name(batch.params[0].push_layer)
            tick = progress.ticks(batch.params[0].max_iter)
            yield number, optimizer.run_batch(batch.params, batch.starts, batch.size, tick)
            progress.finish(len(batch.params))

    return compute
