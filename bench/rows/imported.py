"""Networks imported from PyTorch against eager PyTorch: forward, and forward with backprop."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

import torchcaffe as caffe
from bench.lab.resnet import ResNet18
from bench.lab.timing import interleaved
from bench.registry import Table, benchmark, goal

IMPORTED = "imported"
EAGER = "eager PyTorch"
ROOT = Path(__file__).resolve().parents[2]
BATCHES = (1, 16)
LITE = "efficientnet_lite_pytorch"


def networks() -> dict[str, nn.Module]:
    """Return the networks by title; EfficientNet-Lite0 only where its packages are installed."""
    torch.manual_seed(0)
    found: dict[str, nn.Module] = {"ResNet-18": ResNet18().eval()}
    if importlib.util.find_spec(LITE) is not None:
        path = ROOT / "models" / "efficientnet-lite0" / "network.py"
        spec = importlib.util.spec_from_file_location("efficientnet_lite0", path)
        if spec is not None and spec.loader is not None:
            made = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(made)
            found["EfficientNet-Lite0"] = made.efficientnet_lite0()
    return found


def _timed(title: str, module: nn.Module, net: caffe.Net, batch: int, budget: float) -> list[Table]:
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    name, last = net.inputs[0], net.outputs[0]
    x = torch.randn(batch, 3, 224, 224)
    net.blobs[name].reshape(*x.shape)
    net.reshape()
    diff = np.zeros(net.blobs[last].shape, np.float32)
    diff[:, 0] = 1

    def forward() -> np.ndarray:
        net.blobs[name].data[...] = x.numpy()
        net.forward()
        return np.asarray(net.blobs[last].data)

    def eager() -> np.ndarray:
        with torch.no_grad():
            return np.asarray(module(x).numpy())

    def both() -> np.ndarray:
        forward()
        net.backward_from_layer(last, diff, zero_higher=True)
        return np.asarray(net.blobs[name].diff)

    def eager_both() -> np.ndarray:
        given = x.clone().requires_grad_()
        module(given).backward(torch.from_numpy(diff))
        return np.asarray(given.grad)

    tables = []
    for what, ours, theirs, limit in (
        ("forward", forward, eager, 1.05),
        ("forward and backprop", both, eager_both, 1.1),
    ):
        worst = float(np.abs(ours() - theirs()).max())
        seconds = interleaved({IMPORTED: ours, EAGER: theirs}, budget)
        ratio = seconds[IMPORTED] / seconds[EAGER]
        notes = [
            f"they agree within {worst:.1e}",
            goal(f"time / time of {EAGER}", ratio, limit, at_least=False),
        ]
        tables.append(Table(f"{what}, {title}, batch {batch}", seconds, EAGER, notes=notes))
    return tables


def _opening(module: nn.Module) -> Table:
    """Time the opening of a .pt2 file with 100 MB of weights."""
    module = nn.Sequential(module, nn.Linear(1000, 13_400))  # 47 MB and 54 MB
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.pt2"
        exported = torch.export.export(module.eval(), (torch.zeros(1, 3, 224, 224),))
        torch.export.save(exported, path)
        size = path.stat().st_size / 1e6
        begun = time.perf_counter()
        caffe.from_exported(path)
        seconds = time.perf_counter() - begun
    notes = [goal("seconds", seconds, 3.0, at_least=False)]
    return Table(f"opening a .pt2 file of {size:.0f} MB", {IMPORTED: seconds}, notes=notes)


@benchmark("imported", "networks from PyTorch against eager PyTorch, and opening a .pt2 file")
def run(budget: float) -> list[Table]:
    """Time each network at batch 1 and 16, and the opening of a file."""
    tables = []
    for title, module in networks().items():
        net = caffe.from_torch(module)
        for batch in BATCHES:
            tables += _timed(title, module, net, batch, budget)
    return [_opening(ResNet18()), *tables]
