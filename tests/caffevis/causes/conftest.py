"""A small net of the bundled engine behind the window's worker."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import torchcaffe as caffe
from caffevis.causes.asked import Question, Trial
from caffevis.causes.units import Units
from caffevis.keys.causes import OFF, Lesion
from caffevis.model.preprocess import Preprocess
from caffevis.net.network import Network
from caffevis.net.request import NetRequest, NetResult
from toolbox.input.frame import Frame

TEXT = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 24 dim: 24 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" convolution_param {
  num_output: 8 kernel_size: 5 stride: 2 weight_filler { type: "gaussian" std: 0.03 } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "norm1" type: "LRN" bottom: "conv1" top: "norm1" lrn_param { local_size: 3 } }
layer { name: "pool1" type: "Pooling" bottom: "norm1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "a" type: "Convolution" bottom: "pool1" top: "a" convolution_param {
  num_output: 6 kernel_size: 3 pad: 1 weight_filler { type: "gaussian" std: 0.3 } } }
layer { name: "b" type: "Convolution" bottom: "pool1" top: "b" convolution_param {
  num_output: 4 kernel_size: 1 weight_filler { type: "gaussian" std: 0.3 } } }
layer { name: "both" type: "Concat" bottom: "a" bottom: "b" top: "both" }
layer { name: "relu2" type: "ReLU" bottom: "both" top: "both" }
layer { name: "flat" type: "Flatten" bottom: "both" top: "flat" }
layer { name: "fc" type: "InnerProduct" bottom: "flat" top: "fc" inner_product_param {
  num_output: 5 weight_filler { type: "gaussian" std: 0.2 } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
MEAN = np.array([104, 117, 123], np.float32)[:, None, None]
PREPARE = Preprocess(3, 24, 24, (2, 1, 0), MEAN)


@dataclass
class World:
    """The net, its worker, and a frame."""

    net: caffe.Net
    network: Network
    frame: Frame

    def ask(self, layer: str = "fc", frame: Frame | None = None, **more) -> NetResult:
        return self.network(NetRequest(frame or self.frame, layer, **more))

    def lesion(self, *units: tuple[str, int], how: str = OFF, layer: str = "fc") -> NetResult:
        trial = Trial(tuple(Lesion(*unit, how) for unit in units), None, "fc")
        return self.ask(layer, trial=trial)

    def answer(self, kind: str, layer: str, **more):
        return self.ask(layer, question=Question(kind, layer, **more)).answer

    @property
    def units(self) -> Units:
        return Units(self.net)

    def data(self) -> dict[str, np.ndarray]:
        return {name: blob.data.copy() for name, blob in self.net.blobs.items()}


def make_frame(seed: int) -> Frame:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Frame(seed, coarse.repeat(8, 0).repeat(8, 1), f"frame {seed}")


@pytest.fixture
def world(tmp_path) -> World:
    path = tmp_path / "net.prototxt"
    path.write_text(TEXT, encoding="utf-8")
    caffe.set_random_seed(1)
    net = caffe.Net(str(path), caffe.TEST)
    return World(net, Network(net, PREPARE, "prob", 1), make_frame(1))
