"""The real window under Xvfb, driven by real key presses; its picture checked by pane."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from toolbox.pictures.image_file import read_image
from toolbox.window.desktop import Desktop, find_desktop

CURSOR, BACKGROUND = (128, 255, 128), (51, 51, 51)


@pytest.fixture
def session(make_session):
    session = make_session()
    session.quiet()
    return session


def changed(before: dict, after: dict) -> set[str]:
    return {name for name in before if not np.array_equal(before[name], after[name])}


def has(pane: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((pane == colour).all(axis=2).any())


def test_real_keys_walk_layers_and_units_and_show_back_passes(session):
    start = session.quiet()
    assert not has(start["layers"], CURSOR)

    layer = session.press("o")
    assert changed(start, layer) == {"control", "layers", "status"}

    unit = session.press("Down", "Right")
    assert has(unit["layers"], CURSOR)
    assert changed(layer, unit) >= {"layers", "aux", "status", "control"}

    back = session.press("b")
    assert changed(unit, back) == {"back", "status"}
    assert len(np.unique(back["back"])) > 10

    frozen = session.press("d", "Right")
    assert has(frozen["layers"], (51, 51, 255))
    assert np.array_equal(frozen["back"], back["back"])

    zoomed = session.press("z")
    assert changed(frozen, zoomed) == {"layers"}
    assert changed(zoomed, session.press("z")) == {"layers"}
    assert not changed(frozen, session.press("z"))

    diffs = session.press("a")
    assert has(diffs["layers"], (51, 51, 128))
    assert not changed(start, session.press("Escape"))


def test_files_help_stretch_and_labels(session):
    start = session.quiet()
    second = session.press("e")
    assert changed(start, second) >= {"input", "layers", "aux"}
    assert not changed(start, session.press("w"))
    assert not changed(second, session.press("Next"))
    assert not changed(start, session.press("Prior"))

    stretched = session.press("0")
    assert "input" in changed(start, stretched)
    assert not changed(start, session.press("0"))

    helped = session.press("h")
    assert changed(start, helped) >= {"input", "layers"}
    assert not changed(start, session.press("h"))

    hidden = session.press("8")
    assert changed(start, hidden) == {"aux"}
    assert np.all(hidden["aux"] == BACKGROUND)
    assert not changed(start, session.press("8"))

    camera = session.press("c")
    assert changed(start, camera) == {"status"}


def test_the_window_shows_what_a_script_shows(session, in_process, tmp_path):
    out = tmp_path / "out.png"
    keys = "o o down right right n n m t y"
    assert in_process("--headless", "--keys", keys, "--screenshot", out).code == 0
    shown = session.press("o", "o", "Down", "Right", "Right", "n", "n", "m", "t", "y")
    picture = read_image(out)
    for name in ("input", "aux", "back", "control", "layers"):
        assert np.array_equal(shown[name], picture[session.PANES[name]]), name


def test_second_keys_do_what_capitals_do(session):
    session.press("Down")
    moved = session.press("period", "comma", "period")
    assert not changed(moved, session.press("F12"))
    session.press("Left", "Left", "Left")
    assert not changed(moved, session.press("Right", "Right", "Right"))
    boosted = session.press("y")
    assert "layers" in changed(moved, boosted)


def test_fast_typing_loses_no_key(session, in_process, tmp_path):
    out = tmp_path / "out.png"
    keys = "o down" + " right" * 7 + " l" * 3 + " j" * 9
    assert in_process("--headless", "--keys", keys, "--screenshot", out).code == 0
    expected = read_image(out)[session.PANES["layers"]]
    presses = ["o", "Down", *["Right"] * 7, *["l"] * 3, *["j"] * 9]
    session.display.xdotool("key", "--delay", "40", *presses)
    session.wait_for(lambda: np.array_equal(session.pane("layers"), expected), "the last key")


def test_q_ends_the_process_soon_and_prints_nothing(session):
    session.press("o", "b")
    begun = time.monotonic()
    session.display.xdotool("key", "q")
    session.process.wait(10)
    assert time.monotonic() - begun < 5  # beside another test; two seconds alone, tests/soak
    assert session.process.communicate() == ("", "")
    assert session.process.returncode == 0


def test_closing_the_window_ends_the_process(session):
    session.display.ask_to_close(session.window)
    session.process.wait(10)
    assert session.process.communicate() == ("", "")
    assert session.process.returncode == 0


def test_a_short_video_runs_and_freezes(make_session, tmp_path):
    video = tmp_path / "v.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 64))
    for step in range(12):
        frame = np.zeros((64, 64, 3), np.uint8)
        frame[:, 5 * step : 5 * step + 9] = (40, 200, 90)
        writer.write(frame)
    writer.release()
    session = make_session("--image", str(video))
    first = session.pane("input")
    session.wait_for(lambda: not np.array_equal(first, session.pane("input")), "the next frame")

    def stands_still() -> bool:
        before = session.pane("input")
        time.sleep(0.5)  # five frames of the video
        return np.array_equal(before, session.pane("input"))

    session.display.xdotool("key", "f")
    session.wait_for(stands_still, "it to stand still")
    frozen = session.pane("input")
    assert stands_still()
    session.display.xdotool("key", "f")
    session.wait_for(lambda: not np.array_equal(frozen, session.pane("input")), "it to go on")


def test_the_image_folder_may_go_and_return_while_the_window_is_open(make_session, world):
    session = make_session()
    first = session.press("Down")
    folder = world / "unit_jpg_vis"
    aside = folder.with_name("aside")
    folder.rename(aside)
    try:
        gone = session.press("Right")
    finally:
        aside.rename(folder)
    assert not session.ended()
    assert not np.array_equal(gone["jpgvis"], first["jpgvis"])
    assert not np.array_equal(gone["status"], first["status"])
    back = session.press("Left")
    for name in ("jpgvis", "layers", "input"):
        assert np.array_equal(back[name], first[name]), name


def size(session) -> tuple[int, int]:
    geometry = session.display.xdotool("getwindowgeometry", "--shell", session.window)
    values = dict(line.split("=") for line in geometry.splitlines())
    return int(values["WIDTH"]), int(values["HEIGHT"])


def test_a_window_larger_than_the_screen_shrinks_unless_its_scale_is_set(
    make_session, display, world, tmp_path
):
    wide = (world / "settings.py").read_text(encoding="utf-8").replace("1200))", "1600))")
    folder = tmp_path / "wide"
    folder.mkdir()
    for name in ("tiny.prototxt", "tiny.caffemodel", "labels.txt", "photos", "unit_jpg_vis"):
        (folder / name).symlink_to(world / name)
    (folder / "settings.py").write_text(wide, encoding="utf-8")
    session = make_session(world=folder)
    width, height = size(session)
    session.end()
    assert width <= display.WIDTH - 10
    assert height <= display.HEIGHT - 80
    (folder / "settings.py").write_text(wide + "global_scale = 1.1\n", encoding="utf-8")
    assert size(make_session(world=folder))[0] == round(1600 * 1.1)


def test_at_high_density_the_window_is_drawn_larger_once_and_not_by_qt_too(make_session, display):
    display.set_density(192)
    try:
        width, height = size(make_session())
    finally:
        display.set_density(96)
    scale = min((display.WIDTH - 10) / 1200, (display.HEIGHT - 80) / 630)  # 2 would not fit
    assert (width, height) == pytest.approx((1200 * scale, 630 * scale), rel=0.01)
    assert (width, height) > (1200, 630)


def test_the_screen_is_asked_of_the_x_server(display, monkeypatch):
    monkeypatch.setenv("DISPLAY", display.name)
    monkeypatch.delenv("QT_SCALE_FACTOR", raising=False)
    assert find_desktop() == Desktop(display.WIDTH, display.HEIGHT, 1.0)
    display.set_density(144)
    try:
        assert find_desktop() == Desktop(display.WIDTH, display.HEIGHT, 1.5)
        monkeypatch.setenv("QT_SCALE_FACTOR", "2")  # what Qt enlarges takes twice the room
        assert find_desktop() == Desktop(display.WIDTH // 2, display.HEIGHT // 2, 0.75)
    finally:
        display.set_density(96)
