"""Text at every size of the window: small letters stay open, lines fit, strokes grow."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from settings import TABLE
from toolbox.app import core_panes
from toolbox.app.core_panes import StatusView, draw_status, style_from
from toolbox.drawing.fonts import TRACKING, pixel_size
from toolbox.drawing.text import Style, draw_text, folders_hidden, plain
from toolbox.settings import config

FACE = cv2.FONT_HERSHEY_COMPLEX_SMALL
WHITE = (255, 255, 255)
LETTERS = "Back: grad, ceoabdgpq 8369"


def blurred(picture: np.ndarray) -> np.ndarray:
    """Take the edge off: a letter lies at a whole quarter of a pixel."""
    return cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 0.7).ravel()


def true_shape(word: str, size: float) -> np.ndarray:
    """Draw a word sixteen times larger with Pillow, and average."""
    pixels, at = 16 * pixel_size(FACE, size), 16.0 * 4
    font, large = ImageFont.load_default(pixels), Image.new("L", (3200, 960))
    for letter in word:
        ImageDraw.Draw(large).text((at, 640), letter, 255, font, anchor="ls")
        at += font.getlength(letter) + TRACKING * pixels
    return np.asarray(large, np.float32).reshape(60, 16, 200, 16).mean(axis=(1, 3))


@pytest.mark.parametrize("size", [0.46, 0.6, 0.7, 1.0, 2.0])
def test_words_have_the_shape_of_the_font_and_read_as_no_other(size):
    words = ("grad", "gred", "qrad", "8369", "8360", "3869")
    shapes = [blurred(true_shape(word, size)) for word in words]
    for number, word in enumerate(words):
        canvas = np.zeros((60, 200, 3), np.uint8)
        draw_text(canvas, word, Style(FACE, size, WHITE), 4, 40)
        likeness = [np.corrcoef(shape, blurred(canvas[:, :, 0]))[0, 1] for shape in shapes]
        assert likeness[number] > 0.95
        assert int(np.argmax(likeness)) == number


@pytest.mark.parametrize("scale", [0.6, 1.0, 2.0])
def test_a_capital_is_as_high_as_opencvs(scale):
    canvas = np.zeros((80, 200, 3), np.uint8)
    draw_text(canvas, "HHHH", Style(FACE, scale, WHITE), 4, 60)
    rows = np.flatnonzero(canvas.max(axis=(1, 2)) > 100)
    assert rows[-1] == 59  # it stands on the baseline
    above = cv2.getTextSize("H", FACE, 1, 1)[0][1]
    assert len(rows) == pytest.approx(above * scale, abs=1.5)


@pytest.mark.parametrize("scale", [0.6, 1.0, 2.0, 3.0])
def test_bold_strokes_grow_with_the_size(scale):
    ink = []
    for thickness in (1, 2, 3):
        style = Style(FACE, scale, WHITE, thickness)
        canvas = np.zeros((100, 900, 3), np.uint8)
        end = draw_text(canvas, LETTERS, style, 4, 70)
        assert end == 4 + style.width(LETTERS)
        assert not canvas[:, end + 1 :].any()
        ink.append(canvas[:, :, 0].sum() / 255 / scale**2)
    assert ink[0] * 1.15 < ink[1] < 2 * ink[0]
    assert ink[1] * 1.1 < ink[2]


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


@pytest.mark.parametrize("scale", [0.6, 1.0, 2.0, 3.0])
def test_size_grows_with_the_window_and_thickness_is_as_set(scale):
    settings = config.load(TABLE, None).replaced(global_scale=scale)
    style = style_from(settings, "caffevis_status")
    assert (style.size, style.thickness) == (pytest.approx(scale), 1)
    assert style_from(settings, "caffevis_control", "clr_selected", "thick_selected").thickness == 2


@pytest.mark.parametrize("face", [n for n in dir(cv2) if n.startswith("FONT_HERSHEY")])
def test_every_font_name_of_older_files_still_loads_and_draws(tmp_path, face):
    path = tmp_path / "s.py"
    path.write_text(f'caffevis_status_face = "{face}"\n', encoding="utf-8")
    style = style_from(config.load(TABLE, path), "caffevis_status")
    canvas = np.zeros((40, 400, 3), np.uint8)
    draw_text(canvas, "conv1", style, 4, 30)
    assert canvas.any()


@pytest.mark.parametrize("scale", [0.6, 1.0, 2.0])
@pytest.mark.parametrize(("words", "whole"), [(3, True), (25, True), (30, True), (60, False)])
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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/ann/net.prototxt cannot be read", "net.prototxt cannot be read"),
        ("The folder /data holds no file", "The folder data holds no file"),
        ("saved '/tmp/x y/dvt_1.png'", "saved 'x y/dvt_1.png'"),
        ("C:\\Users\\ann\\net.pt2; next", "net.pt2; next"),
        ("--model=/a/b/c.pt2 (see /a/d)", "--model=c.pt2 (see d)"),
        ("/known one/photos/cat.jpg", "cat.jpg"),
        ("o/u, K or /, conv/1x1, 0/1 | 5 / 7", "o/u, K or /, conv/1x1, 0/1 | 5 / 7"),
        ("http://host/x", "http://host/x"),
    ],
)
def test_viewers_elsewhere_see_names_without_folders(text, shown):
    assert plain(text) == text
    with folders_hidden(["/known one", "/"]):
        assert plain(text) == shown
    assert plain(text) == text
