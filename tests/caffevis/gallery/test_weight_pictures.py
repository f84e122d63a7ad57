"""Pictures of weights in the gallery: which layers have one, and what is told without a network."""

from __future__ import annotations

import cv2
import numpy as np

from caffevis.gallery import __main__ as command
from caffevis.gallery.weights import place, weight_pictures
from caffevis.net.weights import find_weights
from caffevis.panes.weights import filter_picture
from settings import TABLE
from toolbox.settings import config

BUNDLED = config.load(TABLE, None)


def test_layers_with_weights_get_a_picture():
    found = weight_pictures(BUNDLED, ["conv1", "pool1", "conv2", "nowhere"])
    assert list(found) == ["conv1", "conv2"]
    assert found["conv1"].shape[0] > found["conv2"].shape[0]  # with filters, and without
    assert all(picture.std() > 5 for picture in found.values())


def test_the_filters_are_the_networks():
    from caffevis.model.opening import open_net

    net = open_net(BUNDLED)
    filters = find_weights(net, "conv1", "data", (2, 1, 0)).filters
    picture = weight_pictures(BUNDLED, ["conv1"])["conv1"]
    for row, column in ((5, 5), (2, 8)):
        wanted = filter_picture(filters[0])[row, column].astype(int)
        off = np.abs(picture[2:60, 2:60].astype(int) - wanted).sum(2)
        assert off.min() == 0


def test_a_network_that_cannot_be_opened_is_told(tmp_path, capsys):
    assert weight_pictures(BUNDLED.replaced(caffevis_network_weights=None), ["conv1"]) == {}
    (tmp_path / "bad.caffemodel").write_bytes(b"none")
    bad = BUNDLED.replaced(caffevis_network_weights=str(tmp_path / "bad.caffemodel"))
    assert weight_pictures(bad, ["conv1"]) == {}
    assert "note: no pictures of weights, because of this:" in capsys.readouterr().err


def test_the_command_writes_them(tmp_path):
    (tmp_path / "units/max_im/conv1").mkdir(parents=True)
    picture = np.full((9, 9, 3), 7, np.uint8)
    assert cv2.imwrite(str(tmp_path / "units/max_im/conv1/conv1_0000.jpg"), picture)
    words = ["--out", tmp_path / "site", "--unit-jpg-dir", tmp_path / "units"]
    assert command.main([str(word) for word in words]) == 0
    written = cv2.imread(str(tmp_path / "site/images/weights/000_conv1.png"))
    assert written is not None and written.std() > 5
    assert place("a/b<ü>", 3).name == "003_a_b___.png"
    assert command.main([str(word) for word in words]) == 0  # replaced as an older gallery
