"""`python -m caffevis.live`: what is kept of scans of photos, and removing it."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence

from caffevis.live.cache import LIMIT, cache_folder, scans
from toolbox.command_line import exit_status


def run(options: argparse.Namespace) -> None:
    """List the scans that are kept, or remove them."""
    folder = cache_folder()
    kept = scans(folder)
    size = sum(bytes_ for _, bytes_, _ in kept) / 2**20
    if options.empty:
        if folder.is_dir():
            shutil.rmtree(folder)
        print(f"{len(kept)} scans of {size:.1f} MB removed from {folder}")
    else:
        print(f"{len(kept)} scans of {size:.1f} MB in {folder}, at most {LIMIT / 2**20:.0f} MB")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m caffevis.live", description=__doc__)
    parser.add_argument("--empty", action="store_true", help="remove all of them")
    return exit_status("caffevis.live", lambda: run(parser.parse_args(arguments)), (OSError,))


if __name__ == "__main__":
    sys.exit(main())
