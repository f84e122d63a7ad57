"""Filters and the spread of weights: against the arrays themselves, and in the layers pane."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

import torchcaffe as caffe
from caffevis.app import CaffeVisApp
from caffevis.net.weights import BINS, filters_of, find_weights, spread_of
from caffevis.panes import layers, weights
from settings import TABLE
from tests.caffevis.net.test_cam import PROTOTXT
from toolbox.settings import config
from toolbox.window.pointer import CLICK, Pointer

DEFAULTS = config.load(TABLE, None).replaced(
    pane_headings=False, caffevis_start=None, caffevis_data_mean=None, caffevis_labels=None,
    caffevis_label_layers=None,
)  # fmt: skip
BY_KEY = {key: row for row in CaffeVisApp.bindings for key in row.keys}
BGR = (2, 1, 0)


@pytest.fixture
def real_net(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(PROTOTXT, encoding="ascii")
    caffe.set_mode_cpu()
    net = caffe.Net(str(path), caffe.TEST)
    random = np.random.default_rng(3)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = random.normal(0.1, 0.3, blob.shape)
    return net


def test_filters_of_the_picture_are_in_rgb(real_net):
    found = find_weights(real_net, "conv1", "data", BGR)
    values = real_net.params["conv1"][0].data
    assert found.shape == (5, 3, 3, 3) and found.why == ""
    np.testing.assert_array_equal(found.filters, values[:, ::-1].transpose(0, 2, 3, 1))
    assert found.mean == pytest.approx(values.mean()) and found.counts.sum() == values.size
    assert found.about().startswith("conv1: 5 x 3 x 3 x 3 weights, mean 0.")


def test_which_layers_have_filters():
    random = np.random.default_rng(0)

    def of(shape, swap):
        return filters_of(random.normal(0, 1, shape).astype(np.float32), swap)

    assert of((4, 3, 5, 5), None).shape == (4, 5, 5, 3)  # three channels, of whatever layer
    assert of((4, 5, 5, 5), None) is None and of((4, 1, 5, 5), None) is None
    grey = of((4, 1, 5, 5), ())
    assert (grey[..., 0] == grey[..., 2]).all()
    assert of((4, 4, 5, 5), BGR).shape == (4, 5, 5, 3)  # a held channel behind the colours
    assert of((4, 3), BGR) is None and of((4, 3, 1, 1), BGR) is None


def test_where_there_are_no_weights_a_sentence_says_so(real_net):
    assert find_weights(real_net, "prob", "data", BGR).why == "prob has no weights"
    assert find_weights(real_net, "fc", "data", BGR).filters is None
    real_net.params["fc"][0].data[0, 0] = np.nan
    assert find_weights(real_net, "fc", "data", BGR).why == "the weights of fc are not numbers"
    bare = SimpleNamespace(_layer_names=["a"], top_names={"a": ["a"]})
    assert find_weights(bare, "a", "data", BGR).why == "a has no weights"


@pytest.mark.parametrize("values", [[0.1], [-3, 5, 5.5], [0, 0], [1e-20, -1e-20], [1e6, 1e6 + 1]])
def test_every_weight_is_counted_in_its_bin(values):
    width, first, counts = spread_of(np.float32(values))
    assert len(counts) <= BINS and counts.sum() == len(values)
    for value in np.float32(values).astype(float):
        assert counts[int(np.floor(value / width)) - first] > 0


def test_a_filter_is_drawn_with_zero_as_mid_grey():
    picture = weights.filter_picture(np.float32([[[0, 1, -2]]]))
    assert picture.tolist() == [[[128, 191, 0]]]
    assert (weights.filter_picture(np.zeros((2, 2, 3), np.float32)) == 128).all()


def settle(app):
    deadline = time.monotonic() + 10
    app.update()
    while not app.settled():
        assert time.monotonic() < deadline
        app.wait(0.05)
        app.update()


def test_the_key_shows_them_in_the_places_of_the_units(real_net, make_frame):
    app = CaffeVisApp(DEFAULTS, lambda: 0.0, real_net)
    app.start()
    app.set_frame(make_frame(1, side=20))
    app.handle(BY_KEY["f7"])
    settle(app)
    drawing = next(d for d in app.drawings() if d.pane == layers.PANE)
    canvas = np.zeros((200, 150, 3), np.uint8)
    drawing.draw(canvas, drawing.inputs)
    found = app.result.weights
    grid = layers.tile_grid(drawing.inputs, (200, 150))
    row, column = grid.corner(3)
    tile = canvas[row : row + grid.height, column : column + grid.width]
    expected = weights.filter_picture(found.filters[3])
    for y in range(3):
        for x in range(3):
            middle = tile[int((y + 0.5) * grid.height / 3), int((x + 0.5) * grid.width / 3)]
            np.testing.assert_array_equal(middle, expected[y, x])
    assert canvas[150:].std() > 10  # the histogram
    assert layers.heading(drawing.inputs) == "weights of conv1"
    app.point(Pointer(CLICK, layers.PANE, row + 2, column + 2, (200, 150)))
    assert app.state.unit == 3 and app.state.in_units
    while app.state.layer.name != "prob":
        app.handle(BY_KEY["o"])
    settle(app)
    assert "prob has no weights" in app.message()
    app.handle(BY_KEY["f7"])
    settle(app)
    assert app.result.weights is None
    assert app.close()
