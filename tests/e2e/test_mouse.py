"""Real clicks and turns of the wheel in the real window, against what keys do; its title."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest

import settings as settings_file
from caffevis.keys.state import Layer, Options, first_state
from caffevis.panes import control
from caffevis.panes.parts.look import look_from
from toolbox.drawing.headings import strip_height
from toolbox.drawing.tiles import plan_grid
from toolbox.pictures.images import grid_shape

LAYERS = {"conv1": (12, (14, 14)), "pool1": (12, (7, 7)), "conv2": (20, (7, 7)),
          "fc": (7, (1, 1)), "prob": (7, (1, 1))}  # fmt: skip
LEFT, RIGHT, UP, DOWN = 1, 3, 4, 5


@pytest.fixture
def session(shared_session):
    session = shared_session
    yield session
    session.press("Escape")


def changed(before: dict, after: dict) -> set[str]:
    return {name for name in before if not np.array_equal(before[name], after[name])}


def room(session, pane: str) -> tuple[int, int]:
    rows, columns = session.PANES[pane]
    return rows.stop - rows.start, columns.stop - columns.start


@pytest.fixture
def label(session, world):
    """Say where a layer's label is: the middle of it."""
    look = look_from(settings_file.load(world / "settings.py"))
    layers = tuple(Layer(name, name, n, *grid_shape(n)) for name, (n, _) in LAYERS.items())

    def find(number: int) -> tuple[int, int]:
        view = control.view(replace(first_state(layers, Options())), look)
        placed = control.place(view, room(session, "control"))[number]
        return placed.y - 3, placed.x + placed.word.room // 2

    return find


@pytest.fixture
def tile(session, world):
    """Say where a unit's tile is: the middle of it, below the pane's heading."""
    heading = look_from(settings_file.load(world / "settings.py")).heading

    def find(layer: str, unit: int, shape: tuple[int, int] | None = None) -> tuple[int, int]:
        (units, own), (height, width) = LAYERS[layer], room(session, "layers")
        strip = strip_height(heading, height)
        grid = plan_grid(shape or own, *grid_shape(units), (height - strip, width))
        top, left = grid.corner(unit)
        return strip + top + grid.height // 2, left + grid.width // 2

    return find


def test_the_title_names_the_model(session):
    assert session.display.xdotool("getwindowname", session.window) == (
        "Deep Visualization Toolbox | Model: tiny"
    )


def test_a_click_on_a_layers_name_does_what_keys_do(session, label):
    by_keys = session.press("o", "o")
    session.press("Escape")
    assert not changed(by_keys, session.click("control", *label(2)))
    assert not changed(by_keys, session.click("control", 1, 799))
    last = session.click("control", *label(4))
    assert not changed(last, session.press("o"))
    assert "layers" in changed(by_keys, last)


def test_a_click_on_a_unit_does_what_keys_do(session, label, tile):
    by_keys = session.press("o", "o", "Down", "Down", "Right", "Right")
    session.press("Escape")
    session.click("control", *label(2))
    unit = grid_shape(20)[1] + 2
    clicked = session.click("layers", *tile("conv2", unit))
    assert not changed(by_keys, clicked)
    assert not changed(clicked, session.click("layers", 0, 0))
    assert "layers" in changed(clicked, session.press("Left"))
    assert not changed(clicked, session.click("layers", *tile("conv2", unit)))


def test_patterns_are_clicked_too(session, tile):
    by_keys = session.press("Down", "Right", "s")
    session.press("Left")
    assert not changed(by_keys, session.click("layers", *tile("conv1", 1, (1, 1))))


def test_a_click_on_a_class_goes_to_its_unit(session, world):
    start = session.press("o")
    look = look_from(settings_file.load(world / "settings.py"))
    style, y = look.class_style, look.class_place[1]
    step = style.height() + look.class_spacing
    clicked = session.click("aux", y + step - 3, 30)
    assert "layers" in changed(start, clicked)
    session.press("Escape")
    found = [session.press("o", "o", "o", "Down")]
    found += [session.press("Right") for _ in range(6)]
    assert sum(not changed(clicked, each) for each in found) == 1


def test_the_wheel_zooms_and_the_right_button_goes_round(session):
    start = session.press("Down", "Right", "b")
    unit = session.press("z")
    back = session.press("z")
    session.press("z")
    middle = (200, 300)
    # Qt itself magnifies the picture with the wheel, and that is undone.
    for expected in (unit, back, back):
        assert not changed(expected, session.click("layers", *middle, UP))
    for expected in (unit, start, start):
        assert not changed(expected, session.click("layers", *middle, DOWN))
    for expected in (unit, back, start):
        assert not changed(expected, session.click("layers", *middle, RIGHT))


def test_where_a_unit_is_enlarged_or_help_is_shown_a_click_does_nothing(session, label, tile):
    zoomed = session.press("z")
    assert not changed(zoomed, session.click("layers", *tile("conv1", 5)))
    session.press("z")
    helped = session.press("h")
    assert not changed(helped, session.click("layers", *tile("conv1", 5)))
    assert not changed(helped, session.click("control", *label(3)))
    plain = session.press("h")
    session.press("Escape")
    assert not changed(plain, session.quiet())


def test_a_picture_of_an_app_that_gets_no_time_does_not_count(session):
    """The tests' own patience: a key whose answer takes long is waited for."""
    pressed = session.press("o")
    session.press("Escape")
    os.kill(session.process.pid, signal.SIGSTOP)
    threading.Timer(0.6, os.kill, (session.process.pid, signal.SIGCONT)).start()
    assert not changed(pressed, session.press("o"))


def test_clicks_and_keys_keep_their_order(session, label):
    by_keys = session.press("o", "o", "Down", "Right")
    row, column = label(2)
    top, left = session.PANES["control"]
    x, y = str(left.start + column), str(top.start + row)

    def is_in_order() -> bool:
        session.press("Escape")
        session.display.xdotool(
            "mousemove", "--window", session.window, x, y,
            "key", "o", "sleep", "0.04", "click", str(LEFT), "sleep", "0.04", "key", "Down",
            "sleep", "0.04", "key", "Right",
        )  # fmt: skip
        session.pointer_away()
        return not changed(by_keys, session.quiet())

    # Again where the machine held the window up: of keys that come at once, one is kept.
    assert any(is_in_order() for _ in range(5))


def test_a_line_is_painted_with_the_left_button_and_the_right_one_wipes_it(session):
    session.press(*["apostrophe"] * 10)  # the last kind: black to draw on
    black = session.press("Down")
    assert not black["input"][20:160].any()
    place, display = session.PANES["input"], session.display
    for row, column, button in ((60, 40, "mousedown"), (60, 100, None), (120, 140, "mouseup")):
        x, y = place[1].start + column, place[0].start + row
        display.xdotool("mousemove", "--window", session.window, str(x), str(y))
        session.quiet()
        if button:
            display.xdotool(button, "1")
    session.pointer_away()
    painted = session.quiet()
    assert painted["input"][55:65, 60:90].any() and painted["input"][80:100, 115:125].any()
    assert "layers" in changed(black, painted)
    assert not changed(black, session.click("input", 20, 20, RIGHT)) - {"status"}
