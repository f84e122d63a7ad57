"""Receptive fields: which part of a net's input a unit sees, in any net.

A unit's field is followed down from bottom to bottom by each layer's own `field`; where
several ways lead to the input, the field is the smallest rectangle around all of theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from torchcaffe.blobs.blob import Shape
from torchcaffe.engine.net import Net
from torchcaffe.errors import ArgumentError, unknown_name
from torchcaffe.layers.base import Layer, Span

ROWS, COLUMNS = 0, 1
EXACT, BOUND, UNKNOWN = "exact", "bound", "unknown"
_RANKS = {EXACT: 0, BOUND: 1, UNKNOWN: 2}
# Where these have no map from top to bottom, a unit sees less than all of the bottom.
_MOVERS = {"ATen", "Concat", "Flatten", "Permute", "Reshape", "Slice", "SPP", "Tile"}


class Status:
    """How far a field can be trusted, and because of which layer."""

    def __init__(self) -> None:
        self.status, self.why = EXACT, ""

    def add(self, status: str, why: str) -> None:
        """Take a layer into account; the first of the worst kind is named."""
        if _RANKS[status] > _RANKS[self.status]:
            self.status, self.why = status, why

    def seen(self, layer: Layer, kind: str) -> None:
        """Take into account that a layer sees all of a bottom for a part of its top.

        `kind` is "local" where that part is known, and "whole" where it is all of the top.
        """
        if not layer.is_followed:
            self.add(UNKNOWN, layer.why_not or f"{layer.name} ({layer.type}) is not followed")
        elif kind == "local" and layer.type in _MOVERS:
            self.add(BOUND, f"{layer.name} ({layer.type}) moves rows and columns elsewhere")


@dataclass(frozen=True)
class Region:
    """A rectangle of the input; first and last row and column, both included.

    Not clipped: near the input's borders a field reaches into the padding, so that all units
    of a layer have fields of one size.

    Attributes
    ----------
    status : str
        "exact": the unit depends on the outermost rows and columns. "bound": on nothing outside.
        "unknown": a layer on the way is not followed, and taken to see all of its bottom.
    why : str
        Which layer makes it less than exact; else empty.
    """

    rows: Span
    columns: Span
    status: str = field(default="exact", compare=False)
    why: str = field(default="", compare=False)

    @property
    def height(self) -> int:
        """The number of rows."""
        return self.rows[1] - self.rows[0] + 1

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.columns[1] - self.columns[0] + 1

    def clipped(self, height: int, width: int) -> Region:
        """Return the part that lies in an image of this size.

        Raises
        ------
        ArgumentError
            No part does (the unit sees only padding).
        """
        rows, columns = _clip(self.rows, height), _clip(self.columns, width)
        if rows is None or columns is None:
            raise ArgumentError(
                f"rows {self.rows}, columns {self.columns} lie outside an image of {height}x{width}"
            )
        return Region(rows, columns, self.status, self.why)


class _Reach(NamedTuple):
    """What a unit sees of a blob along one axis.

    `local` came down through layers with a map and may reach into padding; `whole` is (what
    is left of) a blob that some layer above sees completely, so nothing outside it counts.
    """

    local: Span | None = None
    whole: Span | None = None

    def joined(self, other: _Reach) -> _Reach:
        return _Reach(_hull(self.local, other.local), _hull(self.whole, other.whole))


def _hull(a: Span | None, b: Span | None) -> Span | None:
    if a is None or b is None:
        return b if a is None else a
    return min(a[0], b[0]), max(a[1], b[1])


def _clip(span: Span, size: int) -> Span | None:
    first, last = max(span[0], 0), min(span[1], size - 1)
    return (first, last) if first <= last else None


def _size(shape: Shape, axis: int) -> int:
    """Return a blob's size along rows or columns; blobs without these count as one position."""
    return shape[2 + axis] if len(shape) == 4 else 1


def _down(
    layer: Layer,
    reach: _Reach,
    axis: int,
    bottom: int,
    shapes: list[Shape],
    top: Shape,
    status: Status,
) -> _Reach:
    """Return what is seen of a bottom where `reach` is seen of the top."""
    size = _size(shapes[bottom], axis)
    out = _Reach()
    for kind, span in reach._asdict().items():
        if span is None:
            continue
        mapped: Span | None = None
        if len(top) == 4 and len(shapes[bottom]) == 4:
            mapped = layer.field(span, axis, bottom, shapes)
        if mapped is None:
            status.seen(layer, kind)
            out = out.joined(_Reach(whole=(0, size - 1)))
        elif mapped[0] > mapped[1]:
            continue  # between the steps of a deconvolution
        elif kind == "whole":
            out = out.joined(_Reach(whole=_clip(mapped, size)))
        else:
            out = out.joined(_Reach(local=mapped))
    return out


def _walk(
    net: Net,
    start: int,
    first: dict[str, _Reach],
    axis: int,
    target: str | None,
    status: Status,
) -> None:
    """Carry what is seen, in `first`, down from layer `start` to the sources or to `target`."""
    for node in reversed(net.nodes[: start + 1]):
        layer, name = node.layer, node.layer.name
        tops, bottoms = net.top_names[name], net.bottom_names[name]
        if target in tops and target not in bottoms:
            return
        if not bottoms:
            continue
        seen = [(i, net.blobs[t].dims, first.pop(t)) for i, t in enumerate(tops) if t in first]
        shapes = [net.blobs[b].dims for b in bottoms]
        for j, bottom in enumerate(bottoms):
            for i, shape, reach in seen:
                if layer.connects(i, j):
                    below = _down(layer, reach, axis, j, shapes, shape, status)
                    first[bottom] = first.get(bottom, _Reach()).joined(below)


def _place(net: Net, layer: str) -> tuple[int, str]:
    """Return the number of the layer to start from, and the blob, for a layer or blob name."""
    names = list(net.layer_dict)
    if layer in net.layer_dict:
        tops = net.top_names[layer]
        if not tops:
            raise ArgumentError(f"layer {layer!r} has no top, so it has no units")
        return names.index(layer), layer if layer in tops else tops[0]
    if layer not in net.blobs:
        raise unknown_name("layer or blob", layer, [*names, *net.blobs])
    makers = [i for i, name in enumerate(names) if layer in net.top_names[name]]
    return makers[-1], layer


def _start(net: Net, index: int, blob: str, status: Status) -> None:
    """Note where a blob has places that are not told apart: tokens, or a flattened map."""
    shape = net.blobs[blob].shape
    name = list(net.layer_dict)[index]
    below = [net.blobs[b].shape for b in net.bottom_names[name]]
    flattened = net.layer_dict[name].type in ("Flatten", "Reshape") and any(
        len(b) == 4 and b[2:] != (1, 1) for b in below
    )
    if len(shape) == 3 or (flattened and len(shape) < 4):
        status.add(BOUND, f"the places of {blob} are not told apart")


def _span(
    net: Net,
    layer: str,
    axis: int,
    position: int,
    source: str | None,
    status: Status | None = None,
) -> dict[str, Span]:
    """Return what a unit sees along one axis, of each source of the net (or of `source`)."""
    start, blob = _place(net, layer)
    status = status or Status()
    _start(net, start, blob, status)
    local = len(net.blobs[blob].shape) == 4
    span = (position, position)
    reached = {blob: _Reach(local=span) if local else _Reach(whole=(0, 0))}
    _walk(net, start, reached, axis, source, status)
    found: dict[str, Span] = {}
    for name, reach in reached.items():
        hull = _hull(reach.local, reach.whole)
        if hull is not None and source in (None, name):
            found[name] = hull
    return found


def _source(net: Net, layer: str) -> str:
    """Return the source meant where none is named: the first input that is an image."""
    reached = _span(net, layer, ROWS, 0, None)
    known = [name for name in [*net.inputs, *net.blobs] if name in reached]
    if not known:
        raise ArgumentError(f"units of {layer!r} depend on no input")
    return next((name for name in known if len(net.blobs[name].shape) == 4), known[0])


def receptive_field(
    net: Net, layer: str, row: int = 0, column: int = 0, input: str | None = None
) -> Region:
    """Return what a unit sees of the input.

    Parameters
    ----------
    net : Net
        Any net; inputs of the sizes it has now.
    layer : str
        Name of a layer or blob.
    row, column : int
        The unit's place. A unit that has none, as of InnerProduct, sees whatever its layer
        sees: the whole input, as far as the layers below look at it.
    input : str, optional
        Which input, or any blob on the way (default: the first input that the unit sees).

    Returns
    -------
    Region
        Rows and columns, not clipped to the input's size.

    Raises
    ------
    UnknownNameError
        There is no layer or blob of that name.
    ArgumentError
        The unit does not exist, or does not depend on the input.
    """
    if input is not None and input not in net.blobs:
        raise unknown_name("blob", input, net.blobs)
    shape = net.blobs[_place(net, layer)[1]].dims
    for name, value, axis in (("row", row, ROWS), ("column", column, COLUMNS)):
        if not 0 <= value < _size(shape, axis):
            raise ArgumentError(
                f"layer {layer!r} has the shape {shape}, so no {name} {value}; "
                f"0 to {_size(shape, axis) - 1} are accepted"
            )
    source = input or _source(net, layer)
    status = Status()
    rows = _span(net, layer, ROWS, row, source, status)
    columns = _span(net, layer, COLUMNS, column, source, status)
    if source not in rows or source not in columns:
        raise ArgumentError(
            f"the unit of {layer!r} at row {row}, column {column} does not depend on {source!r}"
        )
    return Region(rows[source], columns[source], status.status, status.why)


def field_size(net: Net, layer: str, input: str | None = None) -> tuple[int, int]:
    """Return height and width of the largest receptive field of a layer's units.

    Parameters are as for `receptive_field`. Above a Deconvolution or Interp layer, units
    differ in the size of their fields; elsewhere all have one size.
    """
    shape = net.blobs[_place(net, layer)[1]].dims
    source = input or _source(net, layer)
    sizes = [0, 0]
    for axis in (ROWS, COLUMNS):
        for position in range(_size(shape, axis)):
            found = _span(net, layer, axis, position, source)
            if source in found:
                sizes[axis] = max(sizes[axis], found[source][1] - found[source][0] + 1)
    if not all(sizes):
        raise ArgumentError(f"units of {layer!r} do not depend on {source!r}")
    return sizes[0], sizes[1]
