"""Streaming top N against sorting everything at once."""

import numpy as np
import pytest
import torch

from find_maxes.scan.top_n import Maxima, Tracker, locations


def track(maps, top, batch, first=0, good=None, layout=torch.contiguous_format):
    tracker = Tracker.empty(maps.shape[1] if maps.ndim > 1 else 1, top)
    for start in range(0, len(maps), batch):
        part = torch.from_numpy(maps[start : start + batch]).contiguous(memory_format=layout)
        mask = None if good is None else torch.from_numpy(good[start : start + batch])
        maxima = Maxima.of(part, mask)
        tracker.update(maxima.values, first + start, maxima.places)
    return tracker


def brute_force(maps, top, good=None):
    """Sort every image of every unit in plain Python; NaN and -inf are no value."""
    flat = maps.reshape(len(maps), maps.shape[1] if maps.ndim > 1 else 1, -1)
    values = np.full((flat.shape[1], top), -np.inf, np.float32)
    images = np.full((flat.shape[1], top), -1)
    places = np.full((flat.shape[1], top), -1)
    for unit in range(flat.shape[1]):
        entries = []
        for i in range(len(flat)):
            row = [v for v in flat[i, unit] if not np.isnan(v) and v > -np.inf]
            if row and (good is None or good[i]):
                best = max(row)
                entries.append(
                    (-best, i, next(p for p, v in enumerate(flat[i, unit]) if v == best))
                )
        for rank, (value, i, place) in enumerate(sorted(entries)[:top]):
            values[unit, rank], images[unit, rank], places[unit, rank] = -value, i, place
    return {"values": values, "images": images, "places": places}


def same(found, expected):
    for name, array in expected.items():
        np.testing.assert_array_equal(found.arrays()[name], array, err_msg=name)


SHAPES = [(37, 5, 3, 4), (37, 5), (37, 4, 6), (37, 2, 2, 3, 2), (37,)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("batch", [1, 7, 16, 64])
@pytest.mark.parametrize("levels", [3, 1000])  # few levels: many ties
def test_agrees_with_sorting_everything(shape, batch, levels):
    random = np.random.default_rng(1)
    maps = (random.integers(-levels, levels, shape) / 4).astype(np.float32)
    same(track(maps, 9, batch), brute_force(maps, 9))


@pytest.mark.parametrize("shape", [(40, 6, 5, 7), (40, 3, 1, 9), (40, 4, 6, 1), (40, 5, 1, 1)])
@pytest.mark.parametrize("levels", [3, 1000])
def test_channels_last_memory_gives_the_same(shape, levels):
    maps = np.random.default_rng(2).integers(0, levels, shape).astype(np.float32)
    same(track(maps, 4, 16, layout=torch.channels_last), brute_force(maps, 4))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_nan_infinity_and_missing_images_get_no_entry(layout):
    random = np.random.default_rng(3)
    maps = random.choice(np.array([np.nan, -np.inf, np.inf, -1, 0, 2], np.float32), (30, 4, 3, 2))
    maps[:, 0] = np.nan  # a unit of nothing but NaN
    maps[5] = np.nan
    good = random.random(30) > 0.3
    tracker = track(maps, 5, 8, good=good, layout=layout)
    same(tracker, brute_force(maps, 5, good))
    assert (tracker.images[0] == -1).all()
    assert tracker.images[1].max() >= 0


def test_fewer_images_than_places():
    maps = np.random.default_rng(4).normal(size=(3, 4, 2, 2)).astype(np.float32)
    found = track(maps, 9, 2)
    same(found, brute_force(maps, 9))
    assert (found.images[:, 3:] == -1).all()


@pytest.mark.parametrize("seed", range(5))
def test_merging_is_associative_and_in_any_order(seed):
    random = np.random.default_rng(seed)
    maps = random.integers(-2, 3, (40, 6, 2, 3)).astype(np.float32)
    cuts = [0, *sorted(random.choice(np.arange(1, 40), 3, replace=False)), 40]
    ranges = list(zip(cuts, cuts[1:], strict=False))
    a, b, c, d = (track(maps[s:e], 5, 4, first=s) for s, e in ranges)
    expected = brute_force(maps, 5)
    same(a.merged(b).merged(c).merged(d), expected)
    same(a.merged(b.merged(c.merged(d))), expected)
    same(d.merged(b).merged(c.merged(a)), expected)
    empty = Tracker.empty(6, 5)
    same(empty.merged(a).merged(empty), a.arrays())


def test_arrays_come_back_as_they_were():
    tracker = track(np.random.default_rng(6).normal(size=(9, 3, 2)).astype(np.float32), 4, 3)
    same(Tracker.from_arrays(tracker.arrays()), tracker.arrays())


def test_locations():
    classes = np.array([7, 8, 9])
    images, places = np.array([[2, 0, -1]]), np.array([[5, 0, -1]])
    expected = [[[2, 9, 1, 2], [0, 7, 0, 0], [-1, -1, -1, -1]]]
    np.testing.assert_array_equal(locations(images, places, (4, 3), classes), expected)
    expected = [[[2, 9, 0, 5], [0, 7, 0, 0], [-1, -1, -1, -1]]]
    np.testing.assert_array_equal(locations(images, places, (8,), classes), expected)
    expected = [[[2, 9, -1, -1], [0, 7, -1, -1], [-1, -1, -1, -1]]]
    np.testing.assert_array_equal(locations(images, places, (), classes), expected)
