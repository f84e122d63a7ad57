"""Groups of pictures through several copies of a net at once, one thread each.

Threads that share one group wait for each other after every layer, and for the decoders that
take their cores meanwhile. With a group each, nobody waits: on two cores with decoders that
is a quarter more pictures a second. It takes the memory of one net's blobs a lane; the
parameters are shared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import cycle
from typing import Any, TypeVar

import torch

import torchcaffe as caffe
from find_maxes.scan.network import DATA_LAYERS, Runner

MAX_LANES = 8
MAX_BYTES = 1 << 30  # of the blobs of all lanes

# What these write depends on the groups before, or on a user's code that may know of no threads
# (as that of layer classes from outside torchcaffe).
_IN_ORDER = DATA_LAYERS | {"Python", "RNN", "LSTM", "Lstm"}

G = TypeVar("G")
R = TypeVar("R")


def count_lanes(net: caffe.Net, threads: int) -> int:
    """Return how many lanes make the best of some threads.

    Parameters
    ----------
    net : Net
        Set to its group's size.
    threads : int
        To be spread evenly over the lanes.

    Returns
    -------
    int
        One on a GPU, and for nets whose groups must come in order.
    """
    if caffe.device.current().type != "cpu":
        return 1
    layers = [node.layer for node in net.nodes]
    if any(layer.type in _IN_ORDER or _is_foreign(layer) for layer in layers):
        return 1
    room = MAX_BYTES // max(1, 4 * sum(blob.count for blob in net.blobs.values()))
    most = max(1, min(threads, MAX_LANES, room))
    # Fewer than the most, where that leaves fewer threads without work: 5 x 2 of 11.
    counts = range(-(-most // 2), most + 1)
    return max(counts, key=lambda count: (count * (threads // count), count))


def _is_foreign(layer: caffe.BaseLayer) -> bool:
    return not type(layer).__module__.startswith("torchcaffe.")


class Lanes:
    """A context, inside the decoder's, in which groups go through copies of a net side by side.

    Parameters
    ----------
    runner : Runner
        The net.
    count : int, optional
        How many copies (default: as suits PyTorch's number of threads).

    Attributes
    ----------
    count : int
        How many.
    """

    def __init__(self, runner: Runner, count: int | None = None) -> None:
        self._runner, self._threads = runner, torch.get_num_threads()
        self.count = count or count_lanes(runner.net, self._threads)
        self._pool: ThreadPoolExecutor | None = None
        self._runners: list[Runner] = []
        self._going: deque[Future[Any]] = deque()

    def __enter__(self) -> Lanes:
        self._runners = self._runner.copies(self.count)
        if self.count > 1:
            # New threads take over the number, so each lane's operators use its share.
            caffe.device.set_threads(self._threads // self.count)
            self._pool = ThreadPoolExecutor(self.count, "lane")
        return self

    def __exit__(self, *error: object) -> None:
        interrupted = self._finish()
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None
            caffe.device.set_threads(self._threads)
        for runner in self._runners:
            runner.release()
        if interrupted:
            raise KeyboardInterrupt

    def _finish(self) -> bool:
        """Wait for groups that nobody asks for any more; return whether Ctrl-C was pressed.

        They read memory that the decoder is about to give back, so that even an impatient
        user waits for them.
        """
        going = [future for future in self._going if not future.cancel()]
        interrupted = False
        while True:
            try:
                wait(going)
                return interrupted
            except KeyboardInterrupt:
                interrupted = True

    def map(self, work: Callable[[Runner, G], R], groups: Iterable[G]) -> Iterator[R]:
        """Return what `work` makes of each group, in order.

        A result may point into its runner's blobs: they stay until the next one is asked
        for. A group is asked for when as many as there are lanes are at work, so with n lanes
        each must stay valid until the n-th after it is asked for.
        """
        runners = self._runners
        if self._pool is None:
            yield from (work(runners[0], group) for group in groups)
            return
        for runner, group in zip(cycle(runners), groups, strict=False):
            self._going.append(self._pool.submit(work, runner, group))
            if len(self._going) == len(runners):
                yield self._next()
        while self._going:
            yield self._next()

    def _next(self) -> Any:
        """Return the first result, once it is there; until then the group counts as going."""
        result = self._going[0].result()
        self._going.popleft()
        return result
