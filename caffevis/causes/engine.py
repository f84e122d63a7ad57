"""What causes need of an engine: units held, what lies above computed again, sums of products.

The bundled engine has it all. A pycaffe holds units by passes of parts of the net.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import torchcaffe as caffe
from caffevis.model.layer_list import NetLike
from torchcaffe.interventions import dependent_blobs
from torchcaffe.sums import SUMS, Terms, terms

Held = dict[tuple[str, int], Any]
TWICE = caffe.scale(2.0)
SUMMING = SUMS


def holder(net: NetLike) -> Callable[[Held], AbstractContextManager[Callable[[], None]]] | None:
    """Return what holds units of a net for a while, as `torchcaffe.lesions`; None: nothing can."""
    if isinstance(net, caffe.Net):
        return lambda held: caffe.lesions(net, held)
    own: Callable[[Held], AbstractContextManager[Callable[[], None]]] | None
    own = getattr(net, "lesions", None)
    return own


def recompute(net: NetLike, blobs: Iterable[str]) -> None:
    """Compute what depends on some blobs; with another engine than the bundled one, all."""
    if isinstance(net, caffe.Net):
        caffe.recompute(net, blobs)
    else:
        net.forward()


def touched(net: NetLike, blobs: Iterable[str]) -> set[str]:
    """Return the blobs that change where some do; with another engine, all."""
    return dependent_blobs(net, blobs) if isinstance(net, caffe.Net) else set(net.blobs)


def is_bundled(net: NetLike) -> bool:
    """Whether a net is the bundled engine's."""
    return isinstance(net, caffe.Net)


def account(net: Any, layer: str, unit: int, row: int, column: int) -> Terms:
    """Return what is added up to one value of a layer; `net` is the bundled engine's.

    Raises
    ------
    EngineError
        There is no such account; one sentence.
    """
    return terms(net, layer, unit, row, column)


def twin_of(net: NetLike, batch: int) -> Any | None:
    """Return a net with the same parameters that takes several images, where its layers allow.

    None where the engine cannot.
    """
    if not isinstance(net, caffe.Net):
        return None
    twin = net.twin()
    before = {name: tuple(twin.blobs[name].shape) for name in twin.inputs}
    try:
        for name, shape in before.items():
            twin.blobs[name].reshape(batch, *shape[1:])
        twin.reshape()
    except caffe.CaffeError:  # a layer insists on the batch
        for name, shape in before.items():
            twin.blobs[name].reshape(*shape)
        twin.reshape()
    return twin


def use_one_thread() -> None:
    """Compute on one thread from now on, in the thread that says so."""
    caffe.set_threads(1)
