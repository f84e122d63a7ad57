"""The window's network with inputs that no picture feeds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import torchcaffe as caffe
from caffevis.app import CaffeVisApp
from caffevis.model.opening import make_preprocess, open_net
from settings import load
from toolbox.pictures.crop import to_aspect
from toolbox.settings.config import Settings, SettingsError

NET = """
layer { name: "im_info" type: "Input" top: "im_info" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 4 dim: 12 dim: 20 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "info" type: "InnerProduct" bottom: "im_info" top: "info"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
"""


def settings(folder: Path, held: str) -> Settings:
    (folder / "n.prototxt").write_text(NET, encoding="utf-8")
    caffe.Net(str(folder / "n.prototxt"), caffe.TEST).save(str(folder / "w.caffemodel"))
    (folder / "s.py").write_text(
        "caffevis_deploy_prototxt = 'n.prototxt'\ncaffevis_network_weights = 'w.caffemodel'\n"
        f"caffevis_data_mean = (104, 117, 123)\ncaffevis_held_inputs = {held}\n",
        encoding="utf-8",
    )
    return load(folder / "s.py")


def test_inputs_and_channels_hold_what_the_settings_say(tmp_path):
    own = settings(tmp_path, "{'im_info': (6, 8), 'data': 0.5}")
    net = open_net(own)
    assert net.blobs["im_info"].data.tolist() == [[6, 8]]
    prepare = make_preprocess(net, own)
    picture = np.full((30, 70, 3), 200, np.uint8)
    values = prepare(to_aspect(picture, False, prepare.aspect))
    assert values.shape == (1, 4, 12, 20)
    assert np.unique(values[0, 3]).tolist() == [0.5]
    assert values[0, :3, 5, 5].tolist() == [96, 83, 77]
    assert CaffeVisApp(own, net=net).aspect() == 20 / 12


def test_an_input_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(SettingsError, match="no input 'iminfo'; its inputs are im_info, data"):
        CaffeVisApp(settings(tmp_path, "{'iminfo': 3}"))
