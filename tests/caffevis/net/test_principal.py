"""Principal components and likeness against NumPy, steady colours, and what the window shows."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from caffevis.app import CaffeVisApp
from caffevis.keys.state import COMPONENTS, SIMILARITY, WHOLE_OFF, Layer, Options, first_state
from caffevis.net.principal import Principal, principal, similarity
from caffevis.net.receptive_fields import Fields
from caffevis.net.request import NetRequest, NetResult
from caffevis.panes import overlay, whole
from caffevis.panes.parts.look import look_from
from settings import TABLE
from toolbox.settings import config
from toolbox.window.pointer import CLICK, RIGHT_CLICK, Pointer

DEFAULTS = config.load(TABLE, None).replaced(
    pane_headings=False, caffevis_start=None, caffevis_data_mean=None, caffevis_labels=None,
    caffevis_label_layers=None,
)  # fmt: skip
BY_KEY = {key: row for row in CaffeVisApp.bindings for key in row.keys}


def some_maps(units, side, seed=0):
    random = np.random.default_rng(seed)
    latent = random.normal(0, 1, (5, side * side)) * np.array([9, 5, 3, 0.5, 0.1])[:, None]
    mixed = random.normal(0, 1, (units, 5)) @ latent + random.normal(0, 0.01, (units, side**2))
    return (mixed + 7).reshape(units, side, side).astype(np.float32)


@pytest.mark.parametrize(("units", "side"), [(12, 9), (40, 4), (2, 5)])
def test_components_are_those_of_the_singular_values(units, side):
    maps = some_maps(units, side)
    basis, along = principal(maps)
    points = maps.reshape(units, -1).T.astype(float)
    points -= points.mean(0)
    _, values, rows = np.linalg.svd(points, full_matrices=False)
    for number in range(min(3, units)):
        sign = np.sign(basis[number] @ rows[number])
        np.testing.assert_allclose(basis[number] * sign, rows[number], atol=1e-5)
        np.testing.assert_allclose(along[:, number].std() * side, values[number], rtol=1e-5)
    assert not basis[units:].any()


def test_maps_of_one_value_have_none_and_flat_ones_are_grey():
    assert principal(np.ones((4, 1, 1), np.float32)) is None
    colours = Principal()("x", np.ones((4, 3, 3), np.float32))
    assert (colours == 0.5).all()
    broken = some_maps(4, 3)
    broken[0, 0, 0] = np.nan
    assert np.isfinite(Principal()("x", broken)).all()


def test_colours_stay_from_frame_to_frame():
    steady, maps = Principal(), some_maps(12, 8)
    first = steady("conv", maps)
    assert 0 <= first.min() < 0.2 and 0.8 < first.max() <= 1
    for other in (maps + np.float32(3), maps * np.float32(1.5)):
        np.testing.assert_allclose(steady("conv", other), first, atol=1e-3)
    turned = steady("conv", np.ascontiguousarray(np.flip(maps, 1)))
    np.testing.assert_allclose(turned, np.flip(first, 0), atol=1e-3)


def test_swapped_and_turned_components_keep_their_colours():
    """Two directions whose spreads change places, and a third that turns round."""
    random = np.random.default_rng(3)
    frame = np.linalg.qr(random.normal(0, 1, (6, 6)))[0]
    points = random.normal(0, 1, (3, 49))
    points -= points.mean(1, keepdims=True)
    points = np.linalg.qr(points.T)[0].T  # uncorrelated

    def maps(scales):
        mixed = frame[:, :3] @ (points * np.array(scales)[:, None])
        return mixed.reshape(6, 7, 7).astype(np.float32)

    steady = Principal()
    first = steady("conv", maps([9, 6, 3]))
    again = steady("conv", maps([6, 9, 3]))
    np.testing.assert_allclose(again, first, atol=1e-4)
    assert not np.allclose(Principal()("conv", maps([6, 9, 3])), first, atol=0.1)


def test_likeness_is_the_cosine():
    maps = some_maps(6, 5) - 7
    maps[:, 2, 2] = 0
    found = similarity(maps, 1, 3)
    for row in range(5):
        for column in range(5):
            one, other = maps[:, 1, 3].astype(float), maps[:, row, column].astype(float)
            lengths = np.linalg.norm(one) * np.linalg.norm(other)
            expected = one @ other / lengths if lengths else 0
            assert found[row, column] == pytest.approx(expected, abs=1e-5)
    assert found[1, 3] == 1 and not similarity(maps, 2, 2).any()


# ---------------------------------------------------------------- in the window

FIELDS = Fields(8, 8, rows=tuple((2 * i, 2 * i + 1) for i in range(4)),
                columns=tuple((2 * i, 2 * i + 1) for i in range(4)))  # fmt: skip


def test_a_click_is_a_place_of_the_picture(make_frame):
    frame = make_frame(1, side=10)

    def at(row, column, kind=CLICK):
        return whole.place_at(Pointer(kind, "input", row, column, (20, 40)), frame)

    assert at(0, 0) == (0.025, 0.025) and at(19, 19) == (0.975, 0.975)
    assert at(5, 30) is None and at(0, 0, RIGHT_CLICK) is None
    assert whole.cell(FIELDS, (4, 4), 0.3, 7.9) == (1, 3)
    assert whole.cell(FIELDS, (4, 4), 0.0, 0.0) == (0, 0)


def test_the_place_that_was_clicked_on_is_the_warmest(make_frame):
    frame = make_frame(2, value=0)
    maps = np.zeros((3, 4, 4), np.float32)
    maps[0], maps[1, 3, 1], maps[0, 3, 1] = 1, 1, 0
    request = NetRequest(frame, "conv", None, True)
    result = NetResult(request, maps, None, None, None, (), None, FIELDS)
    look = look_from(DEFAULTS)
    state = replace(first_state((Layer("conv", "c", 3, 1, 3),), Options()), whole=SIMILARITY,
                    place=(0.9, 0.4), colour_map="plasma")  # fmt: skip
    assert whole.message(replace(state, place=None), result) == "click on a place of the input"
    assert whole.message(state, result) == ""
    drawing = whole.drawing(state, result, look)
    canvas = np.zeros((80, 80, 3), np.uint8)
    drawing.draw(canvas, drawing.inputs)
    light = canvas.astype(int).sum(2)
    assert light[66:70, 26:30].mean() > 2.5 * light[:30, 50:].mean()
    vector = replace(result, activations=np.zeros((3, 1, 1), np.float32))
    assert "has no places" in whole.message(state, vector)
    assert whole.drawing(replace(state, whole=WHOLE_OFF), result, look) is None


def settle(app):
    deadline = time.monotonic() + 10
    app.update()
    while not app.settled():
        assert time.monotonic() < deadline
        app.wait(0.05)
        app.update()


def test_key_and_click_in_the_app(net, make_frame):
    app = CaffeVisApp(DEFAULTS, lambda: 0.0, net)
    app.start()
    app.set_frame(make_frame(5))
    settle(app)
    assert app.result.components is None
    app.handle(BY_KEY["f6"])
    settle(app)
    assert app.state.whole == COMPONENTS and app.result.components.shape == (4, 4, 3)
    assert overlay.PANE in [drawing.pane for drawing in app.drawings()]
    assert overlay.PANE in app.pointed_panes
    app.point(Pointer(CLICK, overlay.PANE, 10, 30, (80, 80)))
    settle(app)
    assert app.state.whole == SIMILARITY and app.state.place == (10.5 / 80, 30.5 / 80)
    assert net.calls == [("forward",)]
    app.handle(BY_KEY["f6"])
    settle(app)
    assert app.state.whole == WHOLE_OFF
    assert overlay.PANE not in [drawing.pane for drawing in app.drawings()]
    assert app.close()
