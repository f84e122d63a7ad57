"""Work on an existing Dask cluster; `distributed` is needed only here."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from distributed import Client

Work = TypeVar("Work")

UNDER_WAY = 2  # pieces of work a thread: none waits, and little is in memory


class ClusterError(Exception):
    """What is wrong with the cluster, in one sentence."""


def connect(address: str, seconds: float = 30) -> Client:
    """Connect to a cluster.

    Parameters
    ----------
    address : str
        The scheduler's, such as tcp://10.0.0.1:8786.
    seconds : float
        How long to wait for an answer.

    Raises
    ------
    ClusterError
        `distributed` is not installed, or nobody answers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ClusterError(
            "--scheduler needs the package distributed: pip install dask distributed"
        ) from error
    try:
        return Client(address, timeout=seconds, set_as_default=False)
    except (OSError, ValueError, asyncio.TimeoutError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {address}; an address such as tcp://10.0.0.1:8786 "
            "is accepted"
        ) from error


def count_threads(client: Client, seconds: float = 30) -> int:
    """Return how many threads the cluster has; wait a little for the first worker.

    Raises
    ------
    ClusterError
        There is no worker.
    """
    try:
        client.wait_for_workers(1, timeout=seconds)
    except (TimeoutError, asyncio.TimeoutError) as error:
        raise ClusterError(
            "the Dask cluster has no workers; start some with 'dask worker' in this checkout"
        ) from error
    return max(1, sum(client.nthreads().values()))


def spread(
    client: Client,
    threads: int,
    work: Iterable[Work],
    submit: Callable[[Work], Any],
    doing: str,
) -> Iterator[tuple[Work, Any]]:
    """Yield each piece of work with its result, in the order in which they come back.

    Parameters
    ----------
    client : distributed.Client
        From `connect`.
    threads : int
        From `count_threads`.
    work : iterable
        The pieces, taken as there is room for them.
    submit : callable
        From a piece to the client's future.
    doing : str
        For the error: "the cluster could not <doing>: ...".

    Raises
    ------
    ClusterError
        A piece failed for good.
    """
    from distributed import as_completed

    left = iter(work)
    pieces: dict[Any, Work] = {}

    def start(piece: Work) -> Any:
        future = submit(piece)
        pieces[future.key] = piece
        return future

    running = as_completed(
        [start(piece) for piece in itertools.islice(left, UNDER_WAY * threads)], loop=client.loop
    )
    for future in running:
        result = _result(future, doing)
        future.release()
        yield pieces.pop(future.key), result
        for piece in itertools.islice(left, 1):
            running.add(start(piece))


def _result(future: Any, doing: str) -> Any:
    """Return a future's result; say in one sentence why there is none."""
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, ModuleNotFoundError):
        reason = f"its workers do not find {error.name}: start them in this checkout"
    else:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
    raise ClusterError(f"the cluster could not {doing}: {reason}") from error
