"""What is drawn over the input: fields from gradients, places and blends pixel by pixel."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

import torchcaffe as caffe
from caffevis.app import CaffeVisApp
from caffevis.keys.state import OVER_ACTIVE, OVER_INACTIVE, OVERLAY_OFF, Layer, Options, first_state
from caffevis.model.classes import Classes
from caffevis.model.preprocess import CHANNELS, WIDTH, Preprocess
from caffevis.net.network import find_fields
from caffevis.net.receptive_fields import Fields
from caffevis.net.request import NetRequest, NetResult
from caffevis.panes import aux_pane, layers, overlay
from caffevis.panes.parts.look import look_from
from caffevis.panes.parts.marks import draw_box
from settings import TABLE
from toolbox.drawing.palettes import PALETTES, colour
from toolbox.input.frame import Frame
from toolbox.settings import config

DEFAULTS = config.load(TABLE, None).replaced(
    pane_headings=False,
    caffevis_start=None,
    caffevis_data_mean=None,
    caffevis_labels=None,
    caffevis_label_layers=None,
)
LOOK = look_from(DEFAULTS)
BY_KEY = {key: row for row in CaffeVisApp.bindings for key in row.keys}
BGR = (2, 1, 0)

PROTOTXT = """
name: "fields"
force_backward: true
input: "data" input_shape { dim: 1 dim: 3 dim: 24 dim: 20 }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 2 kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
        pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
        convolution_param { num_output: 3 kernel_size: 3 pad: 1 } }
layer { name: "fc" type: "InnerProduct" bottom: "conv2" top: "fc"
        inner_product_param { num_output: 4 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


@pytest.fixture(scope="module")
def real_net(tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "fields.prototxt"
    path.write_text(PROTOTXT, encoding="ascii")
    net = caffe.Net(str(path), caffe.TEST)
    rng = np.random.default_rng(3)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = rng.uniform(0.1, 1, blob.shape)  # no path cancels another
    net.forward()
    return net


def prepare_of(height: int, width: int, pair: str = "") -> Preprocess:
    return Preprocess(3, height, width, BGR, None, pair=pair)


@pytest.mark.parametrize("layer", ["conv1", "pool1", "conv2", "fc"])
def test_fields_are_where_the_gradient_is(real_net, layer):
    fields = find_fields(real_net, layer, prepare_of(24, 20))
    shape = real_net.blobs[layer].shape
    assert fields.known
    rows, columns = shape[2:] if len(shape) == 4 else (1, 1)
    for row in range(rows):
        for column in range(columns):
            diff = np.zeros(shape, np.float32)
            diff[(0, 0, row, column) if len(shape) == 4 else (0, 0)] = 1
            real_net.backward_from_layer(layer, diff, zero_higher=True)
            seen = np.abs(real_net.blobs["data"].diff[0]).sum(axis=0) > 0
            down, across = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
            expected = (down[0], across[0], down[-1] + 1, across[-1] + 1)
            assert fields.box(row, column) == expected


def test_centres_are_those_of_the_fields_with_their_padding(real_net):
    fields = find_fields(real_net, "conv1", prepare_of(24, 20))
    rows, columns = fields.centres((12, 10))
    assert rows.tolist() == [0.5 + 2 * row for row in range(12)]
    assert columns.tolist() == [0.5 + 2 * column for column in range(10)]
    assert fields.box(0, 0) == (0, 0, 2, 2)  # cut off: the padding is not in the picture


def test_nets_without_fields_spread_the_map_evenly(net):
    fields = find_fields(net, "conv", prepare_of(8, 8))
    assert not fields.known
    assert fields.box(1, 1) is None
    assert [part.tolist() for part in fields.centres((4, 2))] == [[1, 3, 5, 7], [2, 6]]


def test_a_twin_of_another_engines_net_gives_its_fields(net, real_net):
    net.regions_net = real_net
    net.blobs = {**net.blobs, "conv2": real_net.blobs["conv2"]}
    assert find_fields(net, "conv2", prepare_of(24, 20)).known
    assert not find_fields(net, "conv", prepare_of(8, 8)).known  # the twin has no such layer


def test_pairs_share_the_input_or_have_a_half_each():
    assert Fields(8, 8).shown_columns(2) == [(0, 8)]
    assert Fields(8, 8, CHANNELS).shown_columns(2) == [(0, 8), (0, 8)]
    assert Fields(8, 16, WIDTH).shown_columns(2) == [(0, 8), (8, 16)]
    assert Fields(8, 16, WIDTH).shown_columns(1) == [(0, 8)]


def test_a_map_is_spread_so_that_each_value_lies_at_its_centre():
    # Fields of 4 pixels, every 2: centres at 2, 4, 6 of 8 pixels; the picture is twice as large.
    spans = ((0, 3), (2, 5), (4, 7))
    fields = Fields(8, 8, "", spans, spans)
    active = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32)
    large = overlay.spread(active, fields, (0, 8), (16, 16))
    pixels = (np.arange(16) + 0.5) / 2
    weights = np.maximum(0, 1 - np.abs(pixels - 4) / 2)
    assert large == pytest.approx(np.outer(weights, weights), abs=0.02)
    # In the right half of the columns only: what a pair's second picture shows.
    half = overlay.spread(active, fields, (4, 8), (16, 8))
    assert half == pytest.approx(large[:, 8:], abs=0.02)


def test_activity_is_zero_below_zero_and_one_at_the_maximum():
    values = np.array([[-3, 0], [2, 4]], np.float32)
    assert overlay.activity(values).tolist() == [[0, 0], [0.5, 1]]
    assert overlay.activity(-np.ones((2, 2), np.float32)).tolist() == [[0, 0], [0, 0]]
    assert overlay.activity(np.array([[np.nan, np.inf, 1]], np.float32)).tolist() == [[0, 0, 1]]


def test_over_active_darkens_the_rest_and_over_inactive_colours_the_active():
    picture = np.random.default_rng(1).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    active = np.zeros((4, 5), np.float32)
    active[1, 2], active[2, 3] = 1, 0.5
    shown = overlay.blend(picture, active, OVER_ACTIVE, "jet")
    expected = picture * (overlay.DARK + (1 - overlay.DARK) * active[:, :, None])
    assert np.abs(shown - expected).max() <= 1
    assert np.array_equal(shown[1, 2], picture[1, 2])
    shown = overlay.blend(picture, active, OVER_INACTIVE, "jet")
    jet = colour(np.rint(active * 255).astype(np.uint8), PALETTES["jet"])
    expected = picture * (1 - active[:, :, None]) + jet * active[:, :, None]
    assert np.abs(shown - expected).max() <= 1
    assert np.array_equal(shown[0], picture[0])
    assert np.array_equal(shown[1, 2], jet[1, 2])


SPANS = tuple((2 * place, 2 * place + 1) for place in range(4))
FIELDS = Fields(8, 8, "", SPANS, SPANS)


def make_view(frame, values, fields=FIELDS, **wanted):
    state = replace(first_state((Layer("conv", "c", 1, 1, 1),), Options()), in_units=True, **wanted)
    result = NetResult(
        NetRequest(frame, "conv", None, True), np.asarray(values, np.float32), None, None, None,
        (), None, fields,
    )  # fmt: skip
    return overlay.drawing(state, result, LOOK)


def drawn(drawing, height=80, width=80):
    canvas = np.full((height, width, 3), 7, np.uint8)
    drawing.draw(canvas, drawing.inputs)
    return canvas


def is_colour(picture, rgb):
    return np.all(picture == rgb, axis=2)


def test_the_field_of_the_strongest_place_is_framed_where_it_lies_in_the_pane(make_frame):
    values = np.zeros((1, 4, 4))
    values[0, 1, 2] = 5
    picture = drawn(make_view(make_frame(value=90), values, show_field=True))
    # Rows 2 and 3, columns 4 and 5 of 8, in a pane ten times as large.
    down, across = np.nonzero(is_colour(picture, LOOK.cursor))
    assert (down.min(), down.max(), across.min(), across.max()) == (21, 38, 41, 58)
    assert np.all(picture[25:35, 45:55] == 90)
    assert np.all(picture[:20] == 90)


def test_units_without_a_map_see_the_whole_picture(make_frame):
    whole = Fields(8, 8, "", ((0, 7),), ((0, 7),))
    picture = drawn(make_view(make_frame(value=90), [3.0], whole, show_field=True))
    down, across = np.nonzero(is_colour(picture, LOOK.cursor))
    assert (down.min(), down.max(), across.min(), across.max()) == (1, 78, 1, 78)


def test_a_field_of_one_pixel_gets_a_frame_with_an_inside(make_frame):
    values = np.zeros((1, 4, 4))
    values[0, 1, 2] = 5
    spans = tuple((2 * place, 2 * place) for place in range(4))
    fields = Fields(8, 8, "", spans, spans)
    picture = drawn(make_view(make_frame(value=90), values, fields, show_field=True), 16, 16)
    framed = is_colour(picture, LOOK.cursor)
    down, across = np.nonzero(framed)
    assert (down.min(), down.max(), across.min(), across.max()) == (1, 8, 5, 12)
    assert not framed[5, 9]


def test_strongest_places_are_marked_at_the_centres_of_their_fields(make_frame):
    values = np.zeros((1, 4, 4))
    values[0, 0, 0], values[0, 2, 3] = 4, 5
    picture = drawn(make_view(make_frame(value=90), values, show_top=True))
    marked = is_colour(picture, LOOK.mark)
    assert marked[10, 10]
    assert marked[50, 70]
    assert not marked[30:, :50].any()


@pytest.mark.parametrize(("pair", "width"), [(CHANNELS, 8), (WIDTH, 16)])
def test_of_a_pair_each_picture_gets_what_the_net_sees_of_it(pair, width):
    first, second = (np.full((8, 8, 3), level, np.uint8) for level in (60, 90))
    frame = Frame(1, first, "pair", second)
    columns = tuple((2 * place, 2 * place + 1) for place in range(width // 2))
    fields = Fields(8, width, pair, SPANS, columns)
    values = np.zeros((1, 4, width // 2))
    values[0, 1, 2] = 5
    picture = drawn(make_view(frame, values, fields, show_field=True), 80, 160)
    framed = is_colour(picture, LOOK.cursor)
    assert framed[21, 45]
    assert framed[21, 125] == (pair == CHANNELS)


def test_a_second_picture_that_the_net_does_not_take_stays_plain():
    frame = Frame(1, np.full((8, 8, 3), 60, np.uint8), "pair", np.full((8, 8, 3), 90, np.uint8))
    picture = drawn(make_view(frame, np.zeros((1, 4, 4)), overlay=OVER_ACTIVE), 80, 160)
    assert np.all(picture[:, :70] == 9)  # the enlarging mixes the two at the seam
    assert np.all(picture[:, 90:] == 90)


def test_nothing_is_drawn_where_nothing_is_asked_for_or_no_unit_is_chosen(make_frame):
    values = np.zeros((1, 4, 4))
    assert make_view(make_frame(), values) is None
    assert make_view(make_frame(), values, None, show_field=True) is None
    state = first_state((Layer("conv", "c", 1, 1, 1),), Options())
    for wanted in ({"overlay": OVER_ACTIVE}, {"show_field": True}, {"show_top": True}):
        assert replace(state, in_units=True, **wanted).wants_fields
        assert not replace(state, **wanted).wants_fields


def test_what_is_not_drawn_is_said(make_frame):
    state = first_state((Layer("conv", "c", 1, 1, 1),), Options())
    request = NetRequest(make_frame(), "conv", None, True)
    known = NetResult(request, np.zeros((1, 4, 4)), None, None, None, (), None, FIELDS)
    unknown = replace(known, fields=Fields(8, 8))
    wanted = replace(state, show_field=True)
    in_units = replace(wanted, in_units=True)
    assert overlay.message(state, known) == ""
    assert "choose a unit" in overlay.message(wanted, known)
    assert overlay.message(in_units, known) == ""
    expected = "the receptive fields of conv are not known"
    assert overlay.message(in_units, unknown) == expected
    assert overlay.message(replace(in_units, show_field=False), unknown) == ""
    assert "choose a unit" in overlay.message(replace(state, histogram=True), known)


def settle(app):
    deadline = time.monotonic() + 10
    app.update()
    while not app.settled():
        assert time.monotonic() < deadline
        app.wait(0.05)
        app.update()


def test_the_app_asks_for_fields_only_while_they_are_drawn(net, make_frame):
    app = CaffeVisApp(DEFAULTS, lambda: 0.0, net)
    app.start()
    app.set_frame(make_frame())
    app.handle(BY_KEY["down"])
    settle(app)
    assert app.result.fields is None
    assert "input" not in [drawing.pane for drawing in app.drawings()]
    for key in ("r", "v", "x"):
        app.handle(BY_KEY[key])
        settle(app)
        assert "input" in [drawing.pane for drawing in app.drawings()]
    assert net.calls == [("forward",)]
    assert app.message() == "the receptive fields of conv are not known"
    canvas = np.zeros((60, 60, 3), np.uint8)
    for drawing in app.drawings():
        drawing.draw(canvas, drawing.inputs)
    app.handle(BY_KEY["esc"])
    settle(app)
    assert app.result.fields is None
    assert app.state.overlay == OVERLAY_OFF
    assert app.close()


def test_top_units_are_framed_and_their_places_marked_on_the_enlarged_unit(make_frame):
    values = np.zeros((9, 3, 3), np.float32)
    values[2, 1, 1], values[7, 0, 2] = 5, 4
    result = NetResult(NetRequest(make_frame(), "conv"), values, None, None, None, ())
    state = replace(
        first_state((Layer("conv", "c", 9, 3, 3),), Options()), in_units=True, unit=2, show_top=True
    )
    view = layers.view(state, result, LOOK)
    canvas = np.zeros((120, 120, 3), np.uint8)
    layers.draw(canvas, view)
    marked = is_colour(canvas, LOOK.mark)
    grid = layers.plan_grid((3, 3), 3, 3, (120, 120))
    for unit in range(9):
        top, left = grid.corner(unit)
        frame, corner = marked[top - 1, left + 9], marked[top + 1, left + 1]
        assert frame == (unit == 7)  # the cursor's frame covers unit 2's
        assert corner == (unit in (2, 7))
    side = aux_pane.view(state, view, Classes(), LOOK)
    canvas = np.zeros((90, 90, 3), np.uint8)
    aux_pane.draw(canvas, side)
    assert is_colour(canvas, LOOK.mark)[45, 45]
    assert is_colour(canvas, LOOK.mark)[:28].sum() == 0


@pytest.mark.parametrize("side", [120, 300, 600, 900])
def test_a_frame_grows_with_the_picture_and_has_an_inside_even_around_nothing(side):
    canvas = np.full((side, side, 3), 90, np.uint8)
    draw_box(canvas, (side // 2, side // 2, side // 2, side // 2), (0, 255, 0))
    assert (canvas[side // 2, side // 2] == 90).all()
    line = (canvas[side // 2] == (0, 255, 0)).all(axis=1).sum()
    assert line == 2 * max(2, side // 150)
