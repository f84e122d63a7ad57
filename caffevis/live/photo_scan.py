"""The process that goes through the photos, as this one sees it: started, listened to, ended."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from caffevis.live.cache import cache_folder, passing_folder, trim, unwritable
from caffevis.units.image_paths import ROOT
from toolbox.workers.worker import sentence_of

END_SECONDS = 1.5


class ScanError(Exception):
    """Photos that cannot be scanned; one sentence."""


@dataclass(frozen=True)
class Far:
    """How far the scan is.

    Parameters
    ----------
    done, of, bad : int
        Photos seen, all, and those that could not be read; `of` is 0 while it begins.
    saved : str
        The newest file with what was found; empty before the first.
    version : int
        Another one for each time that the file was written.
    finished : bool
        Whether nothing more is to come.
    error : str
        Why nothing more is to come, where that is no good end.
    unwritable : bool
        Whether that is a folder that cannot be written.
    note : str
        What the user has to know else.
    """

    done: int = 0
    of: int = 0
    bad: int = 0
    saved: str = ""
    version: int = 0
    finished: bool = False
    error: str = ""
    unwritable: bool = False
    note: str = ""

    def text(self) -> str:
        """Say it: `4,210 of 8,677 photos, 3 unreadable`."""
        if not self.of:
            return "the scan of the photos begins"
        bad = f", {self.bad:,} unreadable" if self.bad else ""
        return f"{self.done:,} of {self.of:,} photos{bad}"


class PhotoScan:
    """Runs `find_maxes.background`, in a thread that keeps what it told last.

    Parameters
    ----------
    order : callable
        Returns for a folder of scans the order's line, and how far an earlier scan came that
        has finished; called in the thread.
    keeps : bool
        Whether what was found is kept; else its folder is removed at the end.
    """

    def __init__(self, order: Callable[[Path], tuple[str, dict[str, Any]]], keeps: bool) -> None:
        self._order, self._keeps = order, keeps
        self._changed = threading.Condition()
        self._far = Far()
        self._closing = False
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, name="scan of photos", daemon=True)
        self._thread.start()

    @property
    def far(self) -> Far:
        """How far it is now."""
        with self._changed:
            return self._far

    def wait(self, seconds: float, seen: Far) -> None:
        """Wait until it is further than what was seen, at most so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._far != seen, seconds)

    def close(self) -> bool:
        """End the process and the thread; return whether both have ended."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            if self._process is not None:
                self._process.kill()  # its files are whole at any moment
        self._thread.join(END_SECONDS)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            if self._keeps and self._in_cache(cache_folder()):
                return
            # What the process leaves is removed, whatever it writes at last.
            with self._forgotten_at_the_end() as own:
                self._scan(own)
                self._until_closed()
        except Exception as problem:  # noqa: BLE001 - it becomes a sentence
            self._put(error=sentence_of(problem, (ScanError,), "the scan of photos"), finished=True)

    @contextlib.contextmanager
    def _forgotten_at_the_end(self) -> Iterator[Path]:
        with contextlib.ExitStack() as stack:
            try:
                own = stack.enter_context(passing_folder())
            except OSError as error:
                reason = (error.strerror or type(error).__name__).lower()
                raise ScanError(
                    "the photos are not scanned: no folder for what is found can be made "
                    f"({reason}); TMPDIR names another place"
                ) from error
            yield own

    def _in_cache(self, folder: Path) -> bool:
        """Scan, and keep what is found; return False where the folder can't be written."""
        why = unwritable(folder)
        if not why:
            trim(folder)
            self._scan(folder)
            why = self._far.error if self._far.unwritable and not self._closing else ""
        if why:
            note = f"{why}: what is found now is forgotten at the end"
            self._put(error="", unwritable=False, note=note)
        return not why

    def _until_closed(self) -> None:
        """Wait for the end: until then what was found is read."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing)

    def _scan(self, folder: Path) -> None:
        line, earlier = self._order(folder)
        if earlier:
            self._put(**earlier)
            return
        process = self._begin(line)
        if process is not None:
            self._listen(process)

    def _begin(self, line: str) -> subprocess.Popen[str] | None:
        """Start the process, unless this is being closed."""
        with self._changed:
            if self._closing:
                return None
            # In this session: Linux shares the cores out among sessions first, and its low
            # priority would not count beside the window (sched_autogroup).
            self._process = process = subprocess.Popen(
                [sys.executable, "-m", "find_maxes.background"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                text=True, encoding="utf-8", cwd=ROOT,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        with contextlib.suppress(OSError):
            if process.stdin is not None:
                process.stdin.write(line)
                process.stdin.flush()
        return process

    def _listen(self, process: subprocess.Popen[str]) -> None:
        """Keep what the process tells, until it ends, in whatever way."""
        with process:  # closes its pipes and waits for it
            for line in process.stdout or ():
                told = json.loads(line) if line.endswith("\n") else {}
                self._put(**told, version=self._far.version + ("saved" in told))
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
        retried = self._far.unwritable and self._keeps and not self._far.note
        if not self._far.finished and not self._closing and not retried:
            died = f"the process that scans the photos has died ({process.returncode}): what it "
            died += "found so far is shown, and it goes on when the window is opened again"
            self._put(error=self._far.error or died, finished=True)

    def _put(self, **values: Any) -> None:
        with self._changed:
            self._far = replace(self._far, **values)
            self._changed.notify_all()
