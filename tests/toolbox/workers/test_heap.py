"""Threads share a heap that holds no large pieces, unless the user has chosen; glibc counts."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys

import pytest

import live_vis
import settings as declared
from toolbox.settings import config
from toolbox.workers import heap
from toolbox.workers.heap import NAMES

PROGRAM = """
import ctypes, re, sys, threading
from toolbox.workers.heap import hold_all, hold_little, keep_apart

LARGE = 13 << 20
done = sys.argv[1] != "as it is" and (hold_all if sys.argv[1] == "all" else hold_little)()
if sys.argv[1].isdigit():
    keep_apart(int(sys.argv[1]))
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.fclose.argtypes = [ctypes.c_void_p]
barrier = threading.Barrier(4)

def take():
    libc.free(libc.malloc(LARGE))  # after this glibc by itself takes such pieces from the heap
    libc.malloc(LARGE)
    libc.malloc(10_000)
    barrier.wait()

threads = [threading.Thread(target=take) for _ in range(4)]
for each in threads: each.start()
for each in threads: each.join()
file = libc.fopen(sys.argv[2].encode(), b"w")
libc.malloc_info(0, file)
libc.fclose(file)
said = open(sys.argv[2]).read()
apart = re.search('<total type="mmap" count="([0-9]+)"', said)
print(done, len(re.findall("<heap nr", said)), apart.group(1))
"""


def _glibc() -> bool:
    try:
        return bool(os.confstr("CS_GNU_LIBC_VERSION"))
    except (AttributeError, ValueError):
        return False


def _plain() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in NAMES}


@pytest.mark.skipif(not _glibc(), reason="glibc's heaps")
@pytest.mark.parametrize(
    ("how", "chosen", "little"),
    [("little", {}, True), ("1000", {}, True), ("as it is", {}, False)]
    + [("little", {name: "glibc.malloc.check=0" if name == NAMES[-1] else "4194304"}, False)
       for name in NAMES],
)  # fmt: skip
def test_heaps(how, chosen, little, tmp_path):
    command = [sys.executable, "-c", PROGRAM, how, str(tmp_path / "heaps.xml")]
    ran = subprocess.run(
        command, env={**_plain(), **chosen}, capture_output=True, text=True, check=True
    )
    done, heaps, apart = ran.stdout.split()
    assert done == str(little)
    if little:
        assert (int(heaps), int(apart) >= 4) == (1, True)
    elif not chosen:
        assert int(heaps) > 1
        assert int(apart) < 4


@pytest.mark.skipif(not _glibc(), reason="glibc's heaps")
@pytest.mark.parametrize("how", [str(4 << 20), "all"])
def test_pieces_of_each_frame_or_of_a_batch_come_from_the_heap(how, tmp_path):
    command = [sys.executable, "-c", PROGRAM, how, str(tmp_path / "heaps.xml")]
    ran = subprocess.run(command, env=_plain(), capture_output=True, text=True, check=True)
    _, heaps, apart = ran.stdout.split()
    assert (int(heaps), int(apart) < 4) == (1, True)  # 13 MB is less than four times 4


@pytest.mark.parametrize("live", [True, False])
def test_a_window_asks_for_it_before_it_has_threads(live, monkeypatch):
    asked, make = [], live_vis.make_inputs
    monkeypatch.setattr(live_vis, "hold_little", lambda: asked.append("heap"))
    monkeypatch.setattr(live_vis, "make_inputs", lambda *of: asked.append("inputs") or make(*of))
    settings = config.load(declared.TABLE, None).replaced(
        input_updater_capture_device=None, window_panes=(("input", (0, 0, 300, 300)),)
    )
    live_vis.make_loop(settings, [], live, []).close()
    assert asked == ["heap", "inputs"][not live :]


def test_the_search_in_photos_keeps_its_memory_from_batch_to_batch(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(heap, "hold_all", lambda: asked.append("all"))
    monkeypatch.setattr(sys, "argv", ["find_max_acts", "--help"])
    monkeypatch.delitem(sys.modules, "find_maxes.find_max_acts", raising=False)
    with pytest.raises(SystemExit):
        runpy.run_module("find_maxes.find_max_acts", run_name="__main__")
    assert asked == ["all"]
