"""A CUDA GPU beside the processor: frames, unit images and photos a second, in one table."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import torch

import torchcaffe as caffe
from bench.lab.live_stage import LAYER, forward_and_deconv, stage
from bench.lab.nets import CALTECH, MEAN, YOS, Model
from bench.lab.timing import interleaved
from bench.lab.video import write_video
from bench.registry import Rates, benchmark
from bench.rows.find_maxes import ROOT, Command, photos
from optimize import FindParams, GradientOptimizer

PRESET = 5  # of the unit images that the window shows
LAYERS = ("conv1", "conv3", "conv5", "fc8")
ITERATIONS, OF = 8, 120  # run, and of an image
BATCH = 16
SCANNED, BUNDLED_SEEDS = 1000, 3
MODES = ("processor", "GPU")


@contextlib.contextmanager
def computing_on(mode: str) -> Iterator[None]:
    """Compute on the processor or the GPU for a while."""
    (caffe.set_mode_gpu if mode == "GPU" else caffe.set_mode_cpu)()
    try:
        yield
    finally:
        caffe.set_mode_cpu()


def _passes(model: Model, batch: int, budget: float, _mode: str) -> float:
    """Return how many pictures a second go forward, and back by deconv from a unit."""
    return batch / interleaved({"": forward_and_deconv(model, batch)}, budget)[""]


def _live(model: Model, budget: float, _mode: str) -> float:
    """Return how many frames of a video the app draws in a second, without a window."""
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "video.avi"
        write_video(video)
        with stage(model, video) as on:
            on.audience.attend(on.loop, 1.0)
            watched = on.audience.attend(on.loop, budget)
    return watched.shown / watched.seconds


def _unit_images(layer: str, budget: float, _mode: str) -> float:
    """Return how many images of a layer's units a second make, in full batches."""
    optimizer = GradientOptimizer(YOS.load(), MEAN, channel_swap_to_rgb=(2, 1, 0))
    first = FindParams.preset(PRESET, push_layer=layer, max_iter=OF)
    size, channels = optimizer.batch_size(first), optimizer.channels(layer)
    runs = [first.replaced(push_channel=k % channels, rand_seed=k // channels) for k in range(size)]

    def run() -> float:
        last = deque(islice(optimizer.moments(runs), ITERATIONS), maxlen=1).pop()
        return float(last.obj.sum())

    run()
    begun, rounds = time.perf_counter(), 0
    while rounds == 0 or time.perf_counter() < begun + budget:
        run()
        rounds += 1
    return size * rounds / (time.perf_counter() - begun) * ITERATIONS / OF


def _scan(mode: str) -> float:
    """Return how many photos a second find_max_acts looks at."""
    folder, names = photos()
    more = ["--gpu"] if mode == "GPU" else []
    with tempfile.TemporaryDirectory() as out:
        seconds, _ = Command(Path(out), folder, more).run(names[:SCANNED])
    return 1 / seconds


def _bundled(mode: str) -> float:
    """Return how many images a second `python -m visualizations` makes, files and all.

    It takes a GPU where there is one, so the processor is not asked.
    """
    if mode != "GPU":
        return float("nan")
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        made = subprocess.run(
            [sys.executable, "-m", "visualizations", "--layers", LAYER,
             "--seeds", str(BUNDLED_SEEDS), "--out", f"{folder}/out", "--work", f"{folder}/work"],
            cwd=ROOT, check=False, capture_output=True, text=True,
        )  # fmt: skip
        seconds = time.perf_counter() - begun
        if made.returncode:
            raise SystemExit(f"visualizations failed:\n{made.stderr}")
    return BUNDLED_SEEDS * CALTECH.load().blobs[LAYER].shape[1] / seconds


def _both(name: str, work: Callable[[str], float]) -> tuple[float, float]:
    found = []
    for mode in MODES:
        with computing_on(mode):
            found.append(work(mode))
    print(f"{name}: {found[0]:.1f}, {found[1]:.1f}", file=sys.stderr, flush=True)
    return found[0], found[1]


@benchmark(
    "gpu", "a CUDA GPU beside the processor, in some ten minutes (`make bench-gpu`)", long=True
)
def run(budget: float) -> list[Rates]:
    """Measure what the window and the batch tools reach on both."""
    if not torch.cuda.is_available():
        raise SystemExit(
            "PyTorch finds no CUDA GPU here, so there is nothing to measure; nvidia-smi tells "
            "whether there is one, and on Linux `pip install torch==2.13.0` from PyPI brings CUDA"
        )
    works: dict[str, Callable[[str], float]] = {}
    for model in (CALTECH, YOS):
        works[f"frames of a video, {model.name}, deconv"] = partial(_live, model, budget)
        for batch in (1, BATCH):
            name = f"pictures forward and deconv, {model.name}, batch {batch}"
            works[name] = partial(_passes, model, batch, budget / 2)
    for layer in LAYERS:
        works[f"unit images of {layer}, {YOS.name}"] = partial(_unit_images, layer, budget / 2)
    works[f"photos, find_max_acts, {CALTECH.name}"] = _scan
    works["unit images of conv5, visualizations, bundled"] = _bundled
    return [Rates("a second", MODES, {name: _both(name, work) for name, work in works.items()})]
