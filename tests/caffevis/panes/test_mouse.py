"""The mouse: what is drawn somewhere is what a click there selects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from caffevis.app import CaffeVisApp
from caffevis.from_settings import model_name
from caffevis.keys.state import ZOOM_ALL, ZOOM_BACK, ZOOM_UNIT, Layer, Options, Origin, first_state
from caffevis.panes import control, layers, mouse
from caffevis.panes.parts.look import look_from
from settings import TABLE
from tests.pictures import write_sheet
from toolbox.drawing.tiles import plan_grid
from toolbox.pictures.images import grid_shape
from toolbox.settings import config
from toolbox.window.pointer import CLICK, RIGHT_CLICK, WHEEL_DOWN, WHEEL_UP, Pointer

SETTINGS = config.load(TABLE, None).replaced(pane_headings=False, caffevis_start=None)
LOOK = look_from(SETTINGS)
NAMES = ("conv1", "pool1", "n", "inception_3a/output", "fc6", "fc7", "prob")


def make_state(names=NAMES, units: int = 12, **values):
    found = tuple(Layer(name, name, units, *grid_shape(units)) for name in names)
    return replace(first_state(found, Options()), **values)


def at(pane: str, row: int, column: int, room=(100, 100), kind: str = CLICK) -> Pointer:
    return Pointer(kind, pane, row, column, room)


@pytest.mark.parametrize("room", [(40, 900), (70, 260), (300, 150), (24, 200), (600, 1400)])
@pytest.mark.parametrize("names", [NAMES, ("only",), tuple(f"layer{n}" for n in range(60))])
@pytest.mark.parametrize("values", [{}, {"in_units": True}, {"frozen": Origin("only", 0)}])
def test_the_middle_of_each_label_selects_its_layer(names, room, values):
    if "frozen" in values and names != ("only",):
        values = {"layer_index": len(names) // 2}
    state = make_state(names, **values)
    placed = control.place(control.view(state, LOOK), room)
    shown = [label.word.layer for label in placed if label.word.layer is not None]
    assert state.layer_index in shown  # a list that is too long is scrolled to it
    assert shown == list(range(shown[0], shown[0] + len(shown)))
    for label in (label for label in placed if label.word.layer is not None):
        style = label.word.style
        row = label.y + style.depth() - style.height() // 2
        pointer = at(control.PANE, row, label.x + label.word.room // 2, room)
        after = mouse.point(state, pointer, LOOK, None)
        assert label.word.text == names[label.word.layer]
        assert (after.layer_index, after.in_units) == (label.word.layer, False)


def test_each_labels_ink_belongs_to_its_layer():
    state, room = make_state(), (60, 420)
    view = control.view(state, LOOK)
    empty, full = np.zeros((2, *room, 3), np.uint8)
    control.draw(full, view)
    control.draw(empty, replace(view, listed=()))
    selected = {
        control.layer_at(view, room, int(row), int(column))
        for row, column in np.argwhere((full != empty).any(axis=2))
    }
    assert selected - {None} == set(range(len(NAMES)))
    ink = [
        control.layer_at(view, room, int(row), int(column)) is not None
        for row, column in np.argwhere((full != empty).any(axis=2))
    ]
    assert np.mean(ink) > 0.95  # a stroke's soft edge may stick out


def test_between_labels_nothing_is_selected():
    state, room = make_state(layer_index=3, in_units=True), (100, 420)
    first, second = control.place(control.view(state, LOOK), room)[:2]
    gap = (first.x + first.word.room + second.x) // 2
    for row, column in ((first.y, gap), (0, 0), (99, 419), (first.y, first.x - 1)):
        assert mouse.point(state, at(control.PANE, row, column, room), LOOK, None) is state


@pytest.mark.parametrize("room", [(570, 800), (120, 120), (300, 90), (41, 57)])
@pytest.mark.parametrize("shape", [(1, 1), (13, 13), (3, 9), (55, 55), (1, 7), (200, 100)])
@pytest.mark.parametrize("units", [1, 2, 5, 96, 256])
def test_every_pixel_of_a_tile_is_its_units_and_padding_is_nobodys(units, shape, room):
    rows, columns = grid_shape(units)
    grid = plan_grid(shape, rows, columns, room)
    size = (
        max(room[0], grid.corner(rows * columns)[0]),
        max(room[1], (columns + 1) * (grid.width + grid.padding)),
    )
    owner = np.full(size, -1)
    for place in range(rows * columns):
        top, left = grid.corner(place)
        owner[top : top + grid.height, left : left + grid.width] = place
    sample = np.random.default_rng(units).integers(0, size, (300, 2))
    middles = [np.add(grid.corner(n), (grid.height // 2, grid.width // 2)) for n in range(units)]
    for row, column in [*sample.tolist(), *np.array(middles).tolist()]:
        expected = owner[row, column]
        assert grid.place(row, column) == (None if expected < 0 else expected)
    assert all(grid.place(*middle) == unit for unit, middle in enumerate(middles))


def test_a_click_on_a_tile_puts_the_cursor_there():
    state = make_state(units=5)
    grid = plan_grid((4, 4), state.layer.rows, state.layer.columns, (100, 100))
    for unit in range(5):
        top, left = grid.corner(unit)
        after = mouse.point(state, at(layers.PANE, top + 2, left + 2), LOOK, grid)
        assert (after.unit, after.in_units) == (unit, True)
    top, left = grid.corner(5)  # a place of the grid without a unit
    for row, column in ((top, left), (0, 0), (99, 50)):
        assert mouse.point(state, at(layers.PANE, row, column), LOOK, grid) is state
    assert mouse.point(state, at(layers.PANE, *grid.corner(1)), LOOK, None) is state


def test_a_click_into_another_pane_does_nothing():
    state = make_state()
    grid = plan_grid((4, 4), 3, 4, (100, 100))
    for kind in (CLICK, RIGHT_CLICK, WHEEL_UP, WHEEL_DOWN):
        assert mouse.point(state, at("caffevis_aux", 30, 30, kind=kind), LOOK, grid) is state
    assert mouse.point(state, at(control.PANE, 15, 20, kind=RIGHT_CLICK), LOOK, grid) is state


def test_the_wheel_over_the_list_goes_along_it():
    state = make_state(layer_index=2, in_units=True)
    for kind, index in ((WHEEL_UP, 1), (WHEEL_DOWN, 3)):
        after = mouse.point(state, at(control.PANE, 15, 20, kind=kind), LOOK, None)
        assert (after.layer_index, after.in_units) == (index, True)


def zooms(kinds: list[str], **values) -> list[int]:
    state, seen = make_state(**values), []
    for kind in kinds:
        state = mouse.point(state, at(layers.PANE, 1, 1, kind=kind), LOOK, None)
        seen.append(state.zoom)
    return seen


def test_the_wheel_zooms_without_wrapping_and_the_right_button_goes_round():
    up, down = [WHEEL_UP] * 3, [WHEEL_DOWN] * 3
    assert zooms(up + down) == [1, 1, 1, 0, 0, 0]
    assert zooms(up + down, back_on=True) == [1, 2, 2, 1, 0, 0]
    assert zooms([RIGHT_CLICK] * 4) == [ZOOM_UNIT, ZOOM_ALL] * 2
    assert zooms([RIGHT_CLICK] * 3, back_on=True) == [ZOOM_UNIT, ZOOM_BACK, ZOOM_ALL]


@pytest.fixture
def make_app(net, make_frame):
    apps = []

    def make(settings=SETTINGS) -> CaffeVisApp:
        app = CaffeVisApp(settings, net=net)
        apps.append(app)
        app.start()
        app.set_frame(make_frame())
        settle(app)
        return app

    yield make
    assert all(app.close() for app in apps)


def settle(app: CaffeVisApp) -> None:
    app.update()
    while not app.settled():
        app.wait(0.01)
        app.update()


def click_middles(app: CaffeVisApp, shape, room=(300, 400)) -> list[tuple[int, bool]]:
    """Click on the middle of each tile of the app's layer."""
    layer, seen = app.state.layer, []
    grid = plan_grid(shape, layer.rows, layer.columns, room)
    for unit in range(layer.units):
        top, left = grid.corner(unit)
        pointer = at(layers.PANE, top + grid.height // 2, left + grid.width // 2, room)
        app.point(pointer)
        seen.append((app.state.unit, app.state.in_units))
    return seen


def test_in_the_app_every_tile_of_every_layer_selects_its_unit(make_app):
    app = make_app()
    room = (40, 600)
    for index, shape in enumerate([(4, 4), (1, 1), (1, 1)]):
        label = control.place(control.view(app.state, LOOK), room)[index]
        app.point(at(control.PANE, label.y - 2, label.x + 3, room))
        assert app.state.layer_index == index
        settle(app)
        units = app.state.layer.units
        assert click_middles(app, shape) == [(unit, True) for unit in range(units)]


def test_a_click_on_units_of_the_layer_before_does_nothing(make_app, net):
    app = make_app()
    net.delay = 0.2
    app.point(at(control.PANE, *middle_of(app, 1), (40, 600)))
    click_middles(app, (4, 4))
    assert (app.state.layer_index, app.state.in_units) == (1, False)
    net.delay = 0.0
    settle(app)


def middle_of(app: CaffeVisApp, index: int) -> tuple[int, int]:
    label = control.place(control.view(app.state, LOOK), (40, 600))[index]
    return label.y - 2, label.x + 3


def test_where_one_unit_is_enlarged_a_click_selects_none(make_app):
    app = make_app()
    app.point(at(layers.PANE, 5, 5, kind=WHEEL_UP))
    before = app.state
    click_middles(app, (4, 4))
    assert app.state == before


def test_patterns_are_clicked_where_they_lie_and_only_when_there(make_app, tmp_path):
    write_sheet(tmp_path, "conv", 4)
    panes = (("input", (0, 0, 20, 20)), ("caffevis_layers", (20, 0, 300, 400)))
    app = make_app(
        SETTINGS.replaced(caffevis_unit_jpg_dir=str(tmp_path), window_panes=panes),
    )
    row = next(row for row in app.bindings if row.tag == "pattern_mode")
    app.handle(row)
    settle(app)
    assert click_middles(app, (1, 1)) == [(unit, True) for unit in range(4)]
    app.handle(next(row for row in app.bindings if row.tag == "sel_layer_right"))
    settle(app)  # this layer has no patterns: a note is shown
    before = app.state
    click_middles(app, (1, 1))
    assert app.state == before


def test_the_model_is_called_as_its_prototxt_says_else_as_its_folder(make_app, net, tmp_path):
    named = SETTINGS.replaced(caffevis_deploy_prototxt=str(tmp_path / "my-net" / "deploy.prototxt"))
    assert model_name(net, named) == "my-net"
    net.name = "Tiny\n net"
    assert model_name(net, named) == "Tiny  net"
    net.name = "x" * 500
    assert model_name(net, named) == "x" * 80
    net.name = " "
    assert model_name(net, named) == "my-net"
    net.name = "Tiny"
    assert make_app().title() == "Model: Tiny"
