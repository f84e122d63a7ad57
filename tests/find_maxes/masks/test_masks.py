"""Network Dissection's IoU against brute force, planted concepts, and masks that do not fit."""

import csv
import shutil

import cv2
import numpy as np
import pytest

import torchcaffe as caffe
from find_maxes import find_max_acts, label_masks
from find_maxes.masks.dissection import ON, Dissector
from find_maxes.masks.mask_folder import GRID, find_masks
from find_maxes.scan import maxes_file
from find_maxes.scan.network import NetFiles, Runner
from tests.find_maxes.conftest import build_model, photo
from torchcaffe.regions import receptive_field

NET = """
name: "masks"
input: "data"
input_shape { dim: 1 dim: 3 dim: 32 dim: 32 }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 stride: 2 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Photos with a red square, its masks, masks of noise, and a net with a unit for red."""
    model = build_model(tmp_path_factory.mktemp("masks"), NET)
    net = caffe.Net(str(model.prototxt), str(model.weights), caffe.TEST)
    weights = net.params["conv"][0].data
    weights[0] = -0.01
    weights[0, 2] = 0.02  # inputs are BGR
    net.save(str(model.weights))
    shutil.rmtree(model.photos)
    random = np.random.default_rng(1)
    for i in range(18):
        name = f"{'ab'[i % 2]}/{i}"
        image = np.uint8(100 + 0.2 * photo(i, 32, 32))
        red, noise = np.zeros((32, 32), np.uint8), np.uint8(random.random((32, 32)) > 0.5) * 255
        y, x = random.integers(2, 22, 2)
        if i % 4 == 0:
            image[y : y + 8, x : x + 8] = (20, 20, 200) + random.integers(0, 50, (8, 8, 3))
        red[y : y + 8, x : x + 8] = 255
        for path, picture in ((model.photos / f"{name}.png", image),
                              (model.folder / f"masks/red/{name}.png", red),
                              (model.folder / f"masks/noise/{name}.png.png", noise)):  # fmt: skip
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.parts[-3] == "photos" or i % 4 == 0 or (picture is noise and i < 10):
                assert cv2.imwrite(str(path), picture)
    model.list = "-"
    options = ["--workers", "0", "--mean", "(100,100,100)"]
    assert find_max_acts.main(model.arguments(model.folder / "max.npz", *options)) == 0
    return model


def words(made, out, masks="masks"):
    return [str(p) for p in (made.folder / "max.npz", made.prototxt, made.weights, made.photos,
                             made.folder / masks, out)]  # fmt: skip


def brute(made):
    """Thresholds and IoU with loops over photos, units and cells."""
    net = caffe.Net(str(made.prototxt), str(made.weights), caffe.TEST)
    masks = find_masks(made.folder / "masks", made.photos)
    maps, grids = [], []
    for name, own in masks.photos.items():
        image = cv2.imread(str(made.photos / name)).astype(np.float32)
        net.blobs["data"].data[0] = (image - 100).transpose(2, 0, 1)
        net.forward()
        maps.append(net.blobs["conv"].data[0].copy())
        grid = np.zeros((2, GRID, GRID), bool)
        for number, path in own.items():
            white = (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 127).astype(np.float32)
            grid[number] = cv2.resize(white, (GRID, GRID), interpolation=cv2.INTER_AREA) > 0.5
        grids.append(grid)
    maps, grids = np.array(maps), np.array(grids)
    keep = round(ON * maps[:, 0].size)
    centres = [(sum(receptive_field(net, "conv", i, 0, "data").rows) + 1) / 2 for i in range(15)]
    cells = (np.arange(GRID) + 0.5) * 32 / GRID
    found = np.zeros((4, 2))
    limits = []
    for unit in range(4):
        limit = np.sort(maps[:, unit].ravel())[::-1][keep]
        limits.append(limit)
        large = []
        for one in maps[:, unit]:
            tall = np.array([np.interp(cells, centres, column) for column in one.T]).T
            large.append([np.interp(cells, centres, row) for row in tall])
        on = np.array(large) > limit
        for concept in range(2):
            mask = grids[:, concept]
            found[unit, concept] = (on & mask).sum() / (on | mask).sum()
    return np.array(limits), found


def test_thresholds_and_iou_are_those_of_brute_force(made):
    maxes = maxes_file.read_maxes(made.folder / "max.npz")
    runner = Runner(NetFiles.named(str(made.prototxt), str(made.weights)), ["conv", "fc"])
    masks = find_masks(made.folder / "masks", made.photos)
    assert masks.concepts == ("noise", "red") and len(masks.photos) == 12
    dissector = Dissector(runner, maxes.recipe, made.photos, masks)
    assert dissector.layers == ["conv"]
    thresholds = dissector.thresholds()
    limits, expected = brute(made)
    np.testing.assert_allclose(thresholds["conv"].numpy(), limits, rtol=1e-4, atol=1e-5)
    overlaps, sizes = dissector.overlaps(thresholds)
    np.testing.assert_allclose(overlaps["conv"].iou(sizes), expected, atol=2e-3)
    assert expected[0].argmax() == 1 and expected[0, 1] > 0.04


def test_the_command_names_the_planted_unit(made, tmp_path, capsys):
    assert label_masks.main(words(made, tmp_path / "iou.csv")) == 0
    assert "12 photos, 2 concepts:" in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "iou.csv").open(encoding="utf-8")))
    assert [row["layer"] for row in rows] == ["conv"] * 4
    assert rows[0]["concept"] == "red"
    assert all((row["concept"] == "") == (float(row["IoU"]) <= 0.04) for row in rows)


def test_what_does_not_fit_is_said_in_a_sentence(made, tmp_path, capsys):
    out = tmp_path / "iou.csv"
    cases = {
        "is not a folder; name the one with a folder a concept": ("nowhere", None),
        "holds no mask; it needs <concept>/<path of the photo>.png": ("empty", "x/readme.txt"),
        "has no photo: neither": ("alien", "x/none.png"),
        "both must be of the same size": ("small", "x/a/0.png"),
    }
    for sentence, (folder, name) in cases.items():
        if name is not None:
            path = made.folder / folder / name
            path.parent.mkdir(parents=True)
            path.write_bytes(cv2.imencode(".png", np.zeros((5, 7, 3), np.uint8))[1].tobytes())
        assert label_masks.main(words(made, out, folder)) == 2
        printed = capsys.readouterr().err
        assert sentence in printed and "Traceback" not in printed
        assert not out.exists()
    assert label_masks.main([*words(made, out), "fc"]) == 2
    assert "none of these layers has a map" in capsys.readouterr().err


def test_two_photos_of_a_name_are_told_apart(made, tmp_path, capsys):
    shutil.copytree(made.photos, tmp_path / "photos")
    shutil.copy(tmp_path / "photos/a/0.png", tmp_path / "photos/a/0.jpg")
    (tmp_path / "masks/red/a").mkdir(parents=True)
    shutil.copy(made.folder / "masks/red/a/0.png", tmp_path / "masks/red/a/0.png")
    line = words(made, tmp_path / "iou.csv")
    line[3:5] = [str(tmp_path / "photos"), str(tmp_path / "masks")]
    assert label_masks.main(line) == 2
    assert "may be of 0.jpg or of 0.png; call it 0.jpg.png or" in capsys.readouterr().err
