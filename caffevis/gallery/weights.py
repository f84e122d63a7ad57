"""Pictures of a network's weights for the gallery: filters of what sees colours, and histograms."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from caffevis.model.opening import ENGINE_ERRORS, image_input, make_preprocess, open_net
from caffevis.model.preprocess import InputError
from caffevis.net.weights import find_weights
from caffevis.panes.parts.look import look_from
from caffevis.panes.weights import draw
from toolbox.command_line import show_warning
from toolbox.pictures.held import HeldError
from toolbox.pictures.images import Image
from toolbox.settings.config import Settings

FILTERS_SIZE, SPREAD_SIZE = (900, 800), (260, 800)  # height and width


def weight_pictures(settings: Settings, layers: Iterable[str]) -> dict[str, Image]:
    """Draw the weights of layers.

    Returns
    -------
    dict of str to ndarray of uint8, shape (h, w, 3)
        Layer -> RGB; without those that have no weights. Empty where the settings' network
        cannot be opened, which is told.
    """
    weights = settings.caffevis_network_weights
    if weights is None or (weights != "-" and not os.path.isfile(weights)):
        return {}
    try:
        net = open_net(settings)
        picture, swap = image_input(net), make_preprocess(net, settings).swap
    except (*ENGINE_ERRORS, InputError, HeldError) as error:
        show_warning(f"no pictures of weights, because of this: {error}")
        return {}
    look, found = look_from(settings), {}
    for layer in layers:
        if layer not in net.blobs:
            continue
        weights_of = find_weights(net, layer, picture, swap)
        if not weights_of.why:
            size = SPREAD_SIZE if weights_of.filters is None else FILTERS_SIZE
            found[layer] = np.zeros((*size, 3), np.uint8)
            draw(found[layer], weights_of, look)
    return found


def place(layer: str, number: int) -> Path:
    """Return where a layer's picture lies below the gallery's images."""
    plain = "".join(c if c.isalnum() and c.isascii() else "_" for c in layer)
    return Path("weights") / f"{number:03d}_{plain[:60]}.png"
