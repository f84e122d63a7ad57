"""Text at every size of the window: small letters stay open, lines fit, strokes grow."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from settings import TABLE
from toolbox.app import core_panes
from toolbox.app.core_panes import StatusView, draw_status, style_from
from toolbox.drawing.text import Style, draw_text
from toolbox.settings import config

FACE = cv2.FONT_HERSHEY_COMPLEX_SMALL
WHITE = (255, 255, 255)
LETTERS = "Back: grad, ceoabdgpq 8369"


def true_shape(size: float, x: int, y: int, shape: tuple[int, int]) -> np.ndarray:
    """Draw the letters sixteen times larger, with strokes of half a pixel, and average."""
    large = np.zeros((16 * shape[0], 16 * shape[1]), np.uint8)
    cv2.putText(large, LETTERS, (16 * x, 16 * y), FACE, 16 * size, 255, 8, cv2.LINE_AA)
    return large.reshape(shape[0], 16, shape[1], 16).mean(axis=(1, 3))


@pytest.mark.parametrize("size", [0.36, 0.46, 0.6, 0.7])
def test_small_letters_keep_their_shape_better_than_opencvs(size):
    ours, opencvs = np.zeros((2, 24, 300, 3), np.uint8)
    draw_text(ours, LETTERS, Style(FACE, size, WHITE), 4, 16)
    cv2.putText(opencvs, LETTERS, (4, 16), FACE, size, WHITE, 1, cv2.LINE_AA)
    expected = true_shape(size, 4, 16, (24, 300))
    likeness = [np.corrcoef(expected.ravel(), d[:, :, 0].ravel())[0, 1] for d in (ours, opencvs)]
    assert likeness[0] > 0.95
    assert likeness[0] > likeness[1]


def test_small_letters_take_their_colour_and_leave_the_ground_beside_them():
    ground, colour = (20, 90, 200), (250, 10, 130)
    canvas = np.full((24, 300, 3), ground, np.uint8)
    end = draw_text(canvas, LETTERS, Style(FACE, 0.46, colour), 4, 16)
    assert (canvas == colour).all(axis=2).any()
    assert (canvas[:, end + 2 :] == ground).all()
    low, high = np.minimum(ground, colour) - 1, np.maximum(ground, colour) + 1
    assert ((canvas >= low) & (canvas <= high)).all()


@pytest.mark.parametrize(("x", "y"), [(-30, 16), (290, 16), (5, 2), (5, 27), (-900, 16), (5, 90)])
def test_small_text_beyond_the_canvas_is_cut_off(x, y):
    around = np.zeros((224, 2300, 3), np.uint8)
    style = Style(FACE, 0.46, WHITE)
    draw_text(around, LETTERS, style, x + 1000, y + 100)
    canvas = np.zeros((24, 300, 3), np.uint8)
    draw_text(canvas, LETTERS, style, x, y)
    assert np.array_equal(canvas, around[100:124, 1000:1300])


@pytest.mark.parametrize(("scale", "stroke"), [(0.6, 1), (1.0, 1), (2.0, 2), (3.0, 3)])
def test_size_and_stroke_grow_with_the_window(scale, stroke):
    settings = config.load(TABLE, None).replaced(global_scale=scale)
    style = style_from(settings, "caffevis_status")
    assert (style.size, style.thickness) == (pytest.approx(scale), stroke)
    selected = style_from(settings, "caffevis_control", "clr_selected", "thick_selected")
    assert selected.thickness == 2 * stroke


@pytest.mark.parametrize("scale", [0.6, 1.0, 2.0])
@pytest.mark.parametrize(("words", "whole"), [(3, True), (20, True), (24, True), (60, False)])
def test_the_status_line_shrinks_before_it_is_cut_off(monkeypatch, scale, words, whole):
    drawn = []
    monkeypatch.setattr(core_panes, "draw_text", lambda _, *text: drawn.append(text))
    style = Style(FACE, scale, WHITE)
    text = " ".join(["status"] * words)
    canvas = np.zeros((round(30 * scale), round(1500 * scale), 3), np.uint8)
    draw_status(canvas, StatusView(text, style, (round(10 * scale), 20), (0, 0, 0)))
    ((shown, used, x, _),) = drawn
    assert x + used.width(shown) <= canvas.shape[1]
    assert (shown == text) == whole
    assert shown == text or shown.endswith("...")
    assert (used.size == scale) == (words == 3)
    assert used.size >= 0.599 * scale
