"""Which layers of a network hold classes, where the settings do not say."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from caffevis.keys.state import Layer
from caffevis.model.layer_list import NetLike, missing_layer, producers
from toolbox.settings.config import Settings

_SHARES = frozenset({"Softmax", "Sigmoid"})  # layers of these are listed without labels, too


@dataclass(frozen=True)
class Classes:
    """Where classes are, and what they are called.

    Parameters
    ----------
    listed : str or None
        The layer whose five largest values are listed; None for none.
    layers : tuple of str
        The layers whose units are the classes, in the network's order.
    labels : tuple of str
        Names of the classes; may be empty.
    """

    listed: str | None = None
    layers: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


def find_classes(
    net: NetLike, layers: Sequence[Layer], settings: Settings, labels: tuple[str, ...]
) -> Classes:
    """Take from the settings which layers hold classes, else guess it from the network's end.

    The last layer is taken for classes where it has one value a unit, and is a Softmax or a
    Sigmoid, or has as many units as there are labels; the layers before it with as many units
    are of the same classes. `None` written in the settings means none; names that the network
    has not are as good as not set.

    Parameters
    ----------
    net : NetLike
        The network.
    layers : sequence of Layer
        Those that can be viewed.
    settings : Settings
        `caffevis_prob_layer` and `caffevis_label_layers`.
    labels : tuple of str
        Of `caffevis_labels`.
    """
    own = _last(net, layers, labels)
    listed = settings.caffevis_prob_layer
    if listed is None and "caffevis_prob_layer" not in settings.written and own:
        listed = own[-1]
    elif listed is not None and listed not in net.blobs:
        reason = missing_layer(net, listed)
        listed = own[-1] if own else None
        shown = f"those of {listed}" if listed else "none"
        warnings.warn(f"caffevis_prob_layer: {reason}; {shown} are shown", stacklevel=2)
    named = settings.caffevis_label_layers
    unset = named is None and "caffevis_label_layers" not in settings.written
    foreign = bool(named) and not set(named) & set(net.blobs)  # another network's, of a template
    if unset or foreign:
        named = own
    return Classes(listed, tuple(named or ()), labels)


def _last(net: NetLike, layers: Sequence[Layer], labels: Sequence[str]) -> tuple[str, ...]:
    """Name the layers at the network's end whose units look like classes."""
    last = layers[-1]
    kinds = dict(zip(net._layer_names, net.layers, strict=True))
    writers = producers(net).get(last.name, [])
    shares = bool(writers) and kinds[writers[-1]].type in _SHARES
    if last.values != 1 or last.units < 2 or not (shares or len(labels) == last.units):
        return ()
    first = len(layers) - 1
    while first and layers[first - 1].units == last.units:
        first -= 1
    return tuple(layer.name for layer in layers[first:])


def class_unit(classes: Classes, layers: Sequence[Layer], number: int) -> tuple[int, int] | None:
    """Say which unit stands for a class: of the first of its layers, before any Softmax.

    Parameters
    ----------
    classes : Classes
        Of the network.
    layers : sequence of Layer
        Those that can be viewed.
    number : int
        The class.

    Returns
    -------
    (int, int) or None
        Indices of the layer and of the unit; None where no layer in the list has it.
    """
    names = [*classes.layers, *([classes.listed] if classes.listed else [])]
    for index, layer in enumerate(layers):
        if layer.name in names and number < layer.units:
            return index, number
    return None
