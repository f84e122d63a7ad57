"""What the running app survives: the picture stays, the status line says what is wrong."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import settings as settings_file
from live_vis import make_inputs
from tests.toolbox.input.fake_sources import FakeCapture
from toolbox.app.protocol import load_apps
from toolbox.input import sources as inputs_module
from toolbox.run.drive import run_script, settle
from toolbox.run.loop import Loop, still_clock

PICTURE = (slice(0, 600), slice(0, 1200))  # all panes but the status line


class SteadyCapture(FakeCapture):
    """Takes its time for a frame, as a camera does."""

    def read(self):
        time.sleep(0.01)
        return super().read()


@pytest.fixture
def folder(world, tmp_path) -> Path:
    """A copy of the photos that a test may destroy."""
    shutil.copytree(world / "photos", tmp_path / "photos")
    return tmp_path / "photos"


@pytest.fixture
def start(world, folder) -> Iterator[Callable[..., Loop]]:
    loops: list[Loop] = []

    def make(cameras: list[FakeCapture] | None = None) -> Loop:
        settings = settings_file.load(world / "settings.py").replaced(static_files_dir=str(folder))
        inputs = make_inputs(settings, [], single=False)
        inputs._opener = lambda _: cameras.pop(0) if cameras else FakeCapture(opened=False)
        apps = [app(settings, still_clock) for app in load_apps(settings)]
        loops.append(Loop(settings, apps, inputs, still_clock))
        return loops[-1]

    yield make
    closed = [loop.close() for loop in loops]
    assert all(closed)


def said(loop: Loop) -> str:
    return " | ".join(loop._status_parts())


def test_a_folder_that_is_deleted_and_returns(start, folder, monkeypatch):
    monkeypatch.setattr(inputs_module, "LOOK_AGAIN_SECONDS", 0.0)
    loop = start()
    first = run_script(loop, ["o", "down"])[PICTURE].copy()
    shutil.move(folder, folder.with_name("away"))
    assert np.array_equal(run_script(loop, [])[PICTURE], first)
    moved_on = run_script(loop, ["e"])
    assert np.array_equal(moved_on[PICTURE], first)
    assert f"The folder {folder} cannot be read: no such file" in said(loop)
    other_unit = run_script(loop, ["right"])[PICTURE].copy()
    assert not np.array_equal(other_unit, first)
    shutil.move(folder.with_name("away"), folder)
    loop.step()
    settle(loop, 30)
    assert loop.apps[0].shown_frame().name == "b.png"
    assert "cannot be read" not in said(loop)


def test_a_damaged_picture_in_the_middle(start, folder):
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:200])
    loop = start()
    run_script(loop, ["e"])
    assert loop.apps[0].shown_frame().name == "c.png"
    assert "skipped: b.png cannot be read: " in said(loop)
    run_script(loop, ["e"])
    assert loop.apps[0].shown_frame().name == "a first.png"
    assert "skipped" not in said(loop)


def test_a_camera_that_is_unplugged_and_plugged_in_again(start):
    loop = start([SteadyCapture(frames=3), FakeCapture(opened=False), SteadyCapture()])
    first = run_script(loop, [])[PICTURE].copy()
    loop.press("c")
    while loop.state.mode == "camera":
        loop.step()
    settle(loop, 30)
    assert np.array_equal(loop.picture()[PICTURE], first)
    assert "camera 97 gives no more frames; showing files" in said(loop)
    run_script(loop, ["c"])
    assert "camera 97 could not be opened; showing files" in said(loop)
    loop.press("c")
    while loop.apps[0].shown_frame().name != "camera 97":
        loop.step()
        assert loop.state.mode == "camera"
    run_script(loop, ["c"])
    assert np.array_equal(loop.picture()[PICTURE], first)
    assert "camera" not in said(loop)
