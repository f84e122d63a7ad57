"""Units switched off, held or scaled while a net computes, and what lies above computed again.

Network Dissection (Bau et al. 2017) and the paper's users ask what a unit's answer does: hold it
at a value and look at what changes behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from torchcaffe.blobs.blob import Blob
from torchcaffe.engine.net import NO_GRAD, Net
from torchcaffe.engine.node import Node
from torchcaffe.errors import ArgumentError, KindError, unknown_name


@dataclass(frozen=True)
class Scaled:
    """A unit multiplied by a factor; see `scale`."""

    factor: float


Lesions = Mapping[tuple[str, int], "float | Scaled"]


def scale(factor: float) -> Scaled:
    """Return what makes `lesions` multiply a unit instead of holding it.

    Parameters
    ----------
    factor : float
        Finite; 1 changes nothing.
    """
    return Scaled(_number(factor, "scale's factor"))


@contextmanager
def lesions(net: Net, held: Lesions) -> Iterator[Callable[[], None]]:
    """Hold or scale units of a net, in all images, as long as the context lasts.

    A unit is changed behind the last layer that writes its blob in place (conv5 behind its
    ReLU): at once in the values that the blobs have now, and in every pass of the context.
    Layers below compute as ever, bit for bit. Back passes know of it: nothing goes back
    through a unit that is held, and the factor's multiple through one that is scaled.

        with torchcaffe.lesions(net, {("conv5", 60): 0.0, ("fc6", 7): torchcaffe.scale(2.0)}):
            prob = net.forward(data=x)["prob"].copy()

    Parameters
    ----------
    net : Net
        Any net, imported ones too (their units are where `net.layouts` says).
    held : mapping of (str, int) to float or what `scale` returns
        By blob and unit: the value at which it is held, at every place of its map, or its scale.

    Yields
    ------
    callable
        Without arguments: computes anew what depends on these units, and nothing else, from the
        values that the blobs below have.

    Raises
    ------
    UnknownNameError, ArgumentError, KindError
        There is no such blob or unit, the blob is an input, or the value is no finite number.

    Notes
    -----
    At the end, also after an error, passes are what they were, and the units get the values back
    that they had without lesions. Blobs above keep what was last computed for them, until
    `recompute(net, ["conv5"])` or the next pass.
    """
    sites = _sites(net, held)
    with ExitStack() as stack:
        for site in sites:
            stack.enter_context(site.watched(net))
        for site in sites:
            site.begin()
        yield lambda: recompute(net, [site.name for site in sites])


def recompute(net: Net, names: Iterable[str]) -> None:
    """Compute what depends on some blobs, from the values that they have now.

    Parameters
    ----------
    net : Net
        After a whole pass.
    names : iterable of str
        Blobs.

    Raises
    ------
    UnknownNameError
        There is no such blob.
    """
    for name in (names := list(names)):
        _check_blob(net, name)
    numbers = sorted(_dependents(net, [net.blobs[name] for name in names]))
    begun = 0
    for at, number in enumerate(numbers):
        if at + 1 == len(numbers) or numbers[at + 1] != number + 1:
            net._forward(numbers[begun], number)
            begun = at + 1


def dependent_blobs(net: Net, names: Iterable[str]) -> set[str]:
    """Return the names of some blobs and of all that `recompute` computes for them."""
    found = set(names)
    layers = list(net.layer_dict)
    for number in _dependents(net, [net.blobs[name] for name in found]):
        found.update(net.top_names[layers[number]])
    return found


# ---------------------------------------------------------------- one blob with lesions


class _Site:
    """A blob whose units are changed, and the layer behind which that is done.

    Attributes
    ----------
    name : str
        The blob's.
    number : int
        Of the last layer that writes it.
    """

    def __init__(self, net: Net, name: str, changes: Mapping[int, float | Scaled]) -> None:
        self.name, self.blob = name, net.blobs[name]
        self.number = _last_writer(net, self.blob)
        self._node = net.nodes[self.number]
        self._axis = unit_axis(net, name)
        self._units = torch.tensor(sorted(changes))
        rows = [changes[unit] for unit in sorted(changes)]
        self._factors = torch.tensor([v.factor if isinstance(v, Scaled) else 0.0 for v in rows])
        self._values = torch.tensor([0.0 if isinstance(v, Scaled) else float(v) for v in rows])
        self._held = torch.tensor([not isinstance(v, Scaled) for v in rows])
        self._kept: Tensor | None = None  # the units' values without lesions
        self._shared: Blob | None = None  # the blob's memory, where it is another's

    @contextmanager
    def watched(self, net: Net) -> Iterator[None]:
        """Change the units in each pass; put their own values back at the end."""
        runners = _runners(net, self.number)
        before = [dict(vars(runner)) for runner in runners]
        try:
            for runner in runners:
                self._watch(runner)
            yield
        finally:
            for runner, attributes in zip(runners, before, strict=True):
                for name in ("forward", "backward"):
                    vars(runner).pop(name, None)
                    if name in attributes:  # of a context around this one
                        vars(runner)[name] = attributes[name]
            self._put_back()

    def _watch(self, runner: Any) -> None:
        forward, backward = runner.forward, runner.backward

        def changed_forward() -> None:
            forward()
            self._apply()

        def changed_backward(*args: Any, **options: Any) -> None:
            self._weaken_diff()
            backward(*args, **options)

        vars(runner).update(forward=changed_forward, backward=changed_backward)

    def begin(self) -> None:
        """Change the units of the values that are there, if any are."""
        if not self.blob.memory.is_untouched():
            self._apply()

    @NO_GRAD
    def _apply(self) -> None:
        if not self.blob.count:
            return
        values, units = self.blob.tensor, self._units.to(self.blob.tensor.device)
        self._kept = values.index_select(self._axis, units)
        held, value, factor = (
            self._along(part, values) for part in (self._held, self._values, self._factors)
        )
        after = torch.where(held, value, self._kept * factor)
        if self._node.layer.shares_memory and self._shared is None:
            # Written into the memory that it shares, the change would be one of a blob below.
            self._shared, own = Blob(self.blob.dims), Blob(self.blob.dims)
            self._shared.share_data(self.blob)
            self.blob.share_data(own)
        self.blob.set_tensor(values.clone().index_copy_(self._axis, units, after))

    def _along(self, numbers: Tensor, values: Tensor) -> Tensor:
        """Return one number a unit in the axis of the units."""
        shape = [1] * values.ndim
        shape[self._axis] = -1
        return numbers.to(values.device).view(shape)

    @NO_GRAD
    def _weaken_diff(self) -> None:
        if not self.blob.has_diff():
            return
        diff, units = self.blob.diff_tensor, self._units.to(self.blob.diff_tensor.device)
        part = diff.index_select(self._axis, units) * self._along(self._factors, diff)
        self.blob.set_diff(diff.clone().index_copy_(self._axis, units, part))

    @NO_GRAD
    def _put_back(self) -> None:
        kept, self._kept = self._kept, None
        if self._shared is not None:
            self.blob.share_data(self._shared)
            self._node.forward()  # a view of what the blob below has now
            self._shared = None
        elif kept is not None:
            values = self.blob.tensor
            sizes = list(values.shape)
            sizes[self._axis] = len(self._units)
            if list(kept.shape) == sizes:  # else reshaped since
                units = self._units.to(values.device)
                self.blob.set_tensor(values.clone().index_copy_(self._axis, units, kept))


def _runners(net: Net, number: int) -> list[Any]:
    """Return what computes a layer: its node, and the pair that does it with the one before."""
    pairs: Mapping[int, Any] = getattr(net, "_pairs", {})
    return [net.nodes[number], *([pairs[number - 1]] if number - 1 in pairs else [])]


# ---------------------------------------------------------------- what was asked for


def unit_axis(net: Net, name: str) -> int:
    """Return the axis of a blob's units: 1, the only one, or where an imported net has them."""
    layout = net.layouts.get(name)
    return layout.axis if layout is not None else min(1, len(net.blobs[name].dims) - 1)


def _sites(net: Net, held: Lesions) -> list[_Site]:
    """Check what is to be held; return the blobs, those of the lowest layers first."""
    changes: dict[str, dict[int, float | Scaled]] = {}
    for key, value in held.items():
        if not isinstance(key, tuple) or len(key) != 2 or not isinstance(key[0], str):
            raise KindError(f'lesions are given by blob and unit, as ("conv5", 60), not {key!r}')
        name, unit = key
        _check_unit(net, name, unit)
        if not isinstance(value, Scaled):
            value = _number(value, f"the value of {name}:{unit}")
        changes.setdefault(name, {})[int(unit)] = value
    found = [_Site(net, name, units) for name, units in changes.items()]
    return sorted(found, key=lambda site: site.number)


def _check_blob(net: Net, name: str) -> None:
    if name not in net.blobs:
        raise unknown_name("blob", name, net.blobs)


def _check_unit(net: Net, name: str, unit: int) -> None:
    _check_blob(net, name)
    if any(net.blobs[name] in node.tops and node.layer.is_input for node in net.nodes):
        raise ArgumentError(
            f"{name} is an input: change the values that are put into it; "
            "lesions are of blobs that layers compute"
        )
    dims = net.blobs[name].dims
    if not dims:
        raise ArgumentError(f"{name} is one number without units; nothing can be held there")
    count = dims[unit_axis(net, name)]
    if not hasattr(unit, "__index__") or not 0 <= unit < count:
        raise ArgumentError(f"{name} has the units 0 to {count - 1}; {unit!r} is none of them")


def _number(value: object, what: str) -> float:
    if not isinstance(value, Real) or not math.isfinite(value):
        raise ArgumentError(
            f"{what} is {value!r}; a finite number, or torchcaffe.scale(factor), is accepted"
        )
    return float(value)


# ---------------------------------------------------------------- what lies above


def _dependents(net: Net, blobs: list[Blob]) -> set[int]:
    """Return the numbers of the layers to run again where some blobs have changed.

    A layer that works in place would find its own last result: whoever writes that memory runs
    again with it.
    """
    roots, writers = _memories(net.nodes)
    found: set[int] = set()
    while True:
        since = {id(blob): _last_writer(net, blob) for blob in blobs}
        before = len(found)
        for i, node in enumerate(net.nodes):
            if i in found or any(i > since.get(id(bottom), i) for bottom in node.bottoms):
                found.add(i)
                for top in node.tops:
                    since[id(top)] = min(i, since.get(id(top), i))
        for i in sorted(found):
            if net.nodes[i].in_place:
                found |= writers[roots[id(net.nodes[i].tops[0])]]
        if len(found) == before:
            return found


def _last_writer(net: Net, blob: Blob) -> int:
    """Return the number of the last layer that makes a blob, or writes it in place."""
    return max(i for i, node in enumerate(net.nodes) if blob in node.tops)


def _memories(nodes: list[Node]) -> tuple[dict[int, int], dict[int, set[int]]]:
    """Say which blobs have one memory, and who writes it.

    Returns
    -------
    roots : dict of int to int
        Of each blob (by id) the first one with its memory.
    writers : dict of int to set of int
        Of each such first one, the numbers of the layers that write the memory.
    """
    roots: dict[int, int] = {}
    writers: dict[int, set[int]] = {}
    for i, node in enumerate(nodes):
        shares = node.layer.shares_memory and bool(node.bottoms)
        for top in node.tops:
            root = roots.setdefault(id(top), roots[id(node.bottoms[0])] if shares else id(top))
            writers.setdefault(root, set())
            if not shares:
                writers[root].add(i)
    return roots, writers
