"""The network behind a worker: a frozen request in, a frozen result out.

With `opening.py` the only module that knows the engine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

import torchcaffe as caffe
from caffevis.causes.asked import Question
from caffevis.causes.worker import CausesWorker
from caffevis.keys.state import DECONV, GUIDED, Origin
from caffevis.model.layer_list import NetLike, image_of, start_layer
from caffevis.model.opening import (
    EngineError,
    back_passes,
    image_input,
    second_net,
    unruled,
)
from caffevis.model.preprocess import Preprocess
from caffevis.net.cam import Cam, grad_cam, seed
from caffevis.net.finite import all_finite, first_broken
from caffevis.net.measures import layer_stats
from caffevis.net.principal import Principal
from caffevis.net.receptive_fields import Fields
from caffevis.net.request import Back, NetRequest, NetResult, Superseded
from caffevis.net.weights import Weights, find_weights
from toolbox.app.protocol import Timing
from toolbox.drawing.tiles import as_maps
from toolbox.input.frame import Frame
from toolbox.pictures.images import FloatArray


def find_fields(net: NetLike, layer: str, prepare: Preprocess) -> Fields:
    """Follow a layer's units down to the picture.

    Parameters
    ----------
    net : NetLike
        The bundled engine's, or one with such a net of the same shapes as `regions_net`.
    layer : str
        A blob's name.
    prepare : Preprocess
        How the picture becomes the input.

    Returns
    -------
    Fields
        Without rows and columns where they cannot be known.
    """
    unknown = Fields(prepare.height, prepare.width, prepare.pair)
    twin = net if isinstance(net, caffe.Net) else getattr(net, "regions_net", None)
    if twin is None:
        return unknown
    shape = net.blobs[layer].shape
    height, width = shape[2:] if len(shape) == 4 else (1, 1)
    try:
        regions = [
            caffe.regions.receptive_field(
                twin, layer, min(place, height - 1), min(place, width - 1), image_input(net)
            )
            for place in range(max(height, width))
        ]
    except EngineError:  # the layer sees no picture, or the twin has no such layer
        return unknown
    rows = tuple(region.rows for region in regions[:height])
    columns = tuple(region.columns for region in regions[:width])
    first = regions[0]
    caution = "" if first.status == "exact" else f"{first.status}: {first.why}"
    return replace(unknown, rows=rows, columns=columns, caution=caution)


def find_field(net: NetLike, layer: str) -> tuple[int, ...]:
    """Return height and width of what the middle unit of a layer sees; empty where not known."""
    twin = net if isinstance(net, caffe.Net) else getattr(net, "regions_net", None)
    if twin is None:
        return ()
    shape = net.blobs[layer].shape
    row, column = (length // 2 for length in (shape[2:] if len(shape) == 4 else (1, 1)))
    try:
        region = caffe.regions.receptive_field(twin, layer, row, column, image_input(net))
    except EngineError:  # the layer sees no picture, or the twin has no such layer
        return ()
    return tuple(1 + last - first for first, last in (region.rows, region.columns))


class Network:
    """Answers requests; runs forward and back only where something changed.

    Parameters
    ----------
    net : NetLike
        The network; from now on used only here, in the lane's thread.
    preprocess : Preprocess
        From frame to input.
    prob_layer : str or None
        Whose values every result carries.
    threads : int
        How many compute where a call says nothing else.
    clock : callable
        Seconds, for timings.
    """

    def __init__(
        self,
        net: NetLike,
        preprocess: Preprocess,
        prob_layer: str | None,
        threads: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._net = net
        self._input = net.blobs[image_input(net)]
        self._preprocess = preprocess
        self._prob_layer = prob_layer
        self._threads, self._set = threads, 0
        self._clock = clock
        self._superseded: Callable[[], bool] = lambda: False
        self._passed: list[Timing] = []  # that no result has told of yet
        self._frame: Frame | None = None
        self._back: Back | None = None
        self._cam: tuple[str, Origin, Cam] | None = None
        self._principal = Principal()
        self._weights: dict[str, Weights] = {}
        self._fields: dict[str, Fields] = {}
        self._field: dict[str, tuple[int, ...]] = {}  # of a unit in the middle
        self._broken: str | None = None
        self._layouts = dict(getattr(net, "layouts", {}))
        self._unruled = unruled(net)
        self._causes = CausesWorker(net, preprocess, image_input(net), prob_layer)
        self._passes = back_passes(net)
        self.back_modes = tuple(self._passes)

    def twin(self) -> Network | None:
        """Return another one with the same parameters, to compute at the same time.

        None where there can be none.
        """
        net = second_net(self._net)
        if net is None:
            return None
        return Network(net, self._preprocess, self._prob_layer, self._threads, self._clock)

    def __call__(
        self,
        request: NetRequest,
        superseded: Callable[[], bool] = lambda: False,
        threads: int | None = None,
    ) -> NetResult:
        """Compute what a request asks for and has not been computed already.

        Parameters
        ----------
        request : NetRequest
            What is wanted.
        superseded : callable
            Tells whether it still is; asked between forward and back pass, and by the bundled
            engine between the layers of the back pass.
        threads : int, optional
            How many compute.

        Raises
        ------
        Superseded
            It is not wanted any more; what was computed of the frame is kept.
        EngineError
            The engine failed; one sentence.
        """
        if (threads or self._threads) != self._set:
            # Set here because OpenMP keeps the number for each calling thread.
            self._set = threads or self._threads
            caffe.set_threads(self._set)
        if request.frame is not self._frame:
            self._passed = [self._timed("forward", lambda: self._forward(request))]
        if request.trial != self._causes.trial:
            self._passed.append(self._timed("trial", lambda: self._try(request)))
        self._superseded = superseded
        self._give_up()
        if request.cam is not None and (self._cam or ())[:2] != (request.layer, request.cam):
            wanted = (request.layer, request.cam)
            self._passed.append(self._timed("grad-cam", lambda: self._find_cam(*wanted)))
        if request.back is not None and request.back != self._back:
            back = request.back
            self._passed.append(self._timed(back.mode, lambda: self._go_back(back)))
        timings, self._passed = tuple(self._passed), []
        return self._result(request, timings)

    def _timed(self, name: str, work: Callable[[], None]) -> Timing:
        begun = self._clock()
        work()
        return Timing(name, 1000 * (self._clock() - begun))

    def prepare(self, frame: Frame) -> FloatArray:
        """Bring a frame to the form of the input; in any thread, while the network computes."""
        return self._preprocess(frame.image, frame.second)

    def _forward(self, request: NetRequest) -> None:
        # Forgotten first: after an error neither belongs to any frame.
        self._frame = self._back = self._broken = self._cam = None
        self._causes.forget()
        values = self.prepare(request.frame) if request.values is None else request.values
        self._input.data[...] = values
        self._net.forward()
        self._frame = request.frame

    def _try(self, request: NetRequest) -> None:
        self._frame = self._back = self._broken = self._cam = None  # as before a forward pass
        self._causes.take(request.frame, request.trial)
        self._frame = request.frame

    def _go_back(self, back: Back) -> None:
        self._back = None
        values = self._net.blobs[back.origin.layer].data
        diff = np.zeros_like(values)
        self._units(back.origin.layer, diff)[back.origin.unit] = self._units(
            back.origin.layer, values
        )[back.origin.unit]
        layer = start_layer(self._net, back.origin.layer)
        with self._interruptible():
            self._passes[back.mode](layer, diff, zero_higher=True)
        self._back = back

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Let the engine ask between layers whether to go on."""
        net: Any = self._net
        if not hasattr(net, "between_layers"):
            yield
            return
        net.between_layers = self._give_up
        try:
            yield
        finally:
            net.between_layers = None

    def _give_up(self) -> None:
        if self._superseded():
            raise Superseded

    def _find_cam(self, layer: str, wanted: Origin) -> None:
        """Compute Grad-CAM of a unit in a layer; the diffs of a back pass are lost."""
        self._back = self._cam = None
        values = self._units(wanted.layer, self._net.blobs[wanted.layer].data)
        unit, begin = seed(values, wanted.unit)
        none = Cam(Origin(wanted.layer, unit), value=float(np.max(values[unit])))
        self._cam = (layer, wanted, replace(none, **self._cam_of(none.origin, begin, layer)))

    def _cam_of(self, origin: Origin, begin: FloatArray, layer: str) -> dict[str, Any]:
        """Return a layer's Grad-CAM as `values`, or `why` there is none."""
        name = f"{origin.layer}:{origin.unit}"
        try:
            maps = self._maps(layer, self._gradient(origin, begin, layer))
        except EngineError as error:
            return {"why": f"Grad-CAM of {name} in {layer}: {error}"}
        if maps.ndim < 3 or maps[0].size < 2:
            return {"why": f"Grad-CAM is of a layer with maps, and {layer} has none"}
        if not maps.any():
            return {"why": f"{name} does not depend on {layer} here"}
        shown = self._maps(layer, self._net.blobs[layer].data)
        return {"values": grad_cam(as_maps(shown), as_maps(maps))}

    def _gradient(self, origin: Origin, begin: FloatArray, layer: str) -> FloatArray:
        """Return the derivative of a unit's value by a layer's values, batch first.

        Raises
        ------
        EngineError
            The layer is not below the unit's, or the engine cannot stop there.
        """
        gradient = getattr(self._net, "gradient_at", None)
        if gradient is None:
            raise EngineError("this Caffe goes back to the picture only")
        diff = np.zeros_like(self._net.blobs[origin.layer].data)
        self._units(origin.layer, diff)[...] = begin
        return np.asarray(gradient(start_layer(self._net, origin.layer), diff, layer))

    def _result(self, request: NetRequest, timings: tuple[Timing, ...]) -> NetResult:
        blob = self._net.blobs[request.layer]
        probs = None
        if self._prob_layer is not None:
            probs = image_of(self._net.blobs[self._prob_layer].data).flatten()
        diffs = back_image = None
        if request.back is not None:
            diffs = self._maps(request.layer, blob.diff).copy()
            back_image = self._preprocess.back_image(image_of(self._input.diff))
        values = self._maps(request.layer, blob.data).copy()
        stats = layer_stats(as_maps(values))
        effect = self._causes.effect(request.layer, request.frame)
        result = NetResult(
            request=request,
            activations=values,
            probs=probs,
            layer_diffs=diffs,
            back_image=back_image,
            timings=timings,
            stats=stats,
            fields=self._fields_of(request.layer) if request.fields else None,
            field=self._field_of(request.layer),
            broken=self._find_broken(np.array((stats.low, stats.high), np.float32), probs),
            components=self._principal(request.layer, as_maps(values))
            if request.components
            else None,
            weights=self._weights_of(request.layer) if request.weights else None,
            cam=self._cam[2] if self._cam and request.cam else None,
            note=self._note(request),
            effect=effect,
        )
        return result if request.question is None else self._answered(result, request.question)

    def _answered(self, result: NetResult, question: Question) -> NetResult:
        """Add the answer, which is worked out with the net when all else has been copied."""
        answer, diffs_are_lost = self._causes.answer(question)
        if diffs_are_lost:
            self._back = None
        return replace(result, answer=answer)

    def _find_broken(self, *seen: FloatArray | None) -> str:
        """Look through the network, once a picture, where what is shown has no numbers."""
        if self._broken is None:
            broken = not all(all_finite(values) for values in seen if values is not None)
            self._broken = first_broken(self._net) if broken else None
        return self._broken or ""

    def _weights_of(self, layer: str) -> Weights:
        """Look at a layer's weights, once: they stay the same."""
        if layer not in self._weights:
            swap, picture = self._preprocess.swap, image_input(self._net)
            self._weights[layer] = find_weights(self._net, layer, picture, swap)
        return self._weights[layer]

    def _field_of(self, layer: str) -> tuple[int, ...]:
        """Look up how much a unit in the middle of a layer sees."""
        if layer not in self._field:
            self._field[layer] = find_field(self._net, layer)
        return self._field[layer]

    def _units(self, layer: str, values: FloatArray) -> FloatArray:
        """Return a view of a blob's first image with the units first."""
        layout = self._layouts.get(layer)
        return image_of(values) if layout is None else layout.units_first(image_of(values))

    def _maps(self, layer: str, values: FloatArray) -> FloatArray:
        """Return a blob's first image as it is shown: units first, tokens as a square."""
        layout = self._layouts.get(layer)
        return image_of(values) if layout is None else layout.maps(image_of(values))

    def _note(self, request: NetRequest) -> str:
        """Say what of the layer is left out, and once, what a back pass has no rule for."""
        layout = self._layouts.get(request.layer)
        parts = [] if layout is None else [layout.about()]
        if request.back is not None and request.back.mode in (DECONV, GUIDED) and self._unruled:
            parts.append(f"{self._unruled} by derivative")
            self._unruled = ""
        if request.cam is not None and self._cam and self._cam[2].values is not None:
            origin = self._cam[2].origin
            parts.append(f"Grad-CAM of {origin.layer}:{origin.unit}")
        return ", ".join(filter(None, parts))

    def _fields_of(self, layer: str) -> Fields:
        """Look a layer's fields up: they follow from shapes, which stay the same."""
        if layer not in self._fields:
            self._fields[layer] = find_fields(self._net, layer, self._preprocess)
        return self._fields[layer]
