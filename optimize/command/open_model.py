"""Opening a network with its mean and labels, as the command lines need it."""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import torchcaffe as caffe
from optimize.ascent.optimizer import GradientOptimizer
from optimize.errors import OptimizeError
from optimize.net.section import image_input
from optimize.output.files import reason
from optimize.parametrise.photo_statistics import read
from toolbox.pictures.held import Held, HeldError, pad_mean
from toolbox.pictures.stamp import Stamp, StampError, stamp_of


@dataclass(frozen=True)
class ModelSpec:
    """Which network, and how its input and output are meant.

    Parameters
    ----------
    prototxt, weights : str
        The definition and the weights, as `torchcaffe.open_net` takes them.
    mean : str, number, sequence of numbers or None
        A file, or values; as for `GradientOptimizer`.
    channel_swap_to_rgb : sequence of int or None
        As for `GradientOptimizer`.
    labels : str or None
        A file with one class a line.
    label_layers : sequence of str
        Layers whose units are the classes.
    data_size : (int, int) or None
        Height and width to give the input, instead of the definition's.
    raw_scale, input_scale : float
        As for `GradientOptimizer`.
    deviation : sequence of float, optional
        What the input's channels are divided by, as for `torchcaffe.open_net`.
    channelwise_mean : bool
        Average a mean image over each channel.
    gpu : int or None
        Which GPU to compute on; None for the CPU.
    python_layers : bool
        Let Python layers run.
    held : Held
        Which input is optimised, and what the others hold.
    photo_statistics : str or None
        A file of `python -m optimize.photos`; None for those of the repository's photos.
    """

    prototxt: str
    weights: str
    mean: Any = None
    channel_swap_to_rgb: Sequence[int] | None = (2, 1, 0)
    labels: str | None = None
    label_layers: Sequence[str] = ()
    data_size: tuple[int, int] | None = None
    raw_scale: float = 255.0
    input_scale: float = 1.0
    deviation: Sequence[float] | None = None
    channelwise_mean: bool = False
    gpu: int | None = None
    python_layers: bool = field(default=False)
    held: Held = Held()
    photo_statistics: str | None = None

    def stamp(self) -> Stamp:
        """Return what identifies the network's two files."""
        try:
            return stamp_of(self.prototxt, self.weights)
        except StampError as error:
            raise OptimizeError(str(error)) from error

    def files(self) -> list[Path]:
        """Return the files that results depend on."""
        files = caffe.opening.files_of(self.prototxt, self.weights)
        files += [Path(self.mean)] if isinstance(self.mean, str) else []
        return files + ([Path(self.photo_statistics)] if self.photo_statistics else [])

    def record(self) -> dict[str, Any]:
        """Return what tells networks apart: names and checksums of the files."""
        try:
            sums = {path.name: f"{zlib.crc32(path.read_bytes()):08x}" for path in self.files()}
        except OSError as error:
            raise OptimizeError(f"{error.filename} cannot be read: {reason(error)}") from error
        mean = self.mean
        if isinstance(mean, str):
            mean = Path(mean).name
        elif isinstance(mean, Sequence):
            mean = list(mean)
        swap = None if self.channel_swap_to_rgb is None else list(self.channel_swap_to_rgb)
        size = None if self.data_size is None else list(self.data_size)
        held = self.held.to_json()
        return {
            "files": sums, "mean": mean, "channel_swap_to_rgb": swap, "data_size": size,
            **({"inputs": held} if held else {}),
            **({} if self.deviation is None else {"deviation": list(self.deviation)}),
        }  # fmt: skip


def model_from(options: argparse.Namespace, default: ModelSpec) -> ModelSpec:
    """Return the settings' network, changed as the command line says."""
    changes: dict[str, Any] = {"data_size": options.data_size}
    held = default.held
    if options.deploy_proto:
        # The labels and inputs belong to the other network.
        changes.update(prototxt=options.deploy_proto, labels=None, label_layers=())
        changes["weights"] = caffe.opening.weights_file(options.deploy_proto, None)
        if caffe.opening.is_imported(options.deploy_proto):
            changes["channel_swap_to_rgb"] = (0, 1, 2)
        held = Held()
    try:
        changes["held"] = held.changed(options.image_input, options.hold)
    except HeldError as error:
        raise OptimizeError(str(error)) from error
    if options.net_weights:
        changes["weights"] = options.net_weights
    for name in ("mean", "channel_swap_to_rgb"):
        if getattr(options, name) is not ...:
            changes[name] = getattr(options, name)
    if options.gpu is not None:
        changes["gpu"] = options.gpu
    if options.photo_statistics:
        changes["photo_statistics"] = options.photo_statistics
    if options.allow_python_layers:
        changes["python_layers"] = True
    return replace(default, **changes)


def open_optimizer(spec: ModelSpec) -> GradientOptimizer:
    """Read a network and return its optimiser.

    Raises
    ------
    OptimizeError
        The labels can't be read, or size, mean and network do not fit together.
    CaffeError
        A file of the network can't be read.
    """
    if spec.gpu is None:
        caffe.set_mode_cpu()
    else:
        caffe.set_device(spec.gpu)
        caffe.set_mode_gpu()
    with caffe.python_layers_allowed(spec.python_layers):
        net = caffe.open_net(spec.prototxt, spec.weights, spec.deviation)
    try:
        spec.held.fill(net)
        _resize(net, spec.data_size)
        spec.held.fill(net)
    except HeldError as error:
        raise OptimizeError(str(error)) from error
    return optimizer_of(spec, net)


def optimizer_of(spec: ModelSpec, net: caffe.Net) -> GradientOptimizer:
    """Return the optimiser of a network that is open already, with a batch of one.

    Raises
    ------
    OptimizeError, CaffeError
        As for `open_optimizer`, but for the network's files.
    """
    mean = caffe.io.load_mean(spec.mean) if isinstance(spec.mean, str) else spec.mean
    if spec.channelwise_mean and getattr(mean, "ndim", 0) == 3:
        mean = mean.mean(axis=(1, 2))
    if mean is not None:
        mean = pad_mean(np.asarray(mean, np.float32), net.blobs[image_input(net)].shape[1])
    return GradientOptimizer(
        net,
        mean,
        read_labels(spec.labels),
        spec.label_layers,
        spec.channel_swap_to_rgb,
        raw_scale=spec.raw_scale,
        input_scale=spec.input_scale,
        photos=read(Path(spec.photo_statistics)) if spec.photo_statistics else None,
    )


def _resize(net: caffe.Net, size: tuple[int, int] | None) -> None:
    """Give the image input another height and width, and all inputs of its batch one of one."""
    image = image_input(net)
    before = {name: net.blobs[name].shape for name in net.inputs}
    height, width = size or before[image][2:]
    try:
        for name, shape in before.items():
            if shape[:1] == before[image][:1]:
                net.blobs[name].reshape(1, *shape[1:])
        net.blobs[image].reshape(1, before[image][1], height, width)
        net.reshape()
    except caffe.CaffeError as error:
        if size is not None:
            raise OptimizeError(
                f"--data-size {height},{width} does not fit this network: {error}"
            ) from error
        for name, shape in before.items():
            net.blobs[name].reshape(*shape)
        net.reshape()


def read_labels(path: str | None) -> list[str]:
    """Read class names, one a line.

    Raises
    ------
    OptimizeError
        The file can't be read.
    """
    if path is None:
        return []
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise OptimizeError(f"the labels {path} cannot be read: {reason(error)}") from error
    except UnicodeDecodeError as error:
        raise OptimizeError(f"the labels {path} are not a text file (UTF-8)") from error
    return [line.strip() for line in lines if line.strip()]
