"""The live benchmark measures what it says: numbers survive, mistakes are counted."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from bench.lab import live_stage
from bench.lab.nets import CALTECH, PHOTO, YOS, Model
from bench.lab.video import BITS, FRAMES, PacedVideo, draw_number, read_number, write_video
from bench.registry import BENCHMARKS, goal
from bench.rows import live
from caffevis.net.network import NetRequest, NetResult
from toolbox.input.frame import Frame
from toolbox.input.wanted import CAMERA
from toolbox.pictures.crop import to_aspect
from toolbox.pictures.images import resize, to_rgb8

RANDOM = Model("random", CALTECH.prototxt, Path("absent.caffemodel"))


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("video") / "video.avi"
    write_video(path)
    return path


def test_the_video_moves_and_is_read_only_as_wanted(video):
    wanted = threading.Semaphore(FRAMES + 2)
    capture = PacedVideo(str(video), wanted)
    frames = [capture.read() for _ in range(FRAMES + 2)]
    capture.release()
    assert all(read for read, _ in frames)
    assert frames[0][1].shape == (480, 640, 3)
    below = [frame[60:] for _, frame in frames]
    assert np.abs(below[0].astype(int) - below[1]).mean() > 1
    assert np.array_equal(below[0], below[FRAMES])  # round again
    assert not wanted.acquire(blocking=False)


@pytest.mark.parametrize("side", [480, 300, 227])
def test_a_number_survives_cutting_and_shrinking(video, side):
    capture = cv2.VideoCapture(str(video))
    _, frame = capture.read()
    capture.release()
    for number in (0, 1, 1365, 2730, (1 << BITS) - 1):
        draw_number(frame, number)
        square = resize(to_aspect(to_rgb8(frame), False), side, side)
        assert read_number(square) == number


@pytest.mark.parametrize("threads", [1, 2])
def test_the_app_runs_on_it_and_nothing_is_mixed_up(video, threads):
    with live_stage.stage(RANDOM, video, threads=threads) as on:
        watched = on.audience.attend(on.loop, 60, presses=True, frames=15)
        assert watched.shown >= 15
        assert len(on.net.sums) >= 15
        assert (watched.mixed, on.net.twice) == (0, 0)
        assert set(watched.drawn) <= set(live_stage.MOVES)
        assert sum(map(len, watched.drawn.values())) >= 4


def test_a_stage_that_nobody_attended_goes_on(video):
    with live_stage.stage(RANDOM, video) as on:
        on.audience.attend(on.loop, 60, frames=2)
        while on.loop.inputs._moving.latest() is not None:
            pass  # nothing is left to take, and none comes before it is wanted
        on.loop.inputs._moving._read_at -= 1000
        threading.Timer(0.2, on.net._wanted.release, [2]).start()
        on.audience.attend(on.loop, 60, frames=2)
        assert on.loop.state.mode == CAMERA
        assert on.net.twice == 0


def test_another_frames_activations_are_counted():
    pixels = np.zeros((480, 640, 3), np.uint8)
    draw_number(pixels, 5)
    buffer = resize(to_aspect(pixels, False), 300, 300)
    activations = np.ones((2, 3, 3), np.float32)
    request = NetRequest(Frame(1, buffer, "video"), live_stage.LAYER)
    result = NetResult(request, activations, None, None, None, ())
    app = SimpleNamespace(result=result, state=SimpleNamespace(layer=SimpleNamespace(name="x")))
    net = SimpleNamespace(sums={5: 18.0, 6: 3.0})
    audience = live_stage.Audience(app, net, None)
    audience.show(buffer)
    assert (audience.watched.shown, audience.watched.mixed) == (1, 0)
    net.sums[5] = 17.0
    audience.show(buffer)
    assert (audience.watched.shown, audience.watched.mixed) == (1, 1)


def test_a_frame_that_goes_through_the_net_again_is_counted():
    pixels = np.zeros((480, 640, 3), np.uint8)
    draw_number(pixels, 9)
    blue = resize(to_aspect(pixels, False), 227, 227)[:, :, 0].astype(np.float32) - 104
    blob = SimpleNamespace(data=np.stack([blue] * 3)[None])
    inner = SimpleNamespace(blobs={"data": blob, live_stage.LAYER: blob}, forward=lambda: None)
    wanted = threading.Semaphore(0)
    net = live_stage.Checked(inner, wanted)
    net.forward()
    assert (net.processed, net.twice) == (1, 0)
    net.forward()
    assert (net.processed, net.twice) == (2, 1)
    assert list(net.sums) == [9]
    assert wanted.acquire(blocking=False)


def test_a_measurement_has_every_number(video):
    found = live.measure(RANDOM, video, 0.3, None)
    assert 0 < min(found["alone"].values()) < 60
    for way in found["ways"].values():
        assert set(way["keys"]) <= set(live_stage.MOVES)
        assert (way["twice"], way["mixed"]) == (0, 0)
        way["keys"] = {kind: [0.01, 0.02] for kind in live_stage.MOVES}
    found["ways"][live.ONE]["app"], found["ways"][live.TWO]["app"] = 0.04, 0.02
    found["ways"][live.TWO]["beside"] = 0.03
    for model, goals in ((CALTECH, 3), (YOS, 4)):
        rates, keys = live._tables(model, {live.BARE: found})
        assert "app, no window, two lanes" in rates.seconds
        assert sum(note.count("goal") for note in rates.notes) == goals
        assert "no window: frames in two lanes, of those in one: 2" in rates.notes[1]
        assert "busy process: 0.667 (goal: at least 0.5; met)" in rates.notes[2]
        assert "no window, two lanes, to a layer, 95th percentile" in keys.seconds
        assert "0 processed twice" in keys.text()


def test_goals_say_whether_they_are_met():
    assert goal("x", 46.0, 45, at_least=True) == "x: 46 (goal: at least 45; met)"
    assert "missed" in goal("x", 44.0, 45, at_least=True)
    assert "missed" in goal("x", 21.0, 20, at_least=False)


def test_the_long_one_runs_only_when_it_is_asked_for(monkeypatch, capsys):
    from bench import __main__ as command

    assert BENCHMARKS["live-memory"].long
    assert not BENCHMARKS["live"].long
    for name in list(BENCHMARKS):
        quick = type(BENCHMARKS[name])(name, "", lambda budget, n=name: print(n) or [],
                                       BENCHMARKS[name].long)  # fmt: skip
        monkeypatch.setitem(BENCHMARKS, name, quick)
    monkeypatch.setattr("sys.argv", ["bench"])
    command.main()
    assert "live-memory" not in capsys.readouterr().out.split()
    monkeypatch.setattr("sys.argv", ["bench", "--only", "live-memory"])
    command.main()
    assert "live-memory" in capsys.readouterr().out.split()


def test_memory_and_cores_are_those_of_this_process():
    assert PHOTO.exists()
    assert live.memory_mb() > 50
    before = live.cores()
    with live.few_cores() as count:
        assert count <= live.CORES
    assert live.cores() == before
