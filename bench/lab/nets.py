"""The two CaffeNets of the benchmarks, in the engine, in plain PyTorch and in cv2.dnn."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

import torchcaffe as caffe

MODELS = Path(__file__).resolve().parents[2] / "models"
MEAN = (104.0, 117.0, 123.0)
PHOTO = MODELS.parent / "input_images" / "cat.jpg"


@dataclass(frozen=True)
class Model:
    """Where a net's files are; without weights they are drawn at random."""

    name: str
    prototxt: Path
    caffemodel: Path

    def load(self) -> caffe.Net:
        """Return the engine's net, with its weights or random ones."""
        if self.caffemodel.exists():
            return caffe.Net(str(self.prototxt), str(self.caffemodel), caffe.TEST)
        net = caffe.Net(str(self.prototxt), caffe.TEST)
        rng = np.random.default_rng(0)
        for blobs in net.params.values():
            weight = blobs[0].data
            fan_in = weight[0].size
            weight[...] = rng.standard_normal(weight.shape, np.float32) * (2 / fan_in) ** 0.5
        # Pixels deviate by about 58: without this, softmax would give one class all.
        net.params["conv1"][0].data[...] /= 58
        return net

    @property
    def title(self) -> str:
        """The name, and whether the weights are random."""
        return self.name if self.caffemodel.exists() else f"{self.name} (random weights)"


CALTECH = Model(
    "caffenet-caltech101",
    MODELS / "caffenet-caltech101" / "deploy.prototxt",
    MODELS / "caffenet-caltech101" / "caffenet-caltech101.caffemodel",
)
YOS = Model(
    "caffenet-yos",
    MODELS / "caffenet-yos" / "caffenet-yos-deploy.prototxt",
    MODELS / "caffenet-yos" / "caffenet-yos-weights",
)


def photo() -> np.ndarray:
    """Return a photo as the nets take it: (1, 3, 227, 227) float32, BGR minus the mean."""
    image = cv2.imread(str(PHOTO))
    if image is None:
        raise SystemExit(f"{PHOTO} cannot be read: the benchmarks show it to the nets")
    return np.asarray(cv2.dnn.blobFromImage(image, 1.0, (227, 227), MEAN))


def torch_weights(net: caffe.Net) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return the net's (weight, bias) of each layer as tensors for plain PyTorch."""
    out = {}
    for name, blobs in net.params.items():
        weight, bias = (torch.from_numpy(np.array(blob.data)) for blob in blobs)
        out[name] = (weight, bias.flatten())
    return out


def opencv_net(model: Model, net: caffe.Net) -> cv2.dnn.Net:
    """Return the same net in cv2.dnn, by way of a caffemodel that the engine writes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.caffemodel"
        net.save(str(file))
        return cv2.dnn.readNetFromCaffe(str(model.prototxt), str(file))
