"""Opening the network that the settings name, and how pictures become its input.

With `network.py` the only module that knows the engine.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import torchcaffe as caffe
from caffevis.keys.state import DECONV, GRAD, GUIDED
from caffevis.model.layer_list import NetLike
from caffevis.model.preprocess import InputError, Preprocess, check_swap, find_pair, fit_pair_mean
from caffevis.model.pycaffe import PycaffeError, PycaffeNet
from caffevis.model.pycaffe_module import NoPycaffeError, load
from toolbox.pictures.held import Held, pad_mean
from toolbox.pictures.images import FloatArray
from toolbox.settings.config import Settings, SettingsError
from torchcaffe.proto.caffe_pb2 import NetParameter
from torchcaffe.proto.text import read_text
from torchcaffe.proto.upgrade import upgrade

BackPass = Callable[..., Any]
EngineError = caffe.CaffeError
ENGINE_ERRORS = (EngineError, PycaffeError)  # of either engine; one sentence each


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
    EngineError, PycaffeError, HeldError
        A file cannot be read, the network cannot be built, or an input can't hold what it is
        to hold; one sentence.
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
    held_from(settings).fill(net)
    return net


def files_of(settings: Settings) -> list[Path]:
    """Return the files that the network is made of; none where no network is named."""
    if settings.caffevis_network_weights is None:
        return []
    return caffe.opening.files_of(
        settings.caffevis_deploy_prototxt, settings.caffevis_network_weights
    )


def held_from(settings: Settings) -> Held:
    """Return what the settings say of inputs that no picture feeds."""
    return Held.of(settings.caffevis_image_input, settings.caffevis_held_inputs)


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
    held_from(settings).fill(net)
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
    picture = image_input(net)
    channels, height, width = net.blobs[picture].shape[1:]
    side_by_side = settings.is_siamese and settings.siamese_input_mode == "concat_along_width"
    pair = find_pair(channels, width, side_by_side)
    mean = settings.caffevis_data_mean
    if mean is not None:
        array = caffe.io.load_mean(mean) if isinstance(mean, str) else np.array(mean, np.float32)
        mean = fit_pair_mean(pad_mean(array, channels), pair, channels, height, width)
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
        others=held_from(settings).channels(net, picture),
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


def back_passes(net: NetLike) -> dict[str, BackPass]:
    """List the back passes that a network offers, by mode, in the order of `BACK_MODES`."""
    passes: dict[str, BackPass] = {
        GRAD: net.backward_from_layer,
        DECONV: net.deconv_from_layer,
    }
    guided = getattr(net, "guided_from_layer", None)
    return passes if guided is None else {**passes, GUIDED: guided}


def run_once(net: NetLike, values: FloatArray) -> None:
    """Compute every blob for one prepared picture."""
    net.blobs[image_input(net)].data[...] = values
    net.forward()


# Layers whose tops depend on more than bottoms and parameters, and users' own code.
_REMEMBERING = frozenset({"DummyData", "LSTM", "Lstm", "MemoryData", "Python", "RNN"})


def second_net(net: NetLike) -> NetLike | None:
    """Return a net that computes the same of a picture, at the same time on another thread.

    It has the same parameters, blobs of its own, and what the net's other inputs hold. None
    where there can be none: a compiled Caffe, a GPU, in which two would only take turns, and a
    net in which a picture depends on those before.
    """
    make = getattr(net, "twin", None)
    if make is None or caffe.device.current().type != "cpu":
        return None
    if getattr(net, "phase", caffe.TEST) != caffe.TEST:  # it may draw random numbers
        return None
    for layer in net.layers:
        ours = type(layer).__module__.partition(".")[0] == caffe.__name__
        if layer.type in _REMEMBERING or not ours:
            return None
    twin: NetLike = make()
    for name in set(net.inputs) - {image_input(net)}:
        twin.blobs[name].data[...] = net.blobs[name].data
    return twin


def engine_net(net: NetLike) -> Any:
    """Return a network of the bundled engine as it is, and None for any other."""
    return net if isinstance(net, caffe.Net) else None


def compute_on(threads: int) -> None:
    """Set how many CPU threads compute what the calling thread starts."""
    caffe.set_threads(threads)
