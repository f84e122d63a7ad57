"""The layout's checks, text, and the screen that draws only what changed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from toolbox.drawing.panes import MAX_WINDOW, PaneError, make_layout, pane_size
from toolbox.drawing.screen import Drawing, Screen
from toolbox.drawing.text import Style, draw_text, plain, shorten

KNOWN = ("input", "one", "two")
STYLE = Style(cv2.FONT_HERSHEY_COMPLEX_SMALL, 1.0, (200, 200, 200))


def test_panes_are_views_of_one_buffer():
    layout = make_layout([("input", (0, 0, 4, 6)), ("one", (4, 2, 3, 3))], KNOWN)
    buffer = layout.blank((1, 2, 3))
    assert buffer.shape == (7, 6, 3)
    layout.panes["one"].of(buffer)[:] = 9
    assert (buffer == 9).all(axis=2).sum() == 9
    assert buffer[0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("scale", [0.3, 1, 1.37])
def test_a_panes_size_is_that_of_the_layout(scale: float):
    panes = [("input", (0, 0, 101, 63)), ("one", (101, 7, 33, 35))]
    one = make_layout(panes, KNOWN, scale).panes["one"]
    assert pane_size(panes, "one", scale) == (one.height, one.width)
    assert pane_size(panes, "two", scale) is None


@pytest.mark.parametrize("scale", [0.3, 0.6, 0.7, 1.37, 2])
def test_scaled_neighbours_still_touch(scale: float):
    panes = [("input", (0, 0, 301, 303)), ("one", (301, 0, 77, 303)), ("two", (0, 303, 378, 55))]
    layout = make_layout(panes, KNOWN, scale)
    covered = np.zeros((layout.height, layout.width), int)
    for pane in layout.panes.values():
        covered[pane.row : pane.row + pane.height, pane.column : pane.column + pane.width] += 1
    assert np.all(covered == 1)


WRONG = {
    "overlapping": ([("input", (0, 0, 4, 4)), ("one", (3, 3, 4, 4))], "'input' and 'one' overlap"),
    "no input": ([("one", (0, 0, 4, 4))], "no pane 'input'"),
    "none at all": ([], "no pane 'input'"),
    "unknown": ([("input", (0, 0, 4, 4)), ("three", (4, 4, 1, 1))], "'three' that nothing draws"),
    "twice": ([("input", (0, 0, 4, 4)), ("input", (4, 4, 1, 1))], "twice"),
    "empty": ([("input", (0, 0, 0, 4))], "at least 1"),
    "outside": ([("input", (-1, 0, 4, 4))], "at least 0"),
    "huge": ([("input", (0, 0, 4, MAX_WINDOW + 1))], "pixels, more than"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_layout_that_cannot_be_drawn_is_one_sentence(case: str):
    panes, message = WRONG[case]
    with pytest.raises(PaneError, match=message) as caught:
        make_layout(panes, KNOWN)
    assert "\n" not in str(caught.value)


def test_letters_that_the_fonts_lack_are_spelled_otherwise():
    assert plain("Über 写真\nñ") == "Uber ?? n"


def test_long_texts_end_in_dots_and_fit():
    text = "a rather long file name.png"
    assert shorten(text, STYLE, 1000) == text
    for room in (40, 100, 200):
        short = shorten(text, STYLE, room)
        assert short.endswith("...")
        assert STYLE.width(short) <= room


def test_text_is_drawn_in_its_colour_and_bolder_when_thick():
    thin, bold = (np.zeros((30, 120, 3), np.uint8) for _ in range(2))
    end = draw_text(thin, "conv5", STYLE, 3, 20)
    draw_text(bold, "conv5", Style(STYLE.face, 1.0, STYLE.colour, 2), 3, 20)
    assert 180 < thin.max() <= 200
    assert bold.astype(int).sum() > 1.3 * thin.astype(int).sum()
    assert not thin[:, end + 1 :].any()


def test_only_panes_whose_inputs_changed_are_drawn():
    layout = make_layout([("input", (0, 0, 4, 4)), ("one", (4, 0, 4, 4))], KNOWN)
    screen, drawn, polled = Screen(layout, (0, 0, 0), lambda: 0.0), [], []

    def draw(canvas, inputs) -> None:
        drawn.append(inputs)
        canvas[:] = inputs

    def show(first: int, second: int) -> bool:
        wanted = [("input", first), ("one", second), ("two", 99)]
        drawings = [Drawing(pane, inputs, draw) for pane, inputs in wanted]
        return screen.draw(drawings, lambda: polled.append(len(drawn)))

    assert show(1, 2)
    assert not show(1, 2)
    assert show(1, 3)
    assert drawn == [1, 2, 3]
    assert polled == [1, 2, 3]
    assert screen.buffer[0, 0, 0] == 1
    assert screen.buffer[7, 0, 0] == 3
