"""The bundled model: its figures, its photos, and the folding that wrote it."""

import importlib.util
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import torchcaffe as caffe

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models/caffenet-caltech101"
# photos of the held-out split: file -> category (the ketch it takes for its near twin)
PHOTOS = {
    "butterfly": "butterfly",
    "car": "car_side",
    "dalmatian": "dalmatian",
    "elephant": "elephant",
    "leopard": "Leopards",
    "motorbike": "Motorbikes",
    "sailing_ketch": "schooner",
    "sunflower": "sunflower",
    "watch": "watch",
}


@pytest.fixture(scope="module")
def net():
    return caffe.Net(
        MODEL / "deploy.prototxt", MODEL / "caffenet-caltech101.caffemodel", caffe.TEST
    )


@pytest.fixture
def export(monkeypatch):
    """The script beside the model, which imports its neighbours by name."""
    monkeypatch.syspath_prepend(str(MODEL))
    spec = importlib.util.spec_from_file_location("caltech101_export", MODEL / "export.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "caltech101_export", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("photo", PHOTOS)
def test_bundled_photos_are_recognised(net, photo):
    labels = (MODEL / "labels.txt").read_text().splitlines()
    image = cv2.imread(str(ROOT / f"input_images/{photo}.jpg"))
    image = cv2.resize(image, (227, 227), interpolation=cv2.INTER_AREA).astype(np.float32)
    x = (image - np.float32([104, 117, 123])).transpose(2, 0, 1)
    prob = net.forward(data=x[None])["prob"][0]
    assert labels[int(prob.argmax())] == PHOTOS[photo]


def test_readme_states_the_measured_figures():
    results = json.loads((MODEL / "results.json").read_text())
    readme = (MODEL / "README.md").read_text()
    for way in results.values():
        assert way["images"] >= 0.82
        assert way["mean over categories"] >= 0.72
        for key in ("images", "mean over categories"):
            assert f"{100 * way[key]:.1f} %" in readme


def test_file_is_small_enough():
    assert (MODEL / "caffenet-caltech101.caffemodel").stat().st_size <= 30_000_000


def test_split_holds_out_a_fifth_of_every_category():
    rows = [line.split(" ", 1) for line in (MODEL / "split.txt").read_text().splitlines()]
    labels = (MODEL / "labels.txt").read_text().splitlines()
    assert len(labels) == 101
    for label in labels:
        parts = [part for part, path in rows if path.startswith(f"{label}/")]
        assert parts.count("test") == round(0.2 * len(parts))


@pytest.mark.parametrize(
    ("layer", "norm", "shape"),
    [
        (torch.nn.Conv2d(4, 6, 3, groups=2, bias=False), torch.nn.BatchNorm2d(6), (2, 4, 7, 8)),
        (torch.nn.Linear(5, 6, bias=False), torch.nn.BatchNorm1d(6), (3, 5)),
    ],
)
def test_folding_keeps_the_function(export, layer, norm, shape):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean):
            tensor.copy_(torch.randn(6, generator=generator))
        norm.running_var.copy_(torch.rand(6, generator=generator) + 0.5)
        x = torch.randn(shape, generator=generator)
        expected = norm.eval()(layer(x))
        weight, bias = export.folded(layer, norm)
        layer.weight.copy_(weight)
        found = layer(x) + bias.view(-1, *[1] * (len(shape) - 2))
    assert torch.allclose(found, expected, atol=1e-5)


def test_first_filters_are_smooth(net):
    """Neighbouring weights of conv1 are alike; those of white noise are not (1.0)."""
    weights = net.params["conv1"][0].data.astype(float)
    weights = weights - weights.mean((2, 3), keepdims=True)
    steps = np.diff(weights, axis=2)[:, :, :, :-1] ** 2 + np.diff(weights, axis=3)[:, :, :-1] ** 2
    roughness = steps.mean((1, 2, 3)) / (2 * weights.var((1, 2, 3)) * 2)
    assert np.quantile(roughness, 0.9) < 0.5
