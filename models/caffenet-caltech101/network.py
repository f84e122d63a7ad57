"""The networks of the training: the student (CaffeNet with batch norm) and its teacher.

Batch normalisation exists only here; `export.py` folds it into the convolutions. The two
LRN layers are left out while training: on normalised activations they change a value by
less than a thousandth (alpha is 1e-4), and they cost a third of the time. The deployed
net has them, and every accuracy reported is the deployed net's.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEAN_BGR = (104.0, 117.0, 123.0)
PIXEL_SCALE = 58.0  # what pixels are divided by while training; folded into conv1
NUM_CLASSES = 101
TEACHER_CLASSES = 1000
TEACHER_CHANNELS = 512
# name: (input channels, output channels, kernel, stride, pad, group), as caffenet-yos
CONVOLUTIONS = {
    "conv1": (3, 96, 11, 4, 0, 1),
    "conv2": (96, 256, 5, 1, 2, 2),
    "conv3": (256, 384, 3, 1, 1, 1),
    "conv4": (384, 384, 3, 1, 1, 2),
    "conv5": (384, 256, 3, 1, 1, 2),
}
POOL_AFTER = ("conv1", "conv2")
T = TypeVar("T", bound=nn.Module)


def part(owner: nn.Module, name: str, kind: type[T]) -> T:
    """Return a named part of a network, which is known to be of that kind."""
    module = owner.get_submodule(name)
    if not isinstance(module, kind):
        raise TypeError(f"{name} is a {type(module).__name__}, not a {kind.__name__}")
    return module


def smooth_filters(shape: tuple[int, ...]) -> Tensor:
    """Draw initial conv1 filters from noise without high spatial frequencies.

    An 11x11 filter that starts as white noise keeps what the gradients never touch;
    starting smooth leaves no such residue.
    """
    out = np.random.RandomState(0).normal(size=shape)
    axis = np.arange(shape[-1]) - shape[-1] // 2
    window = np.exp(-0.5 * (axis / 3.0) ** 2)
    for f in out.reshape(-1, *shape[-2:]):
        f[:] = cv2.GaussianBlur(f, (0, 0), 1.2) * window[:, None] * window
    out -= out.mean((2, 3), keepdims=True) * 0.5
    fan_in = float(np.prod(shape[1:]))
    out *= np.sqrt(2.0 / fan_in) / out.std((1, 2, 3), keepdims=True)
    return torch.from_numpy(out).float()


def roughness(weight: Tensor) -> Tensor:
    """Sum of squared differences between neighbouring weights: decay by frequency."""
    across = (weight[..., 1:] - weight[..., :-1]).square().sum()
    down = (weight[..., 1:, :] - weight[..., :-1, :]).square().sum()
    return across + down


class Student(nn.Module):
    """CaffeNet's trunk, then either a pooled head (stage 1) or fc6, fc7, fc8 (stage 2)."""

    def __init__(self, dense: bool) -> None:
        super().__init__()
        self.dense = dense
        for name, (cin, cout, k, stride, pad, group) in CONVOLUTIONS.items():
            conv = nn.Conv2d(cin, cout, k, stride, pad, groups=group, bias=False)
            nn.init.kaiming_normal_(conv.weight, mode="fan_in", nonlinearity="relu")
            self.add_module(name, conv)
            self.add_module(f"bn_{name}", nn.BatchNorm2d(cout))
        with torch.no_grad():
            first = part(self, "conv1", nn.Conv2d).weight
            first.copy_(smooth_filters(tuple(first.shape)))
        self.hint = nn.Conv2d(256, TEACHER_CHANNELS, 1)
        width = 512 if dense else 256
        if dense:
            self.fc6 = nn.Linear(256 * 6 * 6, 512, bias=False)
            self.bn_fc6 = nn.BatchNorm1d(512)
            self.fc7 = nn.Linear(512, 512, bias=False)
            self.bn_fc7 = nn.BatchNorm1d(512)
        self.fc8 = nn.Linear(width, NUM_CLASSES)
        self.fc_teacher = nn.Linear(width, TEACHER_CLASSES)

    def trunk(self, x: Tensor) -> Tensor:
        """(N, 3, S, S) -> conv5 after its ReLU."""
        for name in CONVOLUTIONS:
            x = part(self, name, nn.Conv2d)(x)
            x = F.relu(part(self, f"bn_{name}", nn.BatchNorm2d)(x))
            if name in POOL_AFTER:
                x = F.max_pool2d(x, 3, 2)
        return x

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return class scores, teacher scores and the teacher's features as predicted."""
        conv5 = self.trunk(x)
        if self.dense:
            top = F.max_pool2d(conv5, 3, 2).flatten(1)
            top = F.relu(self.bn_fc6(self.fc6(F.dropout(top, 0.5, self.training))))
            top = F.relu(self.bn_fc7(self.fc7(F.dropout(top, 0.5, self.training))))
        else:
            top = F.dropout(conv5.mean((2, 3)), 0.2, self.training)
        return self.fc8(top), self.fc_teacher(top), self.hint(conv5)


class Teacher(nn.Module):
    """SqueezeNet v1.0 from its Caffe files; gives its features (fire9) and its scores."""

    POOL_BEFORE = ("fire2", "fire5", "fire9")

    def __init__(self, folder: Path) -> None:
        super().__init__()
        net = cv2.dnn.readNetFromCaffe(
            str(folder / "deploy.prototxt"), str(folder / "squeezenet_v1.0.caffemodel")
        )
        self.convs = nn.ModuleDict()
        for name in net.getLayerNames():
            if name.startswith("conv") or "/conv" in name:
                self.convs[name.replace(".", "_")] = self._conv(net, name)
        self.requires_grad_(False).eval()

    @staticmethod
    def _conv(net: cv2.dnn.Net, name: str) -> nn.Conv2d:
        weight = torch.from_numpy(net.getParam(name, 0).copy())
        bias = torch.from_numpy(net.getParam(name, 1).ravel().copy())
        size = weight.shape[-1]
        stride = 2 if name == "conv1" else 1
        pad = 1 if size == 3 or name == "conv_final" else 0
        conv = nn.Conv2d(weight.shape[1], weight.shape[0], size, stride, pad)
        conv.weight, conv.bias = nn.Parameter(weight), nn.Parameter(bias)
        return conv

    @torch.no_grad()
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, S, S) BGR minus the mean -> scores (N, 1000), features (N, 512, h, w)."""
        x = F.relu(self.convs["conv1"](x))
        for i in range(2, 10):
            fire = f"fire{i}"
            if fire in self.POOL_BEFORE:
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            x = F.relu(self.convs[f"{fire}/conv1x1_1"](x))
            wide = [self.convs[f"{fire}/{part}"](x) for part in ("conv1x1_2", "conv3x3_2")]
            x = F.relu(torch.cat(wide, 1))
        scores = F.relu(self.convs["conv_final"](x)).mean((2, 3))
        return scores, x
