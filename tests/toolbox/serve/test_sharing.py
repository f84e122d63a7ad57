"""Who steers: the first, then who asks, and who was there longest."""

from __future__ import annotations

import pytest

from toolbox.serve.sharing import ANSWER_SECONDS, Sharing


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sharing(clock):
    sharing = Sharing(clock)
    for viewer in (1, 2, 3):
        sharing.join(viewer)
    return sharing


def test_the_first_steers_and_the_longest_there_follows(sharing):
    assert sharing.steering == 1
    sharing.leave(2)
    assert sharing.steering == 1
    sharing.leave(1)
    assert sharing.steering == 3
    sharing.leave(3)
    assert (sharing.steering, sharing.viewers) == (None, ())
    sharing.join(4)
    assert sharing.steering == 4


def test_who_asked_follows_before_who_was_there_longer(sharing):
    sharing.ask(3)
    sharing.leave(1)
    assert (sharing.steering, sharing.asking) == (3, ())


def test_it_is_passed_on_at_once_or_after_a_while(sharing, clock):
    sharing.ask(3)
    sharing.ask(2)
    sharing.give(3)  # not its to give
    assert (sharing.steering, sharing.asking) == (1, (3, 2))
    sharing.give(1)
    assert (sharing.steering, sharing.asking) == (3, (2,))
    clock.now += ANSWER_SECONDS - 1
    assert not sharing.update()
    clock.now += 1
    assert sharing.update()
    assert (sharing.steering, sharing.asking) == (2, ())
    assert not sharing.update()


def test_who_steers_may_keep_it(sharing, clock):
    sharing.ask(2)
    sharing.keep(2)  # not its to keep
    assert sharing.asking == (2,)
    sharing.keep(1)
    clock.now += 2 * ANSWER_SECONDS
    assert not sharing.update()
    assert sharing.steering == 1


def test_asking_twice_or_for_what_one_has_changes_nothing(sharing, clock):
    sharing.ask(1)
    assert sharing.asking == ()
    sharing.ask(2)
    clock.now += ANSWER_SECONDS - 1
    sharing.ask(2)
    clock.now += 1
    assert sharing.update()
    assert sharing.steering == 2


def test_one_who_has_left_is_not_given_it(sharing, clock):
    sharing.ask(2)
    sharing.leave(2)
    clock.now += ANSWER_SECONDS
    assert not sharing.update()
    assert sharing.steering == 1
