"""Loading weights against merely reading the file."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.lab.nets import YOS
from bench.lab.timing import interleaved
from bench.registry import Table, benchmark


@benchmark("loading", "loading a caffemodel of 240 MB against reading its bytes")
def run(budget: float) -> list[Table]:
    """Time `copy_from` with caffenet-yos's weights (random ones where it is not fetched)."""
    net = YOS.load()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.caffemodel"
        net.save(file)
        size = file.stat().st_size / 1e6
        contenders = {"copy_from": lambda: net.copy_from(file), "reading": file.read_bytes}
        seconds = interleaved(contenders, budget)
    return [Table(f"{size:.0f} MB of weights from the page cache", seconds, "reading")]
