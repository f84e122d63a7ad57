"""Module paths from before the rooms: programs and settings of users may name them."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import caffevis
import find_maxes
import optimize
import toolbox
import torchcaffe

ROOT = Path(__file__).resolve().parents[1]
TABLES = {package.__name__: package._MOVED for package in (toolbox, caffevis, optimize, find_maxes)}
ROWS = [(f"{name}.{a}", f"{name}.{b}") for name, table in TABLES.items() for a, b in table.items()]


@pytest.mark.parametrize(("old", "new"), ROWS)
def test_an_old_path_is_the_module_of_the_new_one(old: str, new: str):
    assert importlib.import_module(old) is importlib.import_module(new)


@pytest.mark.parametrize(
    "name", ["blob", "device", "fillers", "graph", "net", "node", "passes", "rules"]
)
def test_old_paths_of_the_engine(name: str):
    assert importlib.import_module(f"torchcaffe.{name}").__name__.startswith("torchcaffe.")
    assert importlib.import_module("torchcaffe.net").Net is torchcaffe.Net


NAMES = """
from toolbox.app import Activations, App, Drawing, Timing, all_bindings, load_apps
from toolbox.base_app import BaseApp
from toolbox.bindings import Binding
from toolbox.config import Settings, SettingsError
from toolbox.core_panes import style_from
from toolbox.drive import run_script
from toolbox.files import FileQuery
from toolbox.images import fill
from toolbox.inputs import Inputs
from toolbox.keys import LABELS, decode
from toolbox.loop import Loop
from toolbox.record import LiveFilm
from toolbox.text import Style, draw_text
from toolbox.window import Display, NoDisplayError, Window
from toolbox.worker import Worker
from caffevis.app import CaffeVisApp
from optimize import FindParams, GradientOptimizer
from optimize.objectives import parse
from find_maxes.files import read_maxes
from torchcaffe.regions import receptive_field
import torchcaffe.io, torchcaffe.classifier, torchcaffe.proto.caffe_pb2
import toolbox.images as images
assert images.fill is fill
"""


def test_documented_names_come_from_old_paths_in_a_fresh_process():
    done = subprocess.run(
        [sys.executable, "-c", NAMES], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


COMMANDS = [
    "optimize", "optimize.figures", "find_maxes.find_max_acts", "find_maxes.crop_max_patches",
    "find_maxes.check", "visualizations", "findings", "caffevis.gallery", "bench",
]  # fmt: skip


@pytest.mark.parametrize("module", COMMANDS)
def test_commands_keep_their_names(module: str):
    spec = importlib.util.find_spec(module)
    assert spec is not None
    if spec.submodule_search_locations is not None:
        assert importlib.util.find_spec(f"{module}.__main__") is not None
