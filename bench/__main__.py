"""`python -m bench`: print machine and versions, then every benchmark's tables."""

from __future__ import annotations

import argparse
import sys

import cv2
import torch

from bench.lab.machine import describe
from bench.registry import BENCHMARKS
from bench.rows import (
    backward,
    browser,
    busy,
    causes,
    drawing,
    find_maxes,
    forward,
    gpu,
    heap,
    imported,
    live,
    live_images,
    loading,
    optimize,
    tricks,
)

# Importing a benchmark's module registers it.
MODULES = (
    forward, backward, imported, busy, loading, drawing, live, live_images, browser, causes,
    optimize, find_maxes, tricks, heap, gpu,
)  # fmt: skip


def main() -> int:
    """Run the benchmarks asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Print benchmarks.")
    names = ", ".join(f"{b.name} ({b.about})" for b in BENCHMARKS.values())
    parser.add_argument("--only", metavar="NAME", choices=list(BENCHMARKS), help=names)
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="to spend on each table (default 10)"
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="of PyTorch and OpenCV (default: their own)"
    )
    args = parser.parse_args()
    if args.threads is not None and args.threads < 1:
        parser.error("--threads takes a number from 1")
    if args.threads:
        torch.set_num_threads(args.threads)
        cv2.setNumThreads(args.threads)
    print(describe(), flush=True)
    usual = [name for name, each in BENCHMARKS.items() if not each.long]
    for name in [args.only] if args.only else usual:
        for table in BENCHMARKS[name].run(args.seconds):
            print(f"\n{table.text()}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
