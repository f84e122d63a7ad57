"""The pane of unit images and pattern mode: what they draw, what they ask for, what is stale."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from caffevis.app import CaffeVisApp
from caffevis.keys import transitions as go
from caffevis.keys.state import ZOOM_BACK, ZOOM_UNIT, Layer, Options, Origin, first_state
from caffevis.live.unit_growth import UnitGrowth
from caffevis.live.unit_patches import PhotoPatches
from caffevis.panes import jpgvis, layers, patterns
from caffevis.panes.parts import note
from caffevis.panes.parts.look import look_from
from caffevis.unit_worker import UnitImages
from caffevis.units.loader import Loader, Picture
from settings import TABLE
from tests.pictures import colour_of, plain_tile, write_sheet, write_unit
from toolbox.drawing import headings
from toolbox.drawing.text import draw_text, wrap_text
from toolbox.drawing.tiles import plan_grid
from toolbox.settings import config

DEFAULTS = config.load(TABLE, None).replaced(
    pane_headings=False,
    caffevis_start=None,
    caffevis_data_mean=None,
    caffevis_labels=None,
    caffevis_label_layers=None,
)
LOOK = look_from(DEFAULTS)
BACKGROUND, STALE = (51, 51, 51), (76, 76, 51)
LAYERS = (Layer("conv", "c", 6, 2, 3), Layer("pool", "p", 6, 2, 3), Layer("fc", "f", 5, 2, 3))


def canvas(height: int = 90, width: int = 30) -> np.ndarray:
    return np.full((height, width, 3), 7, np.uint8)


def state(**values):
    return replace(first_state(LAYERS, Options()), **{"in_units": True, **values})


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "unit_jpg_vis"
    for unit in range(6):
        write_unit(root, "conv", unit)
    write_sheet(root, "conv", 6)
    return root


@pytest.fixture
def make_images(root):
    made = []

    def make(**values) -> UnitImages:
        more = {"caffevis_unit_jpg_dir": str(root), "caffevis_jpgvis_remap": {"pool": "conv"}}
        settings = DEFAULTS.replaced(**{**more, **values})
        made.append(
            UnitImages(
                settings, LOOK, UnitGrowth(settings, None, None, None), PhotoPatches(settings, None)
            )
        )
        made[-1].start()
        return made[-1]

    yield make
    for images in made:
        assert images.close()


def settle(images: UnitImages, at) -> None:
    deadline = time.monotonic() + 10
    images.update(at)
    while not images.settled(at):
        assert time.monotonic() < deadline
        images.wait(0.05)
        images.update(at)


def shown(images: UnitImages, at) -> np.ndarray:
    """Draw the pane of unit images, 90 x 30."""
    drawing = images.drawing(at)
    picture = canvas()
    drawing.draw(picture, drawing.inputs)
    return picture


# --- the pane ---


@pytest.mark.parametrize("vertical", [True, False])
def test_each_third_holds_a_picture_as_large_as_fits(vertical: bool):
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    pictures = tuple(Picture(np.full((10, 10, 3), colour, np.uint8)) for colour in colours)
    view = jpgvis.JpgvisView(pictures, "", vertical, LOOK)
    picture = canvas(91, 31) if vertical else canvas(31, 91)
    jpgvis.draw(picture, view)
    down = picture if vertical else picture.transpose(1, 0, 2)
    for top, end, colour in zip((0, 30, 61), (30, 61, 91), colours, strict=True):
        side = min(end - top, 31)
        assert np.all(down[top : top + side, :side] == colour)
        assert np.all(down[top:end, side:] == BACKGROUND)


def test_a_picture_is_the_files_resized():
    image = np.random.default_rng(0).integers(0, 255, (90, 90, 3), dtype=np.uint8)
    picture = canvas()
    jpgvis.draw(picture, jpgvis.JpgvisView((Picture(image),) * 3, "", True, LOOK))
    means = image.reshape(30, 3, 30, 3, 3).mean((1, 3))
    for third in range(3):
        part = picture[30 * third : 30 * third + 30].astype(float)
        assert np.abs(part - means).max() <= 0.5


def test_while_pictures_load_the_pane_is_stale_and_empty_without():
    picture = canvas()
    jpgvis.draw(picture, jpgvis.JpgvisView(None, "", True, LOOK))
    assert np.all(picture == STALE)
    jpgvis.draw(picture, jpgvis.JpgvisView((), "", True, LOOK))
    assert np.all(picture == BACKGROUND)


def test_a_missing_picture_leaves_its_third_to_the_note():
    image = Picture(np.full((30, 30, 3), 200, np.uint8))
    missing = Picture(note=("no top patches of conv:3", "made by:", "python -m find_maxes"))
    picture = canvas(900, 300)
    jpgvis.draw(picture, jpgvis.JpgvisView((image, missing, image), "", True, LOOK))
    assert np.all(picture[:300] == 200)
    assert np.all(picture[600:] == 200)
    text = np.any(picture[300:600] != BACKGROUND, axis=2)
    assert 100 < text.sum() < 9000
    assert not text[:, : note.MARGIN].any()
    assert not text[:, -note.MARGIN :].any()


@pytest.mark.parametrize("size", [(300, 300), (180, 180), (90, 300), (300, 90)])
def test_a_command_is_readable_whole_in_a_narrow_pane(size, monkeypatch):
    folder = "models/caffenet-caltech101/unit_jpg_vis"
    command = f"python -m optimize --preset 5 --layers conv5 --seeds 9 --unit-jpg-dir {folder}"
    drawn: list[str] = []
    monkeypatch.setattr(note, "draw_text", lambda *a: drawn.append(a[1]) or draw_text(*a))
    picture = canvas(*size)
    note.draw_note(picture, ["no optimised images of conv5:26", "made by:", command], LOOK.note)
    assert "".join(drawn).replace(" ", "").endswith(command.replace(" ", ""))
    text = np.any(picture != 7, axis=2)
    assert not text[-2:].any()
    assert not text[:, -2:].any()


def test_of_a_caption_that_is_too_long_the_numbers_stay(monkeypatch):
    drawn = []
    monkeypatch.setattr(headings, "draw_text", lambda canvas, text, *_: drawn.append(text))
    look = replace(LOOK, heading=LOOK.note)
    part = np.zeros((300, 200, 3), np.uint8)
    numbers = ":0, 16 of 120, objective 10.16"
    for layer in ("conv1", "_blocks.10._project_convolution_1x1"):
        jpgvis.draw_titled(part, part[:100, :100], "", layer + numbers, look)
    assert drawn[0] == "conv1" + numbers
    assert drawn[1].startswith("...") and drawn[1].endswith(numbers)


def test_text_wraps_at_spaces_slashes_and_anywhere_else():
    style = replace(LOOK.note, face=cv2.FONT_HERSHEY_PLAIN, size=1.0)
    room = style.width("abcdefgh/")
    assert wrap_text("", style, room) == [""]
    assert wrap_text("ab cd  ef", style, style.width("ab cd")) == ["ab cd", "ef"]
    assert wrap_text("x abcdefgh/ijk", style, room) == ["x", "abcdefgh/", "ijk"]
    letters = wrap_text("m" * 40, style, room)
    assert "".join(letters) == "m" * 40
    assert all(style.width(line) <= room for line in letters)
    assert wrap_text("abc", style, 1) == ["a", "b", "c"]


# --- pattern mode ---


def pattern_view(**values) -> patterns.PatternView:
    grid = plan_grid((1, 1), 2, 3, (60, 90))
    whole = np.full((60, 90, 3), 99, np.uint8)
    defaults = {
        "picture": Picture(whole), "grid": grid, "unit": None, "frozen_unit": None, "look": LOOK,
    }  # fmt: skip
    return patterns.PatternView(**{**defaults, **values})


def test_patterns_are_copied_and_units_framed_around_their_tiles():
    picture = canvas(60, 90)
    patterns.draw(picture, pattern_view())
    assert np.all(picture == 99)
    view = pattern_view(unit=4, frozen_unit=1)
    patterns.draw(picture, view)
    for unit, colour in ((4, (128, 255, 128)), (1, (51, 51, 255))):
        top, left = view.grid.corner(unit)
        assert picture[top + 3, left - 1].tolist() == list(colour)
        assert np.all(picture[top + 1 : top + view.grid.height - 1, left + 3] == 99)


@pytest.mark.parametrize("size", [(40, 50), (100, 120)])
def test_an_overview_of_another_size_is_cut_off_or_leaves_room(size):
    picture = canvas(*size)
    patterns.draw(picture, pattern_view())
    assert picture[20, 20].tolist() == [99] * 3
    assert picture[-1, -1].tolist() == ([99] * 3 if size[0] < 60 else list(BACKGROUND))


def test_patterns_are_stale_while_they_load_and_a_note_where_they_are_missing():
    picture = canvas(200, 400)
    patterns.draw(picture, pattern_view(picture=None))
    assert np.all(picture == STALE)
    patterns.draw(picture, pattern_view(picture=Picture(note=("no whole_layer.jpg of fc",))))
    assert picture[-1, -1].tolist() == list(BACKGROUND)
    assert np.any(picture != BACKGROUND)


def test_an_enlarged_pattern_fills_the_pane():
    picture = canvas(60, 90)
    patterns.draw(picture, pattern_view(picture=Picture(plain_tile(16, 16, 3)), grid=None))
    assert np.all(picture[:, :60] == colour_of(3))
    assert np.all(picture[:, 60:] == BACKGROUND)


# --- what is asked for, and what is stale ---


def test_only_what_is_seen_is_asked_for(make_images):
    images = make_images()
    assert images.request(state()).unit == Origin("conv", 0)
    assert images.request(state(in_units=False)).unit is None
    assert images.request(state(show_unit_jpgs=False)).unit is None
    assert images.request(state()).sheet is None
    sheet = images.request(state(pattern_mode=True)).sheet
    assert (sheet.layer, sheet.units, sheet.rows, sheet.columns) == ("conv", 6, 2, 3)
    assert (sheet.room, sheet.unit) == ((870, 900), None)
    zoomed = images.request(state(pattern_mode=True, zoom=ZOOM_UNIT, unit=2))
    assert zoomed.sheet.unit == 2
    assert images.request(state(pattern_mode=True, zoom=ZOOM_BACK, back_on=True)).sheet is None
    without = make_images(window_panes=(("input", (0, 0, 9, 9)),))
    assert without.request(state(pattern_mode=True)) == images.request(state(in_units=False))
    assert make_images(global_scale=0.5).request(state(pattern_mode=True)).sheet.room == (435, 450)


def test_another_units_pictures_are_never_shown_under_a_units_name(make_images, monkeypatch):
    gate = threading.Event()
    gate.set()
    real = Loader.__call__
    monkeypatch.setattr(Loader, "__call__", lambda self, r: gate.wait(10) and real(self, r))
    images = make_images()
    settle(images, state())
    assert np.abs(shown(images, state())[15, 15].astype(int) - colour_of(0)).max() <= 8
    gate.clear()
    following = state(unit=2)
    images.update(following)
    assert np.all(shown(images, following) == STALE)
    assert not images.settled(following)
    gate.set()
    settle(images, following)
    assert np.abs(shown(images, following)[15, 15].astype(int) - colour_of(6)).max() <= 8
    # A result of the unit before that comes late is no result of this one.
    gate.clear()
    images.update(state(unit=3))
    images.update(state(unit=4))
    gate.set()
    while not images.settled(state(unit=4)):
        images.wait(0.05)
        images.update(state(unit=4))
        middle = shown(images, state(unit=4))[15, 15].astype(int)
        is_four = np.abs(middle - colour_of(12)).max() <= 8
        assert is_four or tuple(middle) == STALE
    assert is_four


def test_a_layer_that_borrows_images_shows_them(make_images):
    images = make_images()
    settle(images, state(layer_index=1, unit=5))
    picture = shown(images, state(layer_index=1, unit=5))
    assert np.abs(picture[15, 15].astype(int) - colour_of(15)).max() <= 8


def test_the_pane_is_drawn_again_only_when_its_unit_changes(make_images):
    images = make_images()
    settle(images, state())
    first = images.drawing(state()).inputs
    images.update(state())
    assert images.drawing(state(gamma_index=0, back_on=True)).inputs == first
    assert images.drawing(state(unit=1)).inputs != first
    patterned = state(pattern_mode=True)
    settle(images, patterned)
    overview = images.pattern_drawing(patterned).inputs
    # The next unit's pictures are loaded, and the overview stays.
    settle(images, replace(patterned, unit=1))
    moved = images.pattern_drawing(replace(patterned, unit=1)).inputs
    assert moved.picture.image is overview.picture.image
    assert moved.unit == 1


def test_hints_say_how_to_see_images(make_images):
    images = make_images(caffevis_jpgvis_layers=("conv",))
    assert images.drawing(state(in_units=False)).inputs.hint == "choose a unit: down"
    left_out = images.drawing(state(layer_index=2)).inputs
    assert left_out.hint == "no images of fc: it is not in caffevis_jpgvis_layers"
    assert left_out.pictures == ()
    hidden = images.drawing(state(in_units=False, show_unit_jpgs=False)).inputs
    assert (hidden.pictures, hidden.hint) == ((), "")
    pattern = state(layer_index=2, pattern_mode=True)
    settle(images, pattern)
    assert images.message(pattern) == left_out.hint
    assert images.pattern_drawing(pattern).inputs.picture.note == (left_out.hint,)
    # Equal views are not drawn again; a script would wait for ever for one that never is.
    assert images.pattern_drawing(pattern).inputs == images.pattern_drawing(pattern).inputs


def test_messages_name_what_is_missing_broken_or_gone_and_end_with_it(make_images, root):
    images = make_images()
    at = state(layer_index=2, pattern_mode=True)
    settle(images, at)
    assert images.message(at) == "no optimised images: press 2 to make them"
    assert images.message(go.toggle_patterns(at)) == ""
    file = root / "max_im" / "conv" / "conv_0003.jpg"
    whole = file.read_bytes()
    file.write_bytes(whole[:50])
    settle(images, state(unit=3))
    assert "conv_0003.jpg cannot be read" in images.message(state(unit=3))
    settle(images, state())
    assert images.message(state()) == ""
    file.write_bytes(whole)
    settle(images, state(unit=3))
    assert images.message(state(unit=3)) == ""
    os.rename(root, root.with_name("aside"))
    settle(images, state())
    assert "the folder of unit images has gone" in images.message(state())
    os.rename(root.with_name("aside"), root)
    settle(images, state(unit=1))
    assert images.message(state(unit=1)) == ""


# --- keys, and the whole app ---


def test_pattern_mode_and_unit_images_toggle():
    at = state()
    assert go.toggle_patterns(at).pattern_mode
    assert go.toggle_patterns(go.toggle_patterns(at)) == at
    assert not go.toggle_unit_jpgs(at).show_unit_jpgs
    assert go.toggle_unit_jpgs(go.toggle_unit_jpgs(at)) == at


def test_show_back_leaves_pattern_mode_first():
    at = go.toggle_show_back(state(pattern_mode=True))
    assert (at.pattern_mode, at.show_back, at.back_on) == (False, False, False)
    at = go.toggle_show_back(at)
    assert (at.show_back, at.back_on) == (True, True)
    # What was shown before pattern mode needs back, should it have been turned off meanwhile.
    at = go.toggle_show_back(replace(at, pattern_mode=True, back_on=False))
    assert (at.pattern_mode, at.show_back, at.back_on) == (False, True, True)


def test_reset_leaves_pattern_mode_and_shows_images_as_set():
    start = first_state(LAYERS, Options(show_unit_jpgs=False))
    changed = go.toggle_unit_jpgs(go.toggle_patterns(start))
    assert go.reset(changed) == start


def test_the_app_shows_patterns_in_the_layers_pane_and_goes_on(net, make_frame, root):
    write_sheet(root, "fc", 5)
    app = CaffeVisApp(DEFAULTS.replaced(caffevis_unit_jpg_dir=str(root)), lambda: 0.0, net)
    by_key = {key: row for row in app.bindings for key in row.keys}
    app.start()
    try:
        app.set_frame(make_frame())
        for keys, kind in (
            ("", layers.LayersView), ("s", patterns.PatternView),
            ("o down z", patterns.PatternView),
            ("b z", layers.LayersView), ("z", patterns.PatternView), ("a", layers.LayersView),
        ):  # fmt: skip
            for key in keys.split():
                app.handle(by_key[key])
            deadline = time.monotonic() + 10
            app.update()
            while not app.settled():
                assert time.monotonic() < deadline
                app.wait(0.05)
                app.update()
            (inputs,) = [d.inputs for d in app.drawings() if d.pane == layers.PANE]
            assert isinstance(inputs, kind), keys
            if isinstance(inputs, patterns.PatternView):
                assert inputs.picture.image is not None
        assert app.status().startswith("fwd fc:0")
        app.handle(by_key["s"])
        assert app.status().startswith("opt fc:0")
    finally:
        assert app.close()
