"""The network behind a worker: a frozen request in, a frozen result out.

The only module that knows the engine.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import torchcaffe as caffe
from caffevis.keys.state import DECONV, GRAD, GUIDED
from caffevis.net.layer_list import NetLike, image_of, start_layer
from caffevis.net.measures import layer_stats
from caffevis.net.preprocess import InputError, Preprocess, check_swap, find_pair, fit_pair_mean
from caffevis.net.pycaffe import PycaffeError, PycaffeNet
from caffevis.net.pycaffe_module import NoPycaffeError, load
from caffevis.net.receptive_fields import Fields
from caffevis.net.request import Back, NetRequest, NetResult
from toolbox.app.protocol import Timing
from toolbox.drawing.tiles import as_maps
from toolbox.input.frame import Frame
from toolbox.pictures.images import FloatArray
from toolbox.settings.config import Settings, SettingsError
from torchcaffe.proto.caffe_pb2 import NetParameter
from torchcaffe.proto.text import read_text
from torchcaffe.proto.upgrade import upgrade

EngineError = caffe.CaffeError
ENGINE_ERRORS = (EngineError, PycaffeError)  # of either engine; one sentence each
BackPass = Callable[..., Any]


def cores() -> int:
    """Count the cores that this process may use (`taskset` may leave it less than there are)."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def compute_threads(wanted: int | None) -> int:
    """Choose how many threads compute: all cores but one, which the window keeps."""
    return wanted or max(1, cores() - 1)


def open_net(settings: Settings) -> NetLike:
    """Read the network that the settings name, with the engine that they name.

    Parameters
    ----------
    settings : Settings
        `caffevis_deploy_prototxt`, `caffevis_network_weights`, `caffevis_mode_gpu`,
        `caffevis_allow_python_layers`, `caffevis_caffe_root`.

    Returns
    -------
    NetLike
        With a batch of one where its layers allow it.

    Raises
    ------
    SettingsError
        No weights are named.
    EngineError, PycaffeError
        A file cannot be read or the network cannot be built; one sentence.
    """
    if settings.caffevis_network_weights is None:
        raise SettingsError(
            "caffevis_network_weights is not set: the file with the weights (.caffemodel or .h5)."
        )
    imported = caffe.opening.is_imported(settings.caffevis_deploy_prototxt)
    if settings.caffevis_caffe_root is not None and not imported:
        try:
            module = load(settings.caffevis_caffe_root)
        except NoPycaffeError as error:
            warnings.warn(f"caffevis_caffe_root: {error}; the bundled engine is used", stacklevel=2)
        else:
            return _open_pycaffe(module, settings)
    if settings.caffevis_mode_gpu:
        caffe.set_device(settings.caffevis_gpu_id)
        caffe.set_mode_gpu()
    else:
        caffe.set_mode_cpu()
    with caffe.python_layers_allowed(settings.caffevis_allow_python_layers):
        net: NetLike = caffe.open_net(
            settings.caffevis_deploy_prototxt,
            settings.caffevis_network_weights,
            _deviation(settings),
        )
    _use_one_image(net)
    return net


def open_shapes(settings: Settings) -> NetLike:
    """Build the network that the settings name, with the bundled engine and without weights.

    Its layers and the shapes of its blobs are those of `open_net`.

    Raises
    ------
    EngineError
        The definition cannot be read or the network cannot be built; one sentence.
    """
    caffe.set_mode_cpu()
    with caffe.python_layers_allowed(settings.caffevis_allow_python_layers):
        net: NetLike = caffe.open_net(settings.caffevis_deploy_prototxt, None, _deviation(settings))
    _use_one_image(net)
    return net


def _deviation(settings: Settings) -> Sequence[float] | None:
    given = settings.caffe_net_input_std
    return (given,) if isinstance(given, float) else given


def _open_pycaffe(module: Any, settings: Settings) -> NetLike:
    """Build the network with pycaffe, once the bundled engine has looked at its files.

    What Caffe finds wrong ends the process. The bundled engine says it in a sentence
    instead, where it knows all layers of the network.
    """
    prototxt, weights = settings.caffevis_deploy_prototxt, settings.caffevis_network_weights
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # for fields of the user's own Caffe
        param = upgrade(read_text(prototxt, NetParameter()), prototxt)
        python = [layer for layer in param.layer if layer.type == "Python"]
        if python and not settings.caffevis_allow_python_layers:
            raise PycaffeError(
                f"Layer {python[0].name!r} (Python) would run the Python code of module "
                f"{python[0].python_param.module!r}; give --allow-python-layers if you trust it."
            )
        twin = None if python else _checked_twin(prototxt, weights)
    handed_on = frozenset(layer.name for layer in param.layer if layer.lrn_param.deconv_ignore)
    gpu = settings.caffevis_gpu_id if settings.caffevis_mode_gpu else None
    net = PycaffeNet(module, prototxt, weights, gpu, handed_on)
    net.name = param.name
    if twin is not None:
        _use_one_image(twin)
        if all(twin.blobs[name].shape[:1] == (1,) for name in twin.inputs):
            _use_one_image(net)
        net.regions_net = twin
    return net


def _checked_twin(prototxt: str, weights: str) -> caffe.Net | None:
    """Build the network in the bundled engine; None where it has layers unknown to it.

    Raises
    ------
    EngineError
        The weights are damaged or do not fit.
    """
    try:
        caffe.set_mode_cpu()
        checked, twin = (caffe.Net(prototxt, caffe.TEST) for _ in range(2))
    except EngineError:
        return None
    checked.copy_from(weights)
    return twin  # without weights: its shapes are enough


def _use_one_image(net: NetLike) -> None:
    """Reshape batches of several images to one, which is all that is shown."""
    before = {name: tuple(net.blobs[name].shape) for name in net.inputs}
    if all(shape[:1] == (1,) or len(shape) < 2 for shape in before.values()):
        return
    try:
        for name, shape in before.items():
            net.blobs[name].reshape(1, *shape[1:])
        net.reshape()
    except EngineError:
        # A layer insists on the batch (a Reshape with fixed sizes): keep it.
        for name, shape in before.items():
            net.blobs[name].reshape(*shape)
        net.reshape()


def image_input(net: NetLike) -> str:
    """Name the input that pictures go to: the first with four axes.

    Raises
    ------
    InputError
        There is none.
    """
    for name in net.inputs:
        if len(net.blobs[name].shape) == 4:
            return name
    raise InputError(
        "The network has no input of four axes (batch, channels, height, width) for pictures."
    )


def make_preprocess(net: NetLike, settings: Settings) -> Preprocess:
    """Read from network and settings how frames become the input.

    Raises
    ------
    InputError
        The mean or the channels do not fit the network.
    EngineError
        The mean file cannot be read.
    """
    channels, height, width = net.blobs[image_input(net)].shape[1:]
    side_by_side = settings.is_siamese and settings.siamese_input_mode == "concat_along_width"
    pair = find_pair(channels, width, side_by_side)
    mean = settings.caffevis_data_mean
    if mean is not None:
        array = caffe.io.load_mean(mean) if isinstance(mean, str) else np.array(mean, np.float32)
        mean = fit_pair_mean(array, pair, channels, height, width)
        if settings.generate_channelwise_mean:
            mean = mean.mean(axis=(1, 2), keepdims=True)
    return Preprocess(
        channels=channels,
        height=height,
        width=width,
        swap=check_swap(settings.caffe_net_channel_swap, channels),
        mean=mean,
        raw_scale=settings.caffe_net_raw_scale,
        input_scale=1.0
        if settings.caffe_net_input_scale is None
        else settings.caffe_net_input_scale,
        pair=pair,
    )


# Activations that deconv and guided backprop have no rule for, and what they are called.
_UNRULED = {"Swish": "SiLU", "PReLU": "PReLU", "ELU": "ELU"}
_UNRULED_OPERATORS = ("gelu", "hardswish", "mish", "silu", "selu", "celu", "softplus")


def unruled(net: NetLike) -> str:
    """Name the activations of an imported net that deconv and guided backprop have no rule for.

    Caffe's own nets are not named: there it has always been so.
    """
    if not isinstance(net, caffe.Net) or not any(la.type == "ATen" for la in net.layers):
        return ""
    found = {_UNRULED[la.type]: 0 for la in net.layers if la.type in _UNRULED}
    called = (str(getattr(la, "operator_name", "")) for la in net.layers)
    found |= {name.split(".")[1]: 0 for name in called if name.count(".") == 2
              and name.split(".")[1] in _UNRULED_OPERATORS}  # fmt: skip
    return ", ".join(found)


def run_once(net: NetLike, values: FloatArray) -> None:
    """Compute every blob for one prepared picture."""
    net.blobs[image_input(net)].data[...] = values
    net.forward()


def back_passes(net: NetLike) -> dict[str, BackPass]:
    """List the back passes that a network offers, by mode, in the order of `BACK_MODES`."""
    passes: dict[str, BackPass] = {
        GRAD: net.backward_from_layer,
        DECONV: net.deconv_from_layer,
    }
    guided = getattr(net, "guided_from_layer", None)
    return passes if guided is None else {**passes, GUIDED: guided}


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


class Network:
    """Answers requests; runs forward and back only where something changed.

    Parameters
    ----------
    net : NetLike
        The network; from now on used only here, in the worker's thread.
    preprocess : Preprocess
        From frame to input.
    prob_layer : str or None
        Whose values every result carries.
    threads : int
        How many threads compute.
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
        self._threads: int | None = threads
        self._clock = clock
        self._frame: Frame | None = None
        self._back: Back | None = None
        self._fields: dict[str, Fields] = {}
        self._layouts = dict(getattr(net, "layouts", {}))
        self._unruled = unruled(net)
        self._passes = back_passes(net)
        self.back_modes = tuple(self._passes)

    def __call__(self, request: NetRequest) -> NetResult:
        """Compute what a request asks for and has not been computed already.

        Raises
        ------
        EngineError
            The engine failed; one sentence.
        """
        if self._threads is not None:
            # Set here because OpenMP keeps the number for each calling thread.
            caffe.set_threads(self._threads)
            self._threads = None
        timings = []
        if request.frame is not self._frame:
            timings.append(self._timed("forward", lambda: self._forward(request)))
        if request.back is not None and request.back != self._back:
            back = request.back
            timings.append(self._timed(back.mode, lambda: self._go_back(back)))
        return self._result(request, tuple(timings))

    def _timed(self, name: str, work: Callable[[], None]) -> Timing:
        begun = self._clock()
        work()
        return Timing(name, 1000 * (self._clock() - begun))

    def prepare(self, frame: Frame) -> FloatArray:
        """Bring a frame to the form of the input; in any thread, while the network computes."""
        return self._preprocess(frame.image, frame.second)

    def _forward(self, request: NetRequest) -> None:
        # Forgotten first: after an error neither belongs to any frame.
        self._frame = self._back = None
        values = self.prepare(request.frame) if request.values is None else request.values
        self._input.data[...] = values
        self._net.forward()
        self._frame = request.frame

    def _go_back(self, back: Back) -> None:
        self._back = None
        values = self._net.blobs[back.origin.layer].data
        diff = np.zeros_like(values)
        self._units(back.origin.layer, diff)[back.origin.unit] = self._units(
            back.origin.layer, values
        )[back.origin.unit]
        layer = start_layer(self._net, back.origin.layer)
        self._passes[back.mode](layer, diff, zero_higher=True)
        self._back = back

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
        fields = self._fields_of(request.layer) if request.fields else None
        note = self._note(request)
        return NetResult(request, values, probs, diffs, back_image, timings, stats, fields, note)

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
        return ", ".join(filter(None, parts))

    def _fields_of(self, layer: str) -> Fields:
        """Look a layer's fields up: they follow from shapes, which stay the same."""
        if layer not in self._fields:
            self._fields[layer] = find_fields(self._net, layer, self._preprocess)
        return self._fields[layer]
