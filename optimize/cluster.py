"""The same batches on an existing Dask cluster; `distributed` is needed only here.

Workers need this checkout on their PYTHONPATH (start them in it), the network's files under the
same paths, and one thread each. A worker that dies loses its batch, which another one takes.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from optimize.computing import Batch, Compute
from optimize.errors import OptimizeError
from optimize.model import ModelSpec, open_optimizer
from optimize.optimizer import GradientOptimizer
from optimize.progress import Progress
from optimize.results import FindResults

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 30
UNDER_WAY = 2  # batches a thread: none waits, and little is in memory

_lock = threading.Lock()  # a net computes one thing at a time
_open: list[tuple[ModelSpec, GradientOptimizer]] = []


# ---------------------------------------------------------------- on a worker


def run_there(spec: ModelSpec, record: dict[str, Any], batch: Batch) -> list[FindResults]:
    """Compute a batch.

    Parameters
    ----------
    spec : ModelSpec
        The network; paths as they are here.
    record : dict
        What the client's `spec.record()` gave: other files are refused.
    batch : Batch
        What to compute.
    """
    with _lock:
        if not _open or _open[0][0] != spec:
            if spec.record() != record:
                raise OptimizeError(f"{spec.weights} or {spec.prototxt} is another file there")
            _open[:] = [(spec, open_optimizer(spec))]
        found = _open[0][1].run_batch(batch.params, batch.starts, batch.size)
    if batch.keeps_last:
        return found
    return [dataclasses.replace(one, last=one.last[:, :0]) for one in found]


# ---------------------------------------------------------------- on the client


def connect(address: str) -> Client:
    """Connect to a cluster.

    Raises
    ------
    OptimizeError
        `distributed` is not installed, nobody answers, or there are no workers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise OptimizeError(
            "--scheduler needs the package distributed: pip install dask distributed"
        ) from error
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, asyncio.TimeoutError) as error:
        raise OptimizeError(
            f"no Dask scheduler answers at {address}; an address such as tcp://10.0.0.1:8786 "
            "is accepted"
        ) from error
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except (TimeoutError, asyncio.TimeoutError) as error:
        client.close()
        raise OptimizeError(
            "the Dask cluster has no workers; start some with 'dask worker' in this checkout"
        ) from error
    return client


def there(client: Client, spec: ModelSpec) -> Compute:
    """Return what computes batches on a cluster, in the order in which they come back.

    Parameters
    ----------
    client : distributed.Client
        From `connect`.
    spec : ModelSpec
        The network, with paths as they are here.
    """
    paths: dict[str, Any] = {
        name: os.path.abspath(value)
        for name in ("prototxt", "weights", "mean", "labels")
        if isinstance(value := getattr(spec, name), str)
    }
    everywhere = dataclasses.replace(spec, **paths)
    record = everywhere.record()

    def compute(
        batches: Sequence[Batch], progress: Progress
    ) -> Iterator[tuple[int, list[FindResults]]]:
        from distributed import as_completed

        threads = max(1, sum(client.nthreads().values()))
        numbers: dict[Any, int] = {}

        def submit(number: int, batch: Batch) -> Any:
            future = client.submit(run_there, everywhere, record, batch, pure=False)
            numbers[future.key] = number
            return future

        left = iter(enumerate(batches))
        first = [submit(*item) for item in itertools.islice(left, UNDER_WAY * threads)]
        running = as_completed(first, loop=client.loop)
        for future in running:
            number = numbers.pop(future.key)
            yield number, _result(future)
            future.release()
            progress.finish(len(batches[number].params))
            for item in itertools.islice(left, 1):
                running.add(submit(*item))

    return compute


def _result(future: Any) -> list[FindResults]:
    """Return a batch's results; say in one sentence why there are none."""
    error = future.exception()
    if error is None:
        found: list[FindResults] = future.result()
        return found
    if isinstance(error, ModuleNotFoundError):
        reason = f"its workers do not find {error.name}: start them in this checkout"
    else:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
    raise OptimizeError(f"the cluster could not compute some images: {reason}") from error
