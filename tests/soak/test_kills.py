"""Batch tools killed (kill -9) at random moments, 100 times each, end as an unbroken run.

Only under `make soak`; `make test` has a few kills of each tool beside its other tests.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from find_maxes.background import Order
from find_maxes.photos.net_input import Recipe
from find_maxes.scan.network import NetFiles
from tests.conftest import ROOT
from tests.find_maxes.conftest import TINY, Model, build_model
from tests.soak.forked import Forked

KILLS = 100
PHOTOS = 1600  # of a scan: it takes about as long as starting the process
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A tiny net, photos and settings."""
    made = build_model(tmp_path_factory.mktemp("kills"), TINY)
    made.write_list(made.names * 40)
    (made.folder / "settings.py").write_text(
        f"caffevis_deploy_prototxt = {str(made.prototxt)!r}\n"
        f"caffevis_network_weights = {str(made.weights)!r}\n"
        "caffevis_data_mean = (104, 117, 123)\n",
        encoding="utf-8",
    )
    return made


def scan(model: Model, out: Path) -> list[str]:
    """Return the words of find_max_acts, with a checkpoint after each group."""
    more = ["--histograms", "--correlation", "--workers", "1", "--checkpoint-every", "0"]
    return ["find_maxes.find_max_acts", *more, "--resume", *model.arguments(out / "max.npz")]


def ascend(model: Model, out: Path) -> list[str]:
    """Return the words of optimize for all units of two layers."""
    where = ["--settings", str(model.folder / "settings.py"), "--unit-jpg-dir", str(out)]
    how = ["--layers", "part/conv2", "fc", "--preset", "5", "--seeds", "2", "--max-iter", "60"]
    return ["optimize", *where, *how, "--batch-size", "4", "--threads", "1", "--resume"]


def both(model: Model, out: Path) -> list[str]:
    """Return the words of visualizations: images, patches and deconvs of a layer."""
    where = ["--settings", str(model.folder / "settings.py"), "--out", str(out / "out")]
    more = ["--work", str(out / "work"), "--photos", str(model.photos), "--layers", "part/conv2"]
    how = ["--seeds", "2", "--max-iter", "60", "--tile", "16", "--threads", "1"]
    return ["visualizations", *where, *more, *how]


def contents(folder: Path) -> dict[str, bytes]:
    """Return what a tool left for its user: file -> bytes."""
    files = [path for path in folder.rglob("*") if path.is_file() and "work" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def times(folder: Path) -> dict[Path, int]:
    """Return when files and folders last changed; what goes on alone may still remove some."""
    found = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            found[path] = path.stat().st_mtime_ns
    return found


def start(words: list[str], log: Path) -> subprocess.Popen[bytes] | Forked:
    """Run a tool, in a process group of its own."""
    if words[0] == "visualizations":
        return Forked(words, log)  # one run would load PyTorch four times
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", *words], cwd=ROOT, env=ENVIRONMENT, stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip


def work_of(process: int) -> float:
    """Return the seconds of processor time of a process, its children and those that ended."""
    place = Path(f"/proc/{process}")
    fields = (place / "stat").read_text("utf-8").rpartition(")")[2].split()
    children = (place / "task" / str(process) / "children").read_text("utf-8").split()
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return own + sum(work_of(int(child)) for child in children)


def ended(
    process: subprocess.Popen[bytes] | Forked, work: float, alone: bool = False
) -> float | None:
    """Let it work so long, and kill it if it still runs; return its work if it ended by itself.

    Processor time, because wall-clock time to the end depends on what else the machine does. What
    it started is killed too, as where a machine is switched off, or goes on `alone`.
    """
    done = 0.0
    for _ in range(60_000):  # of 10 ms, which do not pass while all of this is stopped
        if process.poll() is not None:
            return done
        with contextlib.suppress(OSError):
            done = work_of(process.pid)
        if done > work:
            break
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL) if alone else os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert done > work, "it hangs"
    return None


@pytest.mark.parametrize("words", [scan, ascend, both], ids=lambda words: words.__name__)
def test_killed_at_random_moments(
    model: Model,
    tmp_path: Path,
    words: Callable[[Model, Path], list[str]],
    request: pytest.FixtureRequest,
) -> None:
    if not request.config.getoption("--soak"):
        pytest.skip("a hundred runs; make soak has them")
    whole, broken, log = tmp_path / "whole", tmp_path / "broken", tmp_path / "log.txt"
    whole.mkdir()
    process = start(words(model, whole), log)
    longest = ended(process, math.inf)
    assert longest and process.returncode == 0, log.read_text()
    wanted, draw = contents(whole), random.Random(words.__name__)
    least = 0.4 if words is not both else 0.1  # what is before is loading PyTorch
    kills = struck = finished = 0
    while kills < KILLS or not finished:
        broken.mkdir(exist_ok=True)
        before = times(broken)
        process = start(words(model, broken), log)
        # Now and then it is left to end, so that ends are compared.
        work = math.inf if kills >= KILLS else draw.uniform(least, 1.0) * longest
        if ended(process, work, draw.random() < 0.5) is None:
            kills += 1
            struck += before != times(broken)
            continue
        assert process.returncode == 0, log.read_text()[-2000:]
        finished += 1
        assert contents(broken) == wanted
        shutil.rmtree(broken)
    print(f"{words.__name__}: {kills} kills, {struck} of them after something was written, "
          f"{finished} ends, each the unbroken run's bytes")  # fmt: skip


def order_of(model: Model, photos: Path, cache: Path) -> str:
    """Return what the window would tell the process that scans the photos."""
    net = NetFiles.named(str(model.prototxt), str(model.weights))
    recipe = Recipe(3, 40, 32, mean=np.full((1, 1, 3), 110, np.float32))
    return Order(net, recipe, str(photos), str(cache)).to_line()


# As `python -m find_maxes.background`, but with a checkpoint after each group.
SCANNER = """
import sys
from find_maxes import background
background.EVERY_SECONDS = background.SHARE = 0
sys.exit(background.main())
"""
# The window's side of it: it passes the order on, and its death is the end of the pipe.
WINDOW = """
import subprocess, sys
order = sys.stdin.readline()
scanner = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE, text=True)
scanner.stdin.write(order)
scanner.stdin.flush()
sys.exit(scanner.wait())
"""


def begin(line: str, of_window: bool, log: Path) -> subprocess.Popen[bytes]:
    """Start a scan of photos, below something in the window's place or alone."""
    words = [WINDOW, SCANNER] if of_window else [SCANNER]
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", *words], cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.PIPE,
            stdout=file, stderr=file,
        )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(line.encode())
    process.stdin.flush()
    return process


def test_scans_of_photos_killed_at_random_moments(
    model: Model, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if not request.config.getoption("--soak"):
        pytest.skip("a hundred runs; make soak has them")
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(PHOTOS):
        name = model.names[number % len(model.names)]
        os.link(model.photos / name, photos / f"{number:04d}{Path(name).suffix}")
    log, draw = tmp_path / "log.txt", random.Random("live")
    begun = time.monotonic()
    whole = order_of(model, photos, tmp_path / "whole")
    assert begin(whole, False, log).wait(600) == 0, log.read_text()
    longest = time.monotonic() - begun
    (wanted,) = (tmp_path / "whole").glob("*/max.npz")
    line = order_of(model, photos, tmp_path / "broken")
    kills = finished = 0
    while kills < KILLS or not finished:
        process = begin(line, draw.random() < 0.5, log)
        try:
            patience = 600 if kills >= KILLS else draw.uniform(0.5, 1.0) * longest
            assert process.wait(patience) == 0, log.read_text()[-2000:]
        except subprocess.TimeoutExpired:
            process.kill()  # what it was a window for ends by itself, and the next one waits
            process.wait()
            kills += 1
            continue
        finally:
            assert process.stdin is not None
            process.stdin.close()
        finished += 1
        (found,) = (tmp_path / "broken").glob("*/*.npz")
        assert found.read_bytes() == wanted.read_bytes()
        shutil.rmtree(tmp_path / "broken")
    print(f"scans of photos: {kills} kills, {finished} ends, each the unbroken run's bytes")
