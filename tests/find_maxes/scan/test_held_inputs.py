"""A scan, its crops and its check with inputs and channels that no photo feeds."""

from __future__ import annotations

import numpy as np
import pytest

import torchcaffe as caffe
from find_maxes import check, crop_max_patches, find_max_acts
from find_maxes.scan import maxes_file
from tests.find_maxes.conftest import build_model

NET = """
name: "rgbd"
layer { name: "im_info" type: "Input" top: "im_info" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 4 dim: 24 dim: 30 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 5 stride: 2 weight_filler { type: "xavier" } } }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "info" type: "InnerProduct" bottom: "im_info" top: "info"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "sum" type: "Eltwise" bottom: "fc" bottom: "info" top: "sum" }
"""
HOLD = ["--hold", "im_info=60,-80,1", "--hold", "data=50"]


@pytest.fixture
def model(tmp_path):
    model = build_model(tmp_path / "m", NET)
    model.write_list(model.names[:6])
    return model


def test_the_values_held_count_in_scan_crops_and_check(model, tmp_path, capsys):
    out = tmp_path / "max.npz"
    words = ["--workers", "0", "--mean", "104,117,123", "--layers", "conv", "sum"]
    assert find_max_acts.main(model.arguments(out, *HOLD, *words, "--N", "2", "--")) == 0
    maxes = maxes_file.read_maxes(out)
    net = caffe.Net(str(model.prototxt), str(model.weights), caffe.TEST)
    net.blobs["im_info"].data[...] = (60, -80, 1)
    net.blobs["data"].data[0, 3] = 50
    best = []
    for name in model.names[:6]:
        picture = maxes.recipe.picture(str(model.photos / name))
        colours = (picture[:, :, ::-1] - np.float32((104, 117, 123))).transpose(2, 0, 1)
        net.blobs["data"].data[0, :3] = colours
        best.append(net.forward(end="sum")["sum"][0].copy())
    np.testing.assert_allclose(maxes.values["sum"][:, 0], np.max(best, axis=0), rtol=1e-4)
    paths = [str(p) for p in (model.prototxt, model.weights, model.photos, model.list)]
    assert crop_max_patches.main([str(out), *paths, str(tmp_path / "o"), "sum",
                                  "--workers", "0"]) == 0  # fmt: skip
    assert "0 value(s) not reproduced" in capsys.readouterr().out
    assert check.main([str(out), *paths, "--exhaustive"]) == 0


@pytest.mark.parametrize("channels", [2, 6])
def test_pairs_of_pictures_are_one_sentence(channels, tmp_path, capsys):
    net = NET.replace("dim: 1 dim: 4 dim: 24", f"dim: 1 dim: {channels} dim: 24")
    model = build_model(tmp_path / "m", net)
    words = ["--workers", "0", "--mean", "None"]
    assert find_max_acts.main(model.arguments(tmp_path / "max.npz", *words)) == 2
    assert f"has {channels} channels; photos can feed 1, or 3" in capsys.readouterr().err


def test_an_unknown_input_is_one_sentence(model, tmp_path, capsys):
    words = ["--workers", "0", "--mean", "None", "--hold", "iminfo=3"]
    assert find_max_acts.main(model.arguments(tmp_path / "max.npz", *words)) == 2
    assert "no input 'iminfo'; its inputs are im_info, data" in capsys.readouterr().err
