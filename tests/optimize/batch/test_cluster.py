"""Batches of ascents on a real Dask cluster on loopback: the files of one machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from optimize.__main__ import main
from optimize.batch import dask_batches
from tests.optimize.conftest import CHAIN, build

pytest.importorskip("distributed", reason="distributed is optional")
ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


class Dask:
    """A scheduler, and workers that are started by hand."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._processes = folder, []
        file = folder / "scheduler.json"
        self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                    "--scheduler-file", str(file))  # fmt: skip
        end = time.monotonic() + 60
        while not file.exists() and time.monotonic() < end:
            time.sleep(0.05)
        self.address = json.loads(file.read_text(encoding="utf-8"))["address"]

    def _start(self, what: str, *arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "distributed.cli.dask_" + what, *arguments]
        with open(self._folder / f"{what}.log", "a", encoding="utf-8") as log:
            process = subprocess.Popen(
                command, cwd=self._folder, stdout=log, stderr=log, env=ENVIRONMENT
            )
        self._processes.append(process)
        return process

    def worker(self) -> subprocess.Popen:
        return self._start("worker", self.address, "--host", "127.0.0.1", "--nthreads", "1",
                           "--no-nanny", "--no-dashboard", "--memory-limit", "0")  # fmt: skip

    def close(self) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()


@pytest.fixture
def dask(tmp_path: Path):
    (tmp_path / "dask").mkdir()
    found = Dask(tmp_path / "dask")
    yield found
    found.close()


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    net = build(CHAIN, tmp_path)
    net.save(str(tmp_path / "chain.caffemodel"))
    place = tmp_path / "settings.py"
    place.write_text(
        f"caffevis_deploy_prototxt = {str(tmp_path / 'chain.prototxt')!r}\n"
        f"caffevis_network_weights = {str(tmp_path / 'chain.caffemodel')!r}\n"
        "caffevis_data_mean = (104, 117, 123)\n"
    )
    return place


def units(settings: Path, folder: Path, *more: str) -> list[str]:
    return ["--settings", str(settings), "--layers", "conv1", "conv2", "fc", "--seeds", "2",
            "--max-iter", "40", "--batch-size", "4", "--quiet", "--threads", "1",
            "--unit-jpg-dir", str(folder), *more]  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_with_a_worker_killed_the_files_are_those_of_one_machine(
    dask: Dask, settings: Path, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    assert main(units(settings, here)) == 0
    workers = [dask.worker(), dask.worker()]
    command = units(settings, there, "--scheduler", dask.address)
    client = subprocess.Popen(
        [sys.executable, "-m", "optimize", *command], cwd=ROOT, env=ENVIRONMENT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    end = time.monotonic() + 120
    while not list(there.rglob("*_montage.jpg")) and time.monotonic() < end:
        assert client.poll() is None, client.stdout.read()
        time.sleep(0.002)
    workers[0].send_signal(signal.SIGKILL)
    printed, _ = client.communicate(timeout=200)
    assert client.returncode == 0, printed
    assert contents(there) == contents(here)
    # Each unit, and of each layer its sheet, its scores and whose they are.
    assert len(contents(here)) == (8 + 12 + 10) + 3 * 3


def test_stopped_on_a_cluster_and_resumed_here(dask: Dask, settings: Path, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    assert main(units(settings, here)) == 0
    dask.worker()
    command = units(settings, there, "--scheduler", dask.address)
    client = subprocess.Popen(
        [sys.executable, "-m", "optimize", *command], cwd=ROOT, env=ENVIRONMENT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    end = time.monotonic() + 120
    while not list(there.rglob("*_montage.jpg")) and time.monotonic() < end:
        time.sleep(0.002)
    client.kill()
    client.communicate()
    assert main(units(settings, there, "--resume")) == 0
    assert contents(there) == contents(here)


def test_single_runs_on_a_cluster(dask: Dask, settings: Path, tmp_path: Path) -> None:
    dask.worker()
    for name, more in (("here", []), ("there", ["--scheduler", dask.address])):
        options = ["--settings", str(settings), "--push-layer", "conv2", "--push-channels", "0-4",
                   "--max-iter", "5", "--batch-size", "2", "--quiet", "--threads", "1",
                   "--output-prefix", str(tmp_path / name / "opt"), *more]  # fmt: skip
        assert main(options) == 0
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def test_what_can_be_wrong_with_a_cluster(
    dask: Dask,
    settings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(dask_batches, "CONNECT_SECONDS", 2)

    def said(address: str) -> str:
        assert main(units(settings, tmp_path / "out", "--brave", "--scheduler", address)) == 2
        err = [line for line in capfd.readouterr().err.splitlines() if "optimize: " in line]
        assert len(err) == 1
        return err[0]

    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in said("tcp://127.0.0.1:9")
    assert "nonsense" in said("nonsense://x")
    assert "has no workers" in said(dask.address)
    dask.worker()
    monkeypatch.setattr(dask_batches, "CONNECT_SECONDS", 60)
    real = dask_batches.identity
    for name in ("the network's files", "the toolbox's code", "PyTorch"):
        monkeypatch.setattr(
            dask_batches, "identity", lambda s, name=name: {**real(s), name: "other"}
        )
        assert f"{name} differ there" in said(dask.address)
    monkeypatch.setattr(dask_batches, "identity", real)
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert "pip install dask distributed" in said(dask.address)


def test_a_worker_does_not_go_on_with_weights_that_were_replaced(
    dask: Dask, settings: Path, tmp_path: Path
) -> None:
    dask.worker()
    more = ["--scheduler", dask.address]
    assert main(units(settings, tmp_path / "first", *more)) == 0
    build(CHAIN, tmp_path, seed=1).save(str(tmp_path / "chain.caffemodel"))
    assert main(units(settings, tmp_path / "there", *more)) == 0
    assert main(units(settings, tmp_path / "here")) == 0
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert contents(tmp_path / "there") != contents(tmp_path / "first")


def test_without_the_network_s_files_a_worker_says_so(
    dask: Dask, settings: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from distributed import Client

    dask.worker()
    gone = str(tmp_path / "gone.caffemodel")
    with Client(dask.address, set_as_default=False) as client:
        spec = dask_batches.ModelSpec(str(tmp_path / "chain.prototxt"), gone)
        future = client.submit(dask_batches.run_there, spec, {}, None)
        assert "gone.caffemodel cannot be read" in str(future.exception())
