"""A net with everything that makes going backward difficult, and modules to run it on."""

import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import torchcaffe
from caffevis.model.pycaffe_module import LOG_LEVEL
from tests.pycaffe.tree import forget_caffe, write_caffe

# In-place and other ReLUs (one leaky), a blob with three consumers, two branches that join,
# LRN (two left out by deconv), a fully connected layer. Without force_backward.
PROTOTXT = """
name: "branches"
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 24 dim: 24 } } }
layer { name: "norm0" type: "LRN" bottom: "data" top: "norm0"
        lrn_param { local_size: 3 alpha: 0.0001 beta: 0.75 IGNORE } }
layer { name: "conv1" type: "Convolution" bottom: "norm0" top: "conv1"
        convolution_param { num_output: 10 kernel_size: 5 stride: 2
                            weight_filler { type: "gaussian" std: 0.05 } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "norm1" type: "LRN" bottom: "conv1" top: "norm1"
        lrn_param { local_size: 3 alpha: 0.01 beta: 0.75 } }
layer { name: "pool1" type: "Pooling" bottom: "norm1" top: "pool1"
        pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "left" type: "Convolution" bottom: "pool1" top: "left"
        convolution_param { num_output: 6 kernel_size: 1
                            weight_filler { type: "gaussian" std: 0.2 } } }
layer { name: "left_leaky" type: "ReLU" bottom: "left" top: "left_leaky"
        relu_param { negative_slope: 0.1 } }
layer { name: "right" type: "Convolution" bottom: "pool1" top: "right"
        convolution_param { num_output: 4 kernel_size: 3 pad: 1
                            weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "right_relu" type: "ReLU" bottom: "right" top: "right" }
layer { name: "norm2" type: "LRN" bottom: "right" top: "norm2"
        lrn_param { local_size: 3 alpha: 0.01 beta: 0.75 IGNORE } }
layer { name: "join" type: "Concat" bottom: "left_leaky" bottom: "norm2" bottom: "pool1"
        top: "join" }
layer { name: "fc" type: "InnerProduct" bottom: "join" top: "fc"
        inner_product_param { num_output: 7 weight_filler { type: "gaussian" std: 0.05 } } }
layer { name: "fc_relu" type: "ReLU" bottom: "fc" top: "fc" }
layer { name: "drop" type: "Dropout" bottom: "fc" top: "fc" }
layer { name: "score" type: "InnerProduct" bottom: "fc" top: "score"
        inner_product_param { num_output: 5 weight_filler { type: "gaussian" std: 0.4 } } }
layer { name: "prob" type: "Softmax" bottom: "score" top: "prob" }
"""
IGNORES = PROTOTXT.replace("IGNORE", "deconv_ignore: true")
PLAIN = PROTOTXT.replace("IGNORE", "")


@pytest.fixture(autouse=True)
def no_caffe(monkeypatch):
    """Start and end each test without a module `caffe`."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv(LOG_LEVEL, raising=False)
    forget_caffe()
    yield
    forget_caffe()
    os.environ.pop(LOG_LEVEL, None)


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> Path:
    """A folder with the net in both forms, its weights, a photo and its labels."""
    from toolbox.pictures.image_file import write_image

    folder = tmp_path_factory.mktemp("branches")
    (folder / "plain.prototxt").write_text(PLAIN, encoding="utf-8")
    (folder / "ignores.prototxt").write_text(IGNORES, encoding="utf-8")
    torchcaffe.set_random_seed(4)
    net = torchcaffe.Net(str(folder / "plain.prototxt"), torchcaffe.TEST)
    net.save(str(folder / "weights.caffemodel"))
    (folder / "labels.txt").write_text("\n".join("abcde"), encoding="utf-8")
    random = np.random.default_rng(1)
    for name in ("one.png", "two.png"):
        coarse = random.integers(0, 255, (8, 8, 3), dtype=np.uint8)
        write_image(folder / name, coarse.repeat(12, 0).repeat(12, 1))
    return folder


@pytest.fixture
def bvlc(tmp_path) -> Path:
    """The folder of a stock Caffe."""
    return write_caffe(tmp_path / "bvlc", "BVLC")


@pytest.fixture
def deconv(tmp_path) -> Path:
    """The folder of the original toolbox's Caffe."""
    return write_caffe(tmp_path / "deconv", "deconv")


@pytest.fixture
def notes():
    """Collect warnings, each once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught
