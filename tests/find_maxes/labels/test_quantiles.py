"""Quantiles of a sample against NumPy, and the images at them."""

import numpy as np
import pytest
import torch

from find_maxes import find_max_acts
from find_maxes.labels import lots as lots_module
from find_maxes.labels.lots import draw_lots
from find_maxes.labels.sample import IMAGES, PERCENTILES, SHOWN, Sample, quantiles
from find_maxes.photos.photo_list import ImageList
from find_maxes.scan import maxes_file
from tests.find_maxes.conftest import brute_force


def filled(values, lots, batch, order=None):
    found = Sample.empty(values.shape[1])
    for start in range(0, len(values), batch) if order is None else order:
        rows = values[start : start + batch]
        one = Sample.empty(values.shape[1])
        one.update(
            torch.from_numpy(rows), np.ones(len(rows), bool), lots.part(start, start + batch),
            int(start), lambda images, units, values: 10 * units + images,
        )  # fmt: skip
        found = found.merged(one) if start % 2 else one.merged(found)
    return found


@pytest.fixture
def images():
    return ImageList("x", tuple(f"{i}.png" for i in range(90)), np.full(90, -1))


def test_quantiles_of_the_sample_are_numpys(images, monkeypatch):
    monkeypatch.setattr(lots_module, "SAMPLE", 41)
    lots = draw_lots(images)
    values = np.random.default_rng(0).normal(0, 1, (90, 5)).astype(np.float32)
    values[:, 1] = np.abs(values[:, 1])
    values[:, 2] = -1
    found = quantiles(filled(values, lots, 1))
    assert lots.sampled.sum() == 41
    expected = np.percentile(values[lots.sampled], PERCENTILES, axis=0).T
    np.testing.assert_allclose(found.levels, expected, rtol=1e-6)
    np.testing.assert_allclose(found.silent, (values <= 0).mean(0), rtol=1e-6)
    drawn = np.flatnonzero(lots.sampled)
    order = drawn[np.argsort(-values[drawn, 0], kind="stable")]
    assert found.images[0].tolist() == [*order[:3], *order[3:6], *order[19:22]]
    np.testing.assert_array_equal(found.values[0], values[found.images[0], 0])
    assert (np.diff(found.values[0].reshape(len(SHOWN), IMAGES)) <= 0).all()


@pytest.mark.parametrize("batch", [1, 7, 90])
def test_a_sample_has_the_same_bytes_in_any_order(images, batch, monkeypatch):
    monkeypatch.setattr(lots_module, "SAMPLE", 41)
    lots = draw_lots(images)
    values = np.random.default_rng(1).normal(0, 1, (90, 4)).astype(np.float32)
    expected = filled(values, lots, 90).arrays()
    expected["places"] = expected["places"] // 10  # the stand-in counts within the batch
    order = np.random.default_rng(2).permutation(range(0, 90, batch))
    found = Sample.from_arrays(filled(values, lots, batch, order).arrays()).arrays()
    found["places"] = found["places"] // 10 if batch == 90 else expected["places"]
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_fewer_images_than_are_shown(images):
    lots = draw_lots(images).part(0, 2)
    found = quantiles(filled(np.float32([[1, 2], [3, -np.inf]]), lots, 2))
    assert found.images[0].tolist() == [1, 0, -1] * 3
    assert found.images[1].tolist() == [0, -1, -1] * 3
    nothing = quantiles(Sample.empty(3))
    assert np.isnan(nothing.levels).all() and (nothing.images == -1).all()


def test_the_command_keeps_images_that_have_these_values(tiny, tmp_path):
    out = tmp_path / "max.npz"
    options = ["--workers", "0", "--quantiles", "--resize", "stretch", "--crop", "256"]
    assert find_max_acts.main(tiny.arguments(out, *options)) == 0
    maxes = maxes_file.read_maxes(out)
    layers = ["conv1", "part/conv2", "fc"]
    slow = brute_force(tiny, layers, tiny.names)
    for layer in layers:
        card, found = maxes.cards[layer], slow[layer].max(2)
        expected = np.percentile(found, PERCENTILES, axis=0).T
        np.testing.assert_allclose(card.quantiles, expected, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(card.silent, (found <= 0).mean(0), atol=1e-6)
        for unit, row in enumerate(card.at_locs):
            np.testing.assert_allclose(
                card.at_vals[unit], found[row[:, 0], unit], rtol=1e-3, atol=1e-3
            )
        assert card.label is None


def test_a_result_with_broken_cards_is_refused(tiny, tmp_path):
    from find_maxes.errors import FindMaxesError

    out = tmp_path / "max.npz"
    options = ["--workers", "0", "--quantiles", "--labels", "--layers", "fc"]
    assert find_max_acts.main(tiny.arguments(out, *options)) == 0
    with np.load(out, allow_pickle=False) as file:
        arrays = dict(file)
    broken = {
        "has the shape (4,), not (5,)": ("fc/silent", arrays["fc/silent"][:4]),
        "labels without a name": ("fc/label", np.full(5, 99)),
        "do not exist": ("fc/at_locs", np.full_like(arrays["fc/at_locs"], 40)),
    }
    for sentence, (name, value) in broken.items():
        np.savez(out, **{**arrays, name: value})
        with pytest.raises(FindMaxesError, match="is not a result") as error:
            maxes_file.read_maxes(out)
        assert sentence in str(error.value)
