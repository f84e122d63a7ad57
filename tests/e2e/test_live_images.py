"""Images and patches made while one looks, in the real window: growing, quitting, killing."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.conftest import PANES, Session, wait_for
from toolbox.pictures.image_file import read_image

PHOTOS = 6000
IMAGES, PATCHES = slice(0, 200), slice(200, 400)  # rows of the pane of unit images


@pytest.fixture(scope="module")
def own(world, tmp_path_factory) -> Path:
    """A settings file of few lines: no unit images, and photos that take a while to scan."""
    tmp_path = tmp_path_factory.mktemp("own")
    photos = tmp_path / "many"
    photos.mkdir()
    sources = sorted((world / "photos").iterdir())
    for number in range(PHOTOS):
        os.link(sources[number % len(sources)], photos / f"{number:05d}.png")
    kept = [
        line for line in (world / "settings.py").read_text(encoding="utf-8").splitlines()
        if not line.startswith(("caffevis_unit_jpg_dir", "caffevis_jpgvis_remap"))
    ]  # fmt: skip
    text = "\n".join([*kept, "caffevis_photos_dir = 'many'", ""])
    (tmp_path / "settings.py").write_text(text, encoding="utf-8")
    for name in ("tiny.prototxt", "tiny.caffemodel", "labels.txt", "photos"):
        (tmp_path / name).symlink_to(world / name)
    return tmp_path


def pane(session: Session, rows: slice) -> np.ndarray:
    return session.pane("jpgvis")[rows]


def is_picture(picture: np.ndarray) -> bool:
    """Tell a picture from text, which is gray."""
    return int((np.ptp(picture.astype(int), axis=2) > 40).sum()) > 500


def children(pid: int) -> set[int]:
    found = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found |= {int(child) for child in task.read_text(encoding="ascii").split()}
    return found


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def busy(make_session, own, display, tmp_path, monkeypatch) -> Session:
    """A window in which an image grows and photos are scanned."""
    environment = {**display.environment(), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    monkeypatch.setattr(display, "environment", lambda: environment)
    session = make_session(world=own)
    for key in ("o", "o", "Down", "Right", "4"):
        session.display.xdotool("key", key)
        time.sleep(0.05)
    session.wait_for(lambda: is_picture(pane(session, IMAGES)), "an image that grows")
    session.wait_for(lambda: is_picture(pane(session, PATCHES)), "patches so far")
    session.display.xdotool("key", "2")  # the next way, so that there is something to break off
    return session


def test_images_grow_and_q_ends_all_of_it(busy):
    first = pane(busy, IMAGES)
    busy.wait_for(lambda: not np.array_equal(first, pane(busy, IMAGES)), "the image to grow")
    scans = children(busy.process.pid)
    assert scans
    busy.display.xdotool("key", "q")
    busy.process.wait(10)
    assert busy.process.returncode == 0
    wait_for(lambda: not any(map(alive, scans)), "the scan's process to end")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_killed_in_the_middle_nothing_is_left_running(busy, tmp_path, number):
    scans = children(busy.process.pid)
    assert scans
    busy.process.send_signal(number)
    busy.process.wait(10)
    wait_for(lambda: not any(map(alive, scans)), "the scan's process to end")
    assert list((tmp_path / "cache").glob("*/scans/*/max.npz*"))  # what was found is kept


def test_a_script_waits_for_images_and_photos_and_is_the_same_every_time(
    in_process, own, tmp_path, monkeypatch
):
    def shot(name: str, *more: str) -> np.ndarray:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
        words = ("--headless", "--keys", "o o down right 2", "--screenshot", tmp_path / "out.png")
        few = ("--photos", own / "photos", "--no-cache", *more)
        assert in_process(*words, *few, settings=own / "settings.py").code == 0
        return read_image(tmp_path / "out.png")

    once = shot("one")
    assert np.array_equal(once, shot("another"))
    for third in (IMAGES, PATCHES):
        assert is_picture(once[third, PANES["jpgvis"][1]])
    assert not (tmp_path / "one").exists()


def test_photos_that_are_not_there_are_one_sentence(in_process, own):
    ended = in_process("--headless", "--photos", own / "nowhere", settings=own / "settings.py")
    assert ended.code == 2
    assert f"--photos: there is no folder {own / 'nowhere'}" in ended.err
