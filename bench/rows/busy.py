"""The passes beside busy processes, with OpenMP's threads spinning and sleeping.

OpenMP reads how to wait once, when it is loaded, so each way is a process of its own:
`python -m bench.rows.busy SECONDS` prints the seconds of each round.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

import numpy as np

from bench.lab.nets import YOS, photo
from bench.registry import Table, benchmark
from torchcaffe.process.openmp import CHOICE, NAMES

# GNU's own default spins as often as this.
POLICIES = {"sleeping (ours)": CHOICE, "spinning": {"GOMP_SPINCOUNT": "300000"}}
TURNS = 2  # of each policy, one after the other


def passes(seconds: float) -> list[float]:
    """Time forward and deconv from conv5 of caffenet-yos, as the window goes."""
    net, x = YOS.load(), photo()
    diff = np.zeros(net.blobs["conv5"].shape, np.float32)
    diff[:, 7] = 1
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 12 or time.perf_counter() < end:
        start = time.perf_counter()
        net.blobs["data"].data[...] = x
        net.forward()
        net.deconv_from_layer("conv5", diff, zero_higher=True)
        times.append(time.perf_counter() - start)
    return times[2:]


@contextmanager
def beside(count: int) -> Iterator[None]:
    """Keep so many processes busy meanwhile."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def _child(policy: dict[str, str], seconds: float) -> list[float]:
    plain = {name: value for name, value in os.environ.items() if name not in NAMES}
    done = subprocess.run(
        [sys.executable, "-m", "bench.rows.busy", str(seconds)],
        cwd=Path(__file__).parents[2], env={**plain, **policy},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [float(value) for value in json.loads(done.stdout)]


@benchmark("busy", "forward and deconv beside no, one and two busy processes")
def run(budget: float) -> list[Table]:
    """Compare how OpenMP's threads wait, in turns."""
    tables = []
    for count, words in enumerate(("no busy process", "one busy process", "two busy processes")):
        times: dict[str, list[float]] = {name: [] for name in POLICIES}
        with beside(count):
            for name in [*POLICIES] * TURNS:
                times[name] += _child(POLICIES[name], budget / TURNS / len(POLICIES))
        slow = ", ".join(
            f"{name} {1e3 * quantiles(values, n=10)[-1]:.0f}" for name, values in times.items()
        )
        medians = {name: median(values) for name, values in times.items()}
        title = f"forward and deconv, {YOS.title}, beside {words}"
        tables.append(Table(title, medians, "spinning", notes=[f"90th percentile, ms: {slow}"]))
    return tables


if __name__ == "__main__":
    print(json.dumps(passes(float(sys.argv[1]))))
