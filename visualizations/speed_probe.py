"""What a model has, and how fast this machine is with it."""

from __future__ import annotations

import argparse
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import torchcaffe as caffe
from optimize.ascent.optimizer import GradientOptimizer
from optimize.command.arguments import numbers
from optimize.params import FindParams
from visualizations.errors import VisualizationsError
from visualizations.plan import Layer, parse_layer
from visualizations.steps import Step

# Layers whose units are learned: theirs are the units that a user looks at. The images of the
# pooling and normalisation behind them are the same (`caffevis_jpgvis_remap`).
LEARNED = frozenset({"Convolution", "DepthwiseConvolution", "ConvolutionDepthwise",
                     "Deconvolution", "InnerProduct"})  # fmt: skip
ROOT = Path(__file__).resolve().parents[1]
_FEW, _MORE = 2, 8  # iterations: the difference is free of what is done once


def learned_layers(net: caffe.Net) -> list[str]:
    """Return the layers whose units get images: those with weights and a blob of their name."""
    elsewhere = net.layouts  # tokens, and channels that are last: the batch tools take neither
    return [
        name
        for name, layer in net.layer_dict.items()
        if layer.type in LEARNED
        and name in net.blobs
        and len(net.blobs[name].shape) in (2, 4)
        and name not in elsewhere
    ]


def layers_of(optimizer: GradientOptimizer, wanted: Sequence[str] | None) -> list[Layer]:
    """Look the layers up.

    Parameters
    ----------
    optimizer : GradientOptimizer
        The network's.
    wanted : sequence of str or None
        Such as `conv5` and `fc6:0-95`; None for all with weights.

    Raises
    ------
    VisualizationsError, OptimizeError
        A layer or unit does not exist.
    """
    found = []
    for text in wanted or learned_layers(optimizer.net):
        # A layer's own name may hold a colon.
        name, some = (text, None) if text in optimizer.net.blobs else parse_layer(text)
        every = tuple(range(optimizer.channels(name)))
        try:
            units = numbers(some) if some else every
        except argparse.ArgumentTypeError as error:
            raise VisualizationsError(f"{text!r}: {error}") from error
        if set(units) - set(every):
            raise VisualizationsError(
                f"layer {name!r} has no unit {max(units)}; 0 to {every[-1]} are accepted"
            )
        field = optimizer.field(FindParams(push_layer=name, push_channel=units[0]))
        found.append(Layer(name, units, units == every, max(field.height, field.width)))
    return found


def ascent_rate(optimizer: GradientOptimizer, layer: str, recipe: FindParams) -> float:
    """Measure the seconds that an image takes an iteration, in a batch as in the real run."""
    first = recipe.replaced(push_layer=layer, push_channel=0)
    size = optimizer.batch_size(first)
    times = []
    for iterations in (_FEW, _FEW, _MORE):  # the first one warms up
        runs = [first.replaced(rand_seed=k, max_iter=iterations) for k in range(size)]
        begun = time.perf_counter()
        optimizer.run_batch(runs)
        times.append(time.perf_counter() - begun)
    return max(times[2] - times[1], 1e-9) / (_MORE - _FEW) / size


def photo_rate(scan: Step) -> float:
    """Measure the seconds a photo takes, by a scan of a short list.

    Raises
    ------
    VisualizationsError
        The scan fails; its own sentence has been printed.
    """
    done = subprocess.run(scan.command, cwd=ROOT, capture_output=True, text=True, check=False)
    match = re.search(r"([\d.]+) images/s;", done.stdout)
    if match is None or done.returncode not in (0, 1) or float(match[1]) <= 0:
        told = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise VisualizationsError(f"a scan of the first photos failed: {told[0]}")
    return 1 / float(match[1])
