"""What a model has, and how fast this machine is with it: measured in some seconds.

An ascent's time is a sum over the layers it runs. Each layer of the net is timed once, forward
and backward on the whole image; a crop's layers take the share of that time which they compute
of their maps. What comes on top (regularisers, small batches) is measured on real ascents of a
few layers, and its factor is applied to the others.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import torchcaffe as caffe
from optimize.ascent.optimizer import GradientOptimizer
from optimize.ascent.task import Planner, Task
from optimize.params import FindParams
from toolbox.command_line import numbers
from toolbox.pictures.crop import window_fit
from toolbox.pictures.image_file import ImageError, read_image
from visualizations.errors import VisualizationsError
from visualizations.plan import Layer, parse_layer

# Layers whose units are learned: theirs are the units that a user looks at. The images of the
# pooling and normalisation behind them are the same (`caffevis_jpgvis_remap`).
LEARNED = frozenset({"Convolution", "DepthwiseConvolution", "ConvolutionDepthwise",
                     "Deconvolution", "InnerProduct"})  # fmt: skip
_IMAGES = 4  # go through the net together when its layers are timed
# Of the layers from the quickest to the slowest, those whose ascents are really run, in this
# order until it takes too long: the slow ones make the sum.
_WHERE = (1.0, 0.5, 0.0, 0.75, 0.25)
_ENOUGH = 7.0  # seconds
_SECONDS = 1.0  # for each of these ascents, about
_MOST_ITERATIONS = 256
_PHOTOS = 8  # are decoded


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


@dataclass(frozen=True)
class NetTimes:
    """Seconds that each layer takes for one whole image, by its number.

    Parameters
    ----------
    forward, backward : tuple of float
        One a layer.
    """

    forward: tuple[float, ...]
    backward: tuple[float, ...]

    def through(self, shares: dict[int, float]) -> tuple[float, float]:
        """Return seconds forward and backward through some shares of layers."""
        return (
            sum(self.forward[i] * share for i, share in shares.items()),
            sum(self.backward[i] * share for i, share in shares.items()),
        )


class Probe:
    """Measures.

    Parameters
    ----------
    optimizer : GradientOptimizer
        The network's.
    recipe : FindParams
        Of the ascents; layer and unit are filled in.
    say : callable
        Gets what is being measured.
    """

    def __init__(
        self, optimizer: GradientOptimizer, recipe: FindParams, say: Callable[[str], None]
    ) -> None:
        self.optimizer, self._recipe, self._say = optimizer, recipe, say
        net = optimizer.net
        self._planner = Planner(net, optimizer.shape, optimizer.regularisers, tried=False)
        self._tasks: dict[str, tuple[dict[int, float], int]] = {}
        self.times: NetTimes | None = None

    # ------------------------------------------------------------ layers

    def layers(self, wanted: Sequence[str] | None) -> list[Layer]:
        """Look the layers up.

        Parameters
        ----------
        wanted : sequence of str or None
            Such as `conv5` and `fc6:0-95`; None for all with weights.

        Raises
        ------
        VisualizationsError, OptimizeError
            A layer or unit does not exist.
        """
        found = []
        for text in wanted or learned_layers(self.optimizer.net):
            # A layer's own name may hold a colon.
            name, some = (text, None) if text in self.optimizer.net.blobs else parse_layer(text)
            every = tuple(range(self.optimizer.channels(name)))
            try:
                units = numbers(some) if some else every
            except argparse.ArgumentTypeError as error:
                raise VisualizationsError(f"{text!r}: {error}") from error
            if set(units) - set(every):
                raise VisualizationsError(
                    f"layer {name!r} has no unit {max(units)}; 0 to {every[-1]} are accepted"
                )
            found.append(Layer(name, units, units == every, self._side(name, units[0])))
        return found

    def _side(self, name: str, unit: int) -> int:
        """Return the longest side of what a layer's units see; keep what an ascent computes."""
        task = self._planner.task(self._recipe.replaced(push_layer=name, push_channel=unit))
        pixels = task.window.height * task.window.width
        self._tasks[name] = (self._shares(task), pixels)
        return max(task.view.field.height, task.view.field.width)

    def _shares(self, task: Task) -> dict[int, float]:
        """Return what share of the whole image's values each layer of a task computes."""
        net = self.optimizer.net
        names = list(net.layer_dict)
        sizes = task.view.section.sizes()
        whole = [
            sum(net.blobs[top].count // max(1, net.blobs[top].shape[0]) for top in tops)
            for tops in (net.top_names[names[i]] for i in task.part.layers)
        ]
        pairs = zip(task.part.layers, sizes, whole, strict=True)
        return {i: size / max(1, all_of_it) for i, size, all_of_it in pairs}

    # ------------------------------------------------------------ seconds

    def measure(self, layers: Sequence[Layer]) -> dict[str, float]:
        """Measure the seconds that an image of each layer takes an iteration."""
        self._say("how fast each layer is")
        begun = time.perf_counter()
        self.times = time_layers(self.optimizer.net)
        raw = {layer.name: sum(self.times.through(self._tasks[layer.name][0])) for layer in layers}
        order = sorted(raw, key=lambda name: raw[name])
        factors: dict[int, float] = {}
        for share in _WHERE:
            at = round(share * (len(order) - 1))
            late = time.perf_counter() - begun > _ENOUGH
            if at in factors or (late and len(factors) > 1):
                continue
            self._say(f"an ascent of {order[at]}")
            factors[at] = self._ascent(order[at], raw[order[at]]) / raw[order[at]]
        known = sorted(factors)
        where = np.log([raw[order[at]] for at in known])
        logs = np.log([factors[at] for at in known])
        return {
            name: seconds * float(np.exp(np.interp(np.log(seconds), where, logs)))
            for name, seconds in raw.items()
        }

    def _ascent(self, layer: str, guess: float) -> float:
        """Run ascents of a layer for a while; return the seconds an image and iteration take."""
        first = self._recipe.replaced(push_layer=layer, push_channel=0)
        size = max(1, min(self.optimizer.batch_size(first), round(_SECONDS / 4 / guess)))
        self._timed(first, size, 1)  # the first time looks up fields and crops
        iterations, took = 2, 0.0
        while took < _SECONDS / 2 and iterations < _MOST_ITERATIONS:
            iterations *= 2
            took = self._timed(first, size, iterations)
        # The better of two: what else the machine does for a moment is no property of the layer.
        return min(took, self._timed(first, size, iterations)) / iterations / size

    def _timed(self, first: FindParams, size: int, iterations: int) -> float:
        channels = self.optimizer.channels(first.push_layer)
        # As in a layer's batch: some seeds, whose starts are drawn once, of many units.
        runs = [
            first.replaced(rand_seed=k % 9, push_channel=k // 9 % channels, max_iter=iterations)
            for k in range(size)
        ]
        begun = time.perf_counter()
        self.optimizer.run_batch(runs)
        return time.perf_counter() - begun

    def whole(self, layer: Layer) -> tuple[float, float]:
        """Return the seconds of a layer forward and backward, of a whole image."""
        if self.times is None:
            self.times = time_layers(self.optimizer.net)
        return self.times.through(dict.fromkeys(self._tasks[layer.name][0], 1.0))

    def decoding(self, photos: Sequence[Path]) -> float:
        """Measure the seconds that a photo takes to be read and fitted, on one core."""
        self._say("how long photos take to be read")
        fit, times = window_fit(*self.optimizer.shape[1:]), []
        for path in photos[:: max(1, len(photos) // _PHOTOS)][:_PHOTOS]:
            begun = time.perf_counter()
            try:
                fit(read_image(path))
            except ImageError:
                continue  # the scan names it
            times.append(time.perf_counter() - begun)
        return float(np.mean(times)) if times else 0.0


def time_layers(net: caffe.Net) -> NetTimes:
    """Time each layer of a net on some images; its inputs are as before at the end."""
    before = {name: (net.blobs[name].shape, net.blobs[name].data.copy()) for name in net.inputs}
    images = _set_batch(net, _IMAGES)
    rng = np.random.default_rng(0)
    for name in net.inputs:
        if len(net.blobs[name].shape) == 4:
            net.blobs[name].data[...] = rng.normal(0, 40, net.blobs[name].shape)
    last = len(net.layers) - 1
    net.forward()  # the first time memory is taken and weights are brought into their order
    forward = [_seconds(net._forward, i, i) for i in range(last + 1)]
    for name in net.outputs:
        net.blobs[name].diff[...] = 1
    back = functools.partial(net._backward, params=False)
    back(last, 0)
    backward = [_seconds(back, i, i) for i in range(last, -1, -1)][::-1]
    for name, (shape, values) in before.items():
        net.blobs[name].reshape(*shape)
        net.blobs[name].data[...] = values
    net.reshape()
    return NetTimes(tuple(t / images for t in forward), tuple(t / images for t in backward))


def _set_batch(net: caffe.Net, size: int) -> int:
    """Give all inputs of the first one's batch another batch; return what it is then."""
    shapes = {name: net.blobs[name].shape for name in net.inputs}
    own = shapes[net.inputs[0]][0]
    try:
        for name, shape in shapes.items():
            if shape[0] == own:
                net.blobs[name].reshape(size, *shape[1:])
        net.reshape()
    except caffe.CaffeError:  # a layer insists on its batch
        for name, shape in shapes.items():
            net.blobs[name].reshape(*shape)
        net.reshape()
        return own
    return size


def _seconds(run: Callable[[int, int], object], start: int, end: int) -> float:
    begun = time.perf_counter()
    run(start, end)
    return time.perf_counter() - begun
