"""The same scan on an existing Dask cluster: shards of the list, merged as they come back.

Workers need this checkout on their PYTHONPATH (start them in it), the net's files and DATADIR
under the same paths, and one thread each. `distributed` is needed only here.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

import torchcaffe as caffe
from find_maxes.errors import FindMaxesError
from find_maxes.labels.lots import Lots, draw_lots
from find_maxes.photos.decoders import Decoder
from find_maxes.photos.photo_list import ImageList
from find_maxes.scan.lanes import Lanes
from find_maxes.scan.network import NetFiles, Runner
from find_maxes.scan.running_totals import Arrays, Range, Totals, remaining
from find_maxes.scan.scan import Job, Scan, weights_digest
from toolbox.pictures.file_versions import FileVersions
from toolbox.workers import dask_cluster

if TYPE_CHECKING:
    from distributed import Client

MOST_IMAGES = 1024  # of a shard: what a dead worker loses
SHARDS_A_THREAD = 4  # at least, so that all end at about the same time
CONNECT_SECONDS = 30

_lock = threading.Lock()  # a net computes one thing at a time
_open: dict[tuple[NetFiles, tuple[str, ...], str], Runner] = {}


# ---------------------------------------------------------------- on a worker


def scan_shard(
    job: Job,
    digest: str,
    folder: str,
    names: tuple[str, ...],
    start: int,
    lots: Lots | None = None,
) -> Arrays:
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
    lots : Lots, optional
        Of these images, where labels or quantiles are wanted.
    """
    with _lock:
        scan = Scan(job, _runner(job, digest), lots)
        images = ImageList(folder, names, np.full(len(names), -1, np.int64))
        totals = scan.empty()
        lanes = Lanes(scan.runner)
        with Decoder(job.recipe, scan.runner.size, 0, held=lanes.count) as decoder, lanes:
            for _ in scan.run(images, (0, len(names)), decoder, lanes, totals, start):
                pass
        return totals.arrays()


def _runner(job: Job, digest: str) -> Runner:
    """Return the job's net, opened when it is first asked for."""
    key = (job.net, job.layers, digest)
    if key not in _open:
        files = FileVersions(caffe.opening.files_of(job.net.prototxt, job.net.weights))
        if weights_digest(job.net.weights) != digest:
            raise FindMaxesError(f"{job.net.weights} is another file on this worker")
        _open.clear()
        runner = Runner(job.net, job.layers)
        if why := files.changed():
            raise FindMaxesError(why)
        _open[key] = runner
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
        return dask_cluster.connect(address, CONNECT_SECONDS)
    except dask_cluster.ClusterError as error:
        raise FindMaxesError(str(error)) from error


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
    here = replace(
        job.net,
        prototxt=caffe.opening.absolute(job.net.prototxt),
        weights=caffe.opening.absolute(job.net.weights),
    )
    there = replace(job, net=here)
    digest, folder = weights_digest(job.net.weights), os.path.abspath(images.folder)
    lots = draw_lots(images) if job.wanted.needs_lots else None

    def submit(where: Range) -> Any:
        names = images.names[slice(*where)]
        part = lots and lots.part(*where)
        return client.submit(scan_shard, there, digest, folder, names, where[0], part, pure=False)

    try:
        threads = dask_cluster.count_threads(client, CONNECT_SECONDS)
        work = shards(done, len(images), threads, size)
        for _, arrays in dask_cluster.spread(client, threads, work, submit, "scan some images"):
            totals = Totals.from_arrays(arrays)
            _check_files(totals, images)
            yield totals
    except dask_cluster.ClusterError as error:
        raise FindMaxesError(str(error)) from error


def _check_files(totals: Totals, images: ImageList) -> None:
    """Refuse a worker that does not see files that are there."""
    for index, reason in totals.bad.items():
        if "no such file" in reason and os.path.exists(images.path(index)):
            raise FindMaxesError(
                f"a worker does not find {images.path(index)}, which is there: workers need "
                "DATADIR under the same path"
            )
