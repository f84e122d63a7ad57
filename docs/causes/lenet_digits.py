"""Make a LeNet that knows digits drawn with the mouse: python docs/causes/lenet_digits.py DIR.

It draws its own digits (OpenCV's line fonts, bent and moved), learns them in about a minute, and
writes definition, weights and settings to DIR.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import torchcaffe as caffe
from torchcaffe import layers as L
from torchcaffe import params as P

SIDE, LARGE = 28, 112
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX_SMALL,
         cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, cv2.FONT_HERSHEY_SCRIPT_COMPLEX)  # fmt: skip
SETTINGS = """caffevis_deploy_prototxt = "deploy.prototxt"
caffevis_network_weights = "lenet.caffemodel"
caffevis_data_mean = None
caffe_net_raw_scale = 1.0
caffevis_labels = "labels.txt"
caffevis_label_layers = ("ip2", "prob")
caffevis_prob_layer = "prob"
static_files_dir = "digits"
"""


def draw(digit: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a digit in white on black, (28, 28), as a pen would: bent, turned and moved."""
    large = np.zeros((LARGE, LARGE), np.uint8)
    font, pen = FONTS[rng.integers(len(FONTS))], int(rng.integers(6, 15))
    (width, height), _ = cv2.getTextSize(str(digit), font, 3, pen)
    scale = 3 * rng.uniform(60, 92) / max(width, height)
    (width, height), _ = cv2.getTextSize(str(digit), font, scale, pen)
    place = ((LARGE - width) // 2, (LARGE + height) // 2)
    cv2.putText(large, str(digit), place, font, scale, 255, pen, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((LARGE / 2, LARGE / 2), rng.uniform(-14, 14), 1)
    turn[0, 1] += rng.uniform(-0.25, 0.25)  # slanted
    turn[0, 0] *= rng.uniform(0.75, 1.25)
    turn[:, 2] = LARGE / 2 - turn[:, :2] @ (LARGE / 2, LARGE / 2) + rng.uniform(-14, 14, 2)
    bend = rng.normal(0, 1, (2, 4, 4)).astype(np.float32) * 5
    at = np.stack(np.meshgrid(*[np.arange(LARGE, dtype=np.float32)] * 2))
    moved = at + np.stack([cv2.resize(one, (LARGE, LARGE), interpolation=cv2.INTER_CUBIC)
                           for one in bend])  # fmt: skip
    large = cv2.warpAffine(large, turn, (LARGE, LARGE))
    large = cv2.remap(large, moved[0], moved[1], cv2.INTER_LINEAR)
    return cv2.resize(large, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def batch(count: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw digits; values from 0 to 1, and which they are."""
    digits = rng.integers(0, 10, count)
    pictures = np.stack([draw(int(digit), rng) for digit in digits])
    return torch.from_numpy(pictures[:, None] / np.float32(255)), torch.from_numpy(digits)


def train(steps: int, rng: np.random.Generator) -> nn.Sequential:
    """Train LeNet (LeCun et al. 1998, with the numbers of Caffe's example)."""
    net = nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1))
    for step in range(steps):
        pictures, digits = batch(64, rng)
        loss = nn.functional.cross_entropy(net(pictures), digits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step} of {steps}, loss {loss.item():.3f}", flush=True)
    return net


def write(net: nn.Sequential, folder: Path, rng: np.random.Generator) -> None:
    """Write what the window needs: definition, weights, labels, settings, a picture a digit."""
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [1, 1, SIDE, SIDE]})
    n.conv1 = L.Convolution(n.data, num_output=20, kernel_size=5)
    n.pool1 = L.Pooling(n.conv1, pool=P.Pooling.MAX, kernel_size=2, stride=2)
    n.conv2 = L.Convolution(n.pool1, num_output=50, kernel_size=5)
    n.pool2 = L.Pooling(n.conv2, pool=P.Pooling.MAX, kernel_size=2, stride=2)
    n.ip1 = L.InnerProduct(n.pool2, num_output=500)
    n.relu1 = L.ReLU(n.ip1, in_place=True)
    n.ip2 = L.InnerProduct(n.ip1, num_output=10)
    n.prob = L.Softmax(n.ip2)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "deploy.prototxt").write_text(f'name: "lenet-digits"\n{n.to_proto()}', "utf-8")
    made = caffe.Net(str(folder / "deploy.prototxt"), caffe.TEST)
    learned = [layer for layer in net if isinstance(layer, nn.Conv2d | nn.Linear)]
    for blobs, layer in zip(made.params.values(), learned, strict=True):
        blobs[0].data[...] = layer.weight.detach().numpy()
        blobs[1].data[...] = layer.bias.detach().numpy()
    made.save(str(folder / "lenet.caffemodel"))
    (folder / "labels.txt").write_text("\n".join(map(str, range(10))), "utf-8")
    (folder / "settings.py").write_text(SETTINGS, "utf-8")
    (folder / "digits").mkdir(exist_ok=True)
    for digit in range(10):
        picture = cv2.resize(draw(digit, rng), None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / "digits" / f"{digit}.png"), picture)


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to write the network")
    parser.add_argument("--steps", type=int, default=1500, help="of training (1500)")
    given = parser.parse_args()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    net = train(given.steps, rng)
    pictures, digits = batch(1000, np.random.default_rng(1))
    right = (net.eval()(pictures).argmax(dim=1) == digits).float().mean().item()
    write(net, given.folder, rng)
    print(f"{given.folder}: {100 * right:.1f} % of 1000 other digits are right; look with\n"
          f"  .venv/bin/python live_vis.py --settings {given.folder / 'settings.py'}")  # fmt: skip


if __name__ == "__main__":
    main()
