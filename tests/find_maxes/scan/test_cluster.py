"""A real Dask cluster on loopback: scheduler and workers are processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from find_maxes import find_max_acts
from find_maxes.scan import dask_shards, maxes_file
from find_maxes.scan.running_totals import joined, remaining
from tests.find_maxes.conftest import ROOT, TINY, build_model

pytest.importorskip("distributed", reason="distributed is optional")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


class Cluster:
    """A scheduler and its workers, in this checkout."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []
        scheduler_file = folder / "scheduler.json"
        self.start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                   "--scheduler-file", scheduler_file)  # fmt: skip
        end = time.monotonic() + 60
        while not scheduler_file.exists() and time.monotonic() < end:
            time.sleep(0.05)
        self.address = json.loads(scheduler_file.read_text(encoding="utf-8"))["address"]

    def start(self, what, *arguments):
        command = [sys.executable, "-m", "distributed.cli.dask_" + what, *map(str, arguments)]
        with open(self.folder / f"{what}.log", "a", encoding="utf-8") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, env=ENVIRONMENT
            )
        self.processes.append(process)
        return process

    def worker(self):
        return self.start("worker", self.address, "--host", "127.0.0.1", "--nthreads", 1,
                          "--no-nanny", "--no-dashboard", "--memory-limit", 0)  # fmt: skip

    def close(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def dask(tmp_path):
    (tmp_path / "dask").mkdir()
    found = Cluster(tmp_path / "dask")
    yield found
    found.close()


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    model = build_model(tmp_path_factory.mktemp("long"), TINY)
    model.write_list((model.names + ["gone.jpg"]) * 60)
    return model


def test_with_a_worker_killed_the_result_is_that_of_one_machine(dask, long, tmp_path):
    here, there = tmp_path / "here.npz", tmp_path / "there.npz"
    options = ["--histograms", "--labels", "--quantiles", "--layers", "conv1", "part/conv2", "fc"]
    assert find_max_acts.main(long.arguments(here, "--workers", "0", *options)) == 0
    workers = [dask.worker(), dask.worker()]
    options += ["--scheduler", dask.address, "--checkpoint-every", "0"]
    command = [sys.executable, "-m", "find_maxes.find_max_acts", *long.arguments(there, *options)]
    client = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    end = time.monotonic() + 120
    while not maxes_file.checkpoint_of(there).exists() and time.monotonic() < end:
        assert client.poll() is None, client.stdout.read()
        time.sleep(0.005)
    workers[0].send_signal(signal.SIGKILL)
    printed, _ = client.communicate(timeout=200)
    assert client.returncode == 0, printed
    assert there.read_bytes() == here.read_bytes()
    assert not maxes_file.checkpoint_of(there).exists()


def test_stopped_on_a_cluster_and_resumed_here(dask, long, tmp_path):
    here, there = tmp_path / "here.npz", tmp_path / "there.npz"
    assert find_max_acts.main(long.arguments(here, "--workers", "0", "--layers", "fc")) == 0
    dask.worker()
    options = ["--scheduler", dask.address, "--checkpoint-every", "0", "--layers", "fc"]
    command = [sys.executable, "-m", "find_maxes.find_max_acts", *long.arguments(there, *options)]
    client = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    end = time.monotonic() + 120
    while not maxes_file.checkpoint_of(there).exists() and time.monotonic() < end:
        time.sleep(0.005)
    client.send_signal(signal.SIGTERM)
    printed, _ = client.communicate(timeout=100)
    assert client.returncode == 130, printed
    options = ["--workers", "0", "--layers", "fc", "--resume"]
    assert find_max_acts.main(long.arguments(there, *options)) == 0
    assert there.read_bytes() == here.read_bytes()


def test_no_scheduler_and_no_workers(dask, tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(dask_shards, "CONNECT_SECONDS", 2)
    out = tmp_path / "max.npz"
    assert find_max_acts.main(tiny.arguments(out, "--scheduler", "tcp://127.0.0.1:9")) == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err
    assert find_max_acts.main(tiny.arguments(out, "--scheduler", "nonsense://x")) == 2
    assert "nonsense" in capsys.readouterr().err
    assert find_max_acts.main(tiny.arguments(out, "--scheduler", dask.address)) == 2
    assert "has no workers" in capsys.readouterr().err


def test_without_the_package(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert find_max_acts.main(tiny.arguments(tmp_path / "m.npz", "--scheduler", "tcp://x:1")) == 2
    assert "pip install dask distributed" in capsys.readouterr().err


@pytest.mark.parametrize("done", [[], [(0, 32)], [(48, 96), (0, 16)]])
@pytest.mark.parametrize("threads", [1, 3, 100])
def test_shards_are_whole_groups_of_what_is_left(done, threads):
    found = list(dask_shards.shards(done, 150, threads, 16))
    assert joined([*done, *found]) == [(0, 150)]
    assert sum(stop - start for start, stop in [*done, *found]) == 150
    assert all(start % 16 == 0 for start, _ in found)
    assert joined(found) == list(remaining(done, 150))
