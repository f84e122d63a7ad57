"""A unit's histogram over frames: every value counted once, in the bin that is its own."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from caffevis.app import CaffeVisApp
from caffevis.keys.state import Layer, Options, first_state
from caffevis.model.classes import Classes
from caffevis.net.histogram import BINS, add, follow
from caffevis.net.request import NetRequest, NetResult
from caffevis.panes import aux_pane, layers
from caffevis.panes.parts.chart import bar_heights
from caffevis.panes.parts.look import look_from
from settings import TABLE
from toolbox.settings import config

DEFAULTS = config.load(TABLE, None).replaced(
    pane_headings=False,
    caffevis_start=None,
    caffevis_data_mean=None,
    caffevis_labels=None,
    caffevis_label_layers=None,
)
BY_KEY = {key: row for row in CaffeVisApp.bindings for key in row.keys}
RNG = np.random.default_rng(9)


def of_frames(frames):
    histogram = None
    for values in frames:
        histogram = add(histogram, values)
    return histogram


def check(histogram, frames):
    """Compare with NumPy's own histogram of all the values over the same edges."""
    values = np.concatenate([np.asarray(frame, np.float64).ravel() for frame in frames])
    edges = (histogram.first + np.arange(len(histogram.counts) + 1)) * histogram.width
    expected = np.array(
        [np.sum((values >= a) & (values < b)) for a, b in zip(edges, edges[1:], strict=False)]
    )
    assert np.array_equal(histogram.counts, expected)
    assert histogram.counts.sum() == values.size
    assert histogram.frames == len(frames)
    assert len(histogram.counts) <= BINS
    assert histogram.low <= values.min()
    assert values.max() < histogram.high
    assert np.log2(histogram.width) == int(np.log2(histogram.width))


GROWING = {
    "rectified": [np.maximum(RNG.normal(size=(13, 13)), 0) for _ in range(30)],
    "ever larger": [RNG.normal(size=(5, 5)) * 3**step for step in range(12)],
    "ever smaller": [RNG.normal(size=(5, 5)) / 3**step for step in range(12)],
    "only zeros, then not": [np.zeros((4, 4)), np.zeros((4, 4)), RNG.normal(size=(4, 4)) * 1e3],
    "one value a frame": [np.full((1, 1), value) for value in RNG.normal(size=50)],
    "the same value": [np.full((3, 3), 2.5)] * 4,
    "far from zero": [1e6 + RNG.normal(size=(6, 6)) for _ in range(5)],
    "below zero": [-np.abs(RNG.normal(size=(6, 6))) - 7 for _ in range(5)],
    "very large": [np.full((2, 2), 3e38), np.full((2, 2), -3e38)],
    "very small": [np.full((2, 2), 1e-44), np.full((2, 2), 3e-44), np.ones((2, 2))],
}


@pytest.mark.parametrize("name", GROWING)
def test_each_value_is_counted_in_its_bin_however_the_range_grows(name):
    frames = [frame.astype(np.float32) for frame in GROWING[name]]
    for count in range(1, len(frames) + 1):
        check(of_frames(frames[:count]), frames[:count])


def test_bins_stay_fine_enough():
    histogram = of_frames([RNG.normal(size=(9, 9)).astype(np.float32) for _ in range(20)])
    assert len(histogram.counts) > BINS // 2


def test_broken_values_count_as_zero():
    histogram = add(None, np.array([[np.nan, np.inf, -np.inf, 1]], np.float32))
    assert histogram.counts.sum() == 4
    assert histogram.counts[-histogram.first] == 3


LAYERS = (Layer("conv", "c", 4, 2, 2), Layer("fc", "f", 5, 2, 3))


def result_of(frame, layer="conv"):
    shape = (4, 3, 3) if layer == "conv" else (5,)
    values = RNG.normal(size=shape).astype(np.float32)
    return NetResult(NetRequest(frame, layer), values, None, None, None, ())


def test_a_frame_is_counted_once_and_another_unit_begins_anew(make_frame):
    state = replace(first_state(LAYERS, Options()), in_units=True, histogram=True)
    frames = [make_frame(number) for number in range(3)]
    record, seen = None, []
    for frame in frames:
        result = result_of(frame)
        seen.append(result.activations[0])
        record = follow(record, state, result)
        assert follow(record, state, result_of(frame)) is record  # a key asked once more
    check(record.histogram, seen)
    other = follow(record, replace(state, unit=2), result)
    check(other.histogram, [result.activations[2]])
    fc = result_of(frames[0], "fc")
    moved = follow(other, replace(state, unit=2, layer_index=1), fc)
    check(moved.histogram, [fc.activations[2]])
    assert follow(record, replace(state, histogram=False), result) is None
    assert follow(record, replace(state, in_units=False), result) is None


def settle(app):
    deadline = time.monotonic() + 10
    app.update()
    while not app.settled():
        assert time.monotonic() < deadline
        app.wait(0.05)
        app.update()


def test_the_app_counts_each_frame_of_a_unit_and_none_while_it_draws(net, make_frame):
    app = CaffeVisApp(DEFAULTS, lambda: 0.0, net)
    app.start()
    app.set_frame(make_frame(1))
    settle(app)
    for key in ("down", "g"):
        app.handle(BY_KEY[key])
    for number in range(2, 6):
        app.set_frame(make_frame(number))
        settle(app)
        for key in ("t", "b", "m"):  # none of these brings another frame
            app.handle(BY_KEY[key])
        settle(app)
        drawn = [one.inputs for one in app.drawings() if one.pane == aux_pane.PANE]
        assert drawn == [one.inputs for one in app.drawings() if one.pane == aux_pane.PANE]
        assert drawn[0].histogram.frames == number
        assert drawn[0].histogram.counts.sum() == number * 16
    app.handle(BY_KEY["right"])
    (view,) = [one.inputs for one in app.drawings() if one.pane == aux_pane.PANE]
    assert view.histogram.frames == 1
    app.handle(BY_KEY["esc"])
    app.handle(BY_KEY["down"])
    settle(app)
    (view,) = [one.inputs for one in app.drawings() if one.pane == aux_pane.PANE]
    assert view.histogram is None
    assert app.close()


def test_bars_are_logarithms_and_no_count_is_invisible():
    histogram = add(None, np.array([0.0] * 100000 + [1.0, 0.5, 0.5], np.float32))
    heights = bar_heights(histogram, 100)
    assert heights[0] == 100
    assert heights[-1] == round(100 * np.log(2) / np.log(100001))
    assert bar_heights(histogram, 3)[-1] == 1
    assert np.array_equal(heights > 0, histogram.counts > 0)


def test_the_chart_takes_the_lower_part_of_the_pane_and_the_unit_the_rest(make_frame):
    look = look_from(DEFAULTS)
    values = np.ones((4, 3, 3), np.float32)
    values[1] = 0
    result = NetResult(NetRequest(make_frame(), "conv"), values, None, None, None, ())
    state = replace(first_state(LAYERS, Options()), in_units=True)
    units = layers.view(state, result, look)
    pictures = []
    for histogram in (None, add(None, values[0])):
        canvas = np.zeros((300, 300, 3), np.uint8)
        aux_pane.draw(canvas, aux_pane.view(state, units, Classes(), look, histogram))
        pictures.append(canvas)
    plain, charted = pictures
    assert np.all(plain == 255)
    assert np.all(charted[:174, :174] == 255)
    assert np.all(charted[:174, 174:] == look.background)
    bar = np.all(charted[174:] == look.class_high, axis=2)
    assert bar.any()
    assert not np.all(charted[:174] == look.class_high, axis=2).any()
