"""The worked example of docs/pytorch.md, run as it stands."""

from __future__ import annotations

import os
import re
import shlex
import textwrap
from pathlib import Path

import cv2

from tests.preloaded import Preloaded

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "pytorch.md").read_text(encoding="utf-8")


def blocks() -> list[tuple[str, str]]:
    found = re.findall(r"<!-- (.+?) -->\n((?:    .*\n|\n)+)", TEXT)
    return [(mark, textwrap.dedent(code).strip() + "\n") for mark, code in found]


def test_the_worked_example_runs_as_written(tmp_path: Path, preloaded: Preloaded) -> None:
    (tmp_path / "input_images").symlink_to(ROOT / "input_images")
    paths = os.pathsep.join([str(ROOT), str(tmp_path)])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    seen, said = [], {}
    for mark, code in blocks():
        kind, _, name = mark.partition(": ")
        seen.append(kind)
        if kind == "file":
            (tmp_path / name).write_text(code, encoding="utf-8")
            continue
        command = ["-c", code]
        if kind == "shell":
            words = shlex.split(code)
            assert words[0] == ".venv/bin/python"
            command = [str(ROOT / word) if word == "live_vis.py" else word for word in words[1:]]
        done = preloaded.run(command, tmp_path, environment)
        assert done.returncode == 0, (code, done.stderr)
        said[name] = done.stdout
    assert seen == ["file", "run", "shell", "file", "shell", "shell", "shell", "run"]
    picture = cv2.imread(str(tmp_path / "small.png"))
    assert picture is not None and picture.std() > 10
    assert "imagenet" in said["try_input"] and "class " in said["try_input"]
    assert "16 units of 1 layer(s)" in said["find"]
    assert list((tmp_path / "opt").glob("fc_*.jpg"))
    net = cv2.dnn.readNetFromCaffe(
        str(tmp_path / "small.prototxt"), str(tmp_path / "small.caffemodel")
    )
    assert "layer1.0.conv" in net.getLayerNames()
