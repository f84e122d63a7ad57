"""The table of docs/fork_layers.md lists what the engine knows, and nothing else."""

import re
from pathlib import Path

import pytest

import torchcaffe as caffe

TEXT = (Path(__file__).parents[3] / "docs" / "fork_layers.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| (`.*?) \|", TEXT.split("## Layers")[1].split("## Settings")[0], re.MULTILINE
)
LISTED = {name for row in ROWS for name in re.findall(r"(?<!V1 )`(\w+)`", row)}
FORKS = {
    name
    for name, cls in caffe.LAYERS.items()
    if cls.__module__.startswith("torchcaffe.layers.forks")
}


def test_every_layer_of_the_room_has_a_row():
    assert FORKS and FORKS <= LISTED


@pytest.mark.parametrize("name", sorted(LISTED))
def test_every_row_is_a_layer(name):
    assert name in caffe.LAYERS


def test_rows_are_sorted():
    assert [row.lower() for row in ROWS] == sorted(row.lower() for row in ROWS)
