"""Train the bundled model: CaffeNet with small fully connected layers on Caltech-101.

    python models/caffenet-caltech101/train.py --data CALTECH101 --teacher SQUEEZENET

Two stages: the trunk on 131x131 crops with a pooled head, then the whole net on 227x227.
Both learn the labels and, from SqueezeNet as a teacher, its 1000 scores and its last
feature map. Checkpoints are written after every epoch and picked up again. The last step
folds batch normalisation into the weights and writes a caffemodel (see export.py).
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from checkpoint import load_checkpoint, save_checkpoint
from dataset import (
    SPLIT_FILE,
    Dataset,
    batches,
    load,
    shares_right,
    stretched,
    write_split,
)
from network import MEAN_BGR, PIXEL_SCALE, Student, Teacher, part, roughness
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

TEMPERATURE = 3.0
M = TypeVar("M", bound=nn.Module)
Teach = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Stage:
    """The settings of one stage of the training."""

    name: str
    size: int
    dense: bool
    epochs: int
    lr: float
    trunk_lr: float
    area: tuple[float, float]
    hint: float
    balance: float = 0.6
    batch: int = 64
    weight_decay: float = 5e-4
    roughness: float = 1e-3
    smoothing: float = 0.1


STAGES = {
    "stage1": Stage("stage1", 131, False, 36, 0.1, 1.0, (0.25, 1.0), 2.0),
    "stage2": Stage("stage2", 227, True, 14, 0.05, 0.4, (0.3, 1.0), 1.0),
}


class Normalise:
    """uint8 (N, H, W, 3) -> float (N, 3, H, W), BGR minus the mean, with colour shifts."""

    def __init__(self, device: torch.device) -> None:
        self.mean = torch.tensor(MEAN_BGR, device=device).view(1, 3, 1, 1)
        self.device = device

    def __call__(self, images: np.ndarray, *, augment: bool) -> Tensor:
        """Return the batch on the device, in channels-last memory."""
        x = torch.from_numpy(images).to(self.device).float()
        if augment:
            matrix, offset = self._colour_shift(len(x))
            flat = torch.baddbmm(offset, x.flatten(1, 2), matrix)
            x = flat.clamp_(0.0, 255.0).view(x.shape)
        return x.permute(0, 3, 1, 2) - self.mean

    def _colour_shift(self, n: int) -> tuple[Tensor, Tensor]:
        """Draw saturation, contrast, tint and brightness: pixel (1, 3) @ matrix + offset."""
        saturation = torch.empty(n, 1, 1).uniform_(0.6, 1.4)
        saturation[torch.rand(n) < 0.08] = 0.0
        gain = torch.empty(n, 1, 1).uniform_(0.65, 1.35)
        gain = gain * torch.empty(n, 1, 3).uniform_(0.92, 1.08)
        luma = torch.tensor([0.114, 0.587, 0.299]).view(3, 1).expand(3, 3)
        matrix = (saturation * torch.eye(3) + (1 - saturation) * luma) * gain
        offset = 117.0 * (1 - gain) + torch.empty(n, 1, 1).normal_(0, 15)
        return matrix.to(self.device), offset.to(self.device)


def loss_of(
    student: nn.Module, x: Tensor, classes: Tensor, teach: Teach, stage: Stage
) -> tuple[Tensor, tuple[float, float, float]]:
    """Return the training loss of a batch and its parts."""
    scores, teacher_scores, features = student(x / PIXEL_SCALE)
    target_scores, target_features = teach(x)
    known = classes >= 0
    label = F.cross_entropy(scores.float()[known], classes[known], label_smoothing=stage.smoothing)
    distilled = F.kl_div(
        F.log_softmax(teacher_scores.float() / TEMPERATURE, 1),
        F.softmax(target_scores / TEMPERATURE, 1),
        reduction="batchmean",
    )
    hint = F.mse_loss(features.float(), target_features)
    total = label + 0.5 * TEMPERATURE**2 * distilled + stage.hint * hint
    return total, (label.item(), distilled.item(), hint.item())


def make_teach(folder: Path, device: torch.device, low: bool) -> Teach:
    """Return a function x -> (scores, features scaled to unit deviation a channel)."""
    teacher = channels_last(Teacher(folder), device)
    if low:
        teacher.to(torch.bfloat16)

    def teach(x: Tensor) -> tuple[Tensor, Tensor]:
        scores, features = teacher(x.to(torch.bfloat16) if low else x)
        features = features.float()
        scale = features.std((0, 2, 3), keepdim=True).clamp_min(1.0)
        return scores.float(), features / scale

    return teach


def channels_last(module: M, device: torch.device) -> M:
    """Move a module to the device, with the memory layout that is fastest there."""
    module.to(device)
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


def optimizer_for(student: Student, stage: Stage) -> torch.optim.SGD:
    """SGD with Nesterov momentum; the trunk at its own rate, no decay on norms, biases."""
    groups = []
    for name, parameter in student.named_parameters():
        trunk = name.startswith(("conv", "bn_conv", "hint"))
        rate = stage.lr * (stage.trunk_lr if trunk else 1.0)
        decay = stage.weight_decay if parameter.ndim > 1 else 0.0
        groups.append({"params": [parameter], "lr": rate, "top_lr": rate, "weight_decay": decay})
    return torch.optim.SGD(groups, momentum=0.9, nesterov=True)


def set_rate(optimizer: torch.optim.SGD, done: float) -> None:
    """Cosine from full rate to zero, after a warm-up over the first 4 %."""
    factor = min(done / 0.04, 1.0) * 0.5 * (1 + np.cos(np.pi * done))
    for group in optimizer.param_groups:
        group["lr"] = group["top_lr"] * factor


@torch.no_grad()
def accuracy(
    model: nn.Module, data: Dataset, stage: Stage, normalise: Normalise, low: bool
) -> tuple[float, float]:
    """Return the share of images right, and the mean over categories."""
    model.eval()
    right = []
    for start in range(0, len(data.images), 100):
        part = [stretched(im, stage.size) for im in data.images[start : start + 100]]
        x = normalise(np.stack(part), augment=False)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=low):
            scores = model(x / PIXEL_SCALE)[0]
        truth = data.classes[start : start + 100]
        right.append(scores.argmax(1).cpu().numpy() == truth)
    hits = np.concatenate(right)
    return float(hits.mean()), float(np.mean(list(shares_right(data.classes, hits).values())))


@dataclass
class Run:
    """What one stage trains with."""

    stage: Stage
    student: Student
    ema: AveragedModel
    optimizer: torch.optim.SGD
    normalise: Normalise
    teach: Teach
    low: bool
    quiet: bool

    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Return what a checkpoint holds."""
        return {"model": self.student, "ema": self.ema.module, "optimizer": self.optimizer}


def start_run(stage: Stage, args: argparse.Namespace) -> tuple[Run, int]:
    """Build a stage's network, from its last checkpoint where there is one."""
    device = torch.device(args.device)
    student = channels_last(Student(stage.dense), device)
    if stage.dense:
        load_checkpoint(args.work / "stage1.npz", {"ema": student}, partial=True)
    ema = AveragedModel(student, multi_avg_fn=get_ema_multi_avg_fn(0.998), use_buffers=True)
    teach = make_teach(args.teacher, device, args.low)
    optimizer, normalise = optimizer_for(student, stage), Normalise(device)
    run = Run(stage, student, ema, optimizer, normalise, teach, args.low, args.quiet)
    file = args.work / f"{stage.name}.npz"
    first = load_checkpoint(file, run.parts()) if file.exists() else 0
    ema.n_averaged.fill_(first)
    return run, first


def train_stage(stage: Stage, args: argparse.Namespace, train: Dataset, test: Dataset) -> None:
    """Train one stage; a checkpoint after every epoch."""
    run, first = start_run(stage, args)
    for epoch in range(first, stage.epochs):
        start = time.monotonic()
        label, distilled, hint = run_epoch(run, epoch, train)
        save_checkpoint(args.work / f"{stage.name}.npz", epoch + 1, run.parts())
        line = (
            f"{stage.name} epoch {epoch + 1}/{stage.epochs} {time.monotonic() - start:.0f} s, "
            f"label {label:.3f} distilled {distilled:.3f} hint {hint:.3f}"
        )
        if epoch % 4 == 3 or epoch + 1 == stage.epochs:
            images, means = accuracy(run.ema.module, test, stage, run.normalise, run.low)
            line += f", held out {images:.2%} of images, {means:.2%} mean over categories"
        print(line, flush=True)


def run_epoch(run: Run, epoch: int, train: Dataset) -> np.ndarray:
    """Train one epoch; return the mean parts of the loss."""
    stage, student = run.stage, run.student
    student.train()
    steps = len(train.images) // stage.batch
    sums = np.zeros(3)
    source = batches(train, stage.size, stage.area, stage.batch, 1000 + epoch, stage.balance)
    conv1 = part(student, "conv1", nn.Conv2d)
    for step, (images, classes) in enumerate(tqdm(source, total=steps, disable=run.quiet)):
        set_rate(run.optimizer, (epoch + step / steps) / stage.epochs)
        x = run.normalise(images, augment=True)
        target = torch.from_numpy(classes).to(x.device)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=run.low):
            loss, parts = loss_of(student, x, target, run.teach, stage)
        loss = loss + 0.5 * stage.roughness * roughness(conv1.weight)
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        run.optimizer.step()
        run.ema.update_parameters(student)
        sums += parts
    return sums / steps


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of Caltech-101")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of SqueezeNet v1.0")
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="checkpoints")
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=list(STAGES))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--full-precision", dest="low", action="store_false", help="no bfloat16")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser.parse_args()


def main() -> None:
    """Run the stages."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(101)
    args.work.mkdir(parents=True, exist_ok=True)
    if not SPLIT_FILE.exists():
        write_split(args.data)
    train, test = load(args.data, "train", with_background=True), load(args.data, "test")
    print(f"{len(train.images)} training images, {len(test.images)} held out", flush=True)
    for name in args.stages:
        train_stage(STAGES[name], args, train, test)


if __name__ == "__main__":
    main()
