"""The window in a notebook: a process that shows a page in a frame, and ends with the notebook."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

import live_notebook
from live_notebook import ShowError, Shown, close, show
from tests.e2e.conftest import ROOT, wait_for


@pytest.fixture(autouse=True)
def no_hub(monkeypatch):
    monkeypatch.delenv("JUPYTERHUB_SERVICE_PREFIX", raising=False)
    yield
    close()


def test_a_cell_shows_the_page_and_close_ends_it(world):
    photo = np.full((20, 30, 3), 99, np.uint8)
    shown = show(photos=[photo, world / "photos"], settings=world / "settings.py")
    text = shown._repr_html_()
    assert f'src="{shown.url}"' in text
    assert 'allow="camera;' in text
    with urllib.request.urlopen(shown.url, timeout=20) as answer:
        assert b"<canvas" in answer.read()
        assert "frame-ancestors" not in answer.headers["Content-Security-Policy"]
    assert shown.running
    folder = Path(shown._folder.name)
    assert [path.name for path in folder.iterdir()] == ["001.png"]
    begun = time.monotonic()
    close()
    assert time.monotonic() - begun < 6
    assert (shown.running, folder.exists()) == (False, False)
    assert (shown._process.returncode, shown.messages) == (0, ())
    assert shown._repr_html_().startswith("<p>The live window has ended: ")
    shown.close()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"model": "none.prototxt"}, "none.prototxt needs its weights: --weights FILE"),
        ({"photos": "no/such.jpg"}, "--image: there is no no/such.jpg"),
        ({"photos": np.zeros((3, 3, 4), np.uint8)}, "photo 1 is an array of uint8 and shape"),
        ({"photos": [np.zeros((3, 3, 3))]}, "photo 1 is an array of float64 and shape (3, 3, 3)"),
        ({"model": object()}, "model is a object; it must be a file. Of a network in memory"),
        ({"preset": "caffe"}, "--weights and --preset need --model"),
    ],
)
def test_what_is_wrong_is_one_sentence(arguments, sentence):
    with pytest.raises(ShowError) as said:
        show(**arguments)
    assert sentence in str(said.value)
    assert "Traceback" not in str(said.value)


def test_behind_a_proxy_the_frame_has_its_path(monkeypatch):
    command = [sys.executable, "-c", "print('Open in a browser: http://127.0.0.1:4711/tok/')"]
    monkeypatch.setattr(live_notebook, "Shown", lambda _, *rest: Shown(command, *rest))
    assert show(proxy="/proxy/{port}").source == "/proxy/4711/tok/"
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ann/")
    assert show().source == "/user/ann/proxy/4711/tok/"
    assert show(proxy="https://x/{port}/").source == "https://x/4711/tok/"


def test_a_kernel_that_is_killed_takes_it_along(world):
    kernel = subprocess.Popen(
        [sys.executable, "-c", "import sys, time; from live_notebook import show;"
         "print(show(settings=sys.argv[1])._process.pid, flush=True); time.sleep(100)",
         str(world / "settings.py")],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    pid = int(kernel.stdout.readline())
    kernel.send_signal(signal.SIGKILL)
    kernel.wait(20)
    kernel.stdout.close()
    wait_for(lambda: not is_running(pid), "the server's end")


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return False
    return not re.search(r"^State:\s+Z", status, re.MULTILINE)
