"""`python -m bench`: print machine and versions, then every benchmark's tables."""

from __future__ import annotations

import argparse
import sys

from bench import drawing, forward
from bench.machine import describe
from bench.registry import BENCHMARKS

# Importing a benchmark's module registers it.
MODULES = (forward, drawing)


def main() -> int:
    """Run the benchmarks asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Print benchmarks.")
    names = ", ".join(f"{b.name} ({b.about})" for b in BENCHMARKS.values())
    parser.add_argument("--only", metavar="NAME", choices=list(BENCHMARKS), help=names)
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="to spend on each table (default 10)"
    )
    args = parser.parse_args()
    print(describe(), flush=True)
    for name in [args.only] if args.only else list(BENCHMARKS):
        for table in BENCHMARKS[name].run(args.seconds):
            print(f"\n{table.text()}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
