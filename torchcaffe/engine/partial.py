"""Of a definition with layers that nobody knows: the part that can be built without them."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Mapping

from torchcaffe.engine.graph import filter_layers
from torchcaffe.errors import CaffeError, DefinitionError
from torchcaffe.layers import forks, layer_class, python_layer
from torchcaffe.proto.caffe_pb2 import LayerParameter, NetParameter, NetState

_MOST_NAMES = 8  # in a note


def build_known(
    build: Callable[[NetParameter], None],
    last: Callable[[], LayerParameter],
    net: NetParameter,
    state: NetState,
    source: str,
) -> dict[str, str]:
    """Build what can be built, and warn of the rest in one sentence.

    A fork's layer that cannot be built counts as unknown too: forks use one name for several
    layers (YOLO's DetectionOutput has nothing of SSD's but the name).

    Parameters
    ----------
    build : callable
        Builds a net of a definition, from nothing.
    last : callable
        Returns the layer at which it has stopped.
    net, state, source
        See `without_unknown`.

    Returns
    -------
    dict of str to str
        Names and types of the layers that are left out.
    """
    refused: dict[str, str] = {}
    while True:
        rest, left_out, note = without_unknown(net, state, source, refused)
        try:
            build(rest)
        except CaffeError as error:
            layer = last()
            cls = layer_class(layer)
            is_of_fork = cls is not None and cls.__module__.startswith(forks.__name__)
            if not is_of_fork or layer.name in refused:
                raise
            refused[layer.name] = str(error)
            continue
        if note:
            warnings.warn(note, stacklevel=3)
        return left_out


def without_unknown(
    net: NetParameter, state: NetState, source: str, refused: Mapping[str, str] | None = None
) -> tuple[NetParameter, dict[str, str], str]:
    """Leave out the layers of unknown types, and all that depends on what they make.

    Parameters
    ----------
    net : NetParameter
        A definition with V2 layers.
    state : NetState
        Phase, level and stages: other layers do not count.
    source : str
        The definition's name in the note.
    refused : mapping of str to str, optional
        Names of further layers that count as unknown, and why.

    Returns
    -------
    rest : NetParameter
        The definition of the part that is left; `net` itself where every layer is known.
    left_out : dict of str to str
        Names and types of the layers that are not in it.
    note : str
        One sentence that counts and names them; empty where there are none.

    Raises
    ------
    DefinitionError
        Only inputs would be left.
    """
    layers, refused = filter_layers(net, state), refused or {}
    kept: list[LayerParameter] = []
    unknown: list[LayerParameter] = []
    others: list[LayerParameter] = []
    lost: set[str] = set()  # blobs that are not made, or not as they should be (in place)
    for layer in layers:
        if not _is_known(layer) or layer.name in refused:
            unknown.append(layer)
        elif lost.intersection(layer.bottom):
            others.append(layer)
        else:
            kept.append(layer)
            continue
        lost.update(layer.top)
    if not unknown:
        return net, {}, ""
    note = _note(unknown, others, len(layers), source)
    note += "".join(f" ({reason})" for reason in refused.values())
    if all(not layer.bottom for layer in kept):
        raise DefinitionError(f"{note}; no layer is left")
    rest = NetParameter()
    rest.CopyFrom(net)
    del rest.layer[:]
    rest.layer.extend(kept)
    return rest, {layer.name: layer.type for layer in [*unknown, *others]}, note


def _is_known(layer: LayerParameter) -> bool:
    """Return whether there is a class; of a Python layer, whether its module is there.

    To look for a module within a package runs the package's code, so unless that is allowed
    only the package is looked for.
    """
    if layer.type != "Python":
        return layer_class(layer) is not None
    module = layer.python_param.module
    name = module if python_layer.are_allowed() else module.split(".")[0]
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False
    except ValueError:  # no name at all: said when the layer is built
        return True


def _named(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_MOST_NAMES])
    more = len(names) - _MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def _note(
    unknown: list[LayerParameter], others: list[LayerParameter], count: int, source: str
) -> str:
    types = _named(sorted({_kind(layer) for layer in unknown}))
    number = len(unknown) + len(others)
    text = (
        f"{source}: {number} of {count} layers {'is' if number == 1 else 'are'} left out: "
        f"{_named([layer.name for layer in unknown])}, of the unknown type {types}"
    )
    if others:
        text += f", and what depends on it: {_named([layer.name for layer in others])}"
    return text


def _kind(layer: LayerParameter) -> str:
    is_python = layer.type == "Python"
    return f"Python (module {layer.python_param.module})" if is_python else layer.type
