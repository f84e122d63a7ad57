"""The worker: latest request, outcome with its request, errors, ending."""

from __future__ import annotations

import threading
import time

import pytest

from toolbox.workers.worker import Worker, close_all


def collect(worker, count: int):
    done = []
    deadline = time.monotonic() + 10
    while len(done) < count:
        assert time.monotonic() < deadline
        worker.wait(0.05)
        done += worker.outcomes()
    return done


@pytest.fixture
def start():
    workers = []

    def make(*arguments, **options) -> Worker:
        workers.append(Worker(*arguments, **options))
        return workers[-1]

    yield make
    assert all(worker.close() for worker in workers)


def test_outcome_comes_with_its_request(start):
    worker = start(lambda n: n * 2, "double")
    worker.submit(21)
    (outcome,) = collect(worker, 1)
    assert (outcome.request, outcome.value, outcome.error) == (21, 42, None)
    assert not worker.busy
    assert worker.outcomes() == []


def test_only_the_latest_waiting_request_is_worked_on(start):
    gate, begun, worked = threading.Event(), threading.Event(), []

    def work(n: int) -> int:
        worked.append(n)
        begun.set()
        gate.wait(10)
        return n

    worker = start(work, "gated")
    worker.submit(1)
    assert begun.wait(10)
    assert worker.current == 1
    for n in (2, 3, 4):
        worker.submit(n)
    assert worker.busy
    gate.set()
    assert [outcome.request for outcome in collect(worker, 2)] == [1, 4]
    assert worked == [1, 4]


def test_work_runs_in_one_other_thread(start):
    worker = start(lambda _: threading.get_ident(), "thread")
    idents = set()
    for n in range(3):
        worker.submit(n)
        idents |= {outcome.value for outcome in collect(worker, 1)}
    assert len(idents) == 1
    assert threading.get_ident() not in idents


def test_expected_errors_are_sentences(start, caplog):
    def work(_):
        raise FileNotFoundError("it is not there")

    worker = start(work, "failing", expected=(OSError,))
    worker.submit(1)
    (outcome,) = collect(worker, 1)
    assert (outcome.value, outcome.error) == (None, "it is not there")
    assert not caplog.records


def test_defects_are_logged_and_the_worker_goes_on(start, caplog):
    worker = start(lambda n: 1 / n, "dividing", expected=(OSError,))
    worker.submit(0)
    (outcome,) = collect(worker, 1)
    assert outcome.error == "internal error: ZeroDivisionError: division by zero"
    assert caplog.records[0].exc_info
    worker.submit(2)
    assert collect(worker, 1)[0].value == 0.5


def test_closing_ends_the_thread_after_the_work_under_way():
    worker = Worker(lambda _: time.sleep(0.2), "sleeping")
    worker.submit(1)
    worker.submit(2)
    begun = time.monotonic()
    assert worker.close()
    assert time.monotonic() - begun < 2
    assert "sleeping" not in {thread.name for thread in threading.enumerate()}


def test_closing_does_not_wait_for_ever_for_work_that_hangs():
    gate = threading.Event()
    worker = Worker(lambda _: gate.wait(30), "hanging")
    worker.submit(1)
    while worker.current is None:
        time.sleep(0.01)
    assert not worker.close(0.1)
    gate.set()


def test_several_are_closed_side_by_side():
    meeting = threading.Barrier(3, timeout=10)  # passes only when all three wait at once

    def close():
        meeting.wait()
        return True

    assert close_all([close] * 3)
    assert not close_all([lambda: True, lambda: False])
    assert close_all([])
