"""The cache bounded in bytes, against a plain list of what must be in it."""

from __future__ import annotations

import numpy as np
import pytest

from toolbox.workers.cache import ByteCache


def test_the_least_used_goes_first():
    cache = ByteCache(30)
    arrays = {name: np.zeros(10, np.uint8) for name in "abcd"}
    for name in "abc":
        cache.put(name, arrays[name])
    assert cache.get("a") is arrays["a"]
    cache.put("d", arrays["d"])
    assert [cache.get(name) is not None for name in "abcd"] == [True, False, True, True]
    assert cache.used == 30


def test_an_array_above_the_limit_is_not_kept_and_drops_nothing():
    cache = ByteCache(10)
    cache.put("a", np.zeros(10, np.uint8))
    cache.put("b", np.zeros(11, np.uint8))
    assert cache.get("b") is None
    assert cache.get("a") is not None


def test_replacing_counts_once_and_drops_what_no_longer_fits():
    cache = ByteCache(20)
    cache.put("a", np.zeros(8, np.uint8))
    cache.put("a", np.zeros(3, np.float32))
    assert (cache.used, len(cache)) == (12, 1)
    cache.put("a", np.zeros(99, np.uint8))
    assert (cache.used, len(cache)) == (0, 0)


@pytest.mark.parametrize("seed", range(5))
def test_any_order_of_use_keeps_what_a_plain_list_would(seed: int):
    random = np.random.default_rng(seed)
    cache, kept = ByteCache(100), []
    for _ in range(500):
        key = int(random.integers(12))
        if random.random() < 0.5:
            size = int(random.integers(1, 60))
            cache.put(key, np.zeros(size, np.uint8))
            kept = [item for item in kept if item[0] != key] + [(key, size)]
            while sum(size for _, size in kept) > 100:
                kept.pop(0)
        else:
            found = next((item for item in kept if item[0] == key), None)
            assert (cache.get(key) is not None) == (found is not None)
            if found:
                kept = [item for item in kept if item[0] != key] + [found]
        assert cache.used == sum(size for _, size in kept)
