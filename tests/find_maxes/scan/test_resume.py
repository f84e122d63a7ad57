"""Stopping at any moment, going on, and disks that fill up."""

import errno
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from find_maxes import find, find_max_acts
from find_maxes.scan import maxes_file
from tests.find_maxes.conftest import ROOT, TINY, build_model

KILLS = 20
STATISTICS = ["--histograms", "--correlation", "--labels", "--quantiles"]


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A model whose list takes a while: its photos, and a bad one, many times."""
    model = build_model(tmp_path_factory.mktemp("long"), TINY)
    model.write_list((model.names + ["gone.jpg"]) * 60)
    return model


def command(model, out, *options):
    options = [*options, *STATISTICS, "--checkpoint-every", "0"]
    return [sys.executable, "-m", "find_maxes.find_max_acts", *model.arguments(out, *options)]


def wait_for_checkpoint(path, before, process):
    """Wait until a checkpoint is newer than `before`."""
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if path.exists() and path.stat().st_mtime_ns != before:
            return
        time.sleep(0.002)


def test_killed_at_random_moments(long, tmp_path, rounds):
    """However often it is killed, it ends with the bytes of an unbroken run."""
    whole, broken = tmp_path / "whole.npz", tmp_path / "broken.npz"
    assert find_max_acts.main(long.arguments(whole, "--workers", "0", *STATISTICS)) == 0
    draw, kills, checkpoint = random.Random(3), 0, maxes_file.checkpoint_of(broken)
    with open(tmp_path / "log.txt", "w", encoding="utf-8") as log:
        while kills < min(KILLS, rounds(3)):
            before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
            process = subprocess.Popen(
                command(long, broken, "--workers", "0", "--resume"),
                cwd=ROOT, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
            wait_for_checkpoint(checkpoint, before, process)
            time.sleep(draw.uniform(0, 0.03))
            assert process.poll() is None, "it was finished before it could be killed"
            process.kill()
            process.wait()
            kills += 1
    assert checkpoint.exists() and not broken.exists()
    # One kill may have come in the middle of writing: then this is left.
    checkpoint.with_name(f"{checkpoint.name}.tmp").write_bytes(b"cut off")
    options = ["--workers", "2", "--resume", *STATISTICS]
    assert find_max_acts.main(long.arguments(broken, *options)) == 0
    assert broken.read_bytes() == whole.read_bytes()
    assert not checkpoint.exists()
    assert sorted(p.name for p in tmp_path.glob("*.npz*")) == ["broken.npz", "whole.npz"]


def test_decoders_do_not_outlive_a_killed_run(long, tmp_path):
    out = tmp_path / "max.npz"
    process = subprocess.Popen(
        command(long, out, "--workers", "2"),
        cwd=ROOT, stderr=subprocess.DEVNULL, env={**os.environ, "MARK_OF_TEST": str(tmp_path)},
    )  # fmt: skip
    wait_for_checkpoint(maxes_file.checkpoint_of(out), None, process)
    assert processes_with(str(tmp_path))
    process.kill()
    process.wait()
    end = time.monotonic() + 20
    while processes_with(str(tmp_path)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not processes_with(str(tmp_path))


def processes_with(mark):
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if f"MARK_OF_TEST={mark}".encode() in file.read():
                    found.append(int(name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_politely_a_checkpoint_is_kept(long, tmp_path, number):
    out = tmp_path / "max.npz"
    process = subprocess.Popen(
        command(long, out), cwd=ROOT, stderr=subprocess.PIPE, text=True
    )  # fmt: skip
    wait_for_checkpoint(maxes_file.checkpoint_of(out), None, process)
    process.send_signal(number)
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in printed and "Traceback" not in printed
    with np.load(maxes_file.checkpoint_of(out), allow_pickle=False) as file:
        assert file["done"][0, 1] > 0


def stop_after(monkeypatch, groups):
    """Let Ctrl-C come after some groups."""
    show, seen = find.Progress.show, []

    def interrupted(self, count, bad):
        show(self, count, bad)
        seen.append(count)
        if len(seen) == groups:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(find.Progress, "show", interrupted)


def test_resuming_needs_the_same_scan(own_tiny, tmp_path, monkeypatch, capsys):
    out = tmp_path / "max.npz"
    quick = ["--workers", "0"]
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        assert find_max_acts.main(own_tiny.arguments(out, *quick)) == 130
    others = {
        "N 9, not 3": ["--N", "3"],
        "layers [": ["--layers", "fc"],
        "another preprocess": ["--mean", "None"],
        "histograms False, not True": STATISTICS,
    }
    for word, options in others.items():
        assert find_max_acts.main(own_tiny.arguments(out, *quick, "--resume", *options)) == 2
        assert word in capsys.readouterr().err
    own_tiny.write_list(own_tiny.names[::-1])
    assert find_max_acts.main(own_tiny.arguments(out, *quick, "--resume")) == 2
    assert "list_sha256" in capsys.readouterr().err
    own_tiny.write_list(own_tiny.names)
    assert find_max_acts.main(own_tiny.arguments(out, *quick, "--resume")) == 0
    assert find_max_acts.main(own_tiny.arguments(out, *quick, "--resume")) == 0
    assert "finished already" in capsys.readouterr().out
    options = ["--max-bad", "0", *quick]
    own_tiny.write_list([*own_tiny.names, "gone.jpg"])
    assert find_max_acts.main(own_tiny.arguments(out, *options)) == 1
    assert find_max_acts.main(own_tiny.arguments(out, *options, "--resume")) == 1
    assert "finished already" in capsys.readouterr().out
    maxes_file.checkpoint_of(out).write_bytes(b"PK\x03\x04 broken")
    assert find_max_acts.main(own_tiny.arguments(out, *quick, "--resume")) == 2
    assert "is not a checkpoint" in capsys.readouterr().err
    assert find_max_acts.main(own_tiny.arguments(out, *quick)) == 0
    assert "replaces the checkpoint" in capsys.readouterr().err


def test_a_full_disk_leaves_the_last_checkpoint(tiny, tmp_path, monkeypatch, capsys):
    """The third checkpoint finds no room; the second one is intact and can be gone on from."""
    whole, out = tmp_path / "whole.npz", tmp_path / "max.npz"
    assert find_max_acts.main(tiny.arguments(whole, "--workers", "0")) == 0
    calls = []

    def full(handle):
        calls.append(handle)
        if len(calls) > 4:  # a file and its folder a checkpoint
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    options = ["--workers", "0", "--checkpoint-every", "0"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert find_max_acts.main(tiny.arguments(out, *options)) == 2
    printed = capsys.readouterr().err.splitlines()[-1]
    assert "no space left on device" in printed and "intact" in printed and "--resume" in printed
    assert sorted(p.name for p in tmp_path.iterdir()) == ["max.npz.checkpoint", "whole.npz"]
    with np.load(maxes_file.checkpoint_of(out), allow_pickle=False) as file:
        assert file["done"].tolist() == [[0, 32]]
    assert find_max_acts.main(tiny.arguments(out, "--workers", "0", "--resume")) == 0
    assert out.read_bytes() == whole.read_bytes()


def test_a_limit_on_file_sizes_is_an_error_too(tiny, tmp_path):
    """The system itself refuses: no file may grow beyond 2 kB."""
    import resource

    done = tiny.find(
        tmp_path / "max.npz", "--workers", "0",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )  # fmt: skip
    assert done.returncode == 2
    assert "file too large" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "max.npz").exists()
