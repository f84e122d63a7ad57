"""Disturbances: size 0 changes no bit, noise and shift are those of the findings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from caffevis.causes import disturb
from caffevis.causes.disturb import disturbed, frame_of, is_none
from caffevis.keys import causes as ca
from caffevis.keys.causes import Disturbance
from caffevis.model.preprocess import Preprocess
from toolbox.input.frame import Frame

PREPARES = {
    "bgr": Preprocess(3, 24, 30, (2, 1, 0), np.array([104, 117, 123], np.float32)[:, None, None]),
    "rgb of 0 to 1, scaled": Preprocess(3, 24, 30, (0, 1, 2), None, 1.0, 2.0),
    "grey": Preprocess(1, 28, 28, (2, 1, 0), None, 1.0),
    "pair": Preprocess(6, 24, 24, (2, 1, 0, 5, 4, 3), None, pair="channels"),
    "wide pair": Preprocess(3, 24, 48, (2, 1, 0), None, pair="width"),
    "more channels": Preprocess(
        4, 24, 24, (2, 1, 0), None, others=np.full((1, 24, 24), 7, np.float32)
    ),
}


def frame(pair: bool = False) -> Frame:
    rng = np.random.default_rng(4)
    first, second = (rng.integers(0, 256, (48, 60, 3), np.uint8) for _ in range(2))
    return Frame(3, first, "a", second if pair else None)


def slope_of(values: np.ndarray):
    rng = np.random.default_rng(0)
    return lambda: rng.normal(size=values.shape).astype(np.float32)


def test_every_kind_is_computed():
    assert {kind.name for kind in ca.KINDS} == {
        *disturb.ON_PICTURES, ca.NOISE, ca.SHIFT, ca.STEP,
    }  # fmt: skip


@pytest.mark.parametrize("name", PREPARES)
@pytest.mark.parametrize("kind", [kind.name for kind in ca.KINDS])
def test_each_size_fits_the_input_and_the_neutral_one_changes_no_bit(kind, name):
    prepare = PREPARES[name]
    seen = frame(bool(prepare.pair))
    plain = prepare(seen.image, seen.second)
    for size in ca.BY_NAME[kind].sizes:
        asked = Disturbance(kind, size, strokes=(((0.2, 0.2), (0.7, 0.6)),))
        found = disturbed(prepare, seen, asked, plain, slope_of(plain))
        assert found.shape == plain.shape and found.dtype == np.float32
        assert np.isfinite(found).all()
        if is_none(asked):
            assert found is plain
        elif kind not in (ca.GRAY, ca.HUE) or not prepare.is_grey:
            assert not np.array_equal(found, plain), size
        if prepare.others is not None:
            assert (found[:, 3:] == 7).all(), "channels that no picture feeds stay"
        again = frame_of(prepare, seen, found)
        assert [image.shape[2] for image in again.images] == [3] * len(seen.images)
        assert again.name == seen.name and again.id == seen.id


def test_what_is_shown_is_what_the_network_sees():
    for name in ("bgr", "rgb of 0 to 1, scaled", "wide pair", "pair", "more channels"):
        prepare = PREPARES[name]
        seen = frame(bool(prepare.pair))
        plain = prepare(seen.image, seen.second)
        shown = frame_of(prepare, seen, plain)
        np.testing.assert_array_equal(prepare(shown.image, shown.second), plain)


def test_noise_has_its_size_and_comes_back_for_the_same_frame():
    prepare, seen = PREPARES["rgb of 0 to 1, scaled"], frame()
    plain = prepare(seen.image)
    asked = Disturbance(ca.NOISE, 8)
    once, again = (disturbed(prepare, seen, asked, plain, slope_of(plain)) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    grey = disturb.grey_level(prepare)
    assert grey == pytest.approx(2 / 255)
    assert (once - plain).std() == pytest.approx(8 * grey, rel=0.05)
    changed = replace(seen, id=4, image=seen.image[::-1])
    other = disturbed(prepare, changed, asked, plain, slope_of(plain))
    assert not np.array_equal(once, other)


def test_a_shift_continues_the_border():
    values = np.arange(12, dtype=np.float32).reshape(1, 1, 2, 6)
    moved = disturb.shift(values, 2)
    assert moved.tolist() == [[[[0, 0, 0, 1, 2, 3], [6, 6, 6, 7, 8, 9]]]]
    assert values[0, 0, 0, 1] == 1, "a copy"


def test_the_step_is_one_size_everywhere_in_the_slopes_direction():
    prepare, seen = PREPARES["bgr"], frame()
    plain = prepare(seen.image)
    slope = np.full(plain.shape, -0.001, np.float32)
    slope[:, 1] = 5
    found = disturbed(prepare, seen, Disturbance(ca.STEP, 2), plain, lambda: slope)
    np.testing.assert_allclose(found[:, 0], plain[:, 0] - 2, rtol=1e-6)
    np.testing.assert_allclose(found[:, 1], plain[:, 1] + 2, rtol=1e-6)


def picture(height: int = 20, width: int = 30) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (height, width, 3), np.uint8)


def change(kind: str, size: float, image: np.ndarray, **more) -> np.ndarray:
    return disturb.ON_PICTURES[kind](image, Disturbance(kind, size, **more))


def test_gray_has_no_colour_left_and_half_of_it_half():
    image = picture()
    grey = change(ca.GRAY, 100, image)
    assert (grey == grey[..., :1]).all()
    half = change(ca.GRAY, 50, image).astype(int)
    assert np.abs(half - (image.astype(int) + grey) / 2).max() <= 1


def test_hue_turns_red_to_green_and_all_the_way_round():
    red = np.full((4, 4, 3), (200, 20, 20), np.uint8)
    green = change(ca.HUE, 120, red).astype(int)
    assert np.abs(green - (20, 200, 20)).max() <= 6


def test_blur_spreads_and_keeps_the_mean():
    image = np.zeros((21, 21, 3), np.uint8)
    image[10, 10] = 255
    blurred = change(ca.BLUR, 2, image)
    assert 0 < blurred[10, 10, 0] < 60 and blurred[10, 13, 0] > 0


def test_shuffled_patches_are_the_same_patches():
    image = picture(23, 30)
    found = change(ca.SHUFFLE, 3, image)
    assert not np.array_equal(found, image)

    def patches(of: np.ndarray) -> list[bytes]:
        return sorted(
            of[r * 7 : r * 7 + 7, c * 10 : c * 10 + 10].tobytes()
            for r in range(3)
            for c in range(3)
        )

    assert patches(found) == patches(image)
    np.testing.assert_array_equal(found[21:], image[21:])


@pytest.mark.parametrize("at", [(0.5, 0.5), (0.0, 1.0), (0.1, 0.4)])
def test_the_occluder_covers_a_square_around_its_place_with_the_mean(at):
    image = picture(100, 100)
    found = change(ca.OCCLUDER, 20, image, at=at)
    rows, columns = np.nonzero((found != image).any(axis=2))
    assert rows.min() >= 100 * at[0] - 11 and rows.max() <= 100 * at[0] + 10
    assert columns.min() >= 100 * at[1] - 11 and columns.max() <= 100 * at[1] + 10
    covered = found[rows[0], columns[0]]
    assert np.abs(covered - image.reshape(-1, 3).mean(axis=0)).max() <= 0.5
    assert (found[rows, columns] == covered).all()


def test_the_brush_paints_lines_over_the_picture_and_draw_on_black():
    strokes = (((0.5, 0.1), (0.5, 0.9)), ((0.1, 0.1),))
    image = picture(50, 50)
    painted = change(ca.BRUSH, 8, image, strokes=strokes)
    assert (painted[25, 8:42] == 255).all() and (painted[5, 5] == 255).all()
    np.testing.assert_array_equal(painted[40:], image[40:])
    drawn = change(ca.DRAW, 8, image, strokes=strokes)
    assert not drawn[40:].any() and (drawn[25, 8:42] == 255).all()
    assert not change(ca.DRAW, 8, image).any()
    assert not is_none(Disturbance(ca.DRAW, 8)) and is_none(Disturbance(ca.BRUSH, 8))
