"""Images made while one looks: the batch tool's pixels, keys, what there is to say."""

from __future__ import annotations

import numpy as np
import pytest

import torchcaffe as caffe
from caffevis.keys.state import MAKE_NONE, ZOOM_IMAGE, ZOOM_UNIT
from caffevis.live.recipes import RECIPES
from optimize.__main__ import main as optimize
from optimize.output.pictures import encoded
from optimize.params import ALL_PRESETS
from tests.pictures import write_unit

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


def test_another_units_image_is_never_shown_under_a_units_name(drive):
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


@pytest.mark.parametrize(
    ("wanted", "images", "made"),
    [(None, False, True), (None, True, False), (True, True, True), (False, False, False)],
)
def test_units_without_images_get_them_by_themselves(drive, tmp_path, wanted, images, made):
    if images:
        write_unit(tmp_path, "conv1", 0)
    on = drive(caffevis_unit_jpg_dir=str(tmp_path), caffevis_make_images=wanted)
    on.press("o down")
    on.settle()
    assert (on.picture().image is not None) == made
    assert on.app.state.ascends == made


def test_a_unit_with_an_image_on_disk_is_left_alone_until_the_key(drive, tmp_path):
    write_unit(tmp_path, "conv1", 0)
    on = drive(caffevis_unit_jpg_dir=str(tmp_path), caffevis_make_images=True)
    on.press("down")
    on.settle()
    assert on.picture().caption == ""
    on.press("2")
    on.settle()
    assert on.picture().caption.startswith("conv1:0")


def test_z_enlarges_it_and_leaves_when_it_ends(drive):
    on = drive()
    on.press("o down 2 z z")
    assert on.app.state.zoom == ZOOM_IMAGE
    on.settle()
    assert on.app._images.layers_drawing(on.app.state).inputs.pictures[0] is on.picture()
    on.press("esc")
    assert on.app.state.zoom == ZOOM_UNIT


def test_a_unit_without_a_gradient_says_why_and_what_was_done(small, drive, tmp_path):
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
