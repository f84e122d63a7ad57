"""Films of tiny pictures, read back with OpenCV; their clock is turned by hand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from toolbox.pictures.image_file import ImageError
from toolbox.record import film_file
from toolbox.record.film import QUEUE_LENGTH, STILL_FRAMES, LiveFilm, ScriptedFilm
from toolbox.record.film_file import RATE, FilmError, FilmFile, check_film

RED, GREEN, BLUE = (230, 20, 20), (20, 230, 20), (20, 20, 230)
COLOURS = {"R": RED, "G": GREEN, "B": BLUE}


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.full((*size, 3), colour, np.uint8)


def play(path: Path) -> np.ndarray:
    """Read all frames, RGB."""
    capture = cv2.VideoCapture(str(path))
    assert capture.isOpened()
    assert capture.get(cv2.CAP_PROP_FPS) == RATE
    frames = []
    while True:
        read, frame = capture.read()
        if not read:
            return np.stack(frames)
        frames.append(frame[:, :, ::-1])


def letters(path: Path) -> str:
    """Name each frame's colour by its letter, runs as in R10 B3."""
    text = ""
    for frame in play(path):
        mean = frame.reshape(-1, 3).mean(0)
        near = [name for name, colour in COLOURS.items() if np.abs(mean - colour).max() < 25]
        assert len(near) == 1, mean
        text += near[0]
    return " ".join(f"{run[0]}{len(run)}" for run in re.findall(r"R+|G+|B+", text))


class Clock:
    """Stands still until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize("name", ["a film.mp4", "b.avi", "Ü.MP4"])
def test_each_frame_has_what_was_shown_in_its_slot(tmp_path, clock, name):
    path = tmp_path / name
    with LiveFilm(FilmFile(path), clock) as film:
        film.show(plain(RED))
        clock.now += 0.4
        film.show(plain(BLUE))
        clock.now += 0.01
        film.show(plain(GREEN))  # in the same slot: this one stays
        clock.now += 0.59
        film.show(plain(RED))
        clock.now += 0.1
    assert letters(path) == "R10 G15 R3"
    assert os.listdir(tmp_path) == [name]


def test_a_picture_may_change_after_it_was_shown(tmp_path, clock):
    picture = plain(RED)
    with LiveFilm(FilmFile(tmp_path / "a.avi"), clock) as film:
        film.show(picture)
        picture[:] = BLUE
        clock.now += 1
    assert letters(tmp_path / "a.avi") == "R26"


def test_a_slow_encoder_gets_fewer_pictures_and_the_film_keeps_its_length(tmp_path, clock):
    go_on = threading.Event()

    class Slow(FilmFile):
        def write(self, picture) -> None:
            go_on.wait(20)
            super().write(picture)

    with LiveFilm(Slow(tmp_path / "a.avi"), clock) as film:
        for number in range(3 * QUEUE_LENGTH):
            film.show(plain(RED if number < 3 * QUEUE_LENGTH - 1 else BLUE))
            clock.now += 1 / RATE
        assert len(film._queue) <= QUEUE_LENGTH
        go_on.set()
    runs = letters(tmp_path / "a.avi")
    assert sum(int(run[1:]) for run in runs.split()) == 3 * QUEUE_LENGTH + 1
    assert "B" in runs


def test_the_clock_of_the_wall_counts(tmp_path):
    begun = time.monotonic()
    with LiveFilm(FilmFile(tmp_path / "a.mp4")) as film:
        film.show(plain(RED))
        shown = time.monotonic()
        time.sleep(0.3)
        least = time.monotonic() - shown
    most = time.monotonic() - begun
    assert least * RATE <= len(play(tmp_path / "a.mp4")) <= most * RATE + 1


def test_a_film_without_a_picture_is_none(tmp_path, clock):
    with LiveFilm(FilmFile(tmp_path / "a.mp4"), clock):
        pass
    with ScriptedFilm(FilmFile(tmp_path / "a.mp4")):
        pass
    assert os.listdir(tmp_path) == []


def test_a_scripted_film_stays_a_second_at_each_picture_and_is_the_same_twice(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        with ScriptedFilm(FilmFile(tmp_path / name)) as film:
            for colour in (RED, BLUE, GREEN):
                film.show(plain(colour))
    assert letters(tmp_path / "a.mp4") == f"R{STILL_FRAMES} B{STILL_FRAMES} G{STILL_FRAMES}"
    assert np.array_equal(play(tmp_path / "a.mp4"), play(tmp_path / "b.mp4"))


@pytest.mark.parametrize("name", ["a.mp4", "a.avi"])
def test_odd_sides_grow_by_a_pixel(tmp_path, name):
    with ScriptedFilm(FilmFile(tmp_path / name)) as film:
        film.show(plain(RED, (47, 65)))
    frames = play(tmp_path / name)
    assert frames.shape == (STILL_FRAMES, 48, 66, 3)
    assert np.abs(frames.astype(int) - RED).max() < 30  # the new edge too


def test_an_interrupt_finishes_the_film(tmp_path, clock):
    with pytest.raises(KeyboardInterrupt), LiveFilm(FilmFile(tmp_path / "a.mp4"), clock) as film:
        film.show(plain(RED))
        clock.now += 1
        raise KeyboardInterrupt
    assert letters(tmp_path / "a.mp4") == "R26"


def test_an_older_film_is_replaced_only_when_the_new_one_is_whole(tmp_path, clock):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    check_film(path)
    with LiveFilm(FilmFile(path), clock) as film:
        film.show(plain(RED))
        clock.now += 1
        assert path.read_bytes() == b"old"
    assert letters(path) == "R26"


def test_a_part_file_of_a_killed_process_is_kept(tmp_path):
    left = tmp_path / f"a.{os.getpid()}.part.avi"
    left.write_bytes(b"half a film")
    check_film(tmp_path / "a.avi")
    with ScriptedFilm(FilmFile(tmp_path / "a.avi")) as film:
        film.show(plain(RED))
    assert left.read_bytes() == b"half a film"
    assert letters(tmp_path / "a.avi") == f"R{STILL_FRAMES}"


def test_a_full_disk_ends_the_film_with_a_message_and_keeps_what_there_is(tmp_path, clock):
    free = [10**9]
    path = tmp_path / "a.mp4"
    film = LiveFilm(FilmFile(path, lambda folder: free[0]), clock)
    film.show(plain(RED))
    clock.now += 1.5
    wait_until(lambda: film._file.frames > RATE)
    free[0] = 1000
    clock.now += 2
    wait_until(lambda: film.message)
    assert film.message.endswith("disk is nearly full; a.mp4 has the film so far")
    film.show(plain(BLUE))
    assert letters(path) == f"R{2 * RATE}"
    with pytest.raises(FilmError, match="disk is nearly full"):
        film.__exit__(None, None, None)
    assert os.listdir(tmp_path) == ["a.mp4"]


def wait_until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


LIMITED = """
import resource, sys
import numpy as np
from toolbox.record.film_file import FilmError, FilmFile
from toolbox.record.film import ScriptedFilm
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
random = np.random.default_rng(0)
try:
    with ScriptedFilm(FilmFile(sys.argv[1])) as film:
        for _ in range(10):
            film.show(random.integers(0, 255, (240, 320, 3), dtype=np.uint8))
except FilmError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["a.mp4", "a.avi"])
def test_what_opencv_could_not_write_is_noticed_at_the_end(tmp_path, name):
    (tmp_path / name).write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / name)],
        cwd=Path(film_file.__file__).parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert re.fullmatch(r".* is not whole: of 250 frames \d+ can be read; .*\n", done.stdout)
    assert (tmp_path / name).read_bytes() == b"old"
    assert len(list(tmp_path.glob(f"a.*.part{Path(name).suffix}"))) == 1


def test_what_cannot_be_a_film_is_refused_in_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").touch()
    cases = {
        "a.gif": "ending must be one of .mp4 .avi",
        "a": "ending must be one of .mp4 .avi",
        "no/a.mp4": "does not exist",
        "file/a.mp4": "does not exist",
        "folder.mp4": "is a folder",
        "x" * 250 + ".mp4": "file name too long",
    }
    for name, sentence in cases.items():
        with pytest.raises((FilmError, ImageError), match=sentence) as caught:
            check_film(tmp_path / name)
        assert "\n" not in str(caught.value)
    monkeypatch.setitem(film_file.FORMATS, ".mp4", film_file.Format("mp4v", ()))
    with pytest.raises(FilmError, match=r"no encoder for .mp4 \(mp4v\); try .avi"):
        check_film(tmp_path / "a.mp4")
    monkeypatch.setattr(film_file, "free_bytes", lambda folder: 1000)
    with pytest.raises(FilmError, match="disk is nearly full"):
        check_film(tmp_path / "a.avi")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.mp4"]


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if os.access(locked, os.W_OK):
        locked = Path("/proc")
        if not locked.is_dir():
            pytest.skip("root may write everywhere")
    with pytest.raises(FilmError, match=r"a\.mp4 cannot be written: \w+"):
        check_film(locked / "a.mp4")


def test_a_film_that_cannot_begin_says_so_and_the_window_goes_on(tmp_path, clock):
    film = LiveFilm(FilmFile(tmp_path / "gone" / "a.mp4"), clock)
    film.show(plain(RED))
    clock.now += 1
    wait_until(lambda: film.message)
    film.show(plain(RED))
    assert "cannot be written: no such file or directory" in film.message
    with pytest.raises(FilmError):
        film.__exit__(KeyboardInterrupt, None, None)
