"""Sources: which files there are, cameras, videos, and what becomes of failures."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from tests.toolbox.input.fake_sources import FakeCapture, follow, wait_for, write_video
from toolbox.app.core import CoreState
from toolbox.input.files import FileQuery, is_video
from toolbox.input.lists import FilesError
from toolbox.input.sources import Inputs
from toolbox.input.video import MovingSource, Spec
from toolbox.input.wanted import CAMERA, FILES
from toolbox.pictures.image_file import write_image


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(["a.png", "b c.png", "ü.png"]):
        write_image(tmp_path / name, np.full((4, 6, 3), 50 * (number + 1), np.uint8))
    return tmp_path


def query(folder, **values) -> FileQuery:
    return FileQuery(folder=str(folder), regexp=r".*\.(jpg|png)$", **values)


@pytest.fixture
def make_inputs():
    made = []

    def make(*arguments, **options) -> Inputs:
        made.append(Inputs(*arguments, **options))
        return made[-1]

    yield make
    assert all(inputs.close() for inputs in made)


# ------------------------------------------------------------------ which files


def test_a_folder_is_listed_by_name_and_pattern(folder):
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    (folder / "D.PNG").write_bytes(b"")
    names = [path.rsplit("/", 1)[1] for (path,) in query(folder).find()]
    assert names == ["D.PNG", "a.png", "b c.png", "ü.png"]
    assert len(query(folder, ignore_case=False).find()) == 3


def test_paths_by_name_go_before_the_folder_and_folders_are_opened(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "x.jpg"
    found = FileQuery(paths=(str(other), str(folder)), folder="/nowhere").find()
    assert found[0] == (str(other),)
    assert len(found) == 4


def test_what_cannot_be_listed_is_one_sentence(tmp_path):
    with pytest.raises(FilesError, match="cannot be read: no such file"):
        query(tmp_path / "none").find()
    with pytest.raises(FilesError, match="holds no file whose name matches"):
        query(tmp_path).find()
    with pytest.raises(FilesError, match="holds no picture and no video"):
        FileQuery(paths=(str(tmp_path),)).find()


def test_videos_are_told_by_their_ending():
    assert is_video("a b.MP4")
    assert not is_video("a.png")


# ------------------------------------------------------------------ files


def test_each_file_gives_one_frame_and_the_order_wraps(folder, make_inputs):
    inputs, state, seen = make_inputs(query(folder), None), CoreState(), []
    for position in (0, 1, 2, 3, -1):
        state, frame = follow(inputs, replace(state, position=position))
        seen.append((frame.name, int(frame.image[0, 0, 0])))
        inputs.follow(state)
        assert inputs.take() is None
    assert seen == [("a.png", 50), ("b c.png", 100), ("ü.png", 150), ("a.png", 50), ("ü.png", 150)]


def test_frames_are_numbered_and_square(folder, make_inputs):
    inputs = make_inputs(query(folder), None)
    _, first = follow(inputs, CoreState())
    _, second = follow(inputs, CoreState(stretch=True))
    assert (first.id, second.id) == (1, 2)
    assert first.image.shape == (4, 4, 3)
    assert second.image.shape == (6, 6, 3)


def test_an_unreadable_file_is_named_and_skipped_in_the_direction_taken(folder, make_inputs):
    (folder / "b c.png").write_bytes(b"broken")
    inputs = make_inputs(query(folder), None)
    state, frame = follow(inputs, CoreState(position=1))
    assert (frame.name, state.position) == ("ü.png", 2)
    assert inputs.message.startswith("skipped: b c.png cannot be read")
    state, frame = follow(inputs, CoreState(position=1, direction=-1))
    assert (frame.name, state.position) == ("a.png", 0)
    _, frame = follow(inputs, replace(state, position=2))
    assert inputs.message == ""


def test_when_no_file_can_be_read_it_says_so_and_stops(folder, make_inputs):
    for path in folder.iterdir():
        path.write_bytes(b"broken")
    inputs = make_inputs(query(folder), None)
    state, frame = follow(inputs, CoreState())
    assert frame is None
    assert inputs.message.endswith("no file can be read")
    assert follow(inputs, state)[1] is None


def test_a_folder_that_disappears_leaves_a_message(folder, make_inputs):
    inputs = make_inputs(query(folder), None)
    state, _ = follow(inputs, CoreState())
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    state, frame = follow(inputs, replace(state, position=1))
    assert frame is None
    assert "cannot be read" in inputs.message


def test_new_files_are_seen_when_moving_on(folder, make_inputs):
    inputs = make_inputs(query(folder), None)
    state, _ = follow(inputs, CoreState())
    write_image(folder / "aa.png", np.zeros((2, 2, 3), np.uint8))
    assert follow(inputs, replace(state, position=1))[1].name == "aa.png"


# ------------------------------------------------------------------ camera and video


def test_camera_gives_the_latest_frame_once(make_inputs, folder):
    capture = FakeCapture()
    inputs = make_inputs(query(folder), Spec(0, "camera 0", pause=0.002), opener=lambda _: capture)
    state, seen = CoreState(mode=CAMERA), []
    while len(seen) < 5:
        state, frame = follow(inputs, state)
        if frame is not None:
            seen.append(int(frame.image[0, 0, 0]))
        time.sleep(0.003)
    assert state.mode == CAMERA
    assert seen == sorted(set(seen))


def test_a_frozen_camera_stands_still(make_inputs, folder):
    inputs = make_inputs(
        query(folder), Spec(0, "camera 0", pause=0.002), opener=lambda _: FakeCapture()
    )
    state, _ = follow(inputs, CoreState(mode=CAMERA))
    frozen = replace(state, frozen=True)
    for _ in range(10):
        inputs.follow(frozen)
        assert inputs.take() is None
        time.sleep(0.003)


def test_going_back_to_files_releases_the_camera(make_inputs, folder):
    capture = FakeCapture()
    inputs = make_inputs(query(folder), Spec(0, "camera 0", pause=0.002), opener=lambda _: capture)
    follow(inputs, CoreState(mode=CAMERA))
    _, frame = follow(inputs, CoreState())
    assert frame.name == "a.png"
    wait_for(lambda: capture.released)


ABSENT = {
    "closed": (lambda _: FakeCapture(opened=False), "camera 0 could not be opened; showing files"),
    "unplugged": (lambda _: FakeCapture(frames=0), "camera 0 gives no more frames; showing files"),
}


@pytest.mark.parametrize("case", ABSENT)
def test_an_absent_camera_gives_a_message_and_files_go_on(make_inputs, folder, case: str):
    opener, message = ABSENT[case]
    inputs = make_inputs(query(folder), Spec(0, "camera 0"), opener=opener)
    state, frame = follow(inputs, CoreState(mode=CAMERA))
    assert (state.mode, frame.name) == (FILES, "a.png")
    assert inputs.message == message


def test_no_camera_in_the_settings_is_said(make_inputs, folder):
    inputs = make_inputs(query(folder), None)
    state, frame = follow(inputs, CoreState(mode=CAMERA))
    assert (state.mode, frame.name) == (FILES, "a.png")
    assert "input_updater_capture_device" in inputs.message


def test_a_real_absent_camera_prints_nothing(make_inputs, folder, capfd):
    inputs = make_inputs(query(folder), Spec(97, "camera 97"))
    state, _ = follow(inputs, CoreState(mode=CAMERA))
    assert state.mode == FILES
    assert inputs.message == "camera 97 could not be opened; showing files"
    assert capfd.readouterr() == ("", "")


def test_a_video_loops_at_its_own_speed(make_inputs, tmp_path):
    (tmp_path / "v.mp4").touch()
    capture = FakeCapture(frames=3, rate=100)
    inputs = make_inputs(
        FileQuery(paths=(str(tmp_path / "v.mp4"),)), None, opener=lambda _: capture
    )
    begun, count, state = time.monotonic(), 0, CoreState()
    while count < 12:
        state, frame = follow(inputs, state)
        count += frame is not None
    assert capture.rewound >= 2
    assert time.monotonic() - begun >= 0.1


def test_a_scripted_run_sees_only_a_videos_first_frame(make_inputs, tmp_path):
    write_video(tmp_path / "v.avi", [40, 80, 120, 160, 200])
    inputs = make_inputs(FileQuery(paths=(str(tmp_path / "v.avi"),)), None, single=True)
    state, frame = follow(inputs, CoreState())
    assert frame.name == "v.avi"
    assert abs(int(frame.image.mean()) - 40) < 6
    time.sleep(0.1)
    inputs.follow(state)
    assert inputs.take() is None


def test_a_broken_video_is_skipped(make_inputs, folder):
    (folder / "a.mp4").write_bytes(b"no video")
    paths = (str(folder / "a.mp4"), str(folder / "ü.png"))
    inputs = make_inputs(FileQuery(paths=paths), None)
    _, frame = follow(inputs, CoreState())
    assert frame.name == "ü.png"
    assert inputs.message == (
        "skipped: a.mp4 could not be opened: it is damaged or of an unknown kind"
    )


def test_closing_ends_every_thread_within_two_seconds(folder):
    inputs = Inputs(query(folder), Spec(0, "camera 0"), opener=lambda _: FakeCapture())
    follow(inputs, CoreState(mode=CAMERA))
    begun = time.monotonic()
    assert inputs.close()
    assert time.monotonic() - begun < 2
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"file loader", "source camera 0"}


def test_a_camera_that_hangs_cannot_keep_the_app():
    gate, begun_reading = threading.Event(), threading.Event()

    class Hanging(FakeCapture):
        def read(self):
            begun_reading.set()
            gate.wait(30)
            return super().read()

    source = MovingSource(Spec(0, "camera 0"), lambda _: Hanging(frames=0))
    assert begun_reading.wait(10)
    begun = time.monotonic()
    assert not source.close(0.1)
    assert time.monotonic() - begun < 1
    gate.set()
    assert source.close(10)
