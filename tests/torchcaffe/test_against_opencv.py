"""Whole nets against OpenCV's own reader of Caffe files, which shares no code with ours."""

from pathlib import Path

import cv2
import numpy as np
import pytest

import torchcaffe as caffe

SHARED = Path(__file__).parents[3] / "shared"
SQUEEZENET = SHARED / "models/squeezenet"
SMALL = """
name: "small" force_backward: true
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 35 dim: 41 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 5 stride: 2 weight_filler { type: "msra" } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "norm1" type: "LRN" bottom: "conv1" top: "norm1"
  lrn_param { local_size: 5 alpha: 0.01 beta: 0.75 } }
layer { name: "pool1" type: "Pooling" bottom: "norm1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "left" type: "Convolution" bottom: "pool1" top: "left"
  convolution_param { num_output: 6 kernel_size: 3 pad: 1 group: 2
    weight_filler { type: "xavier" } } }
layer { name: "right" type: "Convolution" bottom: "pool1" top: "right"
  convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "join" type: "Concat" bottom: "left" bottom: "right" top: "join" }
layer { name: "fc" type: "InnerProduct" bottom: "join" top: "fc"
  inner_product_param { num_output: 7 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


def last_makers(net):
    """Blob name -> the last layer that wrote it (in-place layers come later)."""
    makers = {}
    for layer, tops in net.top_names.items():
        if net.layer_dict[layer].type not in ("Split", "Input"):
            makers.update(dict.fromkeys(tops, layer))
    return makers


def compare(prototxt, weights, x):
    net = caffe.Net(prototxt, weights, caffe.TEST)
    for name in net.inputs:
        net.blobs[name].reshape(*x.shape)
    net.reshape()
    net.forward(**{net.inputs[0]: x})
    other = cv2.dnn.readNetFromCaffe(str(prototxt), str(weights))
    other.enableFusion(False)
    compared = 0
    for blob, layer in last_makers(net).items():
        if layer not in other.getLayerNames():
            continue
        other.setInput(x)
        expected = other.forward(layer)
        found = net.blobs[blob].data
        scale = max(1.0, float(np.abs(expected).max()))
        assert np.abs(found - expected.reshape(found.shape)).max() <= 1e-3 * scale, blob
        compared += 1
    return compared


def test_small_net(tmp_path):
    prototxt, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    prototxt.write_text(SMALL)
    caffe.set_random_seed(1)
    caffe.Net(prototxt, caffe.TEST).save(weights)
    x = np.random.RandomState(0).normal(0, 40, (1, 3, 35, 41)).astype(np.float32)
    assert compare(prototxt, weights, x) == 8


@pytest.mark.skipif(not SQUEEZENET.exists(), reason="SqueezeNet's files are not here")
def test_squeezenet():
    photo = next((SHARED / "data/imagenet_samples").glob("*tench*.jpg"))
    image = cv2.imread(str(photo))[:227, :227].astype(np.float32)
    x = (image - np.float32([104, 117, 123])).transpose(2, 0, 1)[None]
    weights = SQUEEZENET / "squeezenet_v1.0.caffemodel"
    assert compare(SQUEEZENET / "deploy.prototxt", weights, np.ascontiguousarray(x)) >= 35
