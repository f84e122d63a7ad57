"""Dead units, ranges and strongest places against plain loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from caffevis.keys.state import Layer, Options, Origin, first_state
from caffevis.model.preprocess import Preprocess
from caffevis.net.measures import layer_stats, strongest, top_positions, top_units
from caffevis.net.network import Back, NetRequest, Network
from caffevis.panes import status

RNG = np.random.default_rng(5)


def rectified(*shape: int) -> np.ndarray:
    return np.maximum(RNG.normal(size=shape) - 1, 0).astype(np.float32)


def test_dead_units_are_those_that_are_nowhere_above_zero():
    maps = rectified(40, 3, 4)
    stats = layer_stats(maps)
    assert stats.dead == sum(1 for unit in maps if not any(v > 0 for v in unit.flat))
    assert 0 < stats.dead < 40
    assert (stats.units, stats.low, stats.high) == (40, 0, maps.max())
    assert stats.text() == f"dead {stats.dead}/40, 0 to {maps.max():.3g}"


def test_a_layer_with_negative_values_has_no_dead_units():
    stats = layer_stats(np.array([[[-2.0]], [[0.0]], [[5.25]]], np.float32))
    assert stats.dead is None
    assert stats.text() == "-2 to 5.25"


def test_a_broken_layer_is_measured_without_an_error():
    stats = layer_stats(np.array([[[np.nan]], [[1.0]]], np.float32))
    assert stats.dead is None
    assert stats.text() == "nan to nan"


def test_results_carry_their_layers_statistics(net, make_frame):
    network = Network(net, Preprocess(3, 8, 8, (2, 1, 0), None), "prob", threads=1)
    result = network(NetRequest(make_frame(), "conv", Back("grad", Origin("conv", 0))))
    assert result.stats == layer_stats(result.activations)
    # The stand-in's second unit is minus a mean of pixels, cut off below zero.
    assert result.stats.dead == 1


def test_the_status_line_has_the_activations_statistics_but_not_beside_diffs(net, make_frame):
    network = Network(net, Preprocess(3, 8, 8, (2, 1, 0), None), "prob", threads=1)
    result = network(NetRequest(make_frame(), "conv", Back("grad", Origin("conv", 0))))
    state = first_state((Layer("conv", "c", 4, 2, 2), Layer("fc", "f", 5, 2, 3)), Options())
    assert f" | {result.stats.text()} | Back" in status.text(state, result)
    assert "dead 1/4, 0 to " in status.text(state, result)
    assert "dead" not in status.text(replace(state, show_back=True), result)
    assert "dead" not in status.text(replace(state, layer_index=1), result)


def test_top_units_have_the_highest_peaks():
    maps = rectified(30, 4, 4)
    peaks = [unit.max() for unit in maps]
    expected = sorted(range(30), key=lambda unit: -peaks[unit])[:5]
    assert top_units(maps) == expected
    assert top_units(np.zeros((9, 2, 2), np.float32)) == []
    assert top_units(np.array([[[0]], [[2]], [[0]], [[2]]], np.float32)) == [1, 3]
    assert top_units(np.array([[[np.nan]], [[2]], [[np.inf]]], np.float32)) == [1]


def slow_maxima(values: np.ndarray) -> list[tuple[int, int]]:
    found = []
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            around = values[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            faint = values.min() + 0.1 * (values.max() - values.min())
            if values[row, column] == around.max() > faint:
                found.append((row, column))
    return sorted(found, key=lambda place: -values[place])


@pytest.mark.parametrize("shape", [(13, 13), (1, 9), (7, 2), (55, 55)])
def test_top_positions_are_the_highest_local_maxima(shape):
    values = RNG.normal(size=shape).astype(np.float32)
    assert top_positions(values) == slow_maxima(values)[:5]
    assert top_positions(values)[0] == strongest(values)


def test_a_flat_map_has_no_strongest_positions():
    assert top_positions(np.ones((4, 4), np.float32)) == []
    assert top_positions(np.ones((1, 1), np.float32)) == []
    assert strongest(np.array([[np.nan, 1], [np.inf, 0]], np.float32)) == (0, 1)
