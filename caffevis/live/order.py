"""What the scan of photos needs of the settings: the network, and from photos to its input."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from caffevis.model.layer_list import NetLike
from caffevis.model.opened_files import OpenedFiles
from caffevis.model.opening import image_input
from find_maxes.background import Order, Place
from find_maxes.options import USER_ERRORS, held_from, make_recipe
from find_maxes.photos.net_input import Recipe
from find_maxes.scan.network import NetFiles
from toolbox.settings.config import Settings

__all__ = ["USER_ERRORS", "Place", "earlier", "net_files", "order_of", "recipe_of"]


def _options(settings: Settings) -> argparse.Namespace:
    """Return the batch tool's command line with nothing but the network: all else is settings."""
    names = ("mean", "channel_swap", "resize", "crop", "image_input", "hold")
    prototxt = settings.caffevis_deploy_prototxt
    return argparse.Namespace(net_prototxt=prototxt, **dict.fromkeys(names))


def net_files(settings: Settings) -> NetFiles:
    """Return the network that the settings name, as the batch tool does."""
    return NetFiles.named(
        settings.caffevis_deploy_prototxt,
        settings.caffevis_network_weights,
        gpu=settings.caffevis_mode_gpu,
        python=settings.caffevis_allow_python_layers,
        held=held_from(_options(settings), settings),
    )


def recipe_of(settings: Settings, net: NetLike) -> Recipe:
    """Return how photos become the input of the network, as the batch tool does.

    Raises
    ------
    FindMaxesError, HeldError, CaffeError
        The settings do not fit the network; one sentence.
    """
    options, name = _options(settings), image_input(net)
    channels, height, width = (int(size) for size in net.blobs[name].shape[1:])
    others = held_from(options, settings).channels(net, name)
    return make_recipe(options, settings, (channels, height, width), others)


def order_of(
    settings: Settings,
    net: NetLike,
    photos: str,
    cache: Path,
    files: OpenedFiles | None = None,
) -> Order:
    """Return what is to be scanned, with no other files than the window's.

    Errors are those of `recipe_of`.
    """
    versions = files.versions if files else {}
    return Order(net_files(settings), recipe_of(settings, net), photos, str(cache), versions)


def earlier(place: Place) -> dict[str, Any]:
    """Return what the scan's process would tell, where all is scanned already; else nothing."""
    found = place.finished()
    if found is None:
        return {}
    count = {"done": len(place.images), "of": len(place.images), "bad": found.bad}
    return {**count, "saved": str(place.result), "version": 1, "finished": True}
