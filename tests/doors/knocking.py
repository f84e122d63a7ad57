"""How every door is tried: its file changed at random, many times, from a fixed seed."""

from __future__ import annotations

import random
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.mutations import attempt, mutate_bytes, mutate_zip

SOAK = 10_000
SECONDS = 10  # the longest that a case may take
GIB = 1 << 20  # in the KiB of getrusage
Change = Callable[[random.Random, bytes], bytes]


@dataclass(frozen=True)
class Door:
    """One kind of file.

    Parameters
    ----------
    file : str
        Its name.
    make : callable
        Writes a sound one to a path.
    open : callable
        Reads it.
    refusals : tuple of type
        The errors that are a sentence; none for files whose damage counts as absence.
    change : callable
        How it is changed.
    sample : int
        Cases in `make test`.
    """

    file: str
    make: Callable[[Path], object]
    open: Callable[[Path], object]
    refusals: tuple[type[Exception], ...]
    change: Change
    sample: int = 200


def bytes_near(front: int) -> Change:
    return lambda rng, data: mutate_bytes(rng, data, front)


def zipped(rng: random.Random, data: bytes) -> bytes:
    return mutate_zip(rng, data, 200)


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2 * GIB


def knock(door: Door, folder: Path, soak: bool) -> None:
    """Change the door's file and open it, again and again."""
    rng, path = random.Random(door.file), folder / door.file
    door.make(path)
    data = path.read_bytes()
    assert not attempt("as it is", lambda: door.open(path), door.refusals)
    refused, count = 0, SOAK if soak else door.sample
    for i in range(count):
        path.write_bytes(door.change(rng, data))
        refused += attempt(f"case {i}", lambda: door.open(path), door.refusals, SECONDS)
    print(f"{door.file}: {count} cases, {refused} refused in a sentence")
    # A list of photos or labels is text, of which anything is one.
    assert refused or not door.refusals or door.file in ("labels.txt", "video.avi")
