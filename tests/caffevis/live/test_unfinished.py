"""Work that waits: it goes on where it was, within bytes, and what fails is begun anew."""

from __future__ import annotations

import pytest

from caffevis.live.unfinished import Unfinished


def counting(to: int, begun: list[int]):
    begun.append(to)
    yield from range(1, to)
    return to


def first(work, count: int) -> list[int]:
    return [next(work) for _ in range(count)]


def test_it_goes_on_after_what_was_last_and_ends_once():
    begun: list[int] = []
    waiting: Unfinished[int, int] = Unfinished(100, lambda news: 10)
    work = waiting.go_on("a", lambda: counting(5, begun))
    assert first(work, 2) == [1, 2]
    work.close()  # as the thread does when another unit is wanted
    assert first(waiting.go_on("b", lambda: counting(3, begun)), 1) == [1]
    work = waiting.go_on("a", lambda: counting(5, begun))
    assert first(work, 3) == [2, 3, 4]
    with pytest.raises(StopIteration) as ended:
        next(work)
    assert (ended.value.value, begun, waiting.held) == (5, [5, 3], 10)


def test_beyond_the_limit_the_one_that_waits_longest_is_dropped():
    begun: list[int] = []
    waiting: Unfinished[int, int] = Unfinished(25, lambda news: 10 * news)
    for key in "abca":
        first(waiting.go_on(key, lambda: counting(9, begun)), 1)
    assert (len(begun), waiting.held) == (4, 20)  # `a` was dropped for `c`
    first(waiting.go_on("large", lambda: counting(200, begun)), 100)  # it holds more and more
    assert waiting.held == 1000


def test_what_fails_is_not_kept():
    def failing():
        yield 1
        raise ValueError

    waiting: Unfinished[int, None] = Unfinished(25, lambda news: 10)
    work = waiting.go_on("a", failing)
    assert next(work) == 1
    with pytest.raises(ValueError):
        next(work)
    assert waiting.held == 0
