"""The window's net, imported nets, unit images and top patches on a GPU and on the CPU."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

import torchcaffe as caffe
from bench.lab.nets import CALTECH, MEAN, PHOTO
from caffevis.keys.state import Origin
from caffevis.model.preprocess import Preprocess
from caffevis.net.network import Network
from caffevis.net.request import Back, NetRequest
from find_maxes.scan.maxes_file import read_maxes
from optimize import FindParams, GradientOptimizer
from tests.conftest import ROOT
from tests.gpu.conftest import near
from tests.torchcaffe.importing.zoo import SIZE, ZOO, example, make
from toolbox.input.frame import Frame
from torchcaffe.importing import from_torch

pytestmark = pytest.mark.gpu
BGR = (2, 1, 0)


def frame() -> Frame:
    image = cv2.cvtColor(cv2.imread(str(PHOTO)), cv2.COLOR_BGR2RGB)
    return Frame(1, cv2.resize(image, (227, 227)), "cat")


@pytest.mark.parametrize("mode", ["grad", "deconv", "guided"])
@pytest.mark.parametrize("origin", [Origin("conv5", 71), Origin("fc8", 5)], ids=str)
def test_what_the_window_shows(both, origin, mode):
    def look():
        prepare = Preprocess(3, 227, 227, BGR, np.array(MEAN, np.float32).reshape(3, 1, 1))
        network = Network(CALTECH.load(), prepare, "prob", threads=2)
        return network(NetRequest(frame(), origin.layer, Back(mode, origin)))

    here, there = both(look)
    assert near(there.activations, here.activations)
    assert near(there.probs, here.probs)
    assert near(there.layer_diffs, here.layer_diffs)
    # A ReLU at zero or a tie in a pooling may go the other way in single places.
    difference = np.abs(there.back_image - here.back_image)
    assert np.quantile(difference, 0.99) <= 1e-3 * np.abs(here.back_image).max()


@pytest.mark.parametrize("name", ZOO)
def test_imported_net(both, name):
    def run():
        net = from_torch(make(name), (3, SIZE, SIZE))
        net.blobs[net.inputs[0]].reshape(*example().shape)
        net.reshape()
        net.blobs[net.inputs[0]].data[...] = example().numpy()
        net.forward()
        blobs = {blob: np.array(value.data) for blob, value in net.blobs.items()}
        diff = np.ones_like(net.blobs[net.outputs[0]].data)
        back = net.backward_from_layer(net.outputs[0], diff, zero_higher=True)[net.inputs[0]]
        return blobs, np.array(back)

    (blobs, back), (blobs_there, back_there) = both(run)
    for blob, wanted in blobs.items():
        assert near(blobs_there[blob], wanted), blob
    assert near(back_there, back, 1e-3)


@pytest.mark.parametrize("preset", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("layer", ["conv1", "conv3", "fc8"])
def test_unit_images(both, layer, preset):
    """The random draws are the same, so some iterations give the same image."""
    params = FindParams.preset(preset, push_layer=layer, max_iter=4)
    runs = [replace(params, push_channel=unit, rand_seed=unit) for unit in (1, 2)]

    def ascend():
        optimizer = GradientOptimizer(CALTECH.load(), MEAN, channel_swap_to_rgb=BGR)
        return optimizer.run_batch(runs)

    for here, there in zip(*both(ascend), strict=True):
        assert here.last.shape == there.last.shape
        # Adam's first steps have one size, whatever the gradient's: where that is nearly zero,
        # rounding decides the sign.
        assert np.abs(there.last - here.last).mean() < (2 if preset > 4 else 0.2)  # grey levels
        assert np.allclose(there.obj, here.obj, rtol=0.02)


def test_top_patches(tmp_path):
    listed = tmp_path / "list.txt"
    names = sorted(path.name for path in (ROOT / "input_images").glob("*.jpg"))
    listed.write_text("".join(f"{name}\t0\n" for name in names), encoding="utf-8")
    found = []
    for more in ([], ["--gpu"]):
        out = tmp_path / f"max{len(more)}.npz"
        paths = [CALTECH.prototxt, CALTECH.caffemodel, ROOT / "input_images", listed, out]
        subprocess.run(
            [sys.executable, "-m", "find_maxes.find_max_acts", "--N", "3", "--mean",
             ",".join(map(str, MEAN)), *more, *map(str, paths)],
            cwd=ROOT, check=True,
        )  # fmt: skip
        found.append(read_maxes(out))
    here, there = found
    for name, values in here.values.items():
        assert near(there.values[name], values), name
    same = here.locations["conv5"][..., 0] == there.locations["conv5"][..., 0]
    assert same.mean() > 0.99


def test_all_of_float32_counts(both):
    """TF32 keeps ten bits of each factor; Caffe kept all."""
    caffe.set_mode_gpu()
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
