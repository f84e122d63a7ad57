"""Cards: patches at percentiles and of the lowest values, and the table beside the app's images."""

import csv

import cv2
import numpy as np
import pytest

import torchcaffe as caffe
from find_maxes import crop_max_patches, find_max_acts
from find_maxes.crops.patches import start_layer
from find_maxes.scan import maxes_file
from tests.find_maxes.conftest import slow_inputs
from toolbox.pictures.stamp import read_stamp, stamp_of
from torchcaffe.regions import receptive_field

FIT = ["--resize", "stretch", "--crop", "256", "--mean", "(104,117,123)"]


@pytest.fixture(scope="module")
def made(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cards")
    options = ["--workers", "0", "--labels", "--quantiles", "--N", "2", *FIT]
    assert find_max_acts.main(tiny.arguments(folder / "max.npz", *options)) == 0
    paths = [folder / "max.npz", tiny.prototxt, tiny.weights, tiny.photos, tiny.list, folder / "o"]
    words = ["--workers", "0", "--unit-jpg-dir", folder / "units", *paths, "conv1", "fc"]
    assert crop_max_patches.main([*map(str, words)]) == 0
    return folder, paths


def tile(picture, number, size):
    row, column = divmod(number, 3)
    top, left = 1 + row * (size + 1), 1 + column * (size + 1)
    return picture[top : top + size, left : left + size].astype(float)


def expected(tiny, photo, layer, row, column):
    """The photo as the net sees it, cut at the receptive field, in BGR."""
    net = caffe.Net(str(tiny.prototxt), caffe.TEST)
    region = receptive_field(net, layer, max(row, 0), max(column, 0), "data")
    mean = np.float32([104, 117, 123])
    picture = next(slow_inputs(tiny, [photo])).transpose(1, 2, 0) + mean
    wide = np.empty((400, 400, 3), np.float32)
    wide[:] = np.rint(mean)
    wide[150 : 150 + picture.shape[0], 150 : 150 + picture.shape[1]] = picture
    patch = wide[150 + region.rows[0] : 151 + region.rows[1],
                 150 + region.columns[0] : 151 + region.columns[1]]  # fmt: skip
    factor = 120 // max(patch.shape[:2])
    return patch.repeat(factor, 0).repeat(factor, 1)


def test_tiles_are_the_patches_at_percentiles_and_the_lowest(made, tiny):
    folder, _ = made
    maxes = maxes_file.read_maxes(folder / "max.npz")
    net = caffe.Net(str(tiny.prototxt), str(tiny.weights), caffe.TEST)
    lowest = []
    for x in slow_inputs(tiny, tiny.names):
        net.blobs["data"].data[...] = x[None]
        net._forward(0, list(net.layer_dict).index(start_layer(net, "conv1")))
        lowest.append(net.blobs["conv1"].data[0].copy())
    lowest = np.array(lowest)  # before the ReLU
    assert lowest.min() < 0
    for unit in (0, 3):
        picture = cv2.imread(str(folder / f"units/card/conv1/conv1_{unit:04d}.jpg"))
        size = (picture.shape[1] - 4) // 3
        assert picture.shape[0] == 4 * (size + 1) + 1
        for number, (image, _, row, column) in enumerate(maxes.cards["conv1"].at_locs[unit]):
            patch = expected(tiny, tiny.names[image], "conv1", row, column)
            assert np.abs(tile(picture, number, size) - patch).mean() < 8  # JPEG
        flat = lowest[:, unit].reshape(len(lowest), -1)
        order = np.argsort(flat.min(1), kind="stable")[:3]
        for number, image in enumerate(order):
            row, column = divmod(int(flat[image].argmin()), lowest.shape[3])
            patch = expected(tiny, tiny.names[image], "conv1", row, column)
            assert np.abs(tile(picture, 9 + number, size) - patch).mean() < 8


def test_the_table_lies_beside_with_its_network(made, tiny):
    folder, _ = made
    rows = list(csv.DictReader((folder / "units/labels/labels.csv").open(encoding="utf-8")))
    assert {row["layer"] for row in rows} == {"conv1", "pool1", "part/conv2", "fc", "prob"}
    own = stamp_of(tiny.prototxt, tiny.weights)
    for place in ("labels", "card/conv1", "card/fc"):
        assert read_stamp(folder / "units" / place, folder / "units").same(own)
    assert not (folder / "units/card/pool1").exists()


def test_labels_of_other_layers_stay(made, tiny, tmp_path):
    folder, paths = made
    table = folder / "units/labels/labels.csv"
    before = table.read_text(encoding="utf-8").splitlines()
    some = tmp_path / "some.npz"
    options = ["--workers", "0", "--labels", "--layers", "fc", *FIT]
    assert find_max_acts.main(tiny.arguments(some, *options)) == 0
    words = ["--workers", "0", "--unit-jpg-dir", folder / "units", some, *paths[1:]]
    assert crop_max_patches.main([*map(str, words)]) == 0
    after = table.read_text(encoding="utf-8").splitlines()
    assert len(after) == len(before)
    assert [line for line in after if not line.startswith("fc,")] == [
        line for line in before if not line.startswith("fc,")
    ]
    assert all(line.endswith(",,,,,,,,,") for line in after if line.startswith("fc,"))
