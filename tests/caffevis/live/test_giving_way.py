"""Who makes images rests beside moving frames, and longest after a key."""

from __future__ import annotations

import pytest

from caffevis.live import giving_way
from caffevis.live.giving_way import LONGEST, REST, GiveWay
from caffevis.net.lanes import KEY_SECONDS


class Clock:
    """Stands still but for what a test says."""

    now = spent = 100.0

    def monotonic(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.spent


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(giving_way, "time", clock)
    return clock


def test_it_rests_in_proportion_to_what_it_computed(clock):
    rests, give_way = [], GiveWay()
    give_way()  # before anybody has a frame
    give_way.to(rests.append)
    for seconds in (0.0, 0.01, 0.02, 5.0):
        clock.spent += seconds
        clock.now += 10 * seconds  # others had the machine: that is not counted
        give_way()
    assert rests == pytest.approx([0.0, REST * 0.01, REST * 0.02, LONGEST])


def test_a_key_comes_first(clock):
    rests, give_way = [], GiveWay()
    give_way.to(rests.append)
    give_way()
    give_way.key()
    for _ in range(3):
        clock.now += 0.04
        clock.spent += 0.001
        give_way()
    left = [KEY_SECONDS - 0.04, KEY_SECONDS - 0.08, REST * 0.001]
    assert rests[1:] == pytest.approx(left)
