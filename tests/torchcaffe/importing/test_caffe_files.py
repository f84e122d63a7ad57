"""An imported net written as Caffe's files, and read by OpenCV and by ourselves."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

import torchcaffe as caffe
from tests.torchcaffe.importing.test_zoo import error, run
from tests.torchcaffe.importing.zoo import SIZE, ZOO, example, make

AS_CAFFE = ["Plain", "Residual", "Dense"]


def written(tmp_path, name):
    net = caffe.from_torch(make(name), (3, SIZE, SIZE))
    net.save_prototxt(tmp_path / "net.prototxt")
    net.save(tmp_path / "net.caffemodel")
    return str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel")


@pytest.mark.parametrize("name", AS_CAFFE)
def test_opencv_computes_the_same(tmp_path, name):
    files = written(tmp_path, name)
    x = example(1)
    other = cv2.dnn.readNetFromCaffe(*files)
    other.setInput(x.numpy())
    with torch.no_grad():
        wanted = make(name)(x)
    assert error(other.forward().reshape(wanted.shape), wanted) < 1e-5


@pytest.mark.parametrize("name", [*AS_CAFFE, "Shared"])
def test_read_back_the_net_is_the_same_bit_for_bit(tmp_path, name):
    net = caffe.from_torch(make(name), (3, SIZE, SIZE))
    if name == "Shared":
        with pytest.raises(caffe.DefinitionError, match=r"norm \(aten.group_norm.default\)"):
            net.save_prototxt(tmp_path / "net.prototxt")
        assert not (tmp_path / "net.prototxt").exists()
        return
    again = caffe.Net(*written(tmp_path, name), caffe.TEST)
    x = example(2)
    np.testing.assert_array_equal(
        run(again, x).blobs[again.outputs[0]].data, run(net, x).blobs[net.outputs[0]].data
    )


def test_every_layer_without_one_of_caffes_is_named(tmp_path):
    refused = []
    for name in ZOO:
        try:
            written(tmp_path, name)
        except caffe.DefinitionError as problem:
            assert "Caffe has no layer for" in str(problem)
            refused.append(name)
    assert set(ZOO) - set(refused) >= set(AS_CAFFE)
