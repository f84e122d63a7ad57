"""Where scans of photos are kept between two runs: a folder for caches, bounded in bytes."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from toolbox.workers.file_lock import take

NAME = "deep-visualization-toolbox"
LIMIT = 1 << 30  # bytes of all scans together
USED = "used"  # a file with a number, which is higher where a scan was used later
_PASSING = "dvt-scan-"
_HELD = "held"  # a file that is locked as long as the folder is somebody's


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


def scans(folder: Path) -> list[tuple[Path, int, int]]:
    """List the scans kept: folder, bytes, when last used; the one used longest ago first."""
    found = []
    for each in sorted(folder.glob("*/")):
        with contextlib.suppress(OSError):
            size = sum(file.stat().st_size for file in each.iterdir())
            found.append((each, size, _used(each)))
    return sorted(found, key=lambda scan: scan[2])


def _used(scan: Path) -> int:
    """Return when a scan was used, counted in uses: no clock, which may be put back."""
    try:
        return int((scan / USED).read_text(encoding="ascii")[:18])
    except (OSError, ValueError):
        return 0


def mark_used(scan: Path) -> None:
    """Note that a scan is used now, later than all beside it; where that fails it is older."""
    latest = max((used for _, _, used in scans(scan.parent)), default=0)
    with contextlib.suppress(OSError):
        scan.mkdir(parents=True, exist_ok=True)
        (scan / USED).write_text(str(latest + 1), encoding="ascii")


def trim(folder: Path, limit: int = LIMIT) -> None:
    """Remove the scans used longest ago until all together are within the limit."""
    kept = scans(folder)
    total = sum(size for _, size, _ in kept)
    for each, size, _ in kept:
        if total <= limit:
            return
        shutil.rmtree(each, ignore_errors=True)
        total -= size


@contextlib.contextmanager
def passing_folder() -> Iterator[Path]:
    """Context with a folder that goes with it; those of processes that were killed go, too."""
    base = Path(tempfile.gettempdir())
    for left in base.glob(f"{_PASSING}*/{_HELD}"):
        with contextlib.suppress(OSError), left.open("r+b") as file:
            if take(file):
                shutil.rmtree(left.parent, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(prefix=_PASSING, ignore_cleanup_errors=True) as own,
        open(os.path.join(own, _HELD), "wb") as file,
    ):
        take(file)
        yield Path(own)
