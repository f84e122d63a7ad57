"""Histograms and correlation against NumPy on all values at once."""

import numpy as np
import pytest
import torch

from find_maxes import find_max_acts
from find_maxes.reports import charts
from find_maxes.scan.statistics import BINS, SIDE_BINS, Correlation, Histogram


def filled(kind, values, batch):
    found = kind.empty(values.shape[1])
    for start in range(0, len(values), batch):
        found.update(torch.from_numpy(values[start : start + batch]))
    return found


def make_values(seed, images=200):
    random = np.random.default_rng(seed)
    values = random.normal(0, 1, (images, 7)) * [1, 100, 1e-6, 1e20, 1, 1, 1]
    values[:, 4] = 0
    values[:, 5] = 2.5
    values[:, 6] = np.maximum(values[:, 6], 0)
    values[0, 0], values[1, 0] = 64, -64  # edges of bins
    return values.astype(np.float32)


def counted(values):
    """Each unit's counts and width, from all its values at once."""
    counts, widths = [], []
    for column in values.T.astype(np.float64):
        column = column[np.isfinite(column)]
        largest = np.abs(column).max()
        width = 2.0**-126
        while largest > 0 and largest >= 2 * SIDE_BINS * width / 2:
            width *= 2
        edges = (np.arange(BINS + 1) - SIDE_BINS) * width
        counts.append(np.histogram(column, edges)[0])
        widths.append(width)
    return np.array(counts), np.array(widths)


@pytest.mark.parametrize("batch", [1, 16, 500])
def test_histograms_do_not_depend_on_batches(batch):
    values = make_values(0)
    found = filled(Histogram, values, batch)
    counts, widths = counted(values)
    np.testing.assert_array_equal(found.counts.numpy(), counts)
    np.testing.assert_array_equal(np.exp2(found.exponents.double().numpy()), widths)
    np.testing.assert_array_equal(found.lowest.numpy(), values.min(0))
    np.testing.assert_array_equal(found.highest.numpy(), values.max(0))
    assert found.dead().tolist() == [False, False, False, False, True, True, False]


def test_histograms_merge_in_any_order():
    values = make_values(1)
    whole = filled(Histogram, values, 16).arrays()
    parts = [filled(Histogram, part, 16) for part in np.split(values, [1, 60, 61, 150])]
    forth = parts[0].merged(parts[1]).merged(parts[2]).merged(parts[3].merged(parts[4]))
    back = parts[4].merged(parts[2]).merged(parts[0].merged(parts[3])).merged(parts[1])
    for found in (forth, back, Histogram.from_arrays(forth.arrays())):
        for name, array in found.arrays().items():
            np.testing.assert_array_equal(array, whole[name], err_msg=name)


def test_infinite_values_are_not_counted():
    values = make_values(2, 30)
    values[3] = np.inf
    values[4, 1] = -np.inf
    found = filled(Histogram, values, 7)
    np.testing.assert_array_equal(found.counts.numpy(), counted(values)[0])
    assert np.isfinite(found.highest.numpy()).all()


def test_correlation_is_pearsons():
    random = np.random.default_rng(3)
    values = random.normal(5, 1, (300, 6)).astype(np.float32)
    values[:, 1] = 3 * values[:, 0] + 1
    values[:, 2] = -values[:, 0]
    values[:, 3] = 1234.5  # dead
    found = filled(Correlation, values, 16).matrix()
    alive = [0, 1, 2, 4, 5]
    expected = np.corrcoef(values[:, alive].astype(np.float64).T)
    np.testing.assert_allclose(found[np.ix_(alive, alive)], expected, atol=1e-5)
    assert (found[3] == 0).all() and (found[:, 3] == 0).all()
    parts = [filled(Correlation, part, 16) for part in np.split(values, [10, 200])]
    merged = parts[2].merged(parts[0]).merged(parts[1])
    np.testing.assert_allclose(merged.matrix(), found, atol=1e-6)
    assert charts.redundant(found)[0][:2] == (0, 1)
    assert all(pair[:2] != (0, 2) for pair in charts.redundant(found))


def test_correlation_leaves_images_without_a_number_out():
    values = np.random.default_rng(4).normal(0, 1, (40, 3)).astype(np.float32)
    broken = values.copy()
    broken[7, 1] = -np.inf
    found = filled(Correlation, broken, 16).matrix()
    np.testing.assert_allclose(found, np.corrcoef(np.delete(values, 7, 0).T), atol=1e-6)


def test_the_command_writes_arrays_pictures_and_lists(tiny, tmp_path, capsys):
    import cv2

    out = tmp_path / "max.npz"
    options = ["--workers", "0", "--histograms", "--correlation"]
    assert find_max_acts.main(tiny.arguments(out, *options)) == 0
    with np.load(out, allow_pickle=False) as file:
        result = dict(file)
    dead = []
    for layer, units in [("conv1", 8), ("part/conv2", 6), ("fc", 5)]:
        counts = result[f"{layer}/histogram"]
        assert counts.shape == (units, BINS) and (counts.sum(1) == 40).all()
        assert result[f"{layer}/correlation"].shape == (units, units)
        np.testing.assert_array_equal(result[f"{layer}/highest"], result[f"{layer}/max_vals"][:, 0])
        dead += [f"{layer}\t{unit}" for unit in np.flatnonzero(result[f"{layer}/dead"])]
        for kind in ("histograms", "correlation"):
            picture = cv2.imread(str(tmp_path / f"max_statistics/{kind}/{layer}.png"))
            assert picture is not None and picture.std() > 0
    lines = (tmp_path / "max_statistics/dead_units.txt").read_text(encoding="utf-8").splitlines()
    listed = [line for line in lines[1:] if not line.startswith(("pool1", "prob"))]
    assert listed == dead
    assert f"{len(lines) - 1} dead unit(s)" in capsys.readouterr().out


def test_colours_of_correlation():
    picture = charts.draw_correlation(np.array([[1, -1], [0, 0.5]], np.float32))
    corners = picture[0, 0], picture[0, -1], picture[-1, 0], picture[-1, -1]
    assert [c.tolist() for c in corners] == [
        [255, 0, 0], [0, 0, 255], [255, 255, 255], [255, 128, 128],
    ]  # fmt: skip
