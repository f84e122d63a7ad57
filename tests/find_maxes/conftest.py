"""A tiny net, tiny photos, and the search done the slow way."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import torchcaffe as caffe
from tests.nets.build import set_statistics

ROOT = Path(__file__).resolve().parents[2]

TINY = """
name: "tiny"
input: "data"
input_shape { dim: 1 dim: 3 dim: 40 dim: 32 }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 7 stride: 3 pad: 2
    weight_filler { type: "xavier" } bias_filler { type: "constant" value: 0.1 } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "part/conv2" type: "Convolution" bottom: "pool1" top: "part/conv2"
  convolution_param { num_output: 6 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "relu2" type: "ReLU" bottom: "part/conv2" top: "part/conv2" }
layer { name: "fc" type: "InnerProduct" bottom: "part/conv2" top: "fc"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


def photo(seed, height, width):
    """Coloured blobs, with noise: flat areas would leave max pooling's choice to rounding."""
    random = np.random.default_rng(seed)
    image = np.empty((height, width, 3), np.uint8)
    image[:] = random.integers(0, 255, 3)
    for _ in range(6):
        centre = (int(random.integers(0, width)), int(random.integers(0, height)))
        colour = [int(c) for c in random.integers(0, 255, 3)]
        cv2.circle(image, centre, int(random.integers(4, 30)), colour, -1)
    noise = random.normal(0, 4, image.shape)
    return np.clip(cv2.GaussianBlur(image, (5, 5), 1.5) + noise, 0, 255).astype(np.uint8)


def write_photos(folder, count=40):
    """Write photos of several sizes and forms; every seventh is the same as the first."""
    names = []
    for i in range(count):
        size = [(80, 100), (256, 256), (300, 200), (64, 64)][i % 4]
        seed = 0 if i % 7 == 0 else i
        size = (80, 100) if i % 7 == 0 else size
        name = f"{'ab'[i % 2]}/photo {i:03d}{'.png' if i % 3 == 0 or i % 7 == 0 else '.jpg'}"
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), photo(seed, *size))
        names.append(name)
    return names


class Model:
    """A net on disk, a folder of photos and its list."""

    def __init__(self, folder, prototxt, weights):
        self.folder, self.prototxt, self.weights = folder, prototxt, weights
        self.photos = folder / "photos"
        self.names = write_photos(self.photos)
        self.list = folder / "list.txt"
        self.write_list(self.names)

    def write_list(self, names):
        lines = [f"{name}\t{i % 5}\n" for i, name in enumerate(names)]
        self.list.write_text("".join(lines), encoding="utf-8")

    def arguments(self, out, *options):
        paths = [self.prototxt, self.weights, self.photos, self.list, out]
        return [*map(str, options), *map(str, paths)]

    def find(self, out, *options, **more):
        """Run the command as users do."""
        return run("find_max_acts", self.arguments(out, *options), **more)


def run(command, arguments, timeout=240, **more):
    return subprocess.run(
        [sys.executable, "-m", f"find_maxes.{command}", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        **more,
    )


def save_model(folder, net, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.prototxt").write_text(text, encoding="utf-8")
    net.save(str(folder / "net.caffemodel"))
    return Model(folder, folder / "net.prototxt", folder / "net.caffemodel")


def build_model(folder, text, seed=1):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "net.prototxt"
    path.write_text(text, encoding="utf-8")
    caffe.set_mode_cpu()
    caffe.set_random_seed(seed)
    net = caffe.Net(str(path), caffe.TEST)
    set_statistics(net, np.random.RandomState(seed))
    return save_model(folder, net, text)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    return build_model(tmp_path_factory.mktemp("tiny"), TINY)


@pytest.fixture
def own_tiny(tmp_path):
    """One that a test may change."""
    return build_model(tmp_path / "own", TINY)


def cut_net(name, size, until):
    """The text of a net of tests/nets, at another input size and cut after a layer."""
    from google.protobuf import text_format

    from tests.nets.build import read

    param = read(name)
    param.layer[0].input_param.shape[0].dim[2:] = size
    names = [layer.name for layer in param.layer]
    del param.layer[names.index(until) + 1 :]
    return text_format.MessageToString(param)


@pytest.fixture(scope="session")
def googlenet(tmp_path_factory):
    text = cut_net("googlenet", (64, 64), "inception_3a/output")
    return build_model(tmp_path_factory.mktemp("googlenet"), text)


@pytest.fixture(scope="session")
def residual(tmp_path_factory):
    text = cut_net("resnet50", (64, 64), "res2b_relu")
    return build_model(tmp_path_factory.mktemp("residual"), text)


def slow_inputs(model, names, mean=(104, 117, 123)):
    """Photos as pycaffe's Classifier gives them to a net: scikit-image, floats."""
    net = caffe.Net(str(model.prototxt), caffe.TEST)
    height, width = net.blobs["data"].shape[2:]
    top, left = (256 - height) // 2, (256 - width) // 2
    for name in names:
        image = caffe.io.resize_image(caffe.io.load_image(model.photos / name), (256, 256))
        crop = 255 * image[top : top + height, left : left + width, ::-1]
        yield (crop - np.float32(mean)).transpose(2, 0, 1)


def brute_force(model, layers, names, top=9):
    """Every image alone through the net; all values sorted at the end."""
    net = caffe.Net(str(model.prototxt), str(model.weights), caffe.TEST)
    found = {layer: [] for layer in layers}
    for x in slow_inputs(model, names):
        net.blobs["data"].data[...] = x[None]
        net.forward()
        for layer in layers:
            values = net.blobs[layer].data[0]
            found[layer].append(values.reshape(len(values), -1).copy())
    return {layer: np.array(values) for layer, values in found.items()}
