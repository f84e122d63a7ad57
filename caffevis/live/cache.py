"""Where scans of photos are kept between two runs: a folder for caches, bounded in bytes."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

NAME = "deep-visualization-toolbox"
LIMIT = 1 << 30  # bytes of all scans together


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of all scans, as the XDG base directories have it."""
    # The specification says to pass a relative path over.
    given = environment.get("XDG_CACHE_HOME", "")
    base = Path(given) if os.path.isabs(given) else Path.home() / ".cache"
    return base / NAME / "scans"


def unwritable(folder: Path) -> str:
    """Make a folder; say in a sentence why it can't be written into, and nothing where it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        return f"the cache folder {folder} cannot be written: {reason}"


def scans(folder: Path) -> list[tuple[Path, int, float]]:
    """List the scans kept: folder, bytes, when last used; the one used longest ago first."""
    found = []
    for each in sorted(folder.glob("*/")):
        with contextlib.suppress(OSError):
            size = sum(file.stat().st_size for file in each.iterdir())
            found.append((each, size, each.stat().st_mtime))
    return sorted(found, key=lambda scan: scan[2])


def trim(folder: Path, limit: int = LIMIT) -> None:
    """Remove the scans used longest ago until all together are within the limit."""
    kept = scans(folder)
    total = sum(size for _, size, _ in kept)
    for each, size, _ in kept:
        if total <= limit:
            return
        shutil.rmtree(each, ignore_errors=True)
        total -= size
