"""The browser benchmark measures what it says: frames that a viewer saw, keys, bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.lab.browser_client import PLACES, Viewer
from bench.lab.live_stage import MOVES
from bench.lab.nets import CALTECH, Model
from bench.lab.video import write_video
from bench.registry import BENCHMARKS
from bench.rows import browser

RANDOM = Model("random", CALTECH.prototxt, Path("absent.caffemodel"))


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("video") / "video.avi"
    write_video(path)
    return path


def test_a_measurement_has_every_number(video, monkeypatch):
    monkeypatch.setattr(browser, "ROUNDS", 1)
    monkeypatch.setattr(browser, "CHROMIUMS", ())
    found = browser.measure(RANDOM, video, 1.2, None)
    assert set(found["rates"]) == {browser.BARE, browser.VIEWER}
    assert all(rate > 0 for each in found["rates"].values() for rate in each)
    assert found["bytes"] > 1000
    assert 0 < found["encoding"] < 2
    found["keys"] = [0.01, 0.02]
    named = Model(CALTECH.name, RANDOM.prototxt, RANDOM.caffemodel)
    frames, keys = browser._tables(named, found)
    assert frames.reference == browser.BARE
    assert [note.count("goal") for note in frames.notes] == [1, 0]
    assert "goal of 80 ms: met" in keys.text()


def test_keys_are_those_that_lead_back_and_have_a_place():
    assert sorted(browser.KEYS) == sorted("".join(MOVES.values())) == sorted(PLACES)


class Line:
    """In the connection's place: notes what was sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, text: str) -> None:
        self.sent.append(text)


def test_a_key_counts_when_its_place_changes_by_more_than_noise():
    viewer = Viewer(Line(), "o")
    viewer._picture = np.full((930, 1500, 3), 100, np.uint8)
    viewer._press_at = 0.0
    viewer._press()
    assert viewer._connection.sent == ['{"type": "key", "key": "o"}']
    viewer._picture[100:] = 0  # another place
    viewer._picture[31:47, 300:600] += 20  # noise
    viewer._look()
    assert viewer.seen.keys == {}
    viewer._picture[33:40, 310:350] = 255
    viewer._look()
    assert len(viewer.seen.keys["o"]) == 1
    viewer._look()
    assert len(viewer.seen.keys["o"]) == 1


def test_the_long_one_runs_only_when_it_is_asked_for():
    assert BENCHMARKS["browser-memory"].long
    assert not BENCHMARKS["browser"].long
