"""Threads that wait sleep: set before torch is loaded, by every command, unless the user chose."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from torchcaffe.process.openmp import CHOICE, NAMES, let_threads_sleep

ROOT = Path(__file__).resolve().parents[2]
# Says when torch is first looked for whether the policy was chosen by then.
PROBE = """
import importlib, importlib.abc, sys

class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "torch":
            chosen = "torchcaffe.process.openmp" in sys.modules
            print("chosen" if chosen else "too late", flush=True)
            sys.exit()

sys.meta_path.insert(0, Watch())
module = importlib.import_module(sys.argv[1])
if sys.argv[2:]:
    module.main(sys.argv[2:])
"""
FILES = ["a.prototxt", "a.caffemodel", ".", "a.txt"]
COMMANDS = {
    "torchcaffe": [],
    "caffevis.app": [],  # what live_vis.py loads
    "caffevis.gallery.__main__": [],
    "optimize.__main__": [],
    "optimize.figures.__main__": [],
    "find_maxes.find_max_acts": [*FILES, "a.npz"],
    "find_maxes.crop_max_patches": ["a.npz", *FILES, "out"],
    "find_maxes.check": [],
    "visualizations.__main__": [],
    "findings.__main__": [],
    "bench.__main__": [],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_chooses_before_torch_is_loaded(name: str, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROBE, name, *COMMANDS[name]],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.split() == ["chosen"], done.stdout + done.stderr


def test_the_choice_is_short_spinning():
    environment: dict[str, str] = {"OMP_NUM_THREADS": "3"}
    let_threads_sleep(environment)
    assert environment == {"OMP_NUM_THREADS": "3", **CHOICE}


@pytest.mark.parametrize("name", NAMES)
def test_what_the_user_has_set_stays(name: str):
    environment = {name: "7"}
    let_threads_sleep(environment)
    assert environment == {name: "7"}
