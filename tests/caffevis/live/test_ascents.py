"""Images made while one looks: the batch tool's pixels, keys, what there is to say."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import torchcaffe as caffe
from caffevis.keys.state import MAKE_NONE, ZOOM_IMAGE, ZOOM_UNIT, Origin
from caffevis.live import ascents
from caffevis.live.ascents import COPIES, PULL, RECORDS, TILES_BYTES
from caffevis.live.recipes import RECIPES
from caffevis.live.request import Wanted
from caffevis.units.montage import shrink
from optimize.__main__ import main as optimize
from optimize.output.pictures import encoded
from optimize.params import ALL_PRESETS
from tests.caffevis.live.conftest import batch_patches as made_batch
from tests.pictures import write_unit

QUICK = 40  # iterations, where it does not matter how many


@pytest.fixture
def quick(monkeypatch) -> int:
    """Let ascents be shorter than their presets say."""
    real = ascents.preset_values
    short = {"max_iter": QUICK}
    monkeypatch.setattr(ascents, "preset_values", lambda number: {**real(number), **short})
    return QUICK


UNITS = {"conv2": "o down right right", "fc": "o o down right right"}


@pytest.mark.parametrize("layer", UNITS)
def test_left_alone_it_ends_with_the_bytes_of_the_batch_tool(
    layer, small, drive, tmp_path, threads, capfd
):
    command = [
        "--settings", str(small / "settings.py"), "--preset", "5", "--push-layer", layer,
        "--push-channel", "2", "--unit-jpg-dir", str(tmp_path), "--threads", "1", "--quiet",
    ]  # fmt: skip
    assert optimize(command) == 0, capfd.readouterr().err
    on = drive(caffevis_make_images=False)
    on.press(UNITS[layer] + " 2")
    on.settle()
    file = tmp_path / "regularized_opt" / layer / f"{layer}_0002_montage.jpg"
    assert encoded(on.picture().image) == file.read_bytes()
    assert on.picture().caption.startswith(f"{layer}:2, objective ")
    assert "preset 5: 9 images" in on.picture().title


def test_other_units_in_between_change_no_pixel_and_begin_nothing_again(drive, quick):
    begins = "o down right right 2"
    on = drive(caffevis_make_images=False)
    on.press(begins)
    on.settle()
    alone = on.picture().image
    on = drive(caffevis_make_images=False)
    on.press(begins)
    on.until(lambda: far(on.picture()) > quick / 2)
    for there, back in (("right", "left"), ("u", "o")):  # in the same layer, and in another
        begun = far(on.picture())
        on.press(there)
        on.until(lambda: far(on.picture()))
        on.press(back)
        assert (on.app.state.layer.name, on.app.state.unit) == ("conv2", 2)
        assert not far(on.picture())
        on.until(lambda: far(on.picture()))
        assert far(on.picture()) >= begun
    on.settle()
    assert np.array_equal(on.picture().image, alone)


def far(picture) -> int:
    """Count iterations, of the first image and then of all; 0 before the first."""
    if picture is None or picture.image is None:
        return 0
    done = picture.caption.split(", ")[1].split(" of ")[0]
    begun = 1000 * ("images 1 to 9" in picture.title)
    return begun + int(done) if done.isdecimal() else 10000


def test_the_image_grows_and_says_how_far_it_is(drive):
    on = drive()
    on.press("o down 2")
    seen = []

    def grown() -> bool:
        picture = on.picture()
        if picture and picture.image is not None and (not seen or picture is not seen[-1]):
            seen.append(picture)
        return on.app.settled()

    on.until(grown)
    sizes = [picture.image.shape for picture in seen]
    assert sizes[0] == (9, 9, 3)  # first one image, as large as its unit sees
    assert sizes[-1] == (29, 29, 3)  # then nine
    assert len(seen) > 3
    iterations = [int(p.caption.split(", ")[1].split(" of ")[0]) for p in seen[:-1]
                  if p.title.endswith("image 1")]  # fmt: skip
    assert iterations == sorted(set(iterations))
    assert any(not np.array_equal(seen[0].image, p.image) for p in seen if p.image.shape[0] == 9)


def test_the_key_goes_round_the_ways_and_esc_ends_it_where_it_was(drive):
    assert {recipe.preset for recipe in RECIPES} == set(ALL_PRESETS)
    assert RECIPES[0].preset == 5
    on = drive(caffevis_make_images=False)
    on.press("o down right 2")
    first = on.app.state
    assert first.ascends
    on.press("2")
    assert on.app.state.recipe == first.recipe + 1
    on.press("esc")
    assert on.app.state.make == MAKE_NONE
    assert (on.app.state.layer.name, on.app.state.unit) == ("conv2", 1)
    on.settle()
    assert on.picture().image is None  # what is on disk again: nothing
    on.press("esc")
    assert (on.app.state.layer.name, on.app.state.in_units) == ("conv1", False)


def test_from_the_list_of_layers_it_goes_into_the_units(drive):
    on = drive(caffevis_make_images=False)
    on.press("o 2")
    assert on.app.state.in_units


def test_another_units_image_is_never_shown_under_a_units_name(drive, quick):
    on = drive()
    on.press("o down 2")
    on.settle()
    on.press("right")
    assert on.picture() is None or on.picture().image is None
    on.until(lambda: on.picture() and on.picture().image is not None)
    assert on.picture().caption.startswith("conv2:1,")
    on.press("left")
    on.until(lambda: on.picture() and on.picture().image is not None)
    assert on.picture().caption.startswith("conv2:0, objective")  # it was kept: there at once


def test_finished_images_are_kept_within_bytes(drive, quick, monkeypatch):
    monkeypatch.setattr(ascents, "KEPT_BYTES", 1)  # the newest stays
    on = drive(caffevis_make_images=False)
    on.press("o down 2")
    on.settle()
    assert "objective" in on.picture().caption
    on.press("right")
    on.settle()
    assert on.picture().caption.startswith("conv2:1, objective ")
    on.press("left")
    on.until(lambda: on.picture() and on.picture().image is not None)
    assert 0 < far(on.picture()) < quick  # it was forgotten: made again


def test_what_waits_is_counted_with_the_picture_that_it_starts_from(drive, make_photo, threads):
    _, frame = make_photo(24)
    work, held = drive().app._images._growth._open(), []
    for photo in (None, frame):
        (news,) = islice(work(Wanted(Origin("conv2", 2), 0, photo=photo)), 1)
        held.append(news.growth.held)
    values = 24 * 24 * 3 * 4  # what it starts from, in the network's input
    assert held[1] - held[0] == values + frame.image.nbytes
    assert held[0] >= RECORDS + COPIES * 9 * 9 * 3 * 4


@pytest.mark.parametrize(
    ("wanted", "images", "made"),
    [(None, False, True), (None, True, False), (True, True, True), (False, False, False)],
)
def test_units_without_images_get_them_by_themselves(drive, tmp_path, wanted, images, made, quick):
    if images:
        write_unit(tmp_path, "conv1", 0)
    on = drive(caffevis_unit_jpg_dir=str(tmp_path), caffevis_make_images=wanted)
    on.press("o down")
    on.settle()
    assert (on.picture().image is not None) == made
    assert on.app.state.ascends == made


def test_a_unit_with_an_image_on_disk_is_left_alone_until_the_key(drive, tmp_path, quick):
    write_unit(tmp_path, "conv1", 0)
    on = drive(caffevis_unit_jpg_dir=str(tmp_path), caffevis_make_images=True)
    on.press("down")
    on.settle()
    assert on.picture().caption == ""
    on.press("2")
    on.settle()
    assert on.picture().caption.startswith("conv1:0")


def test_z_enlarges_it_and_leaves_when_it_ends(drive, quick):
    on = drive()
    on.press("o down 2 z z")
    assert on.app.state.zoom == ZOOM_IMAGE
    on.settle()
    assert on.app._images.layers_drawing(on.app.state).inputs.pictures[0] is on.picture()
    on.press("esc")
    assert on.app.state.zoom == ZOOM_UNIT


def test_a_unit_without_a_gradient_says_why_and_what_was_done(small, drive, tmp_path, quick):
    net = caffe.Net(str(small / "small.prototxt"), str(small / "small.caffemodel"), caffe.TEST)
    net.params["fc"][1].data[...] = -1e4
    net.save(str(tmp_path / "off.caffemodel"))
    on = drive(caffevis_network_weights=str(tmp_path / "off.caffemodel"))
    on.press("o o o down 2")
    on.settle()
    assert on.picture().image is not None
    assert "the value before it was pushed instead" in on.app.message()
    assert "fcr:0" in on.app.message()


def test_weights_that_are_no_numbers_are_one_sentence(small, drive, tmp_path):
    net = caffe.Net(str(small / "small.prototxt"), str(small / "small.caffemodel"), caffe.TEST)
    net.params["conv2"][0].data[0] = np.nan
    net.save(str(tmp_path / "nan.caffemodel"))
    on = drive(caffevis_network_weights=str(tmp_path / "nan.caffemodel"))
    on.press("o down 2")
    on.settle()
    assert on.picture().image is None
    assert "the weights of layer 'conv2' are not all finite numbers" in on.picture().note[0]
    assert "the weights of layer 'conv2'" in on.app.message()


def test_it_ends_in_the_middle(drive):
    on = drive()
    on.press("o o down 2")
    on.until(lambda: on.picture() and on.picture().image is not None)
    assert on.app.close()  # within two seconds


def test_pattern_mode_fills_what_has_no_image_in_the_order_of_the_screen(drive, tmp_path, quick):
    write_unit(tmp_path, "conv2", 1)
    on = drive(caffevis_unit_jpg_dir=str(tmp_path))
    seen = []

    def grown() -> bool:
        filled = on.app._images.pattern_view(on.app.state).filled
        if filled is not None and (not seen or len(filled.tiles) > len(seen[-1].tiles)):
            seen.append(filled)
            said.append(on.app.message())
        return on.app.settled()

    said: list[str] = []
    on.press("o s")
    on.until(grown)
    order = [list(filled.tiles) for filled in seen]
    assert order[-1] == [0, 2, 3, 4, 5, 6, 7]
    assert all(
        later[: len(before)] == before for before, later in zip(order, order[1:], strict=False)
    )
    assert said[0] == "conv2: images of 7 units are to come"
    assert on.app.message() == ""
    view = on.app._images.pattern_view(on.app.state)
    assert view.picture.image is not None  # the image that exists
    assert on.app._images.pattern_drawing(on.app.state) is not None
    # Each is the first of the unit's images.
    on.press("s down right right 2")
    on.settle()
    nine = on.picture().image
    tile = view.filled.tiles[2]
    assert np.array_equal(tile, shrink(nine[:9, :9], tile.shape[:2]))


def test_in_a_script_pattern_mode_fills_only_what_the_key_asks_for(drive):
    on = drive(caffevis_make_images=False)
    on.press("o s")
    on.settle()
    assert on.app._images.pattern_view(on.app.state).filled is None
    assert on.app.message() == "no optimised images: press 2 to make them"


def test_what_was_made_is_kept_as_the_batch_tools_write_it(
    small, drive, tmp_path, threads, capfd, quick
):
    batch, own = tmp_path / "batch", tmp_path / "own"
    settings = ["--settings", str(small / "settings.py")]
    command = [*settings, "--preset", "5", "--push-layer", "conv2", "--push-channel", "2"]
    command += ["--unit-jpg-dir", str(batch), "--threads", "1", "--max-iter", str(quick)]
    assert optimize([*command, "--quiet"]) == 0
    made_batch(small, small / "photos", batch)
    on = drive(caffevis_unit_jpg_dir=str(own), caffevis_photos_dir=str(small / "photos"))
    on.press("o down right right 6")
    on.settle()
    assert "nothing of conv2:2 is kept" in on.app.message()
    on.press("6")
    on.settle()
    assert on.app.message() == (
        f"conv2:2: optimised images and top patches and their deconv kept in {own}"
    )
    names = {path.relative_to(own) for path in own.rglob("*") if path.is_file()}
    assert {str(name.parent) for name in names} == {
        "regularized_opt/conv2", "max_im/conv2", "max_deconv/conv2"
    }  # fmt: skip
    for name in names:
        assert (own / name).read_bytes() == (batch / name).read_bytes(), name
    on.press("6")  # nothing is overwritten
    on.settle()
    assert "nothing of conv2:2 is kept" in on.app.message()
    on.press("left right")
    on.settle()
    assert on.app.message() == ""


def test_without_a_folder_nothing_is_kept(drive, quick):
    on = drive()
    on.press("o down 2 6")
    on.settle()
    assert "caffevis_unit_jpg_dir is not set" in on.app.message()


def test_from_the_picture_it_is_what_the_batch_tool_makes_of_the_file(
    small, drive, make_photo, tmp_path, threads, capfd, quick
):
    photo, frame = make_photo(24)
    command = ["--settings", str(small / "settings.py"), "--preset", "5", "--push-layer", "conv2"]
    command += ["--push-channel", "2", "--start-images", str(photo), "--facets", "1"]
    command += ["--pull", str(PULL), "--output-prefix", str(tmp_path / "o"), "--threads", "1"]
    command += ["--max-iter", str(quick)]
    assert optimize([*command, "--quiet"]) == 0
    info = json.loads((tmp_path / "o_conv2_0002_0_info.json").read_text(encoding="utf-8"))
    on = drive(caffevis_make_images=False, caffevis_unit_jpg_dir=str(tmp_path / "own"))
    on.app.set_frame(frame)
    on.settle()
    on.press("o down right right 7")
    on.settle()
    picture = on.picture()
    assert picture.title == f"preset 5 from {photo.name}: 1 image"
    assert f"objective {info['results']['best_obj']:.4g}" in picture.caption
    shown = picture.image
    # The next picture changes nothing of it; the next key press does.
    on.app.set_frame(make_photo(24, 1)[1])
    on.settle()
    assert on.picture().image is shown
    for _ in range(2):  # the same one once
        on.press("6")
        on.settle()
        kept = f"from_pictures/conv2/conv2_0002_{photo.stem}.jpg"
        assert on.app.message() == f"conv2:2: {kept} kept in {tmp_path / 'own'}"
        files = sorted(path.name for path in (tmp_path / "own").rglob("*.*"))
        assert files == [Path(kept).name, "made_from.json"]
    assert (tmp_path / "own" / kept).read_bytes() == encoded(shown)
    on.press("2")  # MACO begins with phases alone
    on.settle()
    assert "begins with the phases of one alone" in on.picture().note[0]
    on.press("7")
    on.settle()
    assert "preset 6: 9 images" in on.picture().title


@pytest.mark.parametrize("limit", [1, TILES_BYTES])
def test_first_images_of_layers_are_kept_within_bytes(drive, quick, monkeypatch, limit):
    monkeypatch.setattr(ascents, "TILES_BYTES", limit)  # the newest layer's stay
    on = drive()
    on.press("o s")
    on.settle()
    on.press("u")
    on.settle()
    assert len(on.app._images.pattern_view(on.app.state).filled.tiles) == 6
    seen = []
    on.press("o")
    on.until(lambda: seen.append(on.app.message()) or on.app.settled())
    assert ("conv2: images of 8 units are to come" in seen) == (limit == 1)
