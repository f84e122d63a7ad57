"""Where images of units lie, which are shown, how they are loaded, and what is said of others."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from caffevis.keys.state import Origin
from caffevis.units.image_paths import (
    DECONV,
    KINDS,
    OPTIMISED,
    PATCHES,
    ROOT,
    UnitFolder,
    layer_path,
)
from caffevis.units.loader import ImagesRequest, Loader, SheetRequest
from optimize.command.arguments import parse as parse_optimize
from tests.pictures import colour_of, group, plain_tile, write_sheet, write_unit
from toolbox.pictures.image_file import write_image
from toolbox.pictures.stamp import NAME, Stamp, read_stamp, stamp_of, write_stamp
from visualizations.__main__ import parse as parse_visualizations

MB = 2**20
PARSERS = {"optimize": parse_optimize, "visualizations": parse_visualizations}


@pytest.fixture
def folder(tmp_path) -> Path:
    root = tmp_path / "unit images"
    for unit in range(6):
        write_unit(root, "conv1", unit)
    write_sheet(root, "conv1", 6)
    return root


def loader(root: Path | None, limit: int = MB, **more) -> Loader:
    return Loader(UnitFolder(None if root is None else str(root), **more), limit, (1, 2, 3))


def ask(load: Loader, layer: str = "conv1", unit: int = 0):
    return load(ImagesRequest(Origin(layer, unit)))


def sheet(unit: int | None = None, layer: str = "conv1", units: int = 6) -> SheetRequest:
    return SheetRequest(layer, units, 2, 3, (60, 90), unit)


def middle(image: np.ndarray) -> np.ndarray:
    return image[image.shape[0] // 2, image.shape[1] // 2].astype(int)


def is_colour(image: np.ndarray, number: int) -> bool:
    return bool(np.abs(middle(image) - colour_of(number)).max() <= 8)


def test_files_lie_where_the_specification_says():
    found = UnitFolder("/jpg")
    paths = [str(found.unit(kind, "conv5", 26)[0]) for kind in KINDS]
    assert paths == [
        "/jpg/regularized_opt/conv5/conv5_0026_montage.jpg",
        "/jpg/max_im/conv5/conv5_0026.jpg",
        "/jpg/max_deconv/conv5/conv5_0026.jpg",
    ]
    assert str(found.sheet("fc8")) == "/jpg/regularized_opt/fc8/whole_layer.jpg"
    assert found.unit(PATCHES, "fc", 12345)[0].name == "fc_12345.jpg"
    assert len(found.unit(PATCHES, "fc", 1)) == 1


def test_a_slash_in_a_layers_name_becomes_a_folder():
    names = [str(path) for path in UnitFolder("/jpg").unit(DECONV, "inc_3a/1x1", 7)]
    assert names == [
        "/jpg/max_deconv/inc_3a/1x1/inc_3a/1x1_0007.jpg",
        "/jpg/max_deconv/inc_3a/1x1/1x1_0007.jpg",
    ]


@pytest.mark.parametrize("place", [0, 1])
def test_both_places_of_a_name_with_a_slash_are_found(tmp_path, place: int):
    path = UnitFolder(str(tmp_path)).unit(PATCHES, "a/b", 3)[place]
    path.parent.mkdir(parents=True)
    write_image(path, plain_tile(9, 9, 4))
    assert is_colour(ask(loader(tmp_path), "a/b", 3).pictures[1].image, 4)


ESCAPES = [
    "..",
    "../x",
    "a/../../x",
    "/etc/passwd",
    "a//b",
    "",
    ".",
    "a/.",
    "a\\..\\b",
    "C:x",
    "a\0b",
]


@pytest.mark.parametrize("name", ESCAPES)
def test_no_name_leads_out_of_the_folder(tmp_path, name: str):
    assert layer_path(name) is None
    root = tmp_path / "jpg"
    write_unit(root, "conv1", 0)
    for escaped in (name, "pool1"):
        result = ask(loader(root, remap={"pool1": name}), escaped)
        assert [picture.image for picture in result.pictures] == [None] * 3
        assert "can have no files" in result.pictures[0].note[0]
        assert result.problems == ()


def test_layers_borrow_images_and_the_settings_leave_layers_out():
    found = UnitFolder("/jpg", ("conv1", "pool2"), {"pool1": "conv1", "pool2": "conv2"})
    assert found.unit(PATCHES, "pool1", 2)[0] == Path("/jpg/max_im/conv1/conv1_0002.jpg")
    assert found.sheet("pool1") == Path("/jpg/regularized_opt/conv1/whole_layer.jpg")
    shown = [layer for layer in ("conv1", "pool1", "conv2", "pool2", "fc") if found.shows(layer)]
    assert shown == ["conv1", "pool1", "pool2"]
    assert replace(found, layers=None).shows("fc")
    assert not replace(found, layers=()).shows("conv1")


def test_a_units_three_pictures_come_in_order(folder):
    result = ask(loader(folder), unit=4)
    assert result.request.unit == Origin("conv1", 4)
    for kind, picture in enumerate(result.pictures):
        assert is_colour(picture.image, 12 + kind)
        assert picture.note == ()
    assert result.sheet is None
    assert result.problems == ()


def test_commands_can_be_pasted(monkeypatch, tmp_path):
    found = UnitFolder(
        str(ROOT / "models/m/jpg"), None, {"pool5": "conv5"}, settings=Path("/far away/own.py")
    )
    python = ROOT / ".venv" / "bin" / "python"
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.chdir(ROOT)
    assert found.command(OPTIMISED, "pool5") == (
        ".venv/bin/python -m optimize --preset 5 --settings '/far away/own.py'"
        " --layers conv5 --seeds 9 --unit-jpg-dir models/m/jpg"
    )
    for kind in (PATCHES, DECONV):
        assert shlex.split(found.command(kind, "a b")) == [
            ".venv/bin/python", "-m", "visualizations", "--settings", "/far away/own.py",
            "--layers", "a b", "--photos", "PHOTOS",
        ]  # fmt: skip
    bare = UnitFolder(None)
    assert "--settings" not in bare.command(OPTIMISED, "fc")  # none is in use
    assert bare.command(OPTIMISED, "fc").endswith("--unit-jpg-dir FOLDER")
    assert "--out FOLDER" in bare.command(PATCHES, "fc")
    monkeypatch.chdir(tmp_path)  # started elsewhere, where no package is found
    words = shlex.split(found.command(OPTIMISED, "pool5"))
    assert words[:4] == ["cd", str(ROOT), "&&", ".venv/bin/python"]
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    assert "&& /usr/bin/python3 -m optimize" in found.command(OPTIMISED, "pool5")


@pytest.mark.parametrize("kind", KINDS)
def test_the_tools_take_the_commands_as_they_stand(kind):
    words = shlex.split(UnitFolder(None, settings=Path("s.py")).command(kind, "conv1"))
    rest = words[words.index("-m") + 1 :]
    options = PARSERS[rest[0]](rest[1:])
    assert options.settings.name == "s.py"
    assert list(options.layers) == ["conv1"]


def test_missing_files_are_no_error_and_come_with_their_command(folder):
    result = ask(loader(folder), "conv1", 77)
    assert result.problems == ()
    for picture, kind in zip(result.pictures, KINDS, strict=True):
        assert picture.image is None
        assert picture.note == (f"no {kind.name}: {kind.cure}",)
        command = UnitFolder(str(folder)).command(kind, "conv1")
        found = [what for _, what, made_by in result.commands if made_by == command]
        assert found == [f"no {KINDS[0].name if kind is KINDS[0] else KINDS[1].name} of conv1"]
    missing = loader(folder)(ImagesRequest(sheet=sheet(layer="conv9"))).sheet
    assert missing.note == ("no optimised images: press 2 to make them",)
    never = ask(loader(folder / "never there"))
    assert never.problems == ()


def test_files_that_appear_later_are_found(folder):
    load = loader(folder)
    assert ask(load, unit=9).pictures[0].image is None
    write_unit(folder, "conv1", 9)
    assert is_colour(ask(load, unit=9).pictures[0].image, 27)


def test_files_that_change_are_read_again(folder):
    load = loader(folder)
    assert is_colour(ask(load).pictures[1].image, 1)
    write_unit(folder, "conv1", 0, side=14, first=30)
    assert is_colour(ask(load).pictures[1].image, 31)


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "unreadable folder"])
def test_a_corrupt_file_is_a_message_and_the_others_are_shown(folder, damage: str):
    path = UnitFolder(str(folder)).unit(PATCHES, "conv1", 2)[0]
    whole = path.read_bytes()
    if damage == "unreadable folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "text": b"no"}[damage])
    result = ask(loader(folder), unit=2)
    assert is_colour(result.pictures[0].image, 6)
    assert is_colour(result.pictures[2].image, 8)
    assert result.pictures[1].image is None
    if damage == "unreadable folder":
        assert result.problems == ()  # there is no file
        return
    (problem,) = result.problems
    assert "conv1_0002.jpg cannot be read" in problem
    assert result.pictures[1].note == (problem,)
    path.write_bytes(whole)
    assert ask(loader(folder), unit=2).problems == ()


def test_a_folder_that_goes_is_a_message_until_it_returns(folder):
    load = loader(folder)
    assert ask(load).problems == ()
    aside = folder.with_name("aside")
    os.rename(folder, aside)
    gone = load(ImagesRequest())
    assert gone.problems == (f"the folder of unit images has gone: {folder}",)
    assert [picture.image for picture in ask(load).pictures] == [None] * 3
    os.rename(aside, folder)
    back = ask(load)
    assert back.problems == ()
    assert is_colour(back.pictures[0].image, 0)


def test_a_sheet_becomes_an_overview_or_one_units_image(folder):
    load = loader(folder)
    result = load(ImagesRequest(Origin("conv1", 1), sheet()))
    assert len(result.pictures) == 3
    grid = sheet().grid()
    for unit in range(6):
        top, left = grid.corner(unit)
        tile = result.sheet.image[top : top + grid.height, left : left + grid.width]
        assert tile.shape[:2] == (grid.height, grid.width)
        assert is_colour(tile, unit)
    assert result.sheet.image[0, 0].tolist() == [1, 2, 3]
    one = load(ImagesRequest(sheet=sheet(4))).sheet.image
    assert one.shape == (16, 16, 3)
    assert is_colour(one, 4)


def test_a_sheet_of_another_number_of_units_is_a_message(folder):
    write_image(folder / "regularized_opt" / "conv1" / "whole_layer.jpg", plain_tile(31, 37, 0))
    result = loader(folder)(ImagesRequest(sheet=sheet(units=96)))
    assert result.problems == (
        "whole_layer.jpg of conv1 has 37 x 31 pixels, which is no grid of 96 images",
    )


def test_what_is_kept_is_bounded_in_bytes_and_the_newest_is_kept(folder):
    size = ask(loader(folder)).pictures[0].image.nbytes
    load = loader(folder, limit=4 * size)
    for unit in range(6):
        assert all(picture.image is not None for picture in ask(load, unit=unit).pictures)
        assert load.cache.used <= 4 * size
    assert len(load.cache) == 4
    kept = ask(load, unit=5).pictures
    assert kept[0].image is ask(load, unit=5).pictures[0].image


@pytest.mark.parametrize("limit", [0, 100])
def test_an_item_above_the_bound_is_shown_but_not_kept(folder, limit: int):
    load = loader(folder, limit)
    result = load(ImagesRequest(Origin("conv1", 3), sheet()))
    assert all(picture.image is not None for picture in (*result.pictures, result.sheet))
    assert (load.cache.used, len(load.cache)) == (0, 0)


def test_kept_pictures_are_not_read_again(folder, monkeypatch):
    from caffevis.units import loader as module

    read = []
    real = module.read_image
    monkeypatch.setattr(module, "read_image", lambda path: read.append(path) or real(path))
    load = loader(folder)
    request = ImagesRequest(Origin("conv1", 0), sheet())
    first = load(request)
    assert len(read) == 4
    again = load(request)
    assert len(read) == 4
    assert again.sheet.image is first.sheet.image
    load(ImagesRequest(sheet=sheet(3)))
    assert len(read) == 4


def test_a_published_montage_is_kept_without_what_is_not_shown(folder):
    from tests.pictures import published, textured_tile

    tiles = [[textured_tile(20, 9 * part + n) for n in range(9)] for part in range(4)]
    path = UnitFolder(str(folder)).unit(OPTIMISED, "conv1", 0)[0]
    write_image(path, published(tiles))
    load = loader(folder)
    image = ask(load).pictures[0].image
    assert image.shape == (62, 62, 3)
    expected = group(tiles[2], 3, gap=1)
    assert np.abs(image.astype(int) - expected).mean() < 10
    others = sum(picture.image.nbytes for picture in ask(load).pictures[1:])
    assert load.cache.used == image.nbytes + others


def test_a_folder_that_vanishes_while_a_file_is_read_is_a_message(folder, monkeypatch):
    from caffevis.units import loader as module

    real = module.read_image

    def vanish(path):
        shutil.rmtree(folder, ignore_errors=True)
        return real(path)

    monkeypatch.setattr(module, "read_image", vanish)
    result = ask(loader(folder))
    assert any("cannot be read" in problem for problem in result.problems)
    assert all(picture.image is None for picture in result.pictures)


# --- folders of another network ---


@pytest.fixture
def model(tmp_path) -> tuple[str, str]:
    files = tmp_path / "own.prototxt", tmp_path / "own.caffemodel"
    for file in files:
        file.write_bytes(b"own")
    return str(files[0]), str(files[1])


def test_pictures_of_another_network_are_a_sentence_and_no_picture(folder, model):
    load = loader(folder, model=model)
    request = ImagesRequest(Origin("conv1", 0), sheet())
    before = load(request)
    assert all(picture.image is not None for picture in (*before.pictures, before.sheet))
    write_stamp(folder, Stamp("deploy.prototxt", "caffenet.caffemodel", "12" * 32, "34" * 32))
    after = load(request)
    for picture in (*after.pictures, after.sheet):
        assert picture.image is None
        assert (
            "were made from caffenet.caffemodel (34343434), not own.caffemodel" in picture.note[0]
        )
        assert "caffevis_unit_jpg_dir" in picture.note[1]
    assert after.problems == ()
    write_stamp(folder / "max_im" / "conv1", stamp_of(*model))  # made anew, of this network
    assert [picture.image is None for picture in load(request).pictures] == [True, False, True]
    write_stamp(folder, stamp_of(*model))
    assert all(picture.image is not None for picture in load(request).pictures)


def test_a_stamp_that_cannot_be_read_is_told_and_the_pictures_show(folder, model):
    (folder / NAME).write_text("{", encoding="utf-8")
    result = ask(loader(folder, model=model))
    assert all(picture.image is not None for picture in result.pictures)
    assert "does not say which network" in result.problems[0]


# --- layers of which some units have images ---


def test_a_layer_without_a_sheet_shows_what_its_units_have(folder):
    for unit in (1, 4):
        write_unit(folder, "fc6", unit)
    load = loader(folder)
    made = load(ImagesRequest(sheet=sheet(layer="fc6"))).sheet
    grid = sheet().grid()
    for unit in range(6):
        top, left = grid.corner(unit)
        tile = made.image[top : top + grid.height, left : left + grid.width]
        if unit in (1, 4):
            assert is_colour(tile, 3 * unit)
        else:
            assert middle(tile).tolist() == [0, 1, 1]
    one = load(ImagesRequest(sheet=sheet(4, "fc6"))).sheet
    assert is_colour(one.image, 12)
    none = load(ImagesRequest(sheet=sheet(2, "fc6"))).sheet
    assert none.note == ("no optimised images: press 2 to make them",)


def test_the_bundled_images_are_of_the_bundled_model():
    model = ROOT / "models" / "caffenet-caltech101"
    found = read_stamp(model / "unit_jpg_vis", model / "unit_jpg_vis")
    own = stamp_of(model / "deploy.prototxt", model / "caffenet-caltech101.caffemodel")
    assert found is not None and found.same(own)
