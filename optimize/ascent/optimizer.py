"""The optimiser: many units and seeds of a net at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

import torchcaffe as caffe
from optimize.ascent.batch_objectives import ObjectivePush, Push, UnitPush
from optimize.ascent.collect_results import collect
from optimize.ascent.iterations import Ascent, Batch
from optimize.ascent.mean_image import fit_mean
from optimize.ascent.results import FindResults
from optimize.ascent.starts import FloatArray, start
from optimize.ascent.task import Planner, Task
from optimize.ascent.zero_gradient import Growth, pushed_before_gates
from optimize.errors import OptimizeError
from optimize.net.crops import View, cut
from optimize.net.section import image_input
from optimize.parametrise import photo_statistics
from optimize.parametrise.photo_statistics import PhotoStatistics
from optimize.params import FindParams
from optimize.regularise.registry import REGULARISERS
from optimize.regularise.regularisers import Regulariser
from torchcaffe.regions import Region

_CHUNK_VALUES = 10_000_000  # of a chunk's largest map
_CHUNK_ALL_VALUES = 100_000_000  # of all its maps: with their diffs some 800 MB
_BATCH_VALUES = 5_000_000  # of the images of a batch, by default
_MOST_MEMBERS = 1024
# A GPU needs larger batches to be busy: with these, images and maps fill some 8 GB.
_GPU_MAPS, _GPU_IMAGES, _GPU_MEMBERS = 4, 20, 4


class GradientOptimizer:
    """Finds the images that units of a net prefer.

    Parameters
    ----------
    net : torchcaffe.Net
        Its parameters are used, and nothing in it is changed.
    data_mean : array_like or None
        In units of the net's input, its channels' order: (channels, h, w), where larger than
        the input cropped to the centre; one value a channel; one value; None for zero.
    labels : sequence of str, optional
        Names of the classes.
    label_layers : sequence of str, optional
        Layers whose channels are the classes.
    channel_swap_to_rgb : sequence of int, optional
        Which input channel is red, green and blue; (2, 1, 0) for BGR, None for RGB.
    raw_scale, input_scale : float
        What white is before the mean is subtracted, and the factor afterwards; `data_mean`
        is in units between the two.
    regularisers : sequence of type
        The ordered list.
    photos : PhotoStatistics, optional
        What photos are like, for presets 5 and 6; default: those of the repository.

    Raises
    ------
    OptimizeError
        The net has no image input, or the mean does not fit it.
    """

    def __init__(
        self,
        net: caffe.Net,
        data_mean: Any = None,
        labels: Sequence[str] | None = None,
        label_layers: Sequence[str] | None = None,
        channel_swap_to_rgb: Sequence[int] | None = None,
        *,
        raw_scale: float = 255.0,
        input_scale: float = 1.0,
        regularisers: Sequence[type[Regulariser]] = REGULARISERS,
        photos: PhotoStatistics | None = None,
    ) -> None:
        self.net = net
        self.labels = list(labels or [])
        self.label_layers = set(label_layers or [])
        self.channel_swap_to_rgb = channel_swap_to_rgb
        self.regularisers = list(regularisers)
        self.photos = photos or photo_statistics.default()
        image = image_input(net)
        shape = net.blobs[image].shape
        self.shape = (shape[1], shape[2], shape[3])
        self.grey = raw_scale / 255 * input_scale
        self.mean = fit_mean(data_mean, self.shape) * input_scale
        self.white = raw_scale * input_scale
        self._device = net.blobs[image].device
        self._planner = Planner(net, self.shape, self.regularisers)
        self._sound: set[int] = set()
        self._begin = functools.lru_cache(maxsize=32)(self._start)

    # ------------------------------------------------------------ running

    def run_optimize(self, params: FindParams) -> FindResults:
        """Run one ascent; see `run_batch`."""
        return self.run_batch([params])[0]

    def run_batch(
        self,
        params: Sequence[FindParams],
        starts: Sequence[FloatArray | None] | None = None,
        batch_size: int | None = None,
        tick: Callable[[int], None] = lambda done: None,
    ) -> list[FindResults]:
        """Run many ascents, as many as possible side by side.

        Parameters
        ----------
        params : sequence of FindParams
            One for each; layers and settings may differ.
        starts : sequence of ndarray or None, optional
            Images to start from, (channels, h, w) minus the mean, in place of `start_at`.
        batch_size : int, optional
            How many run side by side; default: by the size of the images.
        tick : callable
            Called with the number of images that an iteration has carried on.

        Returns
        -------
        list of FindResults
            In the order of `params`.

        Raises
        ------
        OptimizeError
            A layer, channel or position does not exist, or the net's weights are not finite.
        """
        growth = self.moments(params, starts, batch_size)
        while True:
            try:
                moment = next(growth)
            except StopIteration as ended:
                found: list[FindResults] = ended.value
                return found
            tick(len(moment.images))

    def moments(
        self,
        params: Sequence[FindParams],
        starts: Sequence[FloatArray | None] | None = None,
        batch_size: int | None = None,
    ) -> Growth:
        """Run ascents iteration by iteration, to see how images grow: what `run_batch` runs.

        Nothing is computed before the first moment is asked for, and nothing is left behind
        where no further one is.

        Parameters
        ----------
        params, starts, batch_size
            As for `run_batch`.

        Yields
        ------
        Moment
            After each iteration, of the ascents that run side by side.

        Returns
        -------
        list of FindResults
            In the order of `params`: the generator's value, once it has ended.

        Raises
        ------
        OptimizeError
            As for `run_batch`.
        """
        tasks = [self._planner.task(p) for p in params]
        given = list(starts) if starts is not None else [None] * len(tasks)
        for task, start_image in zip(tasks, given, strict=True):
            if task.params.pull and start_image is None:
                raise OptimizeError(
                    "pull holds the image near the picture it starts from, and there is none: "
                    "--start-images PHOTO --facets 1 gives one (`starts` in Python)"
                )
        groups: dict[Hashable, list[int]] = {}
        for i, task in enumerate(tasks):
            groups.setdefault(task.key(), []).append(i)
        found: dict[int, FindResults] = {}
        for members in groups.values():
            size = batch_size or self.batch_size(tasks[members[0]].params)
            for at in range(0, len(members), size):
                part = members[at : at + size]
                own = [tasks[i] for i in part]
                self._check_weights(own[0].view)
                results = yield from pushed_before_gates(
                    self.net, own, [given[i] for i in part], self._ascend
                )
                found.update(zip(part, results, strict=True))
        return [found[i] for i in range(len(tasks))]

    def batch_size(self, params: FindParams) -> int:
        """Return how many ascents like this one run side by side by default.

        It depends on the sizes of images only, not on the machine.
        """
        values = self.image_values(params)
        on_gpu = self._device.type != "cpu"
        most = _MOST_MEMBERS * (_GPU_MEMBERS if on_gpu else 1)
        budget = _BATCH_VALUES * (_GPU_IMAGES if on_gpu else 1)
        return max(1, min(most, budget // values))

    def image_values(self, params: FindParams) -> int:
        """Return how many numbers are computed of an image: those that its unit can see."""
        window = self._planner.task(params).window
        return self.shape[0] * window.height * window.width

    def _ascend(self, tasks: Sequence[Task], starts: Sequence[FloatArray | None]) -> Growth:
        ascent = self._prepared(tasks, starts)
        yield from ascent.moments()
        results = collect(self._planner, tasks, ascent.track, ascent.kept)
        for task, result in zip(tasks, results, strict=True):
            result.label, result.grey = self.label(task.params), self.grey
        return results

    def _prepared(self, tasks: Sequence[Task], starts: Sequence[FloatArray | None]) -> Ascent:
        task = tasks[0]
        members = [t.params for t in tasks]
        begin = torch.stack(
            [
                cut(self._given(s)[None], task.window)[0]
                if s is not None
                else cut(self._begin(p.start_at, p.rand_seed)[None], task.window)[0]
                for p, s in zip(members, starts, strict=True)
            ]
        ).to(self._device)
        mean = cut(torch.from_numpy(self.mean)[None], task.window).to(self._device, torch.float32)
        batch = Batch(
            members=members,
            view=task.view,
            window=task.window,
            push=self._push(tasks),
            start=begin,
            low=-mean,
            high=self.white - mean,
            grey=self.grey,
            regularisers=self.regularisers,
            chunk=self._chunk(task),
            given=[s is not None for s in starts],
            photos=self.photos,
            rgb=self.channel_swap_to_rgb or range(self.shape[0]),
        )
        return Ascent(batch)

    def _chunk(self, task: Task) -> int:
        compares = task.objective is not None and task.objective.compares()
        if compares:
            return 1 << 30
        section = task.view.section
        if self._device.type != "cpu":
            return max(1, _GPU_MAPS * _CHUNK_ALL_VALUES // sum(section.sizes()))
        most = min(_CHUNK_VALUES // section.largest(), _CHUNK_ALL_VALUES // sum(section.sizes()))
        return max(1, most)

    def _push(self, tasks: Sequence[Task]) -> Push:
        view, layer, objective = tasks[0].view, tasks[0].layer, tasks[0].objective
        dirs = torch.tensor([t.params.push_dir for t in tasks], device=self._device)
        if objective is not None:
            return ObjectivePush(view, layer, dirs, objective, tasks[0].look)
        channels = torch.tensor([t.params.push_channel for t in tasks], device=self._device)
        rivals = torch.tensor([t.params.rival for t in tasks], device=self._device)
        return UnitPush(view, layer, dirs, channels, rivals)

    def _check_weights(self, view: View) -> None:
        section = view.section
        if id(section) in self._sound:
            return
        broken = section.broken_layer()
        if broken is not None:
            raise OptimizeError(
                f"the weights of layer {broken!r} are not all finite numbers (NaN or infinity), "
                "so no gradient can be computed; load a sound weights file"
            )
        self._sound.add(id(section))

    # ------------------------------------------------------------ starts

    def _start(self, name: str, seed: int) -> Tensor:
        return torch.from_numpy(start(name, seed, self.mean, self.grey)).to(torch.float32)

    def _given(self, image: FloatArray) -> Tensor:
        array = np.asarray(image, np.float32)
        if array.shape != self.shape or not np.isfinite(array).all():
            raise OptimizeError(
                f"a start has the shape {array.shape}; finite numbers of the shape {self.shape}, "
                "the net's input, are accepted"
            )
        return torch.from_numpy(array)

    def check(self, params: FindParams) -> None:
        """Refuse a request for what the net does not have; see `run_batch`."""
        self._planner.task(params)

    def place(self, params: FindParams) -> tuple[int, int]:
        """Return the row and column that a request pushes."""
        return self._planner.place(params.push_layer, params.push_spatial)

    def field(self, params: FindParams) -> Region:
        """Return what the unit pushed sees of the input."""
        return self._planner.task(params).view.field

    def mean_at(self, region: Region) -> FloatArray:
        """Return the mean of a part of the input, (channels, h, w)."""
        return np.asarray(cut(torch.from_numpy(self.mean)[None], region)[0].numpy())

    def channels(self, layer: str) -> int:
        """Return how many channels a layer has.

        Raises
        ------
        OptimizeError
            There is no such layer, or its units can't be pushed.
        """
        return self._planner.maps(layer)[1]

    def label(self, params: FindParams) -> str | None:
        """Return the class that a unit stands for, where that is known."""
        channel = params.push_channel
        named = params.push_layer in self.label_layers and channel < len(self.labels)
        return self.labels[channel] if named and params.objective is None else None
