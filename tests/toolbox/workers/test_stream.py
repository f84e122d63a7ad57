"""A thread whose work tells how far it is: the latest request, news, errors, an end at any time."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time

import pytest

from toolbox.workers.stream import LOW, Stream


@pytest.fixture
def make():
    streams = []

    def start(work, **more) -> Stream:
        streams.append(Stream(work, "test", **more))
        return streams[-1]

    yield start
    assert all(stream.close() for stream in streams)


def drained(stream: Stream) -> list:
    found, deadline = [], time.monotonic() + 10
    while stream.busy:
        assert time.monotonic() < deadline
        stream.wait(0.05)
        found += stream.outcomes()
    return found


def test_the_last_news_of_a_request_is_never_lost(make):
    stream = make(lambda request: iter([request, None, request + 1, None]))
    stream.submit(5)
    found = drained(stream)
    assert found[-1].value == 6
    assert {outcome.request for outcome in found} == {5}
    assert not stream.busy


def test_a_new_request_ends_the_work_on_the_one_before(make):
    ended = threading.Event()

    def work(request):
        try:
            yield from (itertools.repeat(request) if request == "long" else [request])
        finally:
            ended.set()

    stream = make(work)
    stream.submit("long")
    assert stream.wait(10)
    stream.submit("short")
    assert ended.wait(10)
    assert drained(stream)[-1].value == "short"


def test_none_only_ends_the_work(make):
    stream = make(lambda request: itertools.repeat(1))
    stream.submit("long")
    assert stream.wait(10)
    stream.submit(None)
    drained(stream)
    assert not stream.busy


def test_the_same_request_is_not_begun_again(make):
    begun = []

    def work(request):
        begun.append(request)
        yield request

    stream = make(work)
    for _ in range(3):
        stream.submit("one")
        drained(stream)
    assert begun == ["one"]


def test_errors_are_sentences_and_the_next_request_is_worked_at(make, caplog):
    def work(request):
        yield 1
        raise request

    stream = make(work, expected=(KeyError,))
    stream.submit(KeyError("known"))
    assert drained(stream)[-1].error == "'known'"
    assert not caplog.records
    stream.submit(ValueError("oops"))
    assert drained(stream)[-1].error == "internal error: ValueError: oops"
    assert "test met a defect" in caplog.text


def test_between_two_pieces_others_are_let_go_first(make):
    calls = []
    stream = make(lambda request: iter(range(request)), between=lambda: calls.append(1))
    stream.submit(4)
    drained(stream)
    assert len(calls) == 4


def test_it_ends_while_it_works():
    stream = Stream(lambda request: itertools.repeat(1), "test")
    stream.submit("long")
    assert stream.wait(10)
    assert stream.close()


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities on Linux")
def test_its_thread_has_a_lower_priority(make):
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def work(request):
        yield os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    stream = make(work)
    stream.submit(1)
    assert drained(stream)[-1].value == min(own + LOW, 19)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
