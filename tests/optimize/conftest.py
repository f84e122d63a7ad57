"""Tiny nets with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import torchcaffe as caffe

MEAN = (104.0, 117.0, 123.0)

CHAIN = """
name: "chain"
input: "data"
input_shape { dim: 1 dim: 3 dim: 40 dim: 40 }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 5 stride: 2 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "norm1" type: "LRN" bottom: "pool1" top: "norm1" lrn_param { local_size: 3 } }
layer { name: "conv2" type: "Convolution" bottom: "norm1" top: "conv2"
  convolution_param { num_output: 12 kernel_size: 3 pad: 1 } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "fc" type: "InnerProduct" bottom: "conv2" top: "fc"
  inner_product_param { num_output: 10 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""

# Branches that look at parts of different sizes, padding below a stride, and a branch that no
# crop can go through.
BRANCHES = """
name: "branches"
input: "data"
input_shape { dim: 1 dim: 3 dim: 48 dim: 48 }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 6 kernel_size: 7 stride: 2 pad: 3 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "a" type: "Convolution" bottom: "conv1" top: "a"
  convolution_param { num_output: 4 kernel_size: 1 } }
layer { name: "b/3x3" type: "Convolution" bottom: "conv1" top: "b/3x3"
  convolution_param { num_output: 5 kernel_size: 3 pad: 1 } }
layer { name: "side" type: "InnerProduct" bottom: "a" top: "side"
  inner_product_param { num_output: 3 } }
layer { name: "join" type: "Concat" bottom: "a" bottom: "b/3x3" top: "join" }
layer { name: "pool" type: "Pooling" bottom: "join" top: "pool"
  pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layer { name: "conv3" type: "Convolution" bottom: "pool" top: "conv3"
  convolution_param { num_output: 7 kernel_size: 3 pad: 1 } }
layer { name: "relu3" type: "ReLU" bottom: "conv3" top: "conv3" }
layer { name: "all" type: "Pooling" bottom: "conv3" top: "all"
  pooling_param { pool: AVE global_pooling: true } }
"""


def build(text: str, folder: Path, seed: int = 0) -> caffe.Net:
    file = folder / (text.split('"')[1] + ".prototxt")
    file.write_text(text, encoding="utf-8")
    net = caffe.Net(str(file), caffe.TEST)
    rng = np.random.default_rng(seed)
    for blobs in net.params.values():
        weight = blobs[0].data
        weight[...] = rng.standard_normal(weight.shape) * (2 / weight[0].size) ** 0.5
        blobs[1].data[...] = 0.1 * rng.standard_normal(blobs[1].shape)
    net.params["conv1"][0].data[...] /= 30
    return net


@pytest.fixture
def chain(tmp_path: Path) -> caffe.Net:
    return build(CHAIN, tmp_path)


@pytest.fixture
def branches(tmp_path: Path) -> caffe.Net:
    return build(BRANCHES, tmp_path)
