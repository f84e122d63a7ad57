"""Unit images a second: against a faithful loop of the original's, and preset by preset."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice

import numpy as np
from scipy.ndimage import gaussian_filter

import torchcaffe as caffe
from bench.lab.nets import MEAN, YOS
from bench.lab.timing import interleaved
from bench.registry import Table, benchmark
from optimize import FindParams, GradientOptimizer

GOALS = {"conv1": 50, "conv3": 10, "conv5": 5, "fc8": 2}
ITERATIONS = 8  # of which two blur; times are scaled to those of an image
IMAGE_ITERATIONS = 300
RECIPE_PRESET, PRESETS_BESIDE = 3, (5, 6)
UNIT_ITERATIONS = 120  # of the unit images that `python -m visualizations` makes
BESIDE_ITERATIONS = 5  # with four steps between them, of which one blurs, as of any four
GOAL_PRESETS = 1.3
RECIPE = FindParams.preset(3, lr_policy="rms", max_iter=ITERATIONS)


def original_loop(net: caffe.Net, layer: str, channel: int) -> np.ndarray:
    """Run the original's loop: one image, the whole net forward, NumPy and SciPy beside it.

    Every iteration does what optimize_image.py's does: clip, forward through the whole net,
    record objective, norms and the strongest unit, go backward from the layer, step, decay,
    blur each channel every fourth time.
    """
    shape = net.blobs["data"].shape[1:]
    mean = np.tile(np.array(MEAN)[:, None, None], (1, *shape[1:]))
    x = x0 = np.random.RandomState(0).normal(0, 10, shape)
    centre = tuple(size // 2 for size in net.blobs[layer].shape[2:])
    unit = (channel, *centre)
    best, best_x = -np.inf, x
    for i in range(ITERATIONS):
        x = np.minimum(255.0, np.maximum(0.0, x + mean)) - mean
        net.forward(data=x[None])
        values = net.blobs[layer].data[0]
        _record = (np.unravel_index(values.argmax(), values.shape), np.linalg.norm(x),
                   np.linalg.norm(x - x0), x.flatten().std())  # fmt: skip
        if values[unit] > best:
            best, best_x = float(values[unit]), x.copy()
        diff = np.zeros_like(net.blobs[layer].diff)
        diff[0][unit] = 1.0
        grad = net.backward_from_layer(layer, diff, zero_higher=True)["data"][0].copy()
        if i < ITERATIONS - 1:
            step = RECIPE.rates["step" if i < ITERATIONS / 2 else "late_step"]
            x = x + step / np.sqrt((grad**2).mean()) * grad
            x *= 1 - RECIPE.decay
            if i % RECIPE.blur_every == 0:
                for plane in x:
                    plane[...] = gaussian_filter(plane, RECIPE.blur_radius)
    return best_x


def _batched(optimizer: GradientOptimizer, layer: str) -> tuple[Callable[[], object], int]:
    """Return a run of one full batch of a layer's units, and how many there are in it."""
    size = optimizer.batch_size(RECIPE.replaced(push_layer=layer))
    channels = optimizer.channels(layer)
    runs = [
        RECIPE.replaced(push_layer=layer, push_channel=k % channels, rand_seed=k // channels)
        for k in range(size)
    ]
    return lambda: optimizer.run_batch(runs), size


def _table(net: caffe.Net, optimizer: GradientOptimizer, layer: str, budget: float) -> Table:
    batched, size = _batched(optimizer, layer)
    names = ("the original's loop", f"optimize, {size} side by side")
    medians = interleaved(
        {names[0]: lambda: original_loop(net, layer, 0), names[1]: batched}, budget
    )
    scale = IMAGE_ITERATIONS / ITERATIONS
    seconds = {names[0]: medians[names[0]] * scale, names[1]: medians[names[1]] * scale / size}
    ratio = seconds[names[0]] / seconds[names[1]]
    verdict = "met" if ratio >= GOALS[layer] else "missed"
    title = f"one image of a unit of {layer}, {IMAGE_ITERATIONS} iterations, {YOS.title}"
    note = f"{ratio:.1f} times as many images a second; goal of {GOALS[layer]}: {verdict}"
    return Table(title, seconds, names[0], notes=[note])


def _begun(
    optimizer: GradientOptimizer, layer: str, preset: int
) -> tuple[Callable[[], object], int]:
    """Return a run of a full batch's first iterations, and how many images are in it."""
    policy = "rms" if preset == RECIPE_PRESET else "constant"
    first = FindParams.preset(
        preset, push_layer=layer, lr_policy=policy, lr_params=None, max_iter=UNIT_ITERATIONS
    )
    size, channels = optimizer.batch_size(first), optimizer.channels(layer)
    runs = [first.replaced(push_channel=k % channels, rand_seed=k // channels) for k in range(size)]
    return lambda: deque(islice(optimizer.moments(runs), BESIDE_ITERATIONS), maxlen=0), size


def _presets(optimizer: GradientOptimizer, layer: str, budget: float) -> Table:
    begun = {
        preset: _begun(optimizer, layer, preset) for preset in (RECIPE_PRESET, *PRESETS_BESIDE)
    }
    medians = interleaved({f"preset {preset}": run for preset, (run, _) in begun.items()}, budget)
    seconds = {
        f"preset {preset}": medians[f"preset {preset}"] * UNIT_ITERATIONS / BESIDE_ITERATIONS / size
        for preset, (_, size) in begun.items()
    }
    reference = f"preset {RECIPE_PRESET}"
    worst = max(seconds.values()) / seconds[reference]
    verdict = "met" if worst <= GOAL_PRESETS else "missed"
    title = f"one image of a unit of {layer}, {UNIT_ITERATIONS} iterations, {YOS.title}"
    note = f"at most {worst:.2f} times as long; goal of {GOAL_PRESETS}: {verdict}"
    return Table(title, seconds, reference, notes=[note])


@benchmark("presets", "images of units by presets 5 and 6 beside the paper's")
def presets(budget: float) -> list[Table]:
    """Time a unit of an early, two middle and the last layer."""
    optimizer = GradientOptimizer(YOS.load(), MEAN, channel_swap_to_rgb=(2, 1, 0))
    return [_presets(optimizer, layer, budget) for layer in GOALS]


@benchmark("optimize", "images of units against a faithful loop of the original's")
def run(budget: float) -> list[Table]:
    """Time a unit of an early, two middle and the last layer."""
    net = YOS.load()
    optimizer = GradientOptimizer(net, MEAN, channel_swap_to_rgb=(2, 1, 0))
    return [_table(net, optimizer, layer, budget) for layer in GOALS]
