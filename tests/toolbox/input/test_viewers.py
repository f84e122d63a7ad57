"""What viewers in browsers send: their camera as a source, and their pictures among the files."""

from __future__ import annotations

import threading
import time
import zlib
from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.toolbox.input.fake_sources import follow, wait_for
from toolbox.app.core import CoreState, toggle_mode
from toolbox.input import viewers as viewers_module
from toolbox.input.files import FileQuery
from toolbox.input.sources import Inputs
from toolbox.input.viewers import (
    DEVICE,
    FRAME,
    KEPT,
    SHORT_SIDE,
    START,
    STOP,
    FromViewers,
    SentPictures,
    clean_name,
    open_sent,
)
from toolbox.input.wanted import CAMERA, FILES, VIEWER
from toolbox.pictures.image_file import ImageError, write_image


def encoded(ending: str, height: int = 6, width: int = 8, level: int = 90) -> bytes:
    done, data = cv2.imencode(ending, np.full((height, width, 3), level, np.uint8))
    assert done
    return data.tobytes()


class Browser:
    """A viewer's browser: gives the camera and a frame of rising brightness for each wish."""

    def __init__(self, camera, allows: bool = True) -> None:
        self.camera, self.allows, self.wishes, self.sends = camera, allows, [], True
        camera.available = True
        camera.tell = self.tell

    def tell(self, what: str) -> None:
        self.wishes.append(what)
        if what == START:
            threading.Timer(0.01, self.answer).start()
        elif what == FRAME and self.sends:
            level = 20 * self.wishes.count(FRAME) % 256
            threading.Timer(0.01, self.camera.put, [encoded(".jpg", level=level)]).start()

    def answer(self) -> None:
        self.camera.allow() if self.allows else self.camera.refuse("the browser says no")


@pytest.fixture
def from_viewers():
    return FromViewers()


@pytest.fixture
def inputs(tmp_path, from_viewers):
    for number in (1, 2):
        write_image(tmp_path / f"{number}.png", np.full((4, 4, 3), 50 * number, np.uint8))
    inputs = Inputs(FileQuery(folder=str(tmp_path)), None, viewers=from_viewers)
    yield inputs
    assert inputs.close()


def test_c_goes_round_the_cameras_that_there_are(inputs, from_viewers):
    state = inputs.follow(CoreState())
    assert toggle_mode(state).mode == CAMERA
    from_viewers.camera.available = True
    state = inputs.follow(state)
    modes = []
    for _ in range(3):
        state = toggle_mode(state)
        modes.append(state.mode)
    assert modes == [VIEWER, CAMERA, FILES]
    from_viewers.camera.available = False
    gone = inputs.follow(replace(state, mode=VIEWER))
    assert toggle_mode(gone).mode == FILES


def test_frames_are_asked_for_as_they_are_taken(inputs, from_viewers):
    browser = Browser(from_viewers.camera)
    state, frame = follow(inputs, CoreState(mode=VIEWER))
    assert (state.mode, frame.name) == (VIEWER, DEVICE)
    time.sleep(0.2)  # nobody takes any
    asked = browser.wishes.count(FRAME)
    assert asked <= 2
    second = None
    while second is None:
        inputs.follow(state)
        second = inputs.take()
    assert second.image.mean() > frame.image.mean()
    inputs.follow(replace(state, mode=FILES))
    wait_for(lambda: browser.wishes[-1] == STOP)


def test_a_frozen_camera_is_not_asked_and_goes_on_after_long(inputs, from_viewers, monkeypatch):
    monkeypatch.setattr("toolbox.input.video.STALL_SECONDS", 0.3)
    browser = Browser(from_viewers.camera)
    state, _ = follow(inputs, CoreState(mode=VIEWER))
    frozen = replace(state, frozen=True)
    inputs.follow(frozen)
    time.sleep(0.5)
    asked = browser.wishes.count(FRAME)
    assert inputs.follow(frozen).mode == VIEWER
    assert browser.wishes.count(FRAME) == asked
    frames = 0
    while frames < 3:
        assert inputs.follow(state).mode == VIEWER
        frames += inputs.take() is not None


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        ("refused", "the browser says no; showing files"),
        ("left", "the browser with the camera has left; showing files"),
        ("silent", f"{DEVICE} gives no more frames; showing files"),
        ("broken", f"{DEVICE} gives no more frames; showing files"),
    ],
)
def test_a_camera_that_ends_gives_way_to_files(inputs, from_viewers, monkeypatch, happens, said):
    monkeypatch.setattr(viewers_module, "FRAME_SECONDS", 0.01)
    browser = Browser(from_viewers.camera, allows=happens != "refused")
    state = CoreState(mode=VIEWER)
    if happens != "refused":
        state, frame = follow(inputs, state)
        assert frame.name == DEVICE
        browser.sends = False
        if happens == "left":
            from_viewers.camera.refuse("the browser with the camera has left")
        if happens == "broken":
            browser.tell = from_viewers.camera.tell = lambda what: from_viewers.camera.put(b"\xff")
    deadline = time.monotonic() + 20
    while state.mode == VIEWER and time.monotonic() < deadline:
        inputs.take()
        state = inputs.follow(state)
    assert (state.mode, inputs.message) == (FILES, said)


def test_leaving_while_the_viewer_thinks_waits_for_nothing(inputs, from_viewers):
    from_viewers.camera.tell = lambda what: None
    inputs.follow(CoreState(mode=VIEWER))
    inputs.follow(CoreState(mode=FILES))
    begun = time.monotonic()
    assert inputs.close()
    assert time.monotonic() - begun < 5


def test_a_picture_that_is_sent_is_shown_next_and_stays_among_the_files(inputs, from_viewers):
    state, frame = follow(inputs, CoreState())
    assert frame.name == "1.png"
    picture = open_sent(encoded(".png", level=77), "mine.png")
    from_viewers.pictures.add(picture, "C:\\photos\\mine.mp4")
    state = inputs.follow(replace(state, mode=CAMERA))
    state, frame = follow(inputs, state)
    assert (state.mode, frame.name) == (FILES, "mine.mp4")  # a picture, whatever it is called
    assert (frame.image == 77).all()
    names = []
    for _ in range(3):
        state, frame = follow(inputs, replace(state, position=state.position + 1))
        names.append(frame.name)
    assert names == ["1.png", "2.png", "mine.mp4"]


def test_a_picture_is_shown_where_there_are_no_files(tmp_path, from_viewers):
    inputs = Inputs(FileQuery(folder=str(tmp_path / "none")), None, viewers=from_viewers)
    try:
        state = inputs.follow(CoreState())
        assert "cannot be read" in inputs.message
        from_viewers.pictures.add(np.zeros((3, 3, 3), np.uint8), "x.png")
        _, frame = follow(inputs, state)
        assert (frame.name, inputs.message) == ("x.png", "")
    finally:
        assert inputs.close()


def test_so_many_pictures_are_kept_and_none_larger_than_shown():
    pictures = SentPictures()
    for number in range(KEPT + 3):
        pictures.add(np.zeros((4, 4, 3), np.uint8), f"{number}.png")
    assert len(pictures.paths()) == KEPT
    assert pictures.get(pictures.paths()[0]) is not None
    assert pictures.get("sent:1/0.png") is None
    pictures.add(np.zeros((2 * SHORT_SIDE, 3 * SHORT_SIDE, 3), np.uint8), "large")
    assert pictures.get(pictures.paths()[-1]).shape == (SHORT_SIDE, 3 * SHORT_SIDE // 2, 3)
    pictures.add(np.zeros((10, 9000, 3), np.uint8), "wide")
    assert pictures.get(pictures.paths()[-1]).shape == (5, 4 * SHORT_SIDE, 3)


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("a.jpg", "a.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\y.png", "y.png"),
        ("ü é.png", "ü é.png"),
        ("<b>\n\x1b[31m.png", "_b____31m.png"),
        ("/", "picture"),
        ("x" * 500, "x" * 60),
    ],
)
def test_names_are_only_shown(name, clean):
    assert clean_name(name) == clean


NO_PICTURES = {
    "empty": b"",
    "text": b"hello" * 100,
    "half a png": encoded(".png", 40, 40)[:60],
    "half a jpeg": encoded(".jpg", 90, 90)[:-200],
    "only a head": b"\x89PNG\r\n\x1a\n",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'></svg>",
    "zeros": bytes(1000),
}


@pytest.mark.parametrize("kind", NO_PICTURES)
def test_what_is_no_picture_is_one_sentence(kind):
    with pytest.raises(ImageError, match=r"^x\.png cannot be read: [^\n]*$"):
        open_sent(NO_PICTURES[kind], "x.png")


def test_how_large_a_picture_is_is_known_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(viewers_module, "decode_image", lambda data, name: pytest.fail("decoded"))
    data = bytearray(encoded(".png"))
    data[16:24] = (60_000).to_bytes(4, "big") * 2  # the size that the head claims
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(ImageError, match="more than the 64 million pixels that are allowed"):
        open_sent(bytes(data), "bomb.png")


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".bmp", ".tif"])
def test_pictures_of_all_kinds_are_opened(ending):
    assert open_sent(encoded(ending, 6, 8), "x").shape == (6, 8, 3)
