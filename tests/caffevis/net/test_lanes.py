"""Two frames at the same time: their order, who may take what, and keys that go first."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import torchcaffe as caffe
from caffevis.causes.asked import Question
from caffevis.keys.state import Origin
from caffevis.model.opening import second_net
from caffevis.model.preprocess import Preprocess
from caffevis.model.threads import Threads
from caffevis.net import lanes as module
from caffevis.net.lanes import Lanes
from caffevis.net.network import Network
from caffevis.net.request import Back, NetRequest, Superseded
from torchcaffe.layers.base import LAYERS

WAIT = 10
PLAIN = "conv"
OTHER = "fc"


class Gated:
    """Computes when it is let, in two parts; between them it looks whether it still should."""

    def __init__(self, name: str, begun: list) -> None:
        self.name, self.begun = name, begun
        self.started, self.go, self.end = (threading.Semaphore(0) for _ in range(3))
        self.threads: list[int] = []
        self.frame = None
        self.backs: list[Back] = []
        self.fail: Exception | None = None

    def __call__(self, request, superseded, threads):
        self.threads.append(threads)
        self.begun.append((self.name, request))
        if request.frame is not self.frame:
            self.frame = request.frame
            self.started.release()
            assert self.go.acquire(timeout=WAIT)
        if self.fail is not None:
            raise self.fail
        if superseded():
            raise Superseded
        if request.back is not None:
            self.backs.append(request.back)
            self.started.release()
            assert self.end.acquire(timeout=WAIT)
            if superseded():
                raise Superseded
        return f"{self.name} {request.layer}"


@pytest.fixture
def begun() -> list:
    return []


@pytest.fixture
def first(begun) -> Gated:
    return Gated("first", begun)


@pytest.fixture
def second(begun) -> Gated:
    return Gated("second", begun)


@pytest.fixture
def lanes(first, second, monkeypatch):
    monkeypatch.setattr(module, "APART", 0.0)
    made = Lanes(first, lambda: second, Threads(3, 2), (OSError,))
    yield made
    for each in (first, second):
        each.go.release(100)
        each.end.release(100)
    assert made.close()


@pytest.fixture
def ask(make_frame):
    """Make requests: the same number is the same frame."""
    frames = {}

    def ask(number: int, layer: str = PLAIN, unit: int | None = None) -> NetRequest:
        frame = frames.setdefault(number, make_frame(number))
        back = None if unit is None else Back("deconv", Origin(PLAIN, unit))
        return NetRequest(frame, layer, back)

    return ask


def collect(lanes: Lanes, count: int) -> list:
    done, deadline = [], time.monotonic() + WAIT
    while len(done) < count:
        assert time.monotonic() < deadline
        lanes.wait(0.05)
        done += lanes.outcomes()
    return done


def quiet(lanes: Lanes) -> list:
    """Wait until nothing is under way; return what came."""
    done, deadline = [], time.monotonic() + WAIT
    while lanes.busy:
        assert time.monotonic() < deadline
        lanes.wait(0.01)
        done += lanes.outcomes()
    return done


def both(lanes: Lanes, first: Gated, second: Gated, *requests: NetRequest) -> None:
    """Let each lane begin a frame."""
    for each, request in zip((first, second), requests, strict=True):
        lanes.submit(request)
        assert each.started.acquire(timeout=WAIT)


def test_two_frames_are_computed_at_the_same_time_and_come_in_their_order(
    lanes, first, second, ask, begun
):
    both(lanes, first, second, ask(1), ask(2))
    assert lanes.under_way == (ask(1), ask(2))
    lanes.submit(ask(3))
    lanes.submit(ask(4))
    first.go.release()
    assert first.started.acquire(timeout=WAIT)  # the latest, 3 is passed over
    second.go.release()
    done = collect(lanes, 2)
    first.go.release()
    assert [one.request for one in (*done, *quiet(lanes))] == [ask(1), ask(2), ask(4)]
    assert begun == [("first", ask(1)), ("second", ask(2)), ("first", ask(4))]
    assert (first.threads, second.threads) == ([3, 2], [2])


def test_a_frame_that_was_overtaken_is_not_handed_out_and_not_finished(lanes, first, second, ask):
    both(lanes, first, second, ask(1, unit=5), ask(2))
    second.go.release()
    (outcome,) = collect(lanes, 1)
    assert outcome.value == "second conv"
    first.go.release()
    assert quiet(lanes) == []
    assert first.backs == []


def test_a_frame_that_one_lane_has_is_never_begun_by_the_other(lanes, first, second, ask, begun):
    both(lanes, first, second, ask(1), ask(2))
    first.go.release()
    collect(lanes, 1)
    second.go.release()
    assert len(quiet(lanes)) == 1
    lanes.submit(ask(2, OTHER))  # the first lane is free, but 2 is the second's
    assert [one.value for one in quiet(lanes)] == ["second fc"]
    assert begun[-1] == ("second", ask(2, OTHER))


def test_an_idle_first_lane_takes_all(lanes, first, second, ask):
    for number in range(1, 5):
        first.go.release()
        lanes.submit(ask(number))
        assert [one.value for one in quiet(lanes)] == ["first conv"]
    assert not second.threads
    assert set(first.threads) == {3}


def test_what_is_more_than_a_function_of_the_frame_is_the_first_lanes(lanes, first, second, ask):
    both(lanes, first, second, ask(1), ask(2))
    asked = NetRequest(ask(2).frame, PLAIN, question=Question("matters", PLAIN))
    lanes.follow(ask(2), asked)  # equal is not enough: it must be the very request under way
    lanes.follow(lanes.under_way[1], asked)
    lanes.submit(asked)
    for gated in (first, second):
        gated.go.release()
    assert first.started.acquire(timeout=WAIT)  # forward once more, in the lane that can answer
    first.go.release()
    assert [one.request for one in quiet(lanes)][-1] == asked
    assert len(second.threads) == 1


@pytest.mark.parametrize("place", ["before", "in"])
def test_another_layer_is_answered_instead_of_the_back_pass(lanes, first, ask, place):
    lanes.submit(ask(1, unit=5))
    assert first.started.acquire(timeout=WAIT)
    (current,) = lanes.under_way
    if place == "in":
        first.go.release()
        assert first.started.acquire(timeout=WAIT)
    lanes.follow(current, ask(1, OTHER))
    first.go.release()
    first.end.release()
    assert [one.value for one in quiet(lanes)] == ["first fc"]
    assert len(first.backs) == (place == "in")


def test_the_lane_that_ends_its_forward_pass_first_answers_a_key(lanes, first, second, ask):
    both(lanes, first, second, ask(1, unit=5), ask(2, unit=5))
    for current in lanes.under_way:
        lanes.follow(current, NetRequest(current.frame, OTHER))
    second.go.release()
    (outcome,) = collect(lanes, 1)
    assert (outcome.value, outcome.request.frame) == ("second fc", ask(2).frame)


def test_keys_quicker_than_back_passes_do_not_stop_the_pictures(lanes, first, ask):
    lanes.submit(ask(1, unit=5))
    assert first.started.acquire(timeout=WAIT)
    lanes.follow(lanes.under_way[0], ask(1, unit=6))
    first.go.release()
    assert first.started.acquire(timeout=WAIT)
    assert first.backs == [Back("deconv", Origin(PLAIN, 6))]
    lanes.follow(lanes.under_way[0], ask(1, unit=7))
    first.end.release()
    (outcome,) = collect(lanes, 1)
    assert outcome.request == ask(1, unit=6)
    first.end.release()
    assert [one.request for one in quiet(lanes)] == [ask(1, unit=7)]


def test_a_view_that_was_given_up_and_is_wanted_again_is_answered(lanes, first, ask):
    lanes.submit(ask(1, unit=5))
    assert first.started.acquire(timeout=WAIT)
    (current,) = lanes.under_way
    lanes.follow(current, ask(1, OTHER))
    with lanes._changed:  # the lane looks just before the key that takes it back
        assert lanes._is_superseded(lanes._lanes[0])
        lanes.follow(current, ask(1, unit=5))
    assert lanes._lanes[0].behind == ask(1, unit=5)
    first.go.release()
    first.end.release(2)
    assert quiet(lanes)[-1].request == ask(1, unit=5)


def test_a_change_that_is_taken_back_in_time_costs_nothing(lanes, first, ask):
    lanes.submit(ask(1))
    assert first.started.acquire(timeout=WAIT)
    (current,) = lanes.under_way
    lanes.follow(current, ask(1, OTHER))
    lanes.follow(current, ask(1))
    first.go.release()
    assert [one.value for one in quiet(lanes)] == ["first conv"]
    lanes.follow(current, ask(1, OTHER))  # it is past
    assert not lanes.busy


def test_errors_of_the_second_lane_are_sentences_and_it_goes_on(lanes, first, second, ask, caplog):
    both(lanes, first, second, ask(1), ask(2))
    second.fail = FileNotFoundError("it is not there")
    first.go.release()
    assert [one.value for one in collect(lanes, 1)] == ["first conv"]
    second.go.release()
    (outcome,) = quiet(lanes)
    assert (outcome.value, outcome.error) == (None, "it is not there")
    assert not caplog.records
    second.fail = ZeroDivisionError("by zero")
    lanes.submit(ask(2, OTHER))
    (outcome,) = quiet(lanes)
    assert outcome.error == "internal error: ZeroDivisionError: by zero"
    assert caplog.records[0].exc_info
    second.fail = None
    lanes.submit(ask(2))
    assert [one.value for one in quiet(lanes)] == ["second conv"]


def refuse():
    raise OSError("no room")


@pytest.mark.parametrize("open_second", [lambda: None, refuse], ids=["none", "refused"])
def test_without_a_second_network_the_first_goes_on_alone(first, ask, open_second, caplog):
    opened = threading.Event()

    def watched():
        opened.set()
        return open_second()

    lanes = Lanes(first, watched, Threads(3, 2), (OSError,))
    lanes.submit(ask(1))
    assert first.started.acquire(timeout=WAIT)
    lanes.submit(ask(2))
    assert opened.wait(WAIT)
    first.go.release(2)
    assert [one.request for one in quiet(lanes)] == [ask(1), ask(2)]
    assert lanes.close()
    assert not caplog.records


def test_one_thread_is_one_lane(first, ask):
    lanes = Lanes(first, lambda: pytest.fail("a second lane was opened"), Threads(1, 0))
    lanes.submit(ask(1))
    assert first.started.acquire(timeout=WAIT)
    lanes.submit(ask(2))
    first.go.release(2)
    assert [one.request for one in quiet(lanes)] == [ask(1), ask(2)]
    assert lanes.close()


def test_lanes_begin_apart(lanes, first, second, ask, monkeypatch):
    monkeypatch.setattr(module, "APART", 0.4)
    lanes._lanes[0].seconds = 100.0  # of a frame
    lanes.submit(ask(1))
    assert first.started.acquire(timeout=WAIT)
    with lanes._changed:
        other = module._Lane(second)
        lanes._lanes.append(other)
        lanes._pending = ask(2)
        assert 35 < lanes._pause(other) <= 40
        lanes._lanes[0].begun -= 60
        assert lanes._pause(other) < 0
        lanes._lanes.remove(other)
        lanes._pending = None


def test_after_a_key_the_second_lane_begins_nothing_and_the_first_does(lanes, first, second, ask):
    lanes.submit(ask(1))
    assert first.started.acquire(timeout=WAIT)
    lanes.key()
    with lanes._changed:
        other = module._Lane(second)
        lanes._pending = ask(2)
        assert 0 < lanes._pause(other) <= module.KEY_SECONDS
        assert lanes._pause(lanes._lanes[0]) <= 0
        lanes._keyed -= 60
        assert lanes._pause(other) < 0
        lanes._pending = None


def test_others_wait_while_frames_move_and_no_longer(lanes, first, second, ask):
    both(lanes, first, second, ask(1), ask(2))
    passed = threading.Event()
    other = threading.Thread(target=lambda: [lanes.let_pass(WAIT), passed.set()])
    other.start()
    first.go.release()
    collect(lanes, 1)
    assert not passed.is_set()  # the second still computes
    second.go.release()
    assert passed.wait(WAIT)
    other.join()
    assert not lanes.under_way


def test_closing_ends_back_passes_and_both_threads(lanes, first, second, ask):
    both(lanes, first, second, ask(1, unit=5), ask(2, unit=5))
    lanes.submit(ask(3))
    closing = threading.Thread(target=lanes.close)
    closing.start()
    while not lanes._closing:
        time.sleep(0.001)
    first.go.release()
    second.go.release()
    closing.join(WAIT)
    assert not any(thread.is_alive() for thread in lanes._threads)
    assert first.backs == second.backs == []


# ---------------------------------------------------------------- the second lane's net

NET = """
name: "two inputs" force_backward: true
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "held" type: "Input" top: "held" input_param { shape { dim: 1 dim: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "next" type: "Convolution" bottom: "conv" top: "next"
        convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "scaled" type: "Scale" bottom: "next" bottom: "held" top: "scaled"
        scale_param { axis: 0 } }
"""
PREPARE = Preprocess(3, 8, 8, (2, 1, 0), None)


def build(tmp_path, text: str = NET, phase: int = caffe.TEST) -> caffe.Net:
    (tmp_path / "net.prototxt").write_text(text, encoding="utf-8")
    return caffe.Net(str(tmp_path / "net.prototxt"), phase)


def test_the_second_network_computes_the_same_numbers(tmp_path, make_frame):
    net = build(tmp_path)
    net.blobs["held"].data[...] = [[1, 2, 3, 4]]
    network = Network(net, PREPARE, None, 1)
    twin = network.twin()
    for number in (1, 2):
        request = NetRequest(make_frame(number), "scaled", Back("deconv", Origin("scaled", 2)))
        one, two = (each(request) for each in (network, twin))
        for name in ("activations", "layer_diffs", "back_image"):
            assert getattr(one, name).any()
            assert np.array_equal(getattr(one, name), getattr(two, name))


LSTM = """
layer { name: "rows" type: "Reshape" bottom: "scaled" top: "rows"
        reshape_param { shape { dim: 4 dim: 1 dim: 16 } } }
layer { name: "cont" type: "Input" top: "cont" input_param { shape { dim: 4 dim: 1 } } }
layer { name: "lstm" type: "LSTM" bottom: "rows" bottom: "cont" top: "lstm"
        recurrent_param { num_output: 2 } }
"""


def test_a_net_that_may_remember_has_no_twin(tmp_path, make_fake):
    assert second_net(build(tmp_path)) is not None
    assert second_net(build(tmp_path, NET + LSTM)) is None
    assert second_net(build(tmp_path, phase=caffe.TRAIN)) is None
    assert second_net(make_fake()) is None


def test_a_net_with_a_layer_of_the_users_own_has_no_twin(tmp_path):
    @caffe.layer("MyReLU")
    class MyReLU(caffe.BaseLayer):
        def compute(self, bottoms, params):
            return [bottoms[0].clamp(min=0)]

    try:
        assert second_net(build(tmp_path, NET.replace('"ReLU"', '"MyReLU"'))) is None
    finally:
        LAYERS.pop("MyReLU", None)


def test_a_net_on_a_gpu_has_no_twin(tmp_path, monkeypatch):
    net = build(tmp_path)
    monkeypatch.setattr(caffe.device, "current", lambda: type("Device", (), {"type": "cuda"}))
    assert second_net(net) is None


@pytest.mark.parametrize("mode", ["grad", "deconv", "guided"])
def test_a_back_pass_ends_between_two_layers_when_it_is_not_wanted(tmp_path, make_frame, mode):
    net = build(tmp_path)
    net.blobs["held"].data[...] = 1
    network = Network(net, PREPARE, None, 1)
    request = NetRequest(make_frame(1), "next", Back(mode, Origin("next", 2)))
    answers = iter([False, False, True])
    with pytest.raises(Superseded):
        network(request, lambda: next(answers))
    assert next(answers, "all asked") == "all asked"
    assert net.between_layers is None
    result = network(request)  # forward is not done again, and is told of now
    assert [timing.name for timing in result.timings] == ["forward", mode]
    plain = Network(build_same(net), PREPARE, None, 1)(request)
    assert np.array_equal(result.back_image, plain.back_image)
    assert np.array_equal(result.layer_diffs, plain.layer_diffs)


def build_same(net: caffe.Net) -> caffe.Net:
    twin = net.twin()
    twin.blobs["held"].data[...] = 1
    return twin
