"""A real network with settings, and an app on it that is driven by keys."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import torchcaffe as caffe
from caffevis.app import CaffeVisApp
from find_maxes.crop_max_patches import main as crop
from find_maxes.find_max_acts import main as find
from settings import load
from toolbox.input.frame import Frame
from toolbox.pictures.image_file import write_image

PROTOTXT = """
name: "small"
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 24 dim: 24 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 6 kernel_size: 5 stride: 2
                            weight_filler { type: "gaussian" std: 0.05 } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2"
        convolution_param { num_output: 8 kernel_size: 3 pad: 1
                            weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "fc" type: "InnerProduct" bottom: "conv2" top: "fc"
        inner_product_param { num_output: 5 weight_filler { type: "gaussian" std: 0.05 }
                              bias_filler { type: "constant" value: 0 } } }
layer { name: "relu3" type: "ReLU" bottom: "fc" top: "fcr" }
"""
PHOTOS = 60
MANY = 24000


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """A folder with a network, its settings without unit images, and photos."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "small.prototxt").write_text(PROTOTXT, encoding="utf-8")
    caffe.set_random_seed(3)
    caffe.Net(str(folder / "small.prototxt"), caffe.TEST).save(str(folder / "small.caffemodel"))
    random = np.random.default_rng(5)
    (folder / "photos").mkdir()
    for number in range(PHOTOS):
        coarse = random.integers(0, 255, (6, 6, 3), dtype=np.uint8)
        write_image(folder / "photos" / f"{number:03d}.png", coarse.repeat(8, 0).repeat(8, 1))
    (folder / "settings.py").write_text(
        "caffevis_deploy_prototxt = 'small.prototxt'\n"
        "caffevis_network_weights = 'small.caffemodel'\n"
        "caffevis_data_mean = (104, 117, 123)\n"
        "input_updater_capture_device = None\n"
        "static_files_dir = 'nothing'\n",
        encoding="utf-8",
    )
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """Keep scans in a folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "deep-visualization-toolbox" / "scans"


@pytest.fixture
def threads() -> Iterator[None]:
    """Give PyTorch its number of threads back, which commands set for their process."""
    before = torch.get_num_threads()
    yield
    caffe.set_threads(before)


def batch_patches(small: Path, photos: Path, out: Path) -> Path:
    """Run the batch tools on the photos; return the folder of their results."""
    net = [str(small / "small.prototxt"), str(small / "small.caffemodel")]
    own = ["--settings", str(small / "settings.py")]
    assert find([*net, str(photos), "-", str(out / "max.npz"), *own, "--workers", "0"]) == 0
    paths = [str(out / "max.npz"), *net, str(photos), "-", str(out / "out"), "conv2"]
    assert crop([*paths, "--unit-jpg-dir", str(out), "--workers", "0"]) == 0
    return out


@pytest.fixture
def make_photo(tmp_path) -> Callable[..., tuple[Path, Frame]]:
    """Make a photo as a file, and as a frame of the window."""

    def make(side: int, number: int = 0) -> tuple[Path, Frame]:
        image = np.random.default_rng(number).integers(0, 255, (side, side, 3), dtype=np.uint8)
        path = tmp_path / f"photo {number}.png"
        write_image(path, image)
        return path, Frame(number + 1, image, str(path))

    return make


class Driven:
    """An app, keys, and a wait until all is done."""

    def __init__(self, app: CaffeVisApp) -> None:
        self.app = app
        self._rows = {key: row for row in app.bindings for key in row.keys}

    def press(self, keys: str) -> None:
        for key in keys.split():
            self.app.handle(self._rows[key])

    def until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        self.app.update()
        while not condition():
            assert time.monotonic() < deadline
            self.app.wait(0.02)
            self.app.update()

    def settle(self) -> None:
        self.until(self.app.settled)

    def inputs(self, pane: str) -> object:
        (found,) = [drawing.inputs for drawing in self.app.drawings() if drawing.pane == pane]
        return found

    def picture(self, number: int = 0):
        """Return one of the three pictures of the pane of unit images."""
        pictures = self.inputs("caffevis_jpgvis").pictures
        return pictures[number] if pictures else None


@pytest.fixture
def drive(small) -> Iterator[Callable[..., Driven]]:
    """Start apps with the small network; arguments are settings."""
    apps: list[CaffeVisApp] = []

    def start(**settings: object) -> Driven:
        app = CaffeVisApp(load(small / "settings.py").replaced(**settings), lambda: 0.0)
        apps.append(app)
        app.start()
        return Driven(app)

    yield start
    for app in apps:
        assert app.close()


@pytest.fixture(scope="session")
def many(small, tmp_path_factory) -> Path:
    """A folder with so many photos that a scan of them takes some seconds."""
    folder = tmp_path_factory.mktemp("many")
    photos = sorted((small / "photos").iterdir())
    for number in range(MANY):
        os.link(photos[number % PHOTOS], folder / f"{number:05d}.png")
    return folder
