"""Files that go or are damaged while they are shown: what is said, and that it goes on."""

from __future__ import annotations

import shutil
import time

import cv2
import numpy as np
import pytest

from tests.toolbox.input.fake_sources import follow, wait_for
from toolbox.app.core import CoreState, next_file, previous_file, toggle_stretch
from toolbox.input import sources as module
from toolbox.input.files import FileQuery
from toolbox.input.sources import Inputs
from toolbox.pictures.image_file import write_image

NAMES = ("a.jpg", "b.jpg", "c.jpg", "d.jpg")


def photo(level: int) -> np.ndarray:
    picture = np.random.default_rng(level).integers(0, 9, (40, 60, 3), dtype=np.uint8)
    picture[:] = picture + level
    return picture


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        write_image(folder / name, photo(40 * number + 20))
    return folder


@pytest.fixture
def make_inputs():
    made: list[Inputs] = []

    def make(query: FileQuery) -> Inputs:
        made.append(Inputs(query, None))
        return made[-1]

    yield make
    assert all(inputs.close() for inputs in made)


def walk(inputs: Inputs, steps: int, step=next_file) -> list[str]:
    """Go through the files and name each that gives a frame."""
    state, names = CoreState(), []
    for number in range(steps):
        state, frame = follow(inputs, step(state) if number else state)
        names.append(frame.name if frame else "")
    return names


def test_a_deleted_folder_is_said_when_moving_on_and_found_when_it_returns(
    folder, make_inputs, monkeypatch
):
    monkeypatch.setattr(module, "LOOK_AGAIN_SECONDS", 0.02)
    inputs = make_inputs(FileQuery(folder=str(folder)))
    state, frame = follow(inputs, CoreState())
    assert frame.name == "a.jpg"
    shutil.move(folder, folder.with_name("away"))
    for _ in range(5):
        state = inputs.follow(state)
        assert (inputs.take(), inputs.message) == (None, "")
    state, frame = follow(inputs, next_file(state))
    assert frame is None
    assert inputs.message == f"The folder {folder} cannot be read: no such file or directory."
    assert inputs.settled()
    assert not inputs.playing
    shutil.move(folder.with_name("away"), folder)
    deadline = time.monotonic() + 10
    while frame is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
        state = inputs.follow(state)
        frame = inputs.take()
    assert (frame.name, inputs.message) == ("b.jpg", "")


def test_pictures_deleted_while_shown_are_skipped_by_name(folder, make_inputs):
    inputs = make_inputs(FileQuery(folder=str(folder)))
    state, _ = follow(inputs, CoreState())
    (folder / "a.jpg").unlink()
    state, frame = follow(inputs, toggle_stretch(state))
    assert frame.name == "b.jpg"
    assert inputs.message == "skipped: a.jpg cannot be read: no such file or directory"


def flip(data: bytes) -> bytes:
    """Destroy the tables in a JPEG's head."""
    return data[:20] + b"\x55" * 300 + data[320:]


DAMAGE = {
    "flipped": (flip, "it is not a picture OpenCV can decode, or it is cut off"),
    "cut off": (lambda data: data[: len(data) // 2], "it is not a picture OpenCV can decode, or"),
    "zero bytes": (lambda _: b"", "the file is empty"),
    "text": (lambda _: b"<html>", "it is not a picture OpenCV can decode"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_jpeg_in_the_middle_is_named_and_skipped_both_ways(
    folder, make_inputs, case: str
):
    damage, reason = DAMAGE[case]
    (folder / "b.jpg").write_bytes(damage((folder / "b.jpg").read_bytes()))
    inputs = make_inputs(FileQuery(folder=str(folder)))
    assert walk(inputs, 4) == ["a.jpg", "c.jpg", "d.jpg", "a.jpg"]
    assert inputs.message == ""
    state, frame = follow(inputs, next_file(CoreState()))
    assert frame.name == "c.jpg"
    assert inputs.message.startswith(f"skipped: b.jpg cannot be read: {reason}")
    assert walk(inputs, 5, previous_file) == ["a.jpg", "d.jpg", "c.jpg", "a.jpg", "d.jpg"]


def test_a_jpeg_with_a_spot_of_damage_is_shown(folder, make_inputs):
    data = bytearray((folder / "b.jpg").read_bytes())
    data[-40:-30] = b"\x55" * 10
    (folder / "b.jpg").write_bytes(bytes(data))
    inputs = make_inputs(FileQuery(folder=str(folder)))
    assert walk(inputs, 2) == ["a.jpg", "b.jpg"]


def test_missing_entries_of_a_list_are_named_and_skipped(folder, make_inputs):
    lines = ["gone.jpg", "photos/b.jpg", "photos/gone too.jpg", "photos/d.jpg 3", "a.jpg"]
    list_file = folder.parent / "list.txt"
    list_file.write_text("\n".join(lines), encoding="utf-8")
    inputs = make_inputs(FileQuery(folder=str(folder), list_file=str(list_file)))
    state, frame = follow(inputs, CoreState())
    assert frame.name == "b.jpg"
    assert inputs.message == "skipped: gone.jpg cannot be read: no such file or directory"
    assert walk(inputs, 4) == ["b.jpg", "d.jpg", "a.jpg", "b.jpg"]


def test_a_list_that_is_mended_is_read_anew_when_moving_on(folder, make_inputs):
    list_file = folder / "list.txt"
    list_file.write_text("a.jpg\n", encoding="utf-8")
    inputs = make_inputs(FileQuery(list_file=str(list_file), pairs=True))
    state, frame = follow(inputs, CoreState())
    assert frame is None
    assert inputs.message.startswith(f"Line 1 of the list {list_file} names one file")
    list_file.write_text("a.jpg b.jpg\n", encoding="utf-8")
    _, frame = follow(inputs, next_file(state))
    assert (frame.name, inputs.message) == ("a.jpg + b.jpg", "")


def test_a_pair_gives_one_frame_with_both_pictures(folder, make_inputs):
    list_file = folder / "list.txt"
    list_file.write_text("a.jpg\tc.jpg\t1\nd.jpg, b.jpg", encoding="utf-8")
    inputs = make_inputs(FileQuery(list_file=str(list_file), pairs=True))
    state, frame = follow(inputs, CoreState())
    assert [round(float(image.mean()) - 24, -1) for image in frame.images] == [0, 80]
    _, frame = follow(inputs, next_file(state))
    assert [round(float(image.mean()) - 24, -1) for image in frame.images] == [120, 40]
    _, stretched = follow(inputs, toggle_stretch(state))
    assert [image.shape for image in stretched.images] == [(60, 60, 3)] * 2


@pytest.mark.parametrize("broken", ["a.jpg", "b.jpg"])
def test_a_pair_with_a_broken_half_is_skipped_and_the_half_is_named(folder, make_inputs, broken):
    (folder / broken).write_bytes(b"broken")
    list_file = folder / "list.txt"
    list_file.write_text("a.jpg b.jpg\nc.jpg d.jpg", encoding="utf-8")
    inputs = make_inputs(FileQuery(list_file=str(list_file), pairs=True))
    _, frame = follow(inputs, CoreState())
    assert frame.name == "c.jpg + d.jpg"
    assert inputs.message.startswith(f"skipped: {broken} cannot be read")


def test_going_to_and_fro_quickly_gives_each_picture_once(folder, make_inputs):
    noise = np.random.default_rng(0).integers(0, 255, (1500, 1500, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / "a.png"), noise)  # takes a while to decode
    inputs = make_inputs(FileQuery(paths=(str(folder / "a.png"), str(folder / "b.jpg"))))
    state = inputs.follow(CoreState())
    wait_for(lambda: inputs._loader.current is not None)
    for step in (next_file, previous_file, next_file, previous_file):
        state = inputs.follow(step(state))
    frames, quiet = [], time.monotonic() + 0.7
    while time.monotonic() < quiet:
        inputs.follow(state)
        frame = inputs.take()
        if frame is not None:
            frames.append(frame.name)
        time.sleep(0.002)
    assert frames == ["a.png"]
