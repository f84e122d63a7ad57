"""Pictures: reading any kind, squares, fitting, grids."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from toolbox.pictures import image_file
from toolbox.pictures.crop import to_aspect
from toolbox.pictures.image_file import ImageError, check_writable, read_image, write_image
from toolbox.pictures.images import draw_fitted, fill, fit, grid_shape, to_colour, to_rgb8


def save(path: Path, pixels: np.ndarray) -> Path:
    done, data = cv2.imencode(path.suffix, pixels)
    assert done
    path.write_bytes(data.tobytes())
    return path


# B, G, R and what must be read as R, G, B
ORANGE_BGR, ORANGE = (10, 130, 250), [250, 130, 10]


def test_colour_is_read_as_rgb(tmp_path):
    path = save(tmp_path / "a.png", np.full((4, 6, 3), ORANGE_BGR, np.uint8))
    image = read_image(path)
    assert image.shape == (4, 6, 3)
    assert image[0, 0].tolist() == ORANGE


def test_grey_becomes_three_channels(tmp_path):
    image = read_image(save(tmp_path / "a.png", np.full((4, 6), 90, np.uint8)))
    assert image[0, 0].tolist() == [90] * 3


def test_transparent_parts_become_white(tmp_path):
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0] = [(*ORANGE_BGR, 255), (*ORANGE_BGR, 0), (0, 0, 0, 128)]
    image = read_image(save(tmp_path / "a.png", pixels))
    assert image[0].tolist() == [ORANGE, [255] * 3, [127] * 3]


def test_16_bit_is_scaled_down(tmp_path):
    pixels = np.array([[0, 257 * 100, 65535]], np.uint16)
    assert read_image(save(tmp_path / "a.png", pixels))[0, :, 0].tolist() == [0, 100, 255]
    colour = np.full((2, 2, 3), (0, 257 * 7, 65535), np.uint16)
    assert read_image(save(tmp_path / "b.png", colour))[0, 0].tolist() == [255, 7, 0]


KINDS = {
    "L": "png gif tif jpg webp bmp", "P": "png gif tif webp bmp", "1": "png gif tif jpg webp bmp",
    "RGB": "png gif tif jpg webp bmp", "RGBA": "png gif tif webp bmp", "LA": "png gif tif webp",
    "CMYK": "jpg tif webp", "I;16": "png tif",
}  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "ending"), [(mode, one) for mode, some in KINDS.items() for one in some.split()]
)
def test_every_kind_of_picture_that_pillow_writes_is_read(tmp_path, mode: str, ending: str):
    levels = np.zeros((16, 16), np.uint8)
    levels[:, 8:] = 255
    if mode == "I;16":
        picture = PIL.Image.fromarray(levels.astype(np.uint16) * 257)
    else:
        picture = PIL.Image.fromarray(levels).convert(mode)
    picture.save(tmp_path / f"a b.{ending}")
    image = read_image(tmp_path / f"a b.{ending}")
    assert image.shape == (16, 16, 3)
    assert np.abs(image.astype(int) - levels[:, :, None]).max() <= 4


def with_exif(jpeg: bytes, orientation: int) -> bytes:
    """Put an EXIF segment with one tag, the orientation, behind a JPEG's first marker."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


@pytest.mark.parametrize(("orientation", "bright"), [(1, "top"), (3, "bottom"), (6, "right"),
                                                     (8, "left")])  # fmt: skip
def test_photos_are_turned_as_exif_says(tmp_path, orientation: int, bright: str):
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:8] = 255
    _, data = cv2.imencode(".jpg", pixels)
    (tmp_path / "a.jpg").write_bytes(with_exif(data.tobytes(), orientation))
    image = read_image(tmp_path / "a.jpg")
    edges = {"top": image[:4], "bottom": image[-4:], "left": image[:, :4], "right": image[:, -4:]}
    assert max(edges, key=lambda name: edges[name].mean()) == bright
    assert image.shape[:2] == ((32, 64) if orientation in (1, 3) else (64, 32))


@pytest.mark.parametrize("name", ["a photo.png", "Übergrößen 写真.png", "emoji 🐈.png"])
def test_any_name_works(tmp_path, name: str):
    save(tmp_path / "x.png", np.full((2, 2, 3), ORANGE_BGR, np.uint8)).rename(tmp_path / name)
    assert read_image(tmp_path / name)[0, 0].tolist() == ORANGE


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".bmp", ".tif"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.95])
def test_a_picture_that_is_cut_off_is_none(tmp_path, ending: str, part: float):
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    path = save(tmp_path / f"a{ending}", noise)
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(ImageError, match=f"a{ending} cannot be read: .*cut off"):
        read_image(path)


def bomb(width: int, height: int) -> bytes:
    """Make a small PNG that decodes to a huge black picture."""
    packer, rows = zlib.compressobj(9), b"\0" * (100 * (1 + width))
    packed = b"".join([packer.compress(rows) for _ in range(height // 100)]) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", packed), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


READ_WITHIN = """
import resource, sys
from toolbox.pictures import image_file
from toolbox.pictures.image_file import ImageError, read_image
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    print(read_image(sys.argv[1]).shape)
except ImageError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_decompression_bomb_is_refused_before_it_takes_memory(tmp_path):
    (tmp_path / "bomb.png").write_bytes(bomb(20000, 20000))
    # In a process of its own: OpenCV reads its limit when it is first imported.
    done = subprocess.run(
        [sys.executable, "-c", READ_WITHIN, str(tmp_path / "bomb.png")],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    sentence, grown = done.stdout.splitlines()
    assert sentence == (
        "bomb.png cannot be read: it has more than the 268 million pixels that are allowed"
    )
    assert int(grown) < 100, "MB"


def test_what_is_no_file_is_not_waited_for(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for name in ("pipe.jpg", "folder.jpg"):
        with pytest.raises(ImageError, match=f"{name} cannot be read: it is not a file"):
            read_image(tmp_path / name)
    monkeypatch.setattr(image_file, "MAX_BYTES", 2**20)
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(2**20 + 1)
    with pytest.raises(ImageError, match="large.jpg cannot be read: it is larger than 1 MB"):
        read_image(tmp_path / "large.jpg")


BROKEN = {
    "missing.png": (None, "no such file"),
    "empty.png": (b"", "the file is empty"),
    "text.jpg": (b"this is no picture", "not a picture"),
    "cut.png": (b"\x89PNG\r\n\x1a\n" + b"\0" * 20, "not a picture"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_unreadable_files_are_named_in_one_sentence(tmp_path, name: str, capfd):
    data, message = BROKEN[name]
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ImageError, match=message) as caught:
        read_image(tmp_path / name)
    assert str(caught.value).startswith(name)
    assert capfd.readouterr() == ("", "")


def test_odd_arrays_are_refused():
    for shape in ((2, 2, 5), (0, 4), (3,)):
        with pytest.raises(ValueError, match="shape"):
            to_rgb8(np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match="int64"):
        to_rgb8(np.zeros((2, 2), np.int64))


def test_floats_run_from_0_to_1():
    assert to_rgb8(np.array([[-1, 0.5, 2, np.nan]]))[0, :, 0].tolist() == [0, 128, 255, 0]


def test_written_pictures_are_whole_and_leave_nothing_beside_them(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    write_image(tmp_path / "ä b.png", image)
    write_image(tmp_path / "ä b.png", image)
    assert np.array_equal(read_image(tmp_path / "ä b.png"), image)
    assert [path.name for path in tmp_path.iterdir()] == ["ä b.png"]


def test_places_that_cannot_be_written_are_named_early(tmp_path):
    with pytest.raises(ImageError, match="must be one of .png"):
        check_writable(tmp_path / "a.gif2")
    with pytest.raises(ImageError, match="does not exist"):
        check_writable(tmp_path / "none" / "a.png")


def test_squares_are_cropped_from_the_centre_or_stretched():
    image = np.zeros((4, 10, 3), np.uint8)
    image[:, 3:7] = 200
    cropped = to_aspect(image, stretch=False)
    assert cropped.shape == (4, 4, 3)
    assert np.all(cropped == 200)
    stretched = to_aspect(image, stretch=True)
    assert stretched.shape == (10, 10, 3)
    assert stretched[0, :, 0].tolist() == [0] * 3 + [200] * 4 + [0] * 3


def test_large_pictures_are_shrunk():
    assert to_aspect(np.zeros((3000, 2000, 3), np.uint8), False).shape == (1200, 1200, 3)


@pytest.mark.parametrize(
    ("size", "room", "expected"),
    [((10, 20), (30, 40), (20, 40)), ((10, 10), (30, 40), (30, 30)), ((100, 1), (5, 5), (5, 1))],
)
def test_fit_keeps_the_aspect(size, room, expected):
    assert fit(*size, room) == expected


def test_draw_fitted_keeps_hard_edges_when_asked():
    image = np.array([[[0] * 3, [255] * 3]], np.uint8)
    canvas = np.full((10, 20, 3), 9, np.uint8)
    draw_fitted(canvas, image, nearest=True)
    assert np.all(canvas[:, :10] == 0)
    assert np.all(canvas[:, 10:] == 255)


def test_fill_paints_all_of_a_view():
    buffer = np.zeros((6, 6, 3), np.uint8)
    fill(buffer[1:3, 2:5], (1, 2, 3))
    assert np.all(buffer[1:3, 2:5] == (1, 2, 3))
    assert buffer.sum() == 6 * 6


@pytest.mark.parametrize(
    ("units", "aspect", "expected"),
    [(96, 1, (10, 10)), (256, 1, (16, 16)), (1, 1, (1, 1)), (2, 1, (1, 2)), (1000, 1, (32, 32)),
     (96, 4, (5, 20)), (3, 100, (1, 3)), (5, 0.01, (5, 1))],
)  # fmt: skip
def test_grids_are_near_square_or_have_the_aspect(units, aspect, expected):
    rows, columns = grid_shape(units, aspect)
    assert (rows, columns) == expected
    assert rows * columns >= units > (rows - 1) * columns


def test_grids_hold_every_unit_and_have_no_empty_row():
    for units in range(1, 1100, 7):
        for aspect in (0.3, 1, 1.38, 2.5):
            rows, columns = grid_shape(units, aspect)
            assert rows * columns >= units > (rows - 1) * columns


def test_colours_of_the_settings_become_bytes():
    assert to_colour((0, 0.5, 1)) == (0, 128, 255)
