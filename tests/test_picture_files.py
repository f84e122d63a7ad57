"""docs/picture_files.md: what files of all kinds become, in the window and in pycaffe's io."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import torchcaffe as caffe
from toolbox.pictures.image_file import looks_like_picture, read_image

ROWS, COLUMNS = np.mgrid[:16, :24]
RGB = np.stack([COLUMNS * 10, ROWS * 15, 0 * ROWS + 90], 2).astype(np.uint8)
GREY = (COLUMNS * 10).astype(np.uint8)
ALPHA = np.where(COLUMNS < 12, 255, 0).astype(np.uint8)  # the right half is transparent
THREE = np.repeat(GREY[:, :, None], 3, axis=2)
picture = Image.fromarray
Write = Callable[[Path], object]


def saved(image: Image.Image, **more: object) -> Write:
    return lambda path: image.save(path, **more)


def by_opencv(pixels: np.ndarray) -> Write:
    return lambda path: cv2.imwrite(str(path), pixels)


def palette(transparent: bool) -> Image.Image:
    """Colour 1 left, colour 0 right, which may be transparent."""
    image = Image.fromarray((ALPHA > 0).astype(np.uint8), mode="P")
    image.putpalette([0, 0, 200, 250, 100, 0] + [0] * 762)
    return image


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = orientation
    return exif


ON_WHITE = np.where(ALPHA[:, :, None] > 0, RGB, 255).astype(np.uint8)
PALETTE = np.where(ALPHA[:, :, None] > 0, [250, 100, 0], [0, 0, 200]).astype(np.uint8)
RGBA = np.dstack([RGB, ALPHA])
FINE = {"quality": 98, "subsampling": 0}

# file, how it is written, what the window shows, what pycaffe's io gives where that differs
FILES = [
    ("grey.png", saved(picture(GREY)), THREE, None),
    ("grey.jpg", saved(picture(GREY), quality=98), THREE, None),
    ("grey.tif", saved(picture(GREY)), THREE, None),
    ("grey.gif", saved(picture(GREY)), THREE, None),
    ("bits.png", saved(picture(GREY > 99)), (THREE > 99) * np.uint8(255), None),
    ("bits.bmp", saved(picture(GREY > 99)), (THREE > 99) * np.uint8(255), None),
    ("bits.tif", saved(picture(GREY > 99)), (THREE > 99) * np.uint8(255), None),
    ("grey16.png", saved(picture(GREY.astype(np.uint16) * 257)), THREE, None),
    ("grey16.tif", saved(picture(GREY.astype(np.uint16) * 257)), THREE, None),
    ("rgb16.png", by_opencv(RGB[:, :, ::-1].astype(np.uint16) * 257), RGB, None),
    ("float.tif", by_opencv(RGB[:, :, ::-1] / np.float32(255)), RGB, None),
    ("palette.png", saved(palette(False)), PALETTE, None),
    ("palette.bmp", saved(palette(False)), PALETTE, None),
    ("palette.gif", saved(palette(False)), PALETTE, None),
    ("animation.gif", saved(palette(False), save_all=True, append_images=[picture(GREY)]),
     PALETTE, None),
    ("pages.tif", saved(picture(RGB), save_all=True, append_images=[picture(255 - RGB)]),
     RGB, None),
    ("grey_alpha.png", saved(Image.merge("LA", (picture(GREY), picture(ALPHA)))),
     np.where(ALPHA[:, :, None] > 0, THREE, 255), THREE),
    ("rgba.png", saved(picture(RGBA)), ON_WHITE, RGB),
    ("rgba.tif", saved(picture(RGBA)), ON_WHITE, RGB),
    ("rgba16.png", by_opencv(RGBA[:, :, [2, 1, 0, 3]].astype(np.uint16) * 257), ON_WHITE, RGB),
    ("clear.png", saved(palette(True), transparency=0),
     np.where(ALPHA[:, :, None] > 0, PALETTE, 255), PALETTE),
    ("clear.gif", saved(palette(True), transparency=0),
     np.where(ALPHA[:, :, None] > 0, PALETTE, 255), PALETTE),
    ("cmyk.jpg", saved(picture(RGB).convert("CMYK"), **FINE), RGB, None),
    ("cmyk.tif", saved(picture(RGB).convert("CMYK")), RGB, None),
    ("ycc.tif", saved(picture(RGB).convert("YCbCr")), RGB, None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "write", "window", "pycaffe"), FILES, ids=[f[0] for f in FILES])
def test_what_a_file_becomes(name, write, window, pycaffe, tmp_path):
    path = tmp_path / name
    write(path)
    for found, wanted in [
        (read_image(path).astype(float), window),
        (255 * caffe.io.load_image(path), window if pycaffe is None else pycaffe),
    ]:
        assert found.shape == RGB.shape
        np.testing.assert_allclose(found, wanted, atol=4)
    assert caffe.io.load_image(path, color=False).shape == (16, 24, 1)


# orientation -> from what lies in the file to what is upright, written out
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: np.rot90(a, 2),
    4: lambda a: a[::-1],
    5: lambda a: np.rot90(a, 1)[::-1],
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, -1)[::-1],
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_photos_stand_upright(orientation, ending, tmp_path):
    path = tmp_path / f"photo.{ending}"
    how = {"jpg": FINE, "webp": {"lossless": True}}.get(ending, {})
    picture(RGB).save(path, exif=turned(orientation), **how)
    wanted = UPRIGHT[orientation](RGB)
    for found in (read_image(path).astype(float), 255 * caffe.io.load_image(path)):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, atol=4)


def test_what_is_no_picture_is_one_sentence(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    for path in (tmp_path / "a.png", tmp_path / "none.gif"):
        with pytest.raises(caffe.CaffeError, match="could not read the image"):
            caffe.io.load_image(path)


# file, what it begins with -> whether a folder's walk takes it for a picture
PNG_BEGINS = b"\x89PNG\r\n\x1a\n"
IN_A_FOLDER = [
    ("photo.jpg", b"broken", True),
    ("PHOTO.JPEG", b"", True),
    ("a.b.Tiff", b"", True),
    ("n01440764_1", PNG_BEGINS, True),
    ("photo.jpg_large", PNG_BEGINS, True),
    ("labels.txt", b"photo.jpg 3\n", False),
    ("README", b"All photos are mine.\n", False),
    ("film.mp4", b"\0\0\0\x20ftypisom", False),
    ("photo.jpg.json", b"{}", False),
    ("empty", b"", False),
]


@pytest.mark.parametrize(("name", "begins", "is_one"), IN_A_FOLDER)
def test_what_of_a_folder_is_a_picture(tmp_path, name, begins, is_one):
    (tmp_path / name).write_bytes(begins.ljust(len(begins) and 64, b"\0"))
    assert looks_like_picture(tmp_path / name) == is_one


def test_a_pipe_is_no_picture_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert not looks_like_picture(tmp_path / "pipe")
