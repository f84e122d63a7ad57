"""One rule from photos of any size to inputs of any size, for the window and all tools."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from caffevis.model.preprocess import WIDTH, Preprocess
from find_maxes.photos.net_input import Recipe
from toolbox.app.base_app import BaseApp
from toolbox.app.protocol import picture_aspect
from toolbox.pictures.crop import crop_to, to_aspect, window_fit
from toolbox.pictures.image_file import write_image


def ramp(height: int, width: int) -> np.ndarray:
    """Columns and rows that can be told apart."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([255 * rows // height, 255 * columns // width, rows * 0], 2).astype(np.uint8)


def test_a_picture_of_the_inputs_size_is_unchanged():
    picture = ramp(96, 160)
    np.testing.assert_array_equal(to_aspect(picture, False, 160 / 96), picture)
    planes = Preprocess(3, 96, 160, (0, 1, 2), None)(to_aspect(picture, False, 160 / 96))[0]
    np.testing.assert_array_equal(planes.transpose(1, 2, 0), picture)


@pytest.mark.parametrize(
    ("size", "aspect", "part"),
    [((100, 300), 1.0, (100, 100)), ((300, 100), 1.0, (100, 100)),
     ((100, 300), 2.0, (100, 200)), ((300, 100), 2.0, (50, 100)), ((3, 500), 0.01, (3, 1)),
     ((500, 3), 100.0, (1, 3))],
)  # fmt: skip
def test_the_largest_centred_part_of_an_aspect(size, aspect, part):
    picture = ramp(*size)
    found = crop_to(picture, aspect)
    assert found.shape[:2] == part
    top, left = (size[0] - part[0]) // 2, (size[1] - part[1]) // 2
    np.testing.assert_array_equal(found, picture[top : top + part[0], left : left + part[1]])


@pytest.mark.parametrize(("size", "wanted"), [((10, 40), (20, 40)), ((40, 10), (40, 80))])
def test_stretched_to_an_aspect_nothing_is_lost(size, wanted):
    assert to_aspect(ramp(*size), True, 2.0).shape == (*wanted, 3)


def test_a_large_picture_is_shrunk_in_its_aspect():
    assert to_aspect(np.zeros((2000, 5000, 3), np.uint8), False, 2.0).shape == (600, 1200, 3)


@pytest.mark.parametrize("shape", [(28, 28), (96, 160), (32, 64), (300, 200)])
@pytest.mark.parametrize("size", [(80, 120), (120, 80), (700, 500)])
def test_window_scan_and_optimiser_see_the_same(shape, size, tmp_path):
    rng = np.random.default_rng(0)
    photo = cv2.resize(rng.integers(0, 256, (9, 9, 3)).astype(np.uint8), size[::-1])
    write_image(tmp_path / "p.png", photo)
    window = Preprocess(3, *shape, (0, 1, 2), None)(to_aspect(photo, False, shape[1] / shape[0]))
    scan = Recipe(3, *shape, swap=(0, 1, 2)).picture(str(tmp_path / "p.png"))
    np.testing.assert_array_equal(scan, window_fit(*shape)(photo))
    np.testing.assert_allclose(scan, window[0].transpose(1, 2, 0), atol=1)


def test_the_frames_aspect_is_the_first_apps_that_minds():
    class Wide(BaseApp):
        def aspect(self) -> float | None:
            return 2.0

    class Older:
        """Written before there was the method."""

    assert picture_aspect([BaseApp(), Wide()]) == 2.0
    assert picture_aspect([Older(), BaseApp()]) == 1.0
    assert Preprocess(3, 96, 160, (2, 1, 0), None).aspect == 160 / 96
    assert Preprocess(1, 60, 160, (0,), None, pair=WIDTH).aspect == 80 / 60
