"""For all tests: Ctrl-C works, long loops only when asked for, the checkout left as it was.

Tests marked `gpu` are skipped where there is none.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.preloaded import Preloaded
from toolbox.workers.heap import hold_little

ROOT = Path(__file__).resolve().parents[1]
# What tools keep in the checkout and .gitignore names.
KEPT = {".git", ".venv", "build", "__pycache__"} | {
    f".{tool}_cache" for tool in ("pytest", "mypy", "ruff", "import_linter")
}
SOAK = 20  # times as many rounds as in `make test`

# A shell's background jobs ignore Ctrl-C, and so would what the tests start and interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="many rounds of the long loops")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gpu: needs a CUDA GPU; skipped where there is none")
    if config.getoption("--soak"):
        hold_little()  # as the window does, which is too late once there are threads


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="PyTorch finds no CUDA GPU here"))


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """How many rounds a loop goes: a sample, whose seed is fixed, or many under `make soak`."""
    return lambda sample: sample * (SOAK if request.config.getoption("--soak") else 1)


@pytest.fixture(scope="session")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    """Run commands of Python that would each load PyTorch first."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = Preloaded(tmp_path_factory.mktemp("preloaded"), environment)
    yield process
    process.close()


def checkout() -> set[str]:
    found = set()
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in KEPT]
        found.update(os.path.join(folder, name) for name in files)
    return found


def pytest_sessionstart(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):  # in pytest-xdist, the one that sees the end
        session.config.stash[_before] = checkout()


def pytest_sessionfinish(session: pytest.Session) -> None:
    before = session.config.stash.get(_before, None)
    left = sorted(checkout() - before) if before is not None else []
    if left:
        print(f"\nThe tests left in the checkout: {', '.join(left)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


_before = pytest.StashKey[set[str]]()
