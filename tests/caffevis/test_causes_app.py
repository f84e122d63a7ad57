"""Causes in the app: requests, where the cursor is led, the mouse, what the panes are handed."""

from __future__ import annotations

import time

import numpy as np
import pytest

import torchcaffe as caffe
from caffevis.app import CaffeVisApp
from caffevis.causes.asked import Ranking
from caffevis.causes_app import class_layer
from caffevis.keys import causes as ca
from caffevis.keys.state import Layer, Options, first_state
from caffevis.model.classes import Classes
from settings import TABLE
from tests.caffevis.causes.conftest import TEXT, make_frame
from toolbox.settings import config
from toolbox.window.pointer import CLICK, DRAG, MOVE, RIGHT_CLICK, Pointer

BY_KEY = {key: row for row in CaffeVisApp.bindings for key in row.keys}
SETTINGS = config.load(TABLE, None).replaced(
    caffevis_start=None,
    caffevis_data_mean=(104, 117, 123),
    caffevis_labels=None,
    caffevis_label_layers=("fc", "prob"),
)


@pytest.fixture
def app(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(TEXT, encoding="utf-8")
    caffe.set_random_seed(1)
    app = CaffeVisApp(SETTINGS, lambda: 0.0, caffe.Net(str(path), caffe.TEST))
    app.start()
    app.set_frame(make_frame(1))
    settle(app)
    yield app
    assert app.close()


def settle(app: CaffeVisApp) -> None:
    deadline = time.monotonic() + 20
    app.update()
    while not app.settled():
        assert time.monotonic() < deadline
        app.wait(0.05)
        app.update()


def press(app: CaffeVisApp, keys: str) -> None:
    for key in keys.split():
        app.handle(BY_KEY[key])
        settle(app)


def panes(app: CaffeVisApp) -> dict[str, object]:
    """Draw all panes; later drawings of a pane take its place."""
    drawn = {}
    for drawing in app.drawings():
        canvas = np.zeros((300, 300, 3), np.uint8)
        drawing.draw(canvas, drawing.inputs)
        drawn[drawing.pane] = canvas
    return drawn


def go_to(app: CaffeVisApp, layer: str) -> None:
    names = [known.name for known in app.state.layers]
    press(app, "o " * names.index(layer))


def test_without_any_of_it_a_request_asks_for_nothing_more(app):
    request = app.result.request
    assert request.trial is None and request.question is None
    assert app.result.effect is None and app.result.answer is None


def test_a_lesion_is_computed_marked_listed_and_undone(app):
    go_to(app, "both")
    press(app, "4")
    unit, before = app.state.unit, app.result.probs
    plain = panes(app)
    press(app, "space")
    assert not app.result.activations[unit].any()
    assert f"Lesions: both:{unit} off" in app.status()
    assert f"both:{unit} 0.00 (was {app.result.effect.activations[unit].max():.2f})" in app.status()
    changed = panes(app)
    for pane in ("caffevis_layers", "caffevis_aux", "caffevis_back"):
        assert not np.array_equal(changed[pane], plain[pane]), pane
    press(app, "space")
    assert f"both:{unit} at its mean" in app.status()
    press(app, "space")
    assert f"both:{unit} x 2" in app.status()
    press(app, "backspace")
    np.testing.assert_array_equal(app.result.probs, before)
    again = panes(app)
    assert all(np.array_equal(again[pane], plain[pane]) for pane in plain)


def test_the_cursor_jumps_along_the_ranking(app):
    go_to(app, "both")
    press(app, "f2")
    assert isinstance(app.result.answer, Ranking)
    order = [row.unit for row in app.result.answer.rows]
    seen = []
    for _ in order:
        press(app, "=")
        seen.append(app.state.unit)
    assert seen == order
    press(app, "f2")
    assert app.result.answer is None


def test_jumps_pressed_before_the_ranking_is_there_all_count(app):
    go_to(app, "both")
    for _ in range(3):
        app.handle(BY_KEY["="])
    settle(app)
    assert app.state.unit == app.result.answer.rows[2].unit


def test_following_goes_down_to_the_picture_and_stays_there(app):
    go_to(app, "fc")
    press(app, "4 f4")
    way = []
    for _ in range(5):
        press(app, "enter")
        way.append((app.state.layer.name, app.state.unit))
        answer = app.result.answer
        assert (answer.at.layer, answer.at.unit) == way[-1]
    assert way[0][0] in ("a", "b")
    assert [layer for layer, _ in way[1:]] == ["conv1"] * 4
    place = app.state.causes.place
    assert answer.at == place and answer.down_way == "data is the input"
    press(app, "right")
    assert app.result.answer.at.unit == app.state.unit != place.unit, "another unit's strongest"


def test_who_matters_for_a_frozen_unit(app):
    go_to(app, "fc")
    press(app, "down right right d u f2")
    assert app.result.answer.target == app.state.frozen
    assert app.result.answer.question.layer == app.state.layer.name


def point(app: CaffeVisApp, kind: str, row: int, column: int) -> None:
    app.point(Pointer(kind, "input", row, column, (300, 300)))
    settle(app)


def to_kind(app: CaffeVisApp, kind: str) -> None:
    while app.state.causes.disturbance is None or app.state.causes.disturbance.kind != kind:
        app.handle(BY_KEY["'"])
    settle(app)


def test_the_occluder_follows_the_mouse_over_the_picture(app):
    to_kind(app, ca.OCCLUDER)
    first = app.result.probs
    point(app, MOVE, 75, 225)
    assert app.state.causes.disturbance.at == pytest.approx((0.25, 0.75), abs=0.003)
    assert not np.array_equal(app.result.probs, first)
    before = app.state
    app.point(Pointer(MOVE, "input", 10, 250, (300, 200)))  # beside the picture of 200 x 200
    assert app.state is before


def test_digits_are_drawn_with_the_mouse_and_wiped(app):
    to_kind(app, ca.DRAW)
    assert "paint with the left button" in app.message()
    blank = app.result.probs
    assert not app.shown_frame().image.any()
    point(app, CLICK, 60, 60)
    point(app, DRAG, 60, 200)
    point(app, DRAG, 240, 200)
    point(app, CLICK, 240, 60)
    strokes = app.state.causes.disturbance.strokes
    assert [len(stroke) for stroke in strokes] == [3, 1]
    assert app.shown_frame().image.any() and "paint" not in app.message()
    assert not np.array_equal(app.result.probs, blank)
    point(app, MOVE, 100, 100)
    assert app.state.causes.disturbance.strokes == strokes, "moving alone paints nothing"
    point(app, RIGHT_CLICK, 100, 100)
    np.testing.assert_array_equal(app.result.probs, blank)


def test_the_mouse_over_the_input_does_nothing_without_occluder_and_brush(app):
    before = app.state
    for kind in (MOVE, DRAG, CLICK, RIGHT_CLICK):
        point(app, kind, 50, 50)
    to_kind(app, ca.NOISE)
    noisy = app.state
    point(app, DRAG, 50, 50)
    assert app.state == noisy and before.causes.disturbance is None


def test_the_occlusion_map_is_made_to_its_end_and_follows_the_picture(app):
    press(app, "insert")
    assert "occlusion map of class" in app.message() or "occlusion map of prob" in app.message()
    assert "%" not in app.message()
    first = panes(app)["input"]
    app.set_frame(make_frame(2))
    settle(app)
    second = panes(app)["input"]
    assert not np.array_equal(first, second)
    go_to(app, "a")
    press(app, "down")
    assert "occlusion map of a:0" in app.message()
    press(app, "insert")
    assert app.message() == "" and "input" not in panes(app)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_net_without_numbers_is_drawn_and_settles(tmp_path, broken):
    path = tmp_path / "net.prototxt"
    path.write_text(TEXT, encoding="utf-8")
    net = caffe.Net(str(path), caffe.TEST)
    net.params["a"][0].data[0] = broken
    app = CaffeVisApp(SETTINGS, lambda: 0.0, net)
    app.start()
    app.set_frame(make_frame(1))
    with pytest.warns(UserWarning, match="numbers"):
        for keys in ("o o o o down space", "f2 =", "f4 enter", "' ' ' ' ' ' '", "insert"):
            press(app, keys)
            assert panes(app)
            first, second = app.drawings(), app.drawings()
            assert [d.inputs for d in first] == [d.inputs for d in second]
    assert app.close()


def test_the_layer_of_classes_has_one_value_a_class():
    layers = (
        Layer("conv_final", "", 5, 1, 5, size=(13, 13)),
        Layer("pool_final", "", 5, 1, 5, size=(1, 1)),
        Layer("prob", "", 5, 1, 5),
    )
    state = first_state(layers, Options())
    classes = Classes("prob", ("conv_final", "pool_final", "prob"))
    assert class_layer(classes, state) == "pool_final"
    assert class_layer(Classes("prob"), state) == "prob"
    assert class_layer(Classes(), state) == ""


def test_a_hint_where_a_unit_is_needed(app):
    press(app, "space")
    assert app.message() == "choose a unit: down"
    press(app, "down")
    assert app.message() == ""


def test_a_click_on_a_class_before_and_after_goes_to_its_unit(app):
    go_to(app, "both")
    press(app, "4 space up up up up")
    assert not app.state.in_units
    pairs = next(d.inputs.inner.pairs for d in app.drawings() if d.pane == "caffevis_aux")
    step = (300 - 6) // max(len(pairs), 5)
    app.point(Pointer(CLICK, "caffevis_aux", step + step // 2, 20, (300, 300)))
    assert (app.state.layer.name, app.state.unit) == ("fc", pairs[1].number)
