"""The worked example of docs/own_model.md, run as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import cv2

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "own_model.md").read_text(encoding="utf-8")


def blocks() -> list[tuple[str, str]]:
    found = re.findall(r"<!-- (.+?) -->\n((?:    .*\n|\n)+)", TEXT)
    return [(mark, textwrap.dedent(code).strip() + "\n") for mark, code in found]


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_worked_example_runs_as_written(tmp_path: Path) -> None:
    seen = set()
    for mark, code in blocks():
        kind, _, name = mark.partition(": ")
        seen.add(kind)
        if kind == "file":
            (tmp_path / name).write_text(code, encoding="utf-8")
            continue
        if kind == "run":
            command = [sys.executable, "-c", code]
        else:
            words = code.replace(".venv/bin/python live_vis.py", "").strip()
            assert "\n" not in words
            keys = re.search(r'--keys "([^"]*)"', words)
            assert keys is not None
            rest = words.replace(keys[0], "").split()
            command = [sys.executable, str(ROOT / "live_vis.py"), *rest, "--keys", keys[1]]
        done = run(command, tmp_path)
        assert done.returncode == 0, done.stderr
    assert seen == {"file", "run", "shell"}
    picture = cv2.imread(str(tmp_path / "digits.png"))
    assert picture is not None and picture.std() > 10


def test_the_training_prototxt_is_answered_with_the_layer_to_write(tmp_path: Path) -> None:
    for mark, code in blocks():
        if mark.startswith("file: "):
            (tmp_path / mark[6:]).write_text(code, encoding="utf-8")
    (tmp_path / "digits.caffemodel").write_bytes(b"")
    settings = tmp_path / "digits_settings.py"
    settings.write_text(settings.read_text().replace('"deploy.', '"train_val.'))
    command = [sys.executable, str(ROOT / "live_vis.py"), "--settings", str(settings)]
    done = run([*command, "--headless", "--keys", "o", "--screenshot", "a.png"], tmp_path)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert 'type: "Input" top: "data"' in done.stderr
