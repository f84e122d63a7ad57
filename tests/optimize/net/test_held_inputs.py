"""One image optimised while other inputs hold their values."""

from __future__ import annotations

from pathlib import Path

import pytest

import torchcaffe as caffe
from optimize import FindParams, GradientOptimizer
from optimize.command.open_model import ModelSpec, open_optimizer
from optimize.errors import OptimizeError
from toolbox.pictures.held import Held

NET = """
name: "two"
layer { name: "im_info" type: "Input" top: "im_info" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "data" type: "Input" top: "data" top: "depth"
  input_param { shape { dim: 2 dim: 3 dim: 20 dim: 20 } shape { dim: 2 dim: 1 dim: 20 dim: 20 } } }
layer { name: "rgbd" type: "Concat" bottom: "data" bottom: "depth" top: "rgbd" }
layer { name: "conv" type: "Convolution" bottom: "rgbd" top: "conv"
  convolution_param { num_output: 4 kernel_size: 5 weight_filler { type: "xavier" } } }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "info" type: "InnerProduct" bottom: "im_info" top: "info"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "sum" type: "Eltwise" bottom: "fc" bottom: "info" top: "sum" }
"""
HELD = Held(None, (("im_info", (6.0, -8.0, 1.0)), ("depth", 30.0)))


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    (tmp_path / "n.prototxt").write_text(NET, encoding="utf-8")
    caffe.Net(str(tmp_path / "n.prototxt"), caffe.TEST).save(str(tmp_path / "w.caffemodel"))
    return ModelSpec(
        str(tmp_path / "n.prototxt"), str(tmp_path / "w.caffemodel"), mean=10.0, held=HELD
    )


@pytest.mark.parametrize("layer", ["sum", "conv"])
def test_the_others_keep_their_values(spec, layer):
    optimizer = open_optimizer(spec)
    runs = [FindParams(push_layer=layer, push_channel=1, max_iter=4, rand_seed=k) for k in (0, 1)]
    found = optimizer.run_batch(runs)
    net = caffe.Net(spec.prototxt, spec.weights, caffe.TEST)
    net.blobs["im_info"].data[...] = (6, -8, 1)
    net.blobs["depth"].data[...] = 30
    for k, one in enumerate(found):
        net.blobs["data"].data[k] = one.best_xx
    values = net.forward(end=layer)[layer]
    for k, one in enumerate(found):
        unit = values[k, 1] if layer == "sum" else values[k, 1, 8, 8]
        assert one.obj[-1] > one.obj[0]
        assert one.best_obj == pytest.approx(float(unit), rel=1e-4)


def test_another_input_may_be_the_image(spec):
    net = caffe.Net(spec.prototxt, spec.weights, caffe.TEST)
    Held("depth", (("data", 5.0),)).fill(net)
    optimizer = GradientOptimizer(net)
    assert optimizer.shape == (1, 20, 20)
    found = optimizer.run_optimize(FindParams(push_layer="sum", max_iter=3))
    assert found.best.shape == (1, 20, 20) and found.obj[-1] > found.obj[0]


def test_a_layer_without_the_image(spec):
    with pytest.raises(OptimizeError, match="inputs im_info, and not on the image 'data'"):
        open_optimizer(spec).run_optimize(FindParams(push_layer="info"))


def test_what_is_held_tells_networks_apart(spec):
    assert spec.record()["inputs"] == HELD.to_json()
    plain = ModelSpec(spec.prototxt, spec.weights)
    assert "inputs" not in plain.record(), "as in records of before"
