"""`python -m visualizations` in a fork of this process, and its commands in forks of that one.

Each takes two seconds less than a command that loads PyTorch first, and is killed at its work.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import cv2

from find_maxes import crop_max_patches, find_max_acts
from optimize.__main__ import main as optimize_main
from visualizations import __main__ as visualizations_main
from visualizations import pipeline

MAINS: dict[str, tuple[Callable[[list[str]], int], list[str]]] = {
    "visualizations": (visualizations_main.main, []),
    "optimize": (optimize_main, []),
    # Processes that decode would be started by the name of this one's command.
    "find_maxes.find_max_acts": (find_max_acts.main, ["--workers", "0"]),
    "find_maxes.crop_max_patches": (crop_max_patches.main, ["--workers", "0"]),
}


class Forked:
    """A tool in a fork, with what `subprocess.Popen` has: `pid`, `poll`, `wait`, `returncode`."""

    def __init__(self, words: Sequence[str], log: Path | None = None) -> None:
        self.returncode: int | None = None
        cv2.setNumThreads(1)  # a fork that ends the threads OpenCV has here would hang
        self.pid = os.fork()
        if not self.pid:
            try:
                status = _run(words, log)
            except BaseException:  # noqa: BLE001  (a fork must not go on as the test)
                traceback.print_exc()
                status = 70
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def poll(self) -> int | None:
        """Return how it ended, or None."""
        return self._look(os.WNOHANG)

    def wait(self) -> int | None:
        """Return how it ended, then."""
        return self._look(0)

    def _look(self, how: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, how)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def _run(words: Sequence[str], log: Path | None) -> int:
    if log is not None:  # not a command of another one
        os.setsid()
        file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
    pipeline.subprocess = SimpleNamespace(run=_command)  # type: ignore[assignment]
    main, more = MAINS[words[0]]
    return main([*more, *words[1:]])


def _command(command: list[str], **more: object) -> SimpleNamespace:
    """As `subprocess.run`; a fork has the open files that are to be passed on anyway."""
    return SimpleNamespace(returncode=Forked(command[2:]).wait())
