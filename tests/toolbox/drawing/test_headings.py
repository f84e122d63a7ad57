"""Headings on panes: beside the picture or on it, and none on panes that are too small."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from settings import TABLE
from toolbox.app.core_panes import heading_style
from toolbox.drawing.headings import strip_height, with_heading
from toolbox.drawing.screen import Drawing
from toolbox.drawing.text import Style
from toolbox.settings import config

STYLE = Style(cv2.FONT_HERSHEY_COMPLEX_SMALL, 0.65, (255, 255, 255))


def white(canvas, level) -> None:
    canvas[:] = level


def drawn(text: str, style, strip=None, size=(300, 200)) -> np.ndarray:
    canvas = np.full((*size, 3), 7, np.uint8)
    drawing = with_heading(Drawing("one", 200, white), text, style, strip)
    drawing.draw(canvas, drawing.inputs)
    return canvas


def test_a_strip_is_above_the_picture_and_hides_nothing_of_it():
    picture, height = drawn("conv5", STYLE, (10, 20, 30)), strip_height(STYLE, 300)
    assert 12 <= height <= 30
    assert np.all(picture[height:] == 200)
    assert np.all(picture[:2] == (10, 20, 30))
    assert picture[:height].max() > 240


def test_a_tag_darkens_only_the_lower_left_corner():
    picture = drawn("cat.jpg", STYLE)
    changed = np.argwhere((picture != 200).any(axis=2))
    assert changed[:, 0].min() > 270
    assert changed[:, 1].max() < 100
    assert picture.max() > 240 and picture.min() <= 50
    assert np.all(drawn("", STYLE) == 200)
    assert drawn("m" * 200, STYLE).shape == (300, 200, 3)  # cut off


@pytest.mark.parametrize("strip", [None, (10, 20, 30)])
def test_headings_that_are_off_and_small_panes_change_nothing(strip):
    assert np.all(drawn("cat.jpg", None, strip) == 200)
    assert np.all(drawn("cat.jpg", STYLE, strip, (40, 200)) == 200)
    assert strip_height(STYLE, 40) == 0


@pytest.mark.parametrize(("scale", "capital"), [(0.6, 8), (1.0, 9), (2.0, 18)])
def test_headings_are_readable_at_every_scale(scale, capital):
    style = heading_style(config.load(TABLE, None).replaced(global_scale=scale))
    assert style is not None and style.above() >= capital
    off = config.load(TABLE, None).replaced(pane_headings=False)
    assert heading_style(off) is None
