"""What each pane draws, checked pixel by pixel where that is possible."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from caffevis.keys.state import Layer, Options, Origin, first_state
from caffevis.model.classes import Classes
from caffevis.net.network import Back, NetRequest, NetResult
from caffevis.panes import aux_pane, back, control, layers, status
from caffevis.panes.parts.look import look_from
from settings import TABLE
from toolbox.pictures.images import grid_shape
from toolbox.settings import config

LOOK = look_from(config.load(TABLE, None))
BACKGROUND = (51, 51, 51)
CURSOR = (128, 255, 128)
FROZEN = (51, 51, 255)


def canvas(height: int = 120, width: int = 120) -> np.ndarray:
    return np.full((height, width, 3), 7, np.uint8)


def make_state(units: int, **values):
    layer = Layer("conv", "conv", units, *grid_shape(units))
    return replace(first_state((layer,), Options((0, 1), (1, 0.5))), **values)


def make_result(make_frame, activations, diffs=None, probs=None, back_image=None):
    request = NetRequest(make_frame(), "conv", Back("grad", Origin("conv", 0)))
    return NetResult(
        request,
        np.asarray(activations, np.float32),
        None if probs is None else np.asarray(probs, np.float32),
        None if diffs is None else np.asarray(diffs, np.float32),
        None if back_image is None else np.asarray(back_image, np.float32),
        (),
    )


@pytest.mark.parametrize("shape", [(5, 3, 3), (5, 2, 4), (5, 30, 30), (5, 200, 200), (5,), (5, 7)])
def test_units_lie_row_by_row_at_the_grids_corners(make_frame, shape):
    values = np.zeros(shape, np.float32)
    values[3] = 1
    state = make_state(5)
    view = layers.view(state, make_result(make_frame, values), LOOK)
    picture = canvas()
    layers.draw(picture, view)
    grid = layers.plan_grid(layers.as_maps(values).shape[1:], 2, 3, (120, 120))
    for unit in range(5):
        top, left = grid.corner(unit)
        tile = picture[top : top + grid.height, left : left + grid.width]
        assert tile.shape[:2] == (grid.height, grid.width)
        assert np.all(tile == (255 if unit == 3 else 0))
        assert np.all(picture[top - 1, left : left + grid.width] == BACKGROUND)
    top, left = grid.corner(5)
    assert np.all(picture[top:, left:] == BACKGROUND)


def test_a_layer_is_scaled_together_from_minimum_to_maximum(make_frame):
    values = np.array([[[-1.0]], [[0.0]], [[1.0]], [[3.0]]])
    picture = canvas(43, 43)
    layers.draw(picture, layers.view(make_state(4), make_result(make_frame, values), LOOK))
    levels = [picture[r, c].tolist() for r in (10, 30) for c in (10, 30)]
    assert levels == [[0] * 3, [64] * 3, [128] * 3, [255] * 3]


def test_boosts_follow_their_formulas(make_frame):
    values = np.array([[[0.0, 0.25]], [[1.0, 0.5]]])
    result = make_result(make_frame, values)
    gamma = layers.view(make_state(2, gamma_index=1), result, LOOK)
    assert layers.unit_picture(gamma)[0, :, 0].tolist() == [0, 128]
    indiv = layers.view(make_state(2, indiv_index=1), result, LOOK)
    assert layers.unit_picture(indiv)[0, :, 0].tolist() == [0, 255]
    assert layers.unit_picture(replace(indiv, unit=1))[0, :, 0].tolist() == [255, 128]


def test_diffs_are_red_below_and_green_above_zero(make_frame):
    diffs = np.array([[[-2.0]], [[1.0]], [[0.0]], [[2.0]]])
    state = make_state(4, show_back=True, back_on=True)
    picture = canvas(43, 43)
    layers.draw(picture, layers.view(state, make_result(make_frame, diffs, diffs), LOOK))
    colours = [picture[r, c].tolist() for r in (10, 30) for c in (10, 30)]
    assert colours == [[255, 0, 0], [0, 128, 0], [0, 0, 0], [0, 255, 0]]
    assert picture[0, 10].tolist() == [51, 51, 128]


def test_missing_diffs_leave_the_pane_empty(make_frame):
    state = make_state(4, show_back=True, back_on=True)
    picture = canvas()
    layers.draw(picture, layers.view(state, make_result(make_frame, np.ones((4, 2, 2))), LOOK))
    assert np.all(picture == BACKGROUND)


def test_selected_and_frozen_units_are_framed_outside_their_tiles(make_frame):
    state = make_state(4, in_units=True, unit=3, frozen=Origin("conv", 0))
    view = layers.view(state, make_result(make_frame, np.ones((4, 2, 2))), LOOK)
    picture = canvas()
    layers.draw(picture, view)
    grid = layers.plan_grid((2, 2), 2, 2, (120, 120))
    for unit, colour in ((3, CURSOR), (0, FROZEN)):
        top, left = grid.corner(unit)
        assert picture[top - 1, left + 5].tolist() == list(colour)
        assert picture[top + 5, left - 1].tolist() == list(colour)
        assert picture[top + grid.height, left + 5].tolist() == list(colour)
        assert np.all(picture[top : top + grid.height, left : left + grid.width] == 0)
    top, left = grid.corner(1)
    assert picture[top - 1, left + grid.width // 2].tolist() == list(BACKGROUND)


def test_broken_values_are_drawn_as_zero(make_frame):
    values = np.array([[[np.nan]], [[np.inf]], [[0.0]], [[1.0]]])
    picture = canvas(43, 43)
    layers.draw(picture, layers.view(make_state(4), make_result(make_frame, values), LOOK))
    assert [picture[r, c, 0] for r in (10, 30) for c in (10, 30)] == [0, 0, 0, 255]


def test_zoom_shows_the_selected_unit_with_hard_edges(make_frame):
    values = np.zeros((4, 2, 2))
    values[2] = [[0, 1], [2, 3]]
    state = make_state(4, zoom=1, unit=2)
    picture = canvas(40, 60)
    layers.draw(picture, layers.view(state, make_result(make_frame, values), LOOK))
    assert [picture[r, c, 0] for r in (19, 20) for c in (19, 20)] == [0, 85, 170, 255]
    assert np.all(picture[:, 40:] == BACKGROUND)


def test_zoom_shows_the_back_result(make_frame):
    image = np.zeros((2, 2, 3))
    image[0, 0] = (1, -1, 0)
    state = make_state(4, zoom=2, back_on=True, in_units=True)
    result = make_result(make_frame, np.ones((4, 2, 2)), np.ones((4, 2, 2)), None, image)
    picture = canvas(2, 2)
    layers.draw(picture, layers.view(state, result, LOOK))
    assert picture[0, 0].tolist() == [255, 0, 128]
    assert picture[1, 1].tolist() == [128, 128, 128]


def test_aux_lists_the_five_largest_brighter_with_probability(make_frame):
    probs = [0.05, 0.6, 0.2, 0.1, 0.03, 0.02]
    labels = ("a", "b", "c", "d", "e")
    state = make_state(4)
    result = make_result(make_frame, np.ones((4, 2, 2)), probs=probs)
    view = aux_pane.view(state, layers.view(state, result, LOOK), Classes(labels=labels), LOOK)
    assert [line.text for line in view.lines] == [
        "0.60 b", "0.20 c", "0.10 d", "0.05 a", "0.03 e"
    ]  # fmt: skip
    assert [line.number for line in view.lines] == [1, 2, 3, 0, 4]
    picture = canvas(300, 300)
    aux_pane.draw(picture, view)
    step = LOOK.class_style.height() + LOOK.class_spacing
    rows = [picture[20 + i * step - 12 : 20 + i * step + 4] for i in range(5)]
    greens = [int(row[:, :, 1].max()) for row in rows]
    assert greens == sorted(greens, reverse=True)
    assert greens[0] > greens[4]


def test_aux_hides_probabilities_and_names_classes_without_labels(make_frame):
    state = make_state(4, show_labels=False)
    result = make_result(make_frame, np.ones((4, 2, 2)), probs=[0.3, 0.7])
    units = layers.view(state, result, LOOK)
    assert aux_pane.view(state, units, Classes(labels=("a",)), LOOK).lines == ()
    shown = aux_pane.view(replace(state, show_labels=True), units, Classes(labels=("a",)), LOOK)
    assert shown.lines[0].text == "0.70 class 1"


def test_aux_shows_the_unit_under_the_cursor_with_its_label(make_frame):
    values = np.zeros((4, 1, 1))
    values[1] = 1
    state = make_state(4, in_units=True, unit=1)
    units = layers.view(state, make_result(make_frame, values), LOOK)
    view = aux_pane.view(state, units, Classes("conv", ("conv",), ("a", "tench")), LOOK)
    assert view.label == "tench"
    plain = aux_pane.view(state, units, Classes(labels=("a", "tench")), LOOK)
    picture, labelled = canvas(100, 100), canvas(100, 100)
    aux_pane.draw(picture, plain)
    aux_pane.draw(labelled, view)
    assert np.all(picture == 255)
    assert labelled[:40].min() < 100
    assert np.all(labelled[60:] == 255)


DIFF = np.array([[[3.0, 0, -4], [0, 0, 0]], [[-1, -1, -1], [2, 2, 2]]], np.float32)


def test_back_filters_follow_their_formulas():
    raw = back.filtered(DIFF, "raw", 1)
    assert raw[0, 0].tolist() == [223, 128, 0]
    assert raw[0, 1].tolist() == [128] * 3
    gray = back.filtered(DIFF, "gray", 1)
    assert gray[1, 1].tolist() == [255] * 3
    assert gray[1, 0].tolist() == [64] * 3
    norm = back.filtered(DIFF, "norm", 1)
    assert norm[0, 0].tolist() == [255] * 3
    assert norm[0, 1].tolist() == [0] * 3
    assert norm[1, 1, 0] == round(255 * 12**0.5 / 5)


def test_blurred_norm_spreads_a_single_point():
    point = np.zeros((21, 21, 3), np.float32)
    point[10, 10] = 1
    sharp, blurred = back.filtered(point, "norm", 2), back.filtered(point, "normblur", 2)
    assert (sharp > 0).sum() == 3
    assert blurred[10, 10, 0] == 255
    assert 0 < blurred[10, 12, 0] < 255


@pytest.mark.parametrize("how", ["raw", "gray", "norm", "normblur"])
def test_back_of_nothing_is_flat(how):
    assert len(np.unique(back.filtered(np.zeros((4, 4, 3), np.float32), how, 1))) == 1


def test_back_pane_says_why_it_is_empty(make_frame):
    on = make_state(4, back_on=True)
    without = replace(make_result(make_frame, np.ones((4, 2, 2))), back_image=None)
    pictures = {}
    for name, state in {
        "off": make_state(4), "no unit": on, "computing": replace(on, in_units=True),
    }.items():  # fmt: skip
        pictures[name] = canvas(100, 300)
        back.draw(pictures[name], back.view(state, without, LOOK))
    assert np.all(pictures["off"] == BACKGROUND)
    assert np.any(pictures["no unit"] != BACKGROUND)
    assert np.all(pictures["computing"] == np.array((76, 76, 51)))


def test_control_marks_the_current_layer_and_fits_many():
    names = [f"inception_{i}/conv_{j}" for i in range(9) for j in range(7)]
    many = tuple(Layer(name, name, 4, 2, 2) for name in names)
    state = first_state(many, Options())
    picture = canvas(60, 900)
    control.draw(picture, control.view(state, LOOK))
    assert np.all(picture[0] == BACKGROUND)
    greenish = (picture[:, :, 1] > 200) & (picture[:, :, 0] < 160)
    assert greenish[:, :200].any()
    assert not greenish[:, 300:].any()
    # The last line is inside the pane, not cut off.
    assert np.all(picture[-1] == BACKGROUND)


def test_control_does_not_move_when_the_cursor_does():
    three = tuple(Layer(name, name, 4, 2, 2) for name in ("conv1", "conv2", "conv3"))
    first, last = (replace(first_state(three, Options()), layer_index=index) for index in (0, 2))
    pictures = [canvas(30, 300), canvas(30, 300)]
    for picture, state in zip(pictures, (first, last), strict=True):
        control.draw(picture, control.view(state, LOOK))
    assert np.array_equal(pictures[0][:, 80:130], pictures[1][:, 80:130])


def test_status_reads_as_users_know_it(make_frame):
    values = np.zeros((30, 2, 2))
    values[26, 1, 0] = -1.234
    layer = Layer("conv", "c", 30, 5, 6)
    state = replace(first_state((layer,), Options((0,), (1,))), unit=26, in_units=True)
    result = make_result(make_frame, values, values)
    assert status.text(state, result) == "fwd conv:26 -1.23 | Back: off | Boost: 0/1"
    deconv = replace(state, back_on=True, back_mode="deconv")
    expected = "fwd conv:26 -1.23 | Back: deconv (from conv_26, disp raw) | Boost: 0/1"
    assert status.text(deconv, result) == expected
    guided = replace(deconv, back_mode="guided")
    assert status.text(guided, result) == expected.replace("deconv", "guided")
    grad = replace(deconv, back_mode="grad", show_back=True, frozen=Origin("conv", 3))
    expected = "back conv:26 -1.23 | Back: bprop (from conv_3, frozen, disp raw) | Boost: 0/1"
    assert status.text(grad, result) == expected
    elsewhere = replace(state, layers=(replace(layer, name="fc"),))
    assert status.text(elsewhere, result) == "fwd fc:26 | Back: off | Boost: 0/1"
