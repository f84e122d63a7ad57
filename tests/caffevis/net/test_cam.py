"""Grad-CAM against PyTorch's own derivatives, and what the app says of it."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import torchcaffe as caffe
from caffevis.app import CaffeVisApp
from caffevis.keys.state import OVER_CAM, STRONGEST, Origin
from caffevis.model.preprocess import Preprocess
from caffevis.net.cam import grad_cam, seed
from caffevis.net.network import Network
from caffevis.net.request import Back, NetRequest
from caffevis.panes import overlay
from settings import TABLE
from toolbox.settings import config

DEFAULTS = config.load(TABLE, None).replaced(
    pane_headings=False, caffevis_start=None, caffevis_data_mean=None, caffevis_labels=None,
    caffevis_label_layers=None,
)  # fmt: skip
BY_KEY = {key: row for row in CaffeVisApp.bindings for key in row.keys}

# A branch beside the way up, whose derivatives must not get in, and ReLUs in place.
PROTOTXT = """
name: "cam"
force_backward: true
input: "data" input_shape { dim: 1 dim: 3 dim: 20 dim: 20 }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 5 kernel_size: 3 stride: 2 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2"
        convolution_param { num_output: 6 kernel_size: 3 } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "aside" type: "InnerProduct" bottom: "conv1" top: "aside"
        inner_product_param { num_output: 3 } }
layer { name: "fc" type: "InnerProduct" bottom: "conv2" top: "fc"
        inner_product_param { num_output: 4 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "cam.prototxt"
    path.write_text(PROTOTXT, encoding="ascii")
    caffe.set_mode_cpu()
    net = caffe.Net(str(path), caffe.TEST)
    random = np.random.default_rng(3)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = random.normal(0, 0.3, blob.shape)
    return net


def by_torch(net, values, unit, layer):
    """Grad-CAM of a unit of fc, or of the highest place of one of conv2, by autograd."""
    weights = {k: [torch.from_numpy(b.data.copy()) for b in v] for k, v in net.params.items()}
    conv1 = F.relu(F.conv2d(torch.from_numpy(values), *weights["conv1"], stride=2))
    conv1.requires_grad_()
    before = F.conv2d(conv1, *weights["conv2"])
    conv2 = F.relu(before)
    conv2.retain_grad()
    fc = F.linear(conv2.flatten(1), *weights["fc"])
    value = fc[0, unit[1]] if unit[0] == "fc" else before[0, unit[1]].max()
    value.backward()
    maps = {"conv1": conv1, "conv2": conv2}[layer]
    weight = maps.grad[0].mean((1, 2))
    cam = F.relu((weight[:, None, None] * maps.detach()[0]).sum(0))
    return cam.numpy(), fc.detach().numpy()[0]


@pytest.mark.parametrize(
    ("origin", "layer"),
    [(("fc", 2), "conv2"), (("fc", 1), "conv1"), (("conv2", 0), "conv1")],
)
def test_it_is_what_autograd_gives(net, make_frame, origin, layer):
    prepare = Preprocess(3, 20, 20, (2, 1, 0), None)
    network = Network(net, prepare, "prob", 1)
    frame = make_frame(5, side=20)
    request = NetRequest(frame, layer, Back("grad", Origin("fc", 0)), True, Origin(*origin))
    result = network(request)
    expected, _ = by_torch(net, network.prepare(frame), origin, layer)
    assert expected.any()
    np.testing.assert_allclose(result.cam.values, expected, rtol=1e-3, atol=1e-4)
    assert f"Grad-CAM of {origin[0]}:{origin[1]}" in result.note
    plain = Network(net, prepare, "prob", 1)(NetRequest(frame, layer, request.back, True))
    np.testing.assert_array_equal(result.back_image, plain.back_image)
    np.testing.assert_array_equal(result.layer_diffs, plain.layer_diffs)
    assert plain.cam is None


def test_the_strongest_class_is_taken_where_no_unit_is_kept(net, make_frame):
    network = Network(net, Preprocess(3, 20, 20, (2, 1, 0), None), "prob", 1)
    frame = make_frame(6, side=20)
    cam = network(NetRequest(frame, "conv2", None, True, Origin("fc", STRONGEST))).cam
    expected, scores = by_torch(net, network.prepare(frame), ("fc", int(cam.origin.unit)), "conv2")
    assert cam.origin.unit == scores.argmax()
    np.testing.assert_allclose(cam.values, expected, rtol=1e-3, atol=1e-4)


def test_where_there_is_none_a_sentence_says_why(net, make_frame):
    network = Network(net, Preprocess(3, 20, 20, (2, 1, 0), None), "prob", 1)
    frame = make_frame(7, side=20)
    cases = {
        ("conv2", "conv2"): "blob 'conv2' is not below layer 'conv2'",
        ("fc", "aside"): None,
        ("prob", "fc"): "Grad-CAM is of a layer with maps, and fc has none",
    }
    for (origin, layer), sentence in cases.items():
        cam = network(NetRequest(frame, layer, None, True, Origin(origin, 1))).cam
        assert cam.values is None and cam.why
        assert sentence is None or sentence in cam.why


def test_the_sum_of_weighted_maps_by_hand():
    maps = np.float32([[[1, 2], [3, 4]], [[1, 0], [0, 1]]])
    gradient = np.float32([[[1, 1], [1, 1]], [[-8, 0], [0, -8]]])
    np.testing.assert_array_equal(grad_cam(maps, gradient), [[0, 2], [3, 0]])
    unit, diff = seed(np.float32([[1, 5], [7, np.nan]]), STRONGEST)
    assert unit == 1 and diff.tolist() == [[0, 0], [1, 0]]


def settle(app):
    deadline = time.monotonic() + 10
    app.update()
    while not app.settled():
        assert time.monotonic() < deadline
        app.wait(0.05)
        app.update()


def test_the_key_draws_it_for_the_layer_under_the_cursor(net, make_frame):
    settings = DEFAULTS.replaced(caffevis_prob_layer="prob", caffevis_label_layers=("fc",))
    app = CaffeVisApp(settings, lambda: 0.0, net)
    app.start()
    app.set_frame(make_frame(8, side=20))
    for _ in range(3):
        app.handle(BY_KEY["v"])
    assert app.state.overlay == OVER_CAM
    settle(app)
    assert app.result.cam.origin.layer == "fc" and app.result.cam.values.shape == (9, 9)
    drawing = next(drawing for drawing in app.drawings() if drawing.pane == "input")
    canvas = np.zeros((60, 60, 3), np.uint8)
    drawing.draw(canvas, drawing.inputs)
    plain = np.zeros((60, 60, 3), np.uint8)
    overlay.draw_fitted(plain, app.shown_frame().image)
    off = np.abs(canvas.astype(int) - plain).sum(2)
    # warm where Grad-CAM is highest, and something lies over the picture everywhere
    y, x = np.unravel_index(app.result.cam.values.argmax(), (9, 9))
    row, column = round((y * 2 + 1.5) * 3), round((x * 2 + 1.5) * 3)
    assert canvas[row, column, 0] > canvas[row, column, 2]
    assert off.max() > 50
    app.handle(BY_KEY["right"])
    settle(app)
    assert app.result.cam.values.shape == (7, 7)
    app.handle(BY_KEY["v"])
    settle(app)
    assert app.result.cam is None and app.message() == ""
    assert app.close()


def test_without_classes_a_unit_must_be_kept(net, make_frame):
    app = CaffeVisApp(DEFAULTS, lambda: 0.0, net)
    state = replace(app.state, options=replace(app.state.options, class_layer=None))
    assert overlay.message(state, None) == ""
    state = replace(state, overlay=OVER_CAM)
    assert overlay.message(state, None) == "Grad-CAM: choose a unit and keep it (d)"
    kept = replace(state, frozen=Origin("conv1", 0))
    assert kept.cam_origin == Origin("conv1", 0) and overlay.message(kept, None) == ""
    app.close()
