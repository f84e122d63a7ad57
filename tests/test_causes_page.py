"""docs/causes.md: its keys, its table of disturbances, its commands, its LeNet."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import numpy as np

import settings
import torchcaffe as caffe
from caffevis.app import CaffeVisApp
from caffevis.keys import causes as ca
from caffevis.keys.causes_rows import ROWS
from live_vis import parse
from toolbox.app.core import CORE_BINDINGS
from toolbox.app.protocol import all_bindings

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "causes.md").read_text(encoding="utf-8")


def table(head: str) -> list[list[str]]:
    lines = TEXT.split(head, 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_page_has_every_key_and_no_other():
    cells = [row[0] for row in table("| key | what |")]
    written = [key for cell in cells for key in re.findall(r"`([^`]+)`", cell)]
    assert sorted(written) == sorted(key for row in ROWS for key in row.keys)


def test_the_table_of_disturbances_is_what_the_keys_go_round():
    rows = {name: (sizes, unit) for name, sizes, unit in table("| kind | sizes | unit |")}
    assert list(rows) == [kind.name for kind in ca.KINDS]
    for kind in ca.KINDS:
        sizes, unit = rows[kind.name]
        assert tuple(map(float, sizes.split(", "))) == tuple(map(float, kind.sizes))
        assert unit == kind.unit


def test_its_commands_can_be_typed():
    bindings = all_bindings(CORE_BINDINGS, [CaffeVisApp])
    lines = [line[4:] for line in TEXT.splitlines() if line.startswith("    .venv/bin/python live")]
    assert len(lines) >= 5
    keys = [shlex.split(line)[shlex.split(line).index("--keys") + 1] for line in lines
            if "--keys" in line]  # fmt: skip
    assert len(keys) == 3
    for text in keys:
        assert bindings.parse_keys(text)
    for line in lines:
        parse(shlex.split(line)[2:])


def test_its_lenet_is_made_and_named_by_its_settings(tmp_path, monkeypatch):
    path = ROOT / "docs" / "causes" / "lenet_digits.py"
    spec = importlib.util.spec_from_file_location("lenet_digits", path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    rng = np.random.default_rng(0)
    net = made.train(3, rng)
    made.write(net, tmp_path, rng)
    values = settings.load(tmp_path / "settings.py")
    engine = caffe.Net(values.caffevis_deploy_prototxt, values.caffevis_network_weights, caffe.TEST)
    pictures, digits = made.batch(3, rng)
    assert len(set(digits.tolist())) > 1
    for picture in pictures:
        engine.blobs["data"].data[...] = picture.numpy()
        engine.forward()
        ours = engine.blobs["ip2"].data[0]
        np.testing.assert_allclose(ours, net(picture[None])[0].detach().numpy(), atol=1e-5)
    assert len(list((tmp_path / "digits").iterdir())) == 10
