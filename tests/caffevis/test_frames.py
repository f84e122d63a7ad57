"""Frames that carry their number, through the whole loop: none twice, none mixed with another.

A picture's number is written in its pixels, sixteen blocks of black or white, and the network
copies its input, so the number can be read in every pane of the window's buffer.
"""

from __future__ import annotations

import itertools
import threading
import time

import cv2
import numpy as np
import pytest

import torchcaffe as caffe
from caffevis.app import CaffeVisApp
from caffevis.net import lanes as two_lanes
from settings import TABLE
from toolbox.app.core import toggle_mode
from toolbox.input.files import FileQuery
from toolbox.input.frame import Frame
from toolbox.input.sources import Inputs
from toolbox.input.video import Spec
from toolbox.run.loop import Loop
from toolbox.settings import config

SIDE, BLOCKS, FRAMES = 16, 4, 150
NET = """
name: "copies" force_backward: true
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 16 dim: 16 } } }
layer { name: "one" type: "Convolution" bottom: "data" top: "one"
        convolution_param { num_output: 3 kernel_size: 1 bias_term: false } }
layer { name: "two" type: "Convolution" bottom: "one" top: "two"
        convolution_param { num_output: 3 kernel_size: 1 bias_term: false } }
layer { name: "three" type: "Convolution" bottom: "two" top: "three"
        convolution_param { num_output: 3 kernel_size: 1 bias_term: false } }
"""
# The units' pane has a grid of 2 x 2 for the three units.
PANES = (("input", (0, 0, 64, 64)), ("caffevis_back", (64, 0, 64, 64)),
         ("caffevis_aux", (0, 64, 64, 64)), ("caffevis_layers", (64, 64, 130, 130)),
         ("caffevis_status", (200, 0, 30, 600)))  # fmt: skip
SETTINGS = config.load(TABLE, None).replaced(pane_headings=False, caffevis_start=None,
    window_panes=PANES, caffevis_data_mean=None, caffevis_labels=None, global_scale=1.0,
    caffevis_label_layers=None, caffevis_prob_layer=None, caffevis_compute_threads=1,
    caffevis_layers_aspect_ratio=1.0,
)  # fmt: skip


def encode(number: int) -> np.ndarray:
    """Draw a number: the first block black, the second white, then 14 bits."""
    bits = [0, 1, *((number >> bit) & 1 for bit in range(14))]
    blocks = np.array(bits, np.uint8).reshape(BLOCKS, BLOCKS) * 255
    size = SIDE // BLOCKS
    return np.repeat(blocks.repeat(size, 0).repeat(size, 1)[:, :, None], 3, axis=2)


def decode(picture: np.ndarray) -> int:
    """Read the number of a square picture of any size; fail where it shows none."""
    height, width = picture.shape[:2]
    rows = [int((block + 0.5) * height / BLOCKS) for block in range(BLOCKS)]
    columns = [int((block + 0.5) * width / BLOCKS) for block in range(BLOCKS)]
    levels = picture.max(axis=2)[np.ix_(rows, columns)].ravel().astype(int)
    black, white = levels[:2]
    assert white - black > 100, levels
    bits = (levels > (black + white) / 2).astype(int)
    return int(sum(bit << place for place, bit in enumerate(bits[2:])))


def test_numbers_are_read_as_they_are_drawn():
    for number in (0, 1, 2**14 - 1, 5461):
        assert decode(encode(number)) == number
        assert decode(cv2.resize(encode(number), (64, 64), interpolation=cv2.INTER_AREA)) == number


class Camera:
    """Numbers its frames; every read takes a random moment."""

    def __init__(self) -> None:
        self.number = 0
        self.random = np.random.default_rng(0)

    def isOpened(self) -> bool:
        return True

    def read(self):
        time.sleep(self.random.uniform(0, 0.004))
        self.number += 1
        return True, encode(self.number)

    def get(self, _: int) -> float:
        return 0.0

    def set(self, *_: float) -> bool:
        return True

    def release(self) -> None:
        pass


class Watched:
    """The network, with the numbers that went forward, and passes of random length."""

    def __init__(self, tmp_path, monkeypatch) -> None:
        (tmp_path / "net.prototxt").write_text(NET, encoding="utf-8")
        self.net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
        for blobs in self.net.params.values():
            blobs[0].data[...] = np.eye(3).reshape(3, 3, 1, 1)
        self.forwarded: list[int] = []
        self.random = np.random.default_rng(1)
        self.in_second: list[int] = []
        twin = self.net.twin

        def watched_twin() -> caffe.Net:
            net = twin()
            self.watch(net, self.in_second, monkeypatch)
            return net

        monkeypatch.setattr(self.net, "twin", watched_twin)
        self.watch(self.net, [], monkeypatch)

    def watch(self, net: caffe.Net, own: list[int], monkeypatch) -> None:
        forward = net.forward

        def watched() -> None:
            number = decode(net.blobs["data"].data[0].transpose(1, 2, 0))
            self.forwarded.append(number)
            own.append(number)
            time.sleep(self.random.uniform(0, 0.006))
            forward()

        monkeypatch.setattr(net, "forward", watched)


@pytest.fixture
def watched(tmp_path, monkeypatch) -> Watched:
    monkeypatch.setattr(two_lanes, "KEY_SECONDS", 0.0)  # keys come all the time here
    return Watched(tmp_path, monkeypatch)


@pytest.fixture(params=[1, 2], ids=["one lane", "two lanes"])
def lanes(request) -> int:
    return request.param


@pytest.fixture
def loop(watched, lanes):
    inputs = Inputs(FileQuery(folder="/nowhere"), Spec(0, "camera 0"), opener=lambda _: Camera())
    settings = SETTINGS.replaced(caffevis_compute_threads=lanes)
    loop = Loop(settings, [CaffeVisApp(settings, net=watched.net)], inputs)
    loop.state = toggle_mode(loop.state)
    yield loop
    assert loop.close()


def shown_numbers(loop: Loop) -> dict[str, int]:
    """Read the number in every pane of the window's buffer that shows one now."""
    app, buffer = loop.apps[0], loop.screen.buffer
    state = app._shown.state  # what the units' pane is drawn from
    panes = {name: pane.of(buffer) for name, pane in loop.screen.layout.panes.items()}
    numbers = {"input": decode(panes["input"])}
    tile = panes["caffevis_layers"][:64, :64]  # the first unit's
    if state.zoom == 0 and not state.show_back:
        numbers["layers"] = decode(tile)
    elif state.zoom == 1 and not state.show_back:
        numbers["layers"] = decode(panes["caffevis_layers"])
    if app.result.back_image is not None and app.state.wants_back:
        numbers["back"] = decode(panes["caffevis_back"])
    return numbers


KEYS = {
    "watching": [],
    "walking through layers": ["o", "o", "u", "u"],
    "going round the back modes": ["b", "b", "b", "b"],
    "everything": ["o", "b", "right", "u", "z", "d", "b", "a", "left", "a", "z", "z", "n"],
}  # fmt: skip


@pytest.mark.parametrize("case", KEYS)
def test_no_frame_goes_forward_twice_and_none_is_mixed_with_another(loop, watched, lanes, case):
    random, keys = np.random.default_rng(2), itertools.cycle(KEYS[case] or [""])
    loop.press("down")
    loop.press("m")
    loop.press("m")  # norm: black where the picture is black
    seen, checked, deadline = [], 0, time.monotonic() + 60
    while len(watched.forwarded) < FRAMES:
        assert time.monotonic() < deadline
        if loop.step() and loop.apps[0].result is not None:
            numbers = shown_numbers(loop)
            assert len(set(numbers.values())) == 1, (case, numbers)
            seen.append(numbers["input"])
            checked += len(numbers)
        if random.uniform() < 0.3:
            loop.press(next(keys))
        time.sleep(random.uniform(0, 0.002))
    forwarded = watched.forwarded
    assert len(forwarded) == len(set(forwarded)), "a frame went forward twice"
    if lanes == 1:
        assert forwarded == sorted(forwarded), "a frame went forward after a later one"
        assert not watched.in_second
    else:
        assert len(watched.in_second) > FRAMES / 10
    assert seen == sorted(seen), "an earlier frame was shown after a later one"
    assert set(seen) <= set(forwarded)
    assert checked > len(seen) > FRAMES / 3


def test_a_change_of_view_never_goes_back_to_a_frame_that_is_past(watched, monkeypatch):
    """The worker begins the next frame just when a key asks something of the one before."""
    begun, gate = threading.Semaphore(0), threading.Semaphore(0)
    forward = watched.net.forward

    def gated() -> None:
        begun.release()
        assert gate.acquire(timeout=10)
        forward()

    monkeypatch.setattr(watched.net, "forward", gated)
    app = CaffeVisApp(SETTINGS, net=watched.net)
    app.start()
    frames = [Frame(number, encode(number), f"frame {number}") for number in (1, 2)]
    for frame in frames:
        app.set_frame(frame)
        app.update()
        if frame is frames[0]:
            assert begun.acquire(timeout=10)
    worker = app._worker
    (first,) = worker.under_way
    assert first.frame is frames[0]
    gate.release()
    assert begun.acquire(timeout=10)
    with pytest.MonkeyPatch.context() as patch:
        # The key's action looked at the worker just before it went on to the second frame.
        patch.setattr(type(worker), "under_way", property(lambda _: (first,)))
        app.handle({key: row for row in CaffeVisApp.bindings for key in row.keys}["o"])
    for _ in range(3):
        gate.release()
    deadline = time.monotonic() + 10
    while worker.under_way or worker._pending is not None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    while not app.settled():
        assert time.monotonic() < deadline
        app.wait(0.05)
        app.update()
    assert app.close()
    assert watched.forwarded == [1, 2]
    assert app.result.request.frame is frames[1]
