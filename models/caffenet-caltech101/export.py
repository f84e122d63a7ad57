"""Fold the trained network into plain Caffe layers, write it, and measure what was written.

    PYTHONPATH=. python models/caffenet-caltech101/export.py --data CALTECH101

Writes caffenet-caltech101.caffemodel, filters.png and results.json beside this file. All
figures are those of the written file, run by torchcaffe with the deploy prototxt.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from checkpoint import load_checkpoint
from dataset import HERE, LABELS_FILE, Dataset, centre_square, load, shares_right, stretched
from network import CONVOLUTIONS, MEAN_BGR, PIXEL_SCALE, Student, part
from torch import Tensor, nn

import torchcaffe as caffe

PROTOTXT = HERE / "deploy.prototxt"
CAFFEMODEL = HERE / "caffenet-caltech101.caffemodel"
Fit = Callable[[np.ndarray, int], np.ndarray]


def folded(
    layer: nn.Conv2d | nn.Linear, norm: nn.BatchNorm1d | nn.BatchNorm2d
) -> tuple[Tensor, Tensor]:
    """Return weight and bias that do what a layer and the batch norm behind it do."""
    if norm.running_var is None or norm.running_mean is None:
        raise ValueError("this batch norm keeps no statistics")
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    shape = (-1, *[1] * (layer.weight.ndim - 1))
    return layer.weight * factor.view(shape), norm.bias - norm.running_mean * factor


def parameters(student: Student) -> dict[str, tuple[Tensor, Tensor]]:
    """Return weight and bias of every deployed layer; conv1 takes pixels of 0 to 255."""
    out = {}
    for name in CONVOLUTIONS:
        norm = part(student, f"bn_{name}", nn.BatchNorm2d)
        out[name] = folded(part(student, name, nn.Conv2d), norm)
    out["fc6"] = folded(student.fc6, student.bn_fc6)
    out["fc7"] = folded(student.fc7, student.bn_fc7)
    weight, bias = out["conv1"]
    out["conv1"] = (weight / PIXEL_SCALE, bias)
    out["fc8"] = (student.fc8.weight, student.fc8.bias)
    return out


@torch.no_grad()
def write_caffemodel(work: Path) -> None:
    """Fold the averaged weights of stage 2 and save them as a caffemodel."""
    student = Student(dense=True)
    load_checkpoint(work / "stage2.npz", {"ema": student})
    net = caffe.Net(PROTOTXT, caffe.TEST)
    for name, pair in parameters(student.eval()).items():
        for blob, values in zip(net.params[name], pair, strict=True):
            blob.data[...] = values.numpy()
    net.save(CAFFEMODEL)
    print(f"wrote {CAFFEMODEL} ({CAFFEMODEL.stat().st_size / 1e6:.2f} MB)")


def predictions(net: caffe.Net, data: Dataset, fit: Fit, batch: int = 32) -> np.ndarray:
    """Return the predicted class of every image, fitted to 227x227 by `fit`."""
    found = []
    for start in range(0, len(data.images), batch):
        images = [fit(image, 227) for image in data.images[start : start + batch]]
        x = np.stack(images).astype(np.float32) - np.array(MEAN_BGR, np.float32)
        net.blobs["data"].reshape(len(x), 3, 227, 227)
        net.reshape()
        net.forward(data=x.transpose(0, 3, 1, 2))
        found.append(net.blobs["prob"].data.argmax(1))
    return np.concatenate(found)


def figures(truth: np.ndarray, found: np.ndarray, labels: list[str]) -> dict:
    """Return accuracy over images, the mean over categories, and the worst categories."""
    right = truth == found
    share = shares_right(truth, right)
    worst = []
    for c in sorted(share, key=share.__getitem__)[:12]:
        mistaken = np.bincount(found[(truth == c) & ~right], minlength=len(labels))
        top = [f"{labels[i]} ({mistaken[i]})" for i in mistaken.argsort()[::-1][:3] if mistaken[i]]
        count = int((truth == c).sum())
        worst.append({"category": labels[c], "images": count, "right": share[c], "taken for": top})
    means = float(np.mean(list(share.values())))
    return {"images": float(right.mean()), "mean over categories": means, "worst": worst}


def filter_sheet(weights: np.ndarray, zoom: int = 4, columns: int = 12) -> np.ndarray:
    """Tile first-layer filters (96, 3, 11, 11 BGR), each scaled to its own range."""
    tiles = []
    for weight in weights.transpose(0, 2, 3, 1):
        tile = 0.5 + 0.5 * weight / max(float(np.abs(weight).max()), 1e-12)
        tile = cv2.resize(tile, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_NEAREST)
        tiles.append(np.pad(tile, ((2, 2), (2, 2), (0, 0)), constant_values=1.0))
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    return np.uint8(255 * np.vstack(rows) + 0.5)


def measure(data: Dataset) -> dict:
    """Return the held-out figures of the written model, for both ways to fit photos."""
    labels = LABELS_FILE.read_text().splitlines()
    net = caffe.Net(PROTOTXT, CAFFEMODEL, caffe.TEST)
    ways: dict[str, Fit] = {"stretched": stretched, "centre square": centre_square}
    return {
        name: figures(data.classes, predictions(net, data, fit), labels)
        for name, fit in ways.items()
    }


def main() -> None:
    """Write the model, its filters and its figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of Caltech-101")
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="checkpoints")
    args = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    write_caffemodel(args.work)
    net = caffe.Net(PROTOTXT, CAFFEMODEL, caffe.TEST)
    cv2.imwrite(str(HERE / "filters.png"), filter_sheet(net.params["conv1"][0].data))
    results = measure(load(args.data, "test"))
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    for name, row in results.items():
        print(f"{name}: {row['images']:.2%} of images, {row['mean over categories']:.2%} mean")


if __name__ == "__main__":
    main()
