"""What each of the engine's tricks gives by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
from torch import Tensor

import torchcaffe as caffe
from bench.lab import deep
from bench.lab.nets import CALTECH, YOS, Model, photo
from bench.lab.timing import interleaved
from bench.registry import Table, benchmark
from torchcaffe.blobs import packed, winograd
from torchcaffe.blobs.blob import Blob
from torchcaffe.layers.convolution import Convolution
from torchcaffe.layers.linear import InnerProduct

NONE = "neither"
# trick -> the layer types that compute by oneDNN, with weights as `torchcaffe.blobs.packed` has
# them (kept in its layout, Winograd's convolutions and folded BatchNorms included)
TRICKS: dict[str, tuple[type[caffe.BaseLayer], ...]] = {
    NONE: (),
    "convolutions": (Convolution,),
    "fully connected layers": (InnerProduct,),
    "both": (Convolution, InnerProduct),
}


@contextmanager
def only(net: caffe.Net, kinds: tuple[type[caffe.BaseLayer], ...]) -> Iterator[None]:
    """Let only layers of these kinds compute as `packed` does, then all as before."""
    layers = [layer for layer in net.layers if isinstance(layer, Convolution | InnerProduct)]
    before = [layer.packs for layer in layers]
    try:
        for layer in layers:
            layer.packs = isinstance(layer, kinds)
        yield
    finally:
        for layer, packs in zip(layers, before, strict=True):
            layer.packs = packs


def _contenders(net: caffe.Net, run: Callable[[], None]) -> dict[str, Callable[[], None]]:
    def with_trick(kinds: tuple[type[caffe.BaseLayer], ...]) -> Callable[[], None]:
        def contender() -> None:
            with only(net, kinds):
                run()

        return contender

    return {name: with_trick(kinds) for name, kinds in TRICKS.items()}


def _tables(model: Model, budget: float) -> list[Table]:
    net, x = model.load(), photo()
    net.forward(data=x)
    activations = np.array(net.blobs["conv5"].data)
    diff = np.zeros_like(activations)
    diff[:, 0] = activations[:, 0]

    def forward() -> None:
        net.forward(data=x)

    def both_ways() -> None:
        net.forward(data=x)
        net.deconv_from_layer("conv5", diff, zero_higher=True)

    return [
        Table(f"{what}, {model.title}", interleaved(_contenders(net, run), budget), NONE)
        for what, run in (("forward", forward), ("forward and deconv", both_ways))
    ]


@benchmark("tricks", "what kept weights and oneDNN's products give, by kind of layer")
def run(budget: float) -> list[Table]:
    """Time both nets with each trick alone."""
    return [table for model in (CALTECH, YOS) for table in _tables(model, budget)]


def _with_cut_rows(
    diff: Tensor, weight: Blob, geometry: packed.Geometry, fold: packed.Fold | None
) -> Tensor | None:
    """Carry back through 3x3 filters as before: two rows more than there are."""
    height, width = (
        side + 2 - 2 * pad for side, pad in zip(diff.shape[2:], geometry.pad, strict=True)
    )
    return packed._by_phases(diff, weight, (height, width), geometry, fold)


# trick -> what takes it away from a net
DEEP_TRICKS: dict[str, Callable[[caffe.Net], AbstractContextManager[object]]] = {
    "BatchNorm and Scale in the weights": lambda net: patch.object(net, "_chains", {}),
    "Winograd's convolutions": lambda net: patch.object(winograd, "way", lambda *a: None),
    "3x3 gradients of the rows alone": lambda net: patch.object(
        packed, "_by_turned", _with_cut_rows
    ),
    "diffs that are not copied": lambda net: patch.object(Blob, "lend_diff", lambda blob: False),
    "ReLU's mask in place": lambda net: patch.object(Blob, "owns_diff", lambda blob: False),
}
ALL = "all tricks"
TOGETHER = 16  # pictures of a scan's group


def _never(kind: type) -> AbstractContextManager[object]:
    """Let no convolution go one of Winograd's ways."""
    way = winograd.way

    def other(*geometry: Any) -> winograd.Tiles | winograd.Rows | None:
        found = way(*geometry)
        return None if isinstance(found, kind) else found

    return patch.object(winograd, "way", other)


GROUP_TRICKS: dict[str, Callable[[caffe.Net], AbstractContextManager[object]]] = {
    "Winograd's tiles (3x3)": lambda net: _never(winograd.Tiles),
    "Winograd's rows (5x5)": lambda net: _never(winograd.Rows),
}


def _of_group(model: Model, images: int, budget: float) -> Table:
    """Time a forward pass of some pictures without each of Winograd's ways."""
    net = model.load()
    net.blobs["data"].reshape(images, *net.blobs["data"].shape[1:])
    net.reshape()
    x = np.repeat(photo(), images, 0)

    def run() -> None:
        net.forward(data=x)

    contenders = {ALL: run}
    for trick, without in GROUP_TRICKS.items():
        contenders[f"without {trick}"] = _without(net, without, run)
    title = f"forward of {images} pictures together, {model.title}"
    return Table(title, interleaved(contenders, budget), ALL)


@benchmark("winograd", "CaffeNets forward without each of Winograd's ways, one picture and 16")
def run_groups(budget: float) -> list[Table]:
    """Time both nets, as the window runs them and as a scan does."""
    return [
        _of_group(model, images, budget) for model in (CALTECH, YOS) for images in (1, TOGETHER)
    ]


def _deep_tables(name: str, budget: float) -> list[Table]:
    net = deep.load(name)
    ways = dict(zip(("forward", "backward"), deep.passes(net), strict=True))
    tables = []
    for what, run in ways.items():
        contenders = {ALL: run}
        for trick, without in DEEP_TRICKS.items():
            contenders[f"without {trick}"] = _without(net, without, run)
        tables.append(Table(f"{what}, {name}", interleaved(contenders, budget), ALL))
    times = interleaved(ways, budget)
    ratio = times["backward"] / times["forward"]
    note = f"backward takes {ratio:.2f} times as long as forward"
    return [*tables, Table(f"both ways, {name}", times, "forward", notes=[note])]


def _without(
    net: caffe.Net,
    without: Callable[[caffe.Net], AbstractContextManager[object]],
    run: Callable[[], None],
) -> Callable[[], None]:
    def contender() -> None:
        with without(net):
            run()

    return contender


@benchmark("deep-tricks", "deep nets forward and back for the image's diff, without each trick")
def run_deep(budget: float) -> list[Table]:
    """Time the deep nets, first with all tricks, then without one of them at a time."""
    there = [name for name, prototxt in deep.NETS.items() if prototxt.exists()]
    return [table for name in there for table in _deep_tables(name, budget)]
