"""Units whose gradient is zero at the start: pushed before what holds it back, and said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import torchcaffe as caffe
from optimize import FindParams, GradientOptimizer
from optimize.__main__ import main
from optimize.ascent.iterations import PATIENCE, Ascent
from optimize.ascent.results import ZERO_GRADIENT
from tests.optimize.conftest import build

MEAN = (104.0, 117.0, 123.0)
NET = """
name: "dead"
input: "data"
input_shape { dim: 1 dim: 3 dim: 24 dim: 24 }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "relu1" }
layer { name: "pool1" type: "Pooling" bottom: "relu1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool1" top: "fc"
  inner_product_param { num_output: 3 } }
layer { name: "drop" type: "Dropout" bottom: "fc" top: "fc" }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


@pytest.fixture
def dead(tmp_path: Path) -> caffe.Net:
    """Unit 0 of relu1 is off everywhere; the softmax is saturated."""
    net = build(NET, tmp_path)
    net.params["conv1"][1].data[...] = (-1000, 50, 50, 50)
    net.params["fc"][1].data[...] = (300, 0, -300)
    return net


# layer, channel, the layer whose value is pushed in its stead, what is said of why
BEFORE = [
    ("relu1", 0, "conv1", "ReLU 'relu1'"),
    ("pool1", 0, None, "ReLU 'relu1'"),
    ("prob", 2, "fc", "Softmax 'prob'"),
]


@pytest.mark.parametrize(("layer", "channel", "before", "why"), BEFORE)
def test_the_value_before_is_pushed(dead, layer, channel, before, why):
    p = FindParams(push_layer=layer, push_channel=channel, max_iter=6, lr_params={"lr": 30.0})
    optimizer = GradientOptimizer(dead, MEAN)
    found = optimizer.run_optimize(p)
    assert found.meta_result != ZERO_GRADIENT
    assert f"for {why} lets none through: the value before it was pushed" in found.note
    assert all(later > now for now, later in zip(found.obj, found.obj[1:], strict=False))
    if before is not None:
        wanted = optimizer.run_optimize(p.replaced(push_layer=before))
        np.testing.assert_allclose(found.obj, wanted.obj, rtol=1e-4)
        np.testing.assert_allclose(found.best_crop, wanted.best_crop, atol=1e-3)
        assert wanted.note == ""


def test_the_others_of_a_batch_are_as_alone(dead):
    optimizer = GradientOptimizer(dead, MEAN)
    runs = [FindParams(push_layer="relu1", push_channel=k, max_iter=5) for k in range(4)]
    together = optimizer.run_batch(runs)
    assert [bool(found.note) for found in together] == [True, False, False, False]
    for p, found in zip(runs, together, strict=True):
        np.testing.assert_allclose(found.obj, optimizer.run_optimize(p).obj, rtol=1e-4)


def close(monkeypatch, closed) -> list[int]:
    """Take the gradient out of the first run's iterations that `closed` names."""
    look, begun = Ascent._look, []

    def changed(self, x, iteration):
        pushed, grad = look(self, x, iteration)
        begun.extend([1] if iteration == 0 else [])
        return pushed, 0 * grad if len(begun) == 1 and closed(iteration) else grad

    monkeypatch.setattr(Ascent, "_look", changed)
    return begun


SHAKEN = FindParams(
    push_layer="relu1", push_channel=1, max_iter=12, jitter=2, lr_policy="rms",
    lr_params={"step": 4.0},
)  # fmt: skip


def test_where_the_image_shakes_some_iterations_without_a_gradient_change_nothing(
    dead, monkeypatch
):
    begun = close(monkeypatch, lambda iteration: 0 < iteration < PATIENCE)
    found = GradientOptimizer(dead, MEAN).run_optimize(SHAKEN)
    assert len(begun) == 1 and len(found.obj) == 12
    assert np.isfinite(found.obj).all() and np.isfinite(found.last).all()
    assert found.dist[PATIENCE] == found.dist[1]  # no step, by whatever policy
    assert found.obj[-1] > found.obj[0]


def test_where_the_image_shakes_and_the_gradient_stays_away_the_gates_open(dead, monkeypatch):
    begun = close(monkeypatch, lambda iteration: iteration > 0)
    found = GradientOptimizer(dead, MEAN).run_optimize(SHAKEN)
    assert len(begun) == 2
    assert "for ReLU 'relu1' lets none through" in found.note
    assert found.obj[-1] > found.obj[0]


def test_who_stays_without_one_beside_a_member_that_never_had_one_is_pushed_too(dead, monkeypatch):
    look, begun = Ascent._look, []

    def changed(self, x, iteration):
        pushed, grad = look(self, x, iteration)
        begun.extend([len(x)] if iteration == 0 else [])
        return pushed, 0 * grad if len(begun) == 2 and iteration > 0 else grad

    monkeypatch.setattr(Ascent, "_look", changed)
    runs = [SHAKEN.replaced(push_channel=k) for k in (0, 1)]
    found = GradientOptimizer(dead, MEAN).run_batch(runs)
    assert begun == [2, 1, 2]  # all, the one with a gradient alone, both with the gates open
    assert all("lets none through" in each.note for each in found)
    assert all(each.obj[-1] > each.obj[0] for each in found)


def test_where_nothing_helps_it_is_said_and_the_status_is_1(dead, tmp_path, capsys):
    dead.params["fc"][0].data[...] = 0
    dead.save(str(tmp_path / "w.caffemodel"))
    (tmp_path / "empty.py").write_text("", encoding="utf-8")
    words = ["--settings", str(tmp_path / "empty.py"), "--deploy-proto",
             str(tmp_path / "dead.prototxt"), "--net-weights", str(tmp_path / "w.caffemodel"),
             "--max-iter", "3", "--quiet"]  # fmt: skip
    single = ["--push-channel", "1", "--output-prefix", str(tmp_path / "o" / "x")]
    assert main([*words, "--push-layer", "fc", *single]) == 1
    assert "layer 'fc', unit 1: the gradient is zero at the start" in capsys.readouterr().err
    assert main([*words, "--push-layer", "prob", *single]) == 1
    assert "before Softmax 'prob' too" in capsys.readouterr().err
    folder = ["--seeds", "2", "--unit-jpg-dir", str(tmp_path / "u")]
    assert main([*words, "--layers", "relu1", *folder]) == 0
    told = capsys.readouterr().err
    assert "layer 'relu1', unit 0: " in told and told.count("\n") == 1
    assert main([*words, "--layers", "relu1", *folder, "--resume"]) == 0
    assert capsys.readouterr().err == told, "also of what an earlier run made"
    assert main([*words, "--layers", "fc", *folder]) == 1
    assert "layer 'fc', units 0, 1, 2: " in capsys.readouterr().err
