"""All that the app knows of a network before its first frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

from caffevis.from_settings import model_name, namer, read_labels
from caffevis.keys.state import Layer
from caffevis.model.classes import Classes, find_classes
from caffevis.model.layer_list import LayerError, NetLike, list_layers
from caffevis.model.opened_files import OpenedFiles
from caffevis.model.opening import ENGINE_ERRORS, make_preprocess, open_net
from caffevis.model.preprocess import InputError, Preprocess
from toolbox.pictures.held import HeldError
from toolbox.settings.config import Settings, SettingsError
from toolbox.workers.heap import keep_apart


@dataclass(frozen=True, eq=False)
class Opened:
    """A network, its layers and classes, and how pictures become its input.

    Parameters
    ----------
    net : NetLike
        The network.
    layers : tuple of Layer
        Those that can be viewed.
    prepare : Preprocess
        From a frame to the input.
    classes : Classes
        Where classes are, and their names.
    title : str
        The network's name.
    files : OpenedFiles
        What all of it was read from.
    """

    net: NetLike
    layers: tuple[Layer, ...]
    prepare: Preprocess
    classes: Classes
    title: str
    files: OpenedFiles


def open_all(settings: Settings, net: NetLike | None = None) -> Opened:
    """Open the network that the settings name, or look at another one.

    Raises
    ------
    SettingsError
        The settings or the network's files are wrong; one sentence.
    """
    files = OpenedFiles(settings)
    try:
        net = net or open_net(settings)
        keep_apart(max((4 * math.prod(blob.shape) for blob in net.blobs.values()), default=0))
        found = list_layers(
            net,
            settings.caffevis_layers_aspect_ratio,
            namer(settings),
            settings.caffevis_filter_layers,
        )
        prepare = make_preprocess(net, settings)
    except (*ENGINE_ERRORS, HeldError, InputError, LayerError) as error:
        raise SettingsError(str(error)) from error
    labels = read_labels(settings.caffevis_labels)
    classes = find_classes(net, found, settings, labels)
    return Opened(net, found, prepare, classes, f"Model: {model_name(net, settings)}", files)
