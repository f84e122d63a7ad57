"""Pictures and films of the window: key p and --record, in scripts and in the real window."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.e2e.conftest import ENVIRONMENT, ROOT, wait_for
from toolbox.pictures.image_file import read_image


def play(path: Path) -> list[np.ndarray]:
    """Read a film's frames, RGB."""
    capture, frames = cv2.VideoCapture(str(path)), []
    assert capture.isOpened()
    while True:
        read, frame = capture.read()
        if not read:
            return frames
        frames.append(frame[:, :, ::-1])


def near(frame: np.ndarray, picture: np.ndarray) -> bool:
    """Tell whether a frame is a picture, as far as the encoding allows."""
    return float(np.abs(frame.astype(int) - picture).mean()) < 6


@pytest.mark.parametrize("name", ["out.mp4", "out.avi"])
def test_a_script_gives_a_second_a_key_the_same_every_time(in_process, tmp_path, name):
    script = ("--headless", "--keys", "o down h")
    out, shot = tmp_path / name, tmp_path / "out.png"
    assert in_process(*script, "--record", out, "--screenshot", shot).code == 0
    first = play(out)
    assert len(first) == 4 * 25
    assert near(first[-1], read_image(shot))
    assert not near(first[0], read_image(shot))
    done = in_process(*script, "--record", out)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert all(map(np.array_equal, first, play(out)))
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, "out.png"]


def test_what_cannot_be_recorded_is_one_sentence_before_the_net_is_loaded(
    in_process, tmp_path, world
):
    (tmp_path / "folder.mp4").mkdir()
    settings = tmp_path / "settings.py"
    settings.write_text("caffevis_deploy_prototxt = 'missing.prototxt'\n", encoding="utf-8")
    cases = {"out.gif": ".mp4 .avi", "no/out.mp4": "does not exist", "folder.mp4": "is a folder"}
    for name, words in cases.items():
        for mode in (("--headless",), ()):
            done = in_process(*mode, "--record", tmp_path / name, settings=settings)
            assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
            assert words in done.err
    done = in_process("--tour", tmp_path / "tour", "--record", tmp_path / "out.mp4")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "exclude" in done.err


def test_p_in_a_script_saves_the_picture(in_process, tmp_path, world):
    settings, saved = tmp_path / "settings.py", tmp_path / "saved"
    own = (world / "settings.py").read_text(encoding="utf-8")
    own = own.replace("'tiny.", f"'{world}/tiny.").replace("'photos'", f"'{world}/photos'")
    own = own.replace("'labels.txt'", f"'{world}/labels.txt'")
    own = own.replace("'unit_jpg_vis'", f"'{world}/unit_jpg_vis'")
    settings.write_text(f"{own}saved_pictures_dir = {str(saved)!r}\n", encoding="utf-8")
    keys = ("--headless", "--screenshot", tmp_path / "out.png", "--keys")
    assert in_process(*keys, "o down h", settings=settings).code == 0
    assert in_process(*keys[:1], *keys[3:], "o down h p", settings=settings).code == 0
    (picture,) = saved.iterdir()
    assert np.array_equal(read_image(picture), read_image(tmp_path / "out.png"))


def test_p_in_the_window_saves_what_it_shows(make_session, world):
    folder = world / "saved"
    before = set(folder.glob("*")) if folder.exists() else set()
    session = make_session()
    shown = session.press("o", "Down", "h")
    noted = session.press("p")
    session.wait_for(lambda: len(set(folder.glob("dvt_*.png")) - before) == 1, "the file")
    session.wait_for(
        lambda: not np.array_equal(session.pane("status"), shown["status"]), "the message"
    )
    (picture,) = set(folder.glob("dvt_*.png")) - before
    saved = read_image(picture)
    for name, place in session.PANES.items():
        assert np.array_equal(saved[place], shown[name]), name
    assert np.array_equal(noted["layers"], shown["layers"])


def end_by_q(session) -> int:
    session.display.xdotool("key", "q")
    return 0


def end_by_closing(session) -> int:
    session.display.ask_to_close(session.window)
    return 0


def end_by_interrupt(session) -> int:
    session.process.send_signal(signal.SIGINT)
    return 130


@pytest.mark.parametrize("end", [end_by_q, end_by_closing, end_by_interrupt])
@pytest.mark.parametrize("name", ["out.mp4", "out.avi"])
def test_however_the_window_ends_the_film_is_whole(make_session, in_process, tmp_path, end, name):
    script, out = "o down right", tmp_path / name
    shots = []
    for keys in ("", script):
        shots.append(tmp_path / f"{len(shots)}.png")
        assert in_process("--headless", "--keys", keys, "--screenshot", shots[-1]).code == 0
    session = make_session("--record", str(out))
    assert len(list(tmp_path.glob(f"out.*.part{out.suffix}"))) == 1
    session.press("o", "Down", "Right")
    code = end(session)
    session.process.wait(20)
    assert session.process.communicate() == ("", "")
    assert session.process.returncode == code
    assert [path.name for path in tmp_path.glob("out*")] == [name]
    frames = play(out)
    first, last = map(read_image, shots)
    assert near(frames[-1], last)
    assert not near(frames[-1], first)
    assert any(near(frame, first) for frame in frames[:-1])


def test_ctrl_c_in_a_script_leaves_the_film_up_to_there(world, tmp_path):
    out = tmp_path / "out.mp4"
    command = [sys.executable, str(ROOT / "live_vis.py"), "--settings", str(world / "settings.py"),
               "--headless", "--record", str(out), "--keys", "o u " * 2000]  # fmt: skip
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)

    def size() -> int:
        return sum(path.stat().st_size for path in tmp_path.glob("out.*.part.mp4"))

    wait_for(lambda: size() > 1_000_000 or process.poll() is not None, "some of the film", 60)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=20)
    assert (process.returncode, printed) == (130, "")
    assert len(play(out)) > 25
    assert list(tmp_path.iterdir()) == [out]


def test_of_a_killed_process_the_part_of_an_avi_can_be_played(make_session, tmp_path):
    session = make_session("--record", str(tmp_path / "out.avi"))

    def size() -> int:
        return sum(path.stat().st_size for path in tmp_path.glob("out.*.part.avi"))

    session.wait_for(lambda: size() > 1_000_000, "some of the film")
    session.process.kill()
    session.process.wait(10)
    (part,) = tmp_path.iterdir()
    assert len(play(part)) > 3
