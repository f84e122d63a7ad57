"""Videos and cameras as they are: real files, a URL, and devices that hang or disappear."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest

from live_vis import make_inputs as make_inputs_of
from settings import TABLE
from tests.toolbox.input.fake_sources import (
    FakeCapture,
    HangingCapture,
    follow,
    wait_for,
    write_video,
)
from toolbox.app.core import CoreState, toggle_mode
from toolbox.input import video
from toolbox.input.files import FileQuery
from toolbox.input.sources import Inputs
from toolbox.input.video import Spec, camera_label
from toolbox.input.wanted import CAMERA, FILES
from toolbox.pictures.image_file import write_image
from toolbox.settings import config


@pytest.fixture
def folder(tmp_path):
    write_image(tmp_path / "a.png", np.full((4, 4, 3), 50, np.uint8))
    return tmp_path


@pytest.fixture
def make_inputs():
    made: list[Inputs] = []

    def make(*arguments, **options) -> Inputs:
        made.append(Inputs(*arguments, **options))
        return made[-1]

    yield make
    assert all(inputs.close() for inputs in made)


def paths(*names) -> FileQuery:
    return FileQuery(paths=tuple(map(str, names)))


def levels_of(inputs: Inputs, state: CoreState, count: int) -> list[int]:
    """Collect the brightness of so many frames."""
    levels: list[int] = []
    deadline = time.monotonic() + 20
    while len(levels) < count:
        assert time.monotonic() < deadline
        state = inputs.follow(state)
        frame = inputs.take()
        if frame is not None:
            levels.append(int(frame.image.mean()))
        time.sleep(0.001)
    return levels


# ------------------------------------------------------------------ videos


@pytest.mark.parametrize(("name", "codec"), [("v.avi", "MJPG"), ("a film ü.mp4", "mp4v")])
def test_a_video_file_plays_over_and_over(make_inputs, tmp_path, name: str, codec: str):
    video = write_video(tmp_path / name, [40, 80, 120, 160, 200], codec, rate=60)
    inputs = make_inputs(paths(video), None)
    levels = levels_of(inputs, CoreState(), 13)
    assert inputs.message == ""
    steps = np.diff(levels)
    assert np.sum(steps < 0) >= 2, levels
    assert np.all((steps > 10) | (steps < -100)), levels


def test_a_video_in_the_folder_is_shown_among_the_files(make_inputs, folder):
    write_video(folder / "b.avi", [200, 200])
    regexp = config.load(TABLE, None).static_files_regexp
    inputs = make_inputs(FileQuery(folder=str(folder), regexp=regexp), None)
    _, frame = follow(inputs, CoreState())
    assert frame.name == "a.png"
    assert not inputs.playing
    _, frame = follow(inputs, CoreState(position=1))
    assert frame.name == "b.avi"
    assert inputs.playing
    _, frame = follow(inputs, CoreState(position=2))
    assert frame.name == "a.png"


def test_one_file_may_stand_in_the_folders_place(make_inputs, tmp_path):
    video = write_video(tmp_path / "v.avi", [100, 100])
    inputs = make_inputs(FileQuery(folder=str(video)), None)
    assert follow(inputs, CoreState())[1].name == "v.avi"


def test_a_video_that_cannot_be_wound_back_is_opened_again(make_inputs, tmp_path):
    class OneWay(FakeCapture):
        def set(self, _: int, value: float) -> bool:
            return False

    (tmp_path / "v.mp4").touch()
    opened: list[OneWay] = []

    def opener(_: int | str) -> OneWay:
        opened.append(OneWay(frames=3, rate=200))
        return opened[-1]

    inputs = make_inputs(paths(tmp_path / "v.mp4"), None, opener=opener)
    levels_of(inputs, CoreState(), 8)
    assert len(opened) >= 2
    assert all(capture.released for capture in opened[:-1])
    assert inputs.message == ""


def test_a_video_without_frames_is_skipped(make_inputs, folder):
    (folder / "v.mp4").touch()
    inputs = make_inputs(
        paths(folder / "v.mp4", folder / "a.png"), None, opener=lambda _: FakeCapture(frames=0)
    )
    assert follow(inputs, CoreState())[1].name == "a.png"
    assert inputs.message == "skipped: v.mp4 gives no more frames"


BROKEN_VIDEOS = {
    "an unknown codec": lambda data: data.replace(b"MJPG", b"ZZZZ"),
    "cut off": lambda data: data[:3000],
    "empty": lambda data: b"",
    "text": lambda data: b"no video at all",
}


@pytest.mark.parametrize("case", BROKEN_VIDEOS)
def test_a_broken_video_is_named_and_skipped(make_inputs, folder, case: str):
    video = write_video(folder / "film.avi", [50, 100])
    video.write_bytes(BROKEN_VIDEOS[case](video.read_bytes()))
    inputs = make_inputs(paths(video, folder / "a.png"), None)
    _, frame = follow(inputs, CoreState())
    assert frame.name == "a.png"
    assert inputs.message.startswith("skipped: film.avi could not be opened: it is damaged")


# ------------------------------------------------------------------ a camera's URL


class Stream(http.server.BaseHTTPRequestHandler):
    """Sends flat JPEGs as IP cameras do, until the server's `running` is cleared."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        number = 0
        while self.server.running.is_set():
            number += 1
            picture = np.full((32, 32, 3), 20 * (number % 10) + 30, np.uint8)
            data = cv2.imencode(".jpg", picture)[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + data + b"\r\n")
            except OSError:
                return
            time.sleep(0.01)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stream() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stream)
    server.running = threading.Event()
    server.running.set()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.running.clear()
    server.shutdown()
    server.server_close()
    thread.join()


def camera_of(folder, device: object) -> Inputs:
    settings = config.load(TABLE, None).replaced(
        input_updater_capture_device=device, static_files_dir=str(folder)
    )
    return make_inputs_of(settings, [], single=False)


def test_a_url_is_a_camera_until_it_ends_and_again_afterwards(folder, stream):
    url = f"http://127.0.0.1:{stream.server_port}/video.mjpg"
    inputs = camera_of(folder, url)
    state = CoreState(mode=CAMERA)
    levels = levels_of(inputs, state, 12)
    assert len(set(levels)) > 5
    stream.running.clear()
    deadline = time.monotonic() + 20
    while state.mode == CAMERA:
        assert time.monotonic() < deadline
        state, frame = follow(inputs, state)
    assert (state.mode, frame.name) == (FILES, "a.png")
    assert inputs.message == f"camera {url} gives no more frames; showing files"
    stream.running.set()
    state, frame = follow(inputs, toggle_mode(state))
    assert (state.mode, frame.name) == (CAMERA, f"camera {url}")
    assert inputs.message == ""
    assert inputs.close()


def test_a_url_that_nothing_answers_is_a_message(folder, stream, capfd):
    url = f"http://127.0.0.1:{stream.server_port}/"
    stream.running.clear()
    inputs = camera_of(folder, url)
    state, frame = follow(inputs, CoreState(mode=CAMERA))
    assert frame.name == "a.png"
    assert inputs.message == f"camera {url} could not be opened; showing files"
    assert inputs.close()


def test_passwords_in_urls_are_not_shown():
    url = "rtsp://me:secret@192.168.0.7:554/live?token=hidden"
    assert camera_label(url) == "camera rtsp://192.168.0.7:554/live"
    assert camera_label(2) == "camera 2"
    assert camera_label("/dev/video2") == "camera /dev/video2"


# ------------------------------------------------------------------ devices that hang or go


def test_unplugged_and_plugged_in_again_the_camera_goes_on(make_inputs, folder):
    cameras = [FakeCapture(frames=3), FakeCapture(opened=False), FakeCapture()]
    left = list(cameras)
    inputs = make_inputs(
        FileQuery(folder=str(folder)), Spec(0, "camera 0"), opener=lambda _: left.pop(0)
    )
    state, frame = follow(inputs, CoreState(mode=CAMERA))
    assert frame.name == "camera 0"
    while state.mode == CAMERA:
        state, frame = follow(inputs, state)
    assert (frame.name, inputs.message) == ("a.png", "camera 0 gives no more frames; showing files")
    state, frame = follow(inputs, toggle_mode(state))
    assert (frame.name, inputs.message) == ("a.png", "camera 0 could not be opened; showing files")
    state, frame = follow(inputs, toggle_mode(state))
    assert (state.mode, frame.name, inputs.message) == (CAMERA, "camera 0", "")
    assert all(camera.released for camera in cameras[:2])


def test_a_camera_without_files_says_what_is_missing(make_inputs, tmp_path):
    inputs = make_inputs(
        FileQuery(folder=str(tmp_path / "gone")), Spec(0, "camera 0"),
        opener=lambda _: FakeCapture(opened=False),
    )  # fmt: skip
    state, frame = follow(inputs, CoreState(mode=CAMERA))
    assert (state.mode, frame) == (FILES, None)
    assert inputs.message.startswith("camera 0 could not be opened; showing files; The folder")


def test_a_camera_that_hangs_counts_as_gone_and_is_left_without_waiting(
    make_inputs, folder, monkeypatch
):
    monkeypatch.setattr(video, "STALL_SECONDS", 0.2)
    hanging = HangingCapture()
    inputs = make_inputs(
        FileQuery(folder=str(folder)), Spec(0, "camera 0"), opener=lambda _: hanging
    )
    state, frame = follow(inputs, CoreState(mode=CAMERA))
    assert frame.name == "camera 0"
    longest = 0.0
    while state.mode == CAMERA:
        begun = time.monotonic()
        state = inputs.follow(state)
        longest = max(longest, time.monotonic() - begun)
        time.sleep(0.002)
    assert longest < 1  # joining the thread would take 30 s
    assert inputs.message == "camera 0 gives no more frames; showing files"
    assert follow(inputs, state)[1].name == "a.png"
    assert not hanging.released
    hanging.gate.set()
    wait_for(lambda: hanging.released)


def test_a_key_leaves_a_camera_that_does_not_even_open(make_inputs, folder):
    gate, opening = threading.Event(), threading.Event()

    def opener(_: int | str) -> FakeCapture:
        opening.set()
        gate.wait(30)
        return FakeCapture()

    inputs = make_inputs(FileQuery(folder=str(folder)), Spec(0, "camera 0"), opener=opener)
    state = inputs.follow(CoreState(mode=CAMERA))
    assert opening.wait(10)
    assert inputs.message == "waiting for camera 0"
    begun = time.monotonic()
    state, frame = follow(inputs, toggle_mode(state))
    assert time.monotonic() - begun < 5
    assert (state.mode, frame.name, inputs.message) == (FILES, "a.png", "")
    gate.set()


def test_a_camera_is_opened_anew_only_when_it_was_let_go(make_inputs, folder):
    """Two captures of one device at once: the second would not open."""
    open_now, most = set(), []

    class Exclusive(FakeCapture):
        def __init__(self) -> None:
            super().__init__()
            open_now.add(self)
            most.append(len(open_now))

        def read(self):
            time.sleep(0.005)
            return super().read()

        def release(self) -> None:
            open_now.discard(self)

    inputs = make_inputs(
        FileQuery(folder=str(folder)), Spec(0, "camera 0"), opener=lambda _: Exclusive()
    )
    state = CoreState(mode=CAMERA)
    for _ in range(8):
        state, _ = follow(inputs, state)
        state = toggle_mode(state)
    assert most == [1] * 4


def test_a_device_that_still_hangs_is_said_and_opened_by_no_further_thread(
    make_inputs, folder, monkeypatch
):
    monkeypatch.setattr(video, "RELEASE_SECONDS", 0.1)
    hanging, opened = HangingCapture(), []

    def opener(_: int | str) -> FakeCapture:
        opened.append(FakeCapture() if opened else hanging)
        return opened[-1]

    inputs = make_inputs(FileQuery(folder=str(folder)), Spec(0, "camera 0"), opener=opener)
    state, _ = follow(inputs, CoreState(mode=CAMERA))
    state, _ = follow(inputs, toggle_mode(state))
    for _ in range(3):
        state, frame = follow(inputs, toggle_mode(state))
        assert (state.mode, frame.name) == (FILES, "a.png")
        assert inputs.message == "camera 0 does not answer; showing files"
    assert len(opened) == 1
    hanging.gate.set()
    wait_for(lambda: hanging.released)
    monkeypatch.setattr(video, "RELEASE_SECONDS", 5.0)
    state, frame = follow(inputs, toggle_mode(state))
    assert frame.name == "camera 0"


def test_a_frozen_camera_goes_on_where_it_is_then(make_inputs, folder):
    camera = FakeCapture()
    inputs = make_inputs(
        FileQuery(folder=str(folder)), Spec(0, "camera 0", pause=0.002), opener=lambda _: camera
    )
    state, first = follow(inputs, CoreState(mode=CAMERA))
    frozen = replace(state, frozen=True)
    inputs.follow(frozen)
    assert inputs.take() is None
    wait_for(lambda: camera.count > int(first.image[0, 0, 0]) + 5)
    _, later = follow(inputs, replace(frozen, frozen=False))
    while later is None:
        _, later = follow(inputs, state)
    assert int(later.image[0, 0, 0]) > int(first.image[0, 0, 0]) + 4
