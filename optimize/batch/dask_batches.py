"""The same batches on an existing Dask cluster.

Workers need this checkout on their PYTHONPATH (start them in it), and the network's files under
the same paths. A worker that dies loses its batch, which another one takes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import torchcaffe as caffe
from optimize.ascent.optimizer import GradientOptimizer
from optimize.ascent.results import FindResults
from optimize.batch.executor import Batch, Compute
from optimize.command.open_model import ModelSpec, open_optimizer
from optimize.errors import OptimizeError
from optimize.output.progress import Progress
from toolbox.workers import dask_cluster

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 30
ROOT = Path(__file__).resolve().parents[2]
_CODE = ("optimize", "torchcaffe", "toolbox")  # what a result depends on

_lock = threading.Lock()  # a net computes one thing at a time
_open: list[tuple[ModelSpec, dict[str, Any], GradientOptimizer]] = []


def identity(spec: ModelSpec) -> dict[str, Any]:
    """Return what has to be the same on all machines: files of the network, code, PyTorch."""
    digest = hashlib.sha256()
    for package in _CODE:
        for path in sorted((ROOT / package).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return {
        "the network's files": spec.record(),
        "the toolbox's code": digest.hexdigest(),
        "PyTorch": torch.__version__,
    }


# ---------------------------------------------------------------- on a worker


def run_there(spec: ModelSpec, wanted: dict[str, Any], batch: Batch) -> list[FindResults]:
    """Compute a batch, on one thread as everywhere.

    Parameters
    ----------
    spec : ModelSpec
        The network; paths as they are here.
    wanted : dict
        The client's `identity`; a worker with another one refuses.
    batch : Batch
        What to compute.
    """
    with _lock:
        if not _open or _open[0][:2] != (spec, wanted):
            _open.clear()
            found = identity(spec)
            different = [name for name in wanted if found.get(name) != wanted[name]]
            if different:
                raise OptimizeError(
                    f"{' and '.join(different)} differ there; workers need the same checkout, the "
                    "same packages, and the network's files under the same paths"
                )
            caffe.set_threads(1)
            _open[:] = [(spec, wanted, open_optimizer(spec))]
        results = _open[0][2].run_batch(batch.params, batch.starts, batch.size)
    if batch.keeps_last:
        return results
    return [dataclasses.replace(one, last=one.last[:, :0]) for one in results]


# ---------------------------------------------------------------- on the client


def connect(address: str) -> Client:
    """Connect to a cluster.

    Raises
    ------
    OptimizeError
        `distributed` is not installed, or nobody answers.
    """
    try:
        return dask_cluster.connect(address, CONNECT_SECONDS)
    except dask_cluster.ClusterError as error:
        raise OptimizeError(str(error)) from error


def there(client: Client, spec: ModelSpec, optimizer: GradientOptimizer) -> Compute:
    """Return what computes batches on a cluster, in the order in which they come back.

    Parameters
    ----------
    client : distributed.Client
        From `connect`.
    spec : ModelSpec
        The network, with paths as they are here.
    optimizer : GradientOptimizer
        The network's, here: it knows the labels.
    """
    paths: dict[str, Any] = {
        name: caffe.opening.absolute(value)
        for name in ("prototxt", "weights", "mean")
        if isinstance(value := getattr(spec, name), str)
    }
    everywhere = dataclasses.replace(spec, **paths, labels=None)
    wanted = identity(everywhere)

    def compute(
        batches: Sequence[Batch], progress: Progress
    ) -> Iterator[tuple[int, list[FindResults]]]:
        def submit(piece: tuple[int, Batch]) -> Any:
            return client.submit(run_there, everywhere, wanted, piece[1], pure=False)

        try:
            threads = dask_cluster.count_threads(client, CONNECT_SECONDS)
            pieces = dask_cluster.spread(
                client, threads, enumerate(batches), submit, "compute some images"
            )
            for (number, batch), results in pieces:
                for params, result in zip(batch.params, results, strict=True):
                    result.label = optimizer.label(params)
                yield number, results
                progress.finish(len(batch.params))
        except dask_cluster.ClusterError as error:
            raise OptimizeError(str(error)) from error

    return compute
