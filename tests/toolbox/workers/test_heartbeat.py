"""Signs of life while long work goes on."""

from __future__ import annotations

import threading
import time

from toolbox.workers.heartbeat import SECONDS, Heartbeat


def test_something_is_said_again_and_again_until_the_end():
    said = threading.Semaphore(0)
    with Heartbeat(said.release, every=0.01):
        assert all(said.acquire(timeout=10) for _ in range(3))
    while said.acquire(blocking=False):
        pass
    time.sleep(0.05)
    assert not said.acquire(blocking=False), "no more after the end"
    assert SECONDS < 10
