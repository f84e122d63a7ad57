"""The forward pass with the C library's heaps, the window's one, and the batch tools' one.

Heaps are chosen before there are threads, so each way is a process of its own:
`python -m bench.rows.heap WAY NET BATCH SECONDS` prints the seconds of each round.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from bench.lab import deep
from bench.registry import Table, benchmark
from toolbox.workers.heap import NAMES, hold_all, hold_little, keep_apart

USUAL = "the C library's own"
TOOLS = "batch tools: one, which keeps all"
WINDOW = "window: one, large pieces apart"
NETS = {"SqueezeNet": 16, "VGG-16": 1}  # and of how many pictures a batch
TURNS = 2
WAYS: dict[str, Callable[[int], object]] = {
    USUAL: lambda largest: None,
    TOOLS: lambda largest: hold_all(),
    WINDOW: lambda largest: hold_little() and keep_apart(largest),
}


def passes(way: str, name: str, batch: int, seconds: float) -> list[float]:
    """Time forward passes, the heap chosen before the net is there."""
    WAYS[way](0)
    net = deep.load(name)
    WAYS[way](max(4 * math.prod(blob.shape) for blob in net.blobs.values()))
    (data,) = net.inputs
    net.blobs[data].reshape(batch, *net.blobs[data].shape[1:])
    net.reshape()
    net.blobs[data].data[...] = np.random.default_rng(0).standard_normal(net.blobs[data].shape)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 6 or time.perf_counter() < end:
        start = time.perf_counter()
        net.forward()
        times.append(time.perf_counter() - start)
    return times[2:]


def _child(way: str, name: str, batch: int, seconds: float) -> list[float]:
    plain = {name: value for name, value in os.environ.items() if name not in NAMES}
    done = subprocess.run(
        [sys.executable, "-m", "bench.rows.heap", way, name, str(batch), str(seconds)],
        env=plain, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    times: list[float] = json.loads(done.stdout)
    return times


@benchmark("heap", "the forward pass with memory held in three ways")
def run(budget: float) -> list[Table]:
    """Run each net in each way, in turns."""
    tables = []
    for name, batch in NETS.items():
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(TURNS):
            for way, times in found.items():
                times += _child(way, name, batch, budget / (TURNS * len(WAYS) * len(NETS)))
        seconds = {way: median(times) for way, times in found.items()}
        title = f"forward of a batch of {batch}, {name}, by where memory comes from"
        tables.append(Table(title, seconds, USUAL))
    return tables


if __name__ == "__main__":
    print(json.dumps(passes(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))))
