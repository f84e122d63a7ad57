"""live_vis.py --serve from its command line: what it prints, how it ends, what it refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from websockets.sync.client import connect

import live_vis as live_vis_module
import settings as settings_file
from live_vis import make_loop
from tests.e2e.conftest import ENVIRONMENT, HIDDEN, ROOT
from toolbox.app.protocol import load_apps
from toolbox.drawing.text import plain
from toolbox.run.drive import run_script

SECONDS_TO_END = 5.0


@pytest.fixture
def serve(world):
    """Start it without a display on a free port; returns the process and the address printed."""
    begun = []

    def run(*arguments: str) -> tuple[subprocess.Popen, str]:
        command = [sys.executable, str(ROOT / "live_vis.py"), "--settings",
                   str(world / "settings.py"), "--serve", "127.0.0.1:0", *arguments]  # fmt: skip
        environment = {key: value for key, value in ENVIRONMENT.items() if key not in HIDDEN}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)  # fmt: skip
        begun.append(process)
        line = process.stdout.readline()
        found = re.fullmatch(r"Open in a browser: (http://127\.0\.0\.1:\d+/[\w-]{22}/)\n", line)
        assert found, line + process.stderr.read()
        return process, found[1]

    yield run
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.communicate()


def viewer(address: str):
    socket = f"{address}socket".replace("http", "ws")
    origin = address.rsplit("/", 2)[0]
    return connect(socket, origin=origin, proxy=None, max_size=None, close_timeout=1)


def until_frame(page) -> int:
    """Take messages up to a frame with pictures; returns its number."""
    while True:
        received = page.recv(60)
        if isinstance(received, bytes):
            length = int.from_bytes(received[:4], "big")
            return json.loads(received[4 : 4 + length])["number"]


def ended(process: subprocess.Popen) -> tuple[int, str, str, float]:
    begun = time.monotonic()
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err, time.monotonic() - begun


def test_it_ends_at_a_signal_and_finishes_the_film(serve, tmp_path):
    process, address = serve("--record", str(tmp_path / "film.mp4"))
    with viewer(address) as page:
        for _ in range(2):
            page.send(json.dumps({"type": "shown", "number": until_frame(page)}))
        page.send(json.dumps({"type": "key", "key": "o"}))
        until_frame(page)
        process.send_signal(signal.SIGTERM)
        code, out, err, seconds = ended(process)
    assert (code, out) == (0, "")
    assert seconds < SECONDS_TO_END
    assert all(line.startswith("serve: viewer 1 (127.0.0.1): has ") for line in err.splitlines())
    film = cv2.VideoCapture(str(tmp_path / "film.mp4"))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) > 0
    film.release()
    assert os.listdir(tmp_path) == ["film.mp4"]


def test_the_key_for_it_ends_it_and_viewers_are_told(serve):
    process, address = serve()
    with viewer(address) as page:
        until_frame(page)
        page.send(json.dumps({"type": "key", "key": "q"}))
        code, _, err, seconds = ended(process)
        assert (code, seconds < SECONDS_TO_END) == (0, True)
        with pytest.raises(Exception, match="live_vis.py has ended"):
            while True:
                page.recv(20)
    assert "Traceback" not in err


REFUSED = [
    (["--serve", "x"], "--serve takes a port from 0 to 65535, or host and port, as 127.0.0.1:8765; "
     "not 'x'"),
    (["--serve", "1", "--token", "short"], "--token takes 8 to 128 letters, digits, - or _, as "
     "they can stand in an address"),
    (["--serve", "1", "--viewers", "0"], "--viewers takes a number from 1 to 64"),
    (["--serve", "1", "--public", "x"], "--public takes the address that viewers use, as "
     "https://vis.example.org; not 'x'"),
    (["--token", "12345678"], "--token needs --serve"),
    (["--viewers", "2"], "--viewers needs --serve"),
    (["--public", "https://x"], "--public needs --serve"),
    (["--serve", "1", "--headless"], "--serve shows a window: without --headless and the tour "
     "(see live_vis.py --help)"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED)
def test_a_wrong_option_is_one_sentence(in_process, arguments, sentence):
    done = in_process(*arguments)
    assert (done.code, done.out, done.err) == (2, "", f"live_vis.py: {sentence}\n")


def test_viewers_see_no_folder_of_the_machine(in_process, monkeypatch):
    seen = []

    def look(loop, window) -> None:
        seen.append(plain(f"{ROOT}/a b.png, /no/where/c.png"))

    monkeypatch.setattr(live_vis_module, "run_live", look)
    assert in_process("--serve", "127.0.0.1:0").code == 0
    assert seen == ["a b.png, c.png"]
    assert plain("/no/where/c.png") == "/no/where/c.png"


@pytest.fixture
def broken(tmp_path):
    """Settings whose network cannot be opened, which is found out when the server runs."""
    (tmp_path / "net.prototxt").write_text("layer {", encoding="utf-8")
    (tmp_path / "net.caffemodel").write_bytes(b"")
    path = tmp_path / "settings.py"
    path.write_text(
        "caffevis_deploy_prototxt = 'net.prototxt'\ncaffevis_network_weights = 'net.caffemodel'\n"
        f"static_files_dir = {str(tmp_path)!r}\n",
        encoding="utf-8",
    )
    return path


def test_a_broken_model_is_one_sentence_and_nothing_goes_on(in_process, broken):
    done = in_process("--serve", "127.0.0.1:0", settings=broken)
    assert done.code == 2
    assert done.out.startswith("Open in a browser: http://127.0.0.1:")
    assert done.err.startswith("live_vis.py: ")
    assert done.err.count("\n") == 1


def test_serving_everywhere_says_what_that_means(in_process, broken):
    done = in_process("--serve", "0.0.0.0:0", "--token", "only-for-us", settings=broken)
    assert re.fullmatch(r"Open in a browser: http://127\.0\.0\.1:\d+/only-for-us/\n", done.out)
    said = "note: everybody who reaches this machine at any of its addresses and has the token can"
    assert done.err.startswith(said)
    assert "docs/browser.md" in done.err
    behind = in_process("--serve", "0.0.0.0:0", "--public", "https://vis.example.org/net/",
                        settings=broken)  # fmt: skip
    assert behind.out.startswith("Open in a browser: https://vis.example.org/net/")
    assert "note:" not in behind.err


def test_a_run_without_a_display_names_the_command(in_process, tmp_path):
    done = in_process("--run-or-tour", tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[:2] == [
        "There is no display here, so this is a tour in pictures.",
        "To see it live in a browser: make serve (or python live_vis.py --serve)",
    ]


def test_a_window_drawn_at_another_size_later_is_one_of_that_size_from_the_start(world):
    settings = settings_file.load(world / "settings.py")
    classes = load_apps(settings)
    pictures = []
    for scale in (1.0, 1.3):
        loop = make_loop(settings.replaced(global_scale=scale), [], False, classes)
        try:
            run_script(loop, ["o", "down", "right"])
            loop.rescale(1.3)
            pictures.append([run_script(loop, [key]).copy() for key in ("right", "s", "h")])
        finally:
            loop.close()
    for later, fresh in zip(*pictures, strict=True):
        assert np.array_equal(later, fresh)
