"""The same scan on an existing Dask cluster: shards of the list, merged as they come back.

Workers need this checkout on their PYTHONPATH (start them in it), the net's files and DATADIR
under the same paths, and one thread each. `distributed` is needed only here.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from find_maxes.decode import Decoder
from find_maxes.errors import FindMaxesError
from find_maxes.filelist import ImageList
from find_maxes.network import NetFiles, Runner
from find_maxes.scan import Job, Scan, weights_digest
from find_maxes.totals import Arrays, Range, Totals, remaining

if TYPE_CHECKING:
    from distributed import Client

MOST_IMAGES = 1024  # of a shard: what a dead worker loses
SHARDS_A_THREAD = 4  # at least, so that all end at about the same time
CONNECT_SECONDS = 30

_lock = threading.Lock()  # a net computes one thing at a time
_open: dict[tuple[NetFiles, tuple[str, ...], str], Runner] = {}


# ---------------------------------------------------------------- on a worker


def scan_shard(job: Job, digest: str, folder: str, names: tuple[str, ...], start: int) -> Arrays:
    """Scan the images `start` and following of a list; return the totals as arrays.

    Parameters
    ----------
    job : Job
        What to find; paths as they are here.
    digest : str
        That of the weights.
    folder, names : str, tuple of str
        Of these images.
    start : int
        Number of the first.
    """
    with _lock:
        scan = Scan(job, _runner(job, digest))
        images = ImageList(folder, names, np.full(len(names), -1, np.int64))
        totals = scan.empty()
        with Decoder(job.recipe, scan.runner.size, 0) as decoder:
            for _ in scan.run(images, (0, len(names)), decoder, totals, start):
                pass
        return totals.arrays()


def _runner(job: Job, digest: str) -> Runner:
    """Return the job's net, opened when it is first asked for."""
    key = (job.net, job.layers, digest)
    if key not in _open:
        if weights_digest(job.net.weights) != digest:
            raise FindMaxesError(f"{job.net.weights} is another file on this worker")
        _open.clear()
        _open[key] = Runner(job.net, job.layers)
    return _open[key]


# ---------------------------------------------------------------- on the client


def connect(address: str) -> Client:
    """Connect to a cluster.

    Raises
    ------
    FindMaxesError
        `distributed` is not installed, or nobody answers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise FindMaxesError(
            "--scheduler needs the package distributed: pip install dask distributed"
        ) from error
    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, asyncio.TimeoutError) as error:
        raise FindMaxesError(
            f"no Dask scheduler answers at {address}; an address such as tcp://10.0.0.1:8786 "
            "is accepted"
        ) from error


def shards(done: Sequence[Range], total: int, threads: int, size: int) -> Iterator[Range]:
    """Cut what is left into ranges of whole groups of `size`."""
    left = sum(stop - start for start, stop in remaining(done, total))
    images = max(1, min(MOST_IMAGES, left // (SHARDS_A_THREAD * max(threads, 1))))
    step = -(-images // size) * size
    for first, last in remaining(done, total):
        for start in range(first, last, step):
            yield start, min(start + step, last)


def scan_there(
    client: Client, job: Job, images: ImageList, done: Sequence[Range], size: int
) -> Iterator[Totals]:
    """Yield the totals of the shards that are left, as the cluster finishes them.

    Raises
    ------
    FindMaxesError
        The cluster has no workers, or a shard failed for good.
    """
    from distributed import as_completed

    threads = _threads(client)
    here = replace(
        job.net,
        prototxt=os.path.abspath(job.net.prototxt),
        weights=os.path.abspath(job.net.weights),
    )
    there = replace(job, net=here)
    digest, folder = weights_digest(job.net.weights), os.path.abspath(images.folder)
    work = shards(done, len(images), threads, size)

    def submit(where: Range) -> Any:
        names = images.names[slice(*where)]
        return client.submit(scan_shard, there, digest, folder, names, where[0], pure=False)

    # two for each thread are under way, so that none waits and little is in memory
    first = [submit(where) for where in itertools.islice(work, 2 * threads)]
    running = as_completed(first, loop=client.loop)
    for future in running:
        totals = Totals.from_arrays(_result(future))
        future.release()
        _check_files(totals, images)
        yield totals
        for where in work:
            running.add(submit(where))
            break


def _threads(client: Client) -> int:
    """Return how many threads the cluster has; wait a little for the first worker."""
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except (TimeoutError, asyncio.TimeoutError) as error:
        raise FindMaxesError(
            "the Dask cluster has no workers; start some with 'dask worker' in this checkout"
        ) from error
    return sum(client.nthreads().values())


def _result(future: Any) -> Arrays:
    """Return a shard's arrays; say in one sentence why there are none."""
    error = future.exception()
    if error is None:
        found: Arrays = future.result()
        return found
    if isinstance(error, ModuleNotFoundError):
        reason = f"its workers do not find {error.name}: start them in this checkout"
    else:
        lines = str(error).splitlines() or [type(error).__name__]
        reason = lines[0]
    raise FindMaxesError(f"the cluster could not scan some images: {reason}") from error


def _check_files(totals: Totals, images: ImageList) -> None:
    """Refuse a worker that does not see files that are there."""
    for index, reason in totals.bad.items():
        if "no such file" in reason and os.path.exists(images.path(index)):
            raise FindMaxesError(
                f"a worker does not find {images.path(index)}, which is there: workers need "
                "DATADIR under the same path"
            )
