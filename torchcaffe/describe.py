"""A net as a table: layers, shapes, parameters, receptive fields, memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

from torchcaffe.engine.net import Net
from torchcaffe.engine.node import Node
from torchcaffe.errors import ArgumentError
from torchcaffe.regions import receptive_field

HEADS = ("layer", "type", "top", "shape", "parameters", "sees", "memory")
_TO_THE_RIGHT = {"parameters", "sees", "memory"}
Row = tuple[str, ...]


def size_text(count: int) -> str:
    """Write a number of bytes with its unit."""
    size, units = float(count), ["B", "KiB", "MiB", "GiB"]
    while size >= 1024 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return f"{size:.0f} {units[0]}" if size >= 100 or units[0] == "B" else f"{size:.1f} {units[0]}"


def _sees(net: Net, top: str) -> str:
    """Say height and width of what a unit in the middle of a blob sees of the input."""
    if top in net.inputs:
        return ""
    dims = net.blobs[top].dims
    row, column = (dims[2] // 2, dims[3] // 2) if len(dims) == 4 else (0, 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python layers, whose fields are not known
            region = receptive_field(net, top, row, column)
    except ArgumentError:
        return ""
    return f"{region.height}x{region.width}"


def _rows(net: Net, node: Node, counted: set[int]) -> Iterable[Row]:
    """Make a layer's rows, one for each top; blobs in `counted` take no memory of their own."""
    layer = node.layer
    own = [blob for blob in layer.blobs if id(blob) not in counted]
    counted.update(map(id, own))
    parameters = sum(blob.count for blob in own)
    tops = list(zip(net.top_names[layer.name], node.tops, strict=True))
    for i, (name, blob) in enumerate(tops or [("", None)]):
        memory = 0 if i else 4 * parameters
        shape = ""
        if blob is not None:
            shape = "x".join(map(str, blob.dims)) or "1"
            if id(blob) not in counted and not layer.shares_memory:
                memory += 4 * blob.count
            counted.add(id(blob))
        yield (
            "" if i else layer.name,
            "" if i else layer.param.type,
            name,
            shape,
            f"{parameters:,}" if parameters and not i else "",
            _sees(net, name) if name else "",
            size_text(memory) if memory else "",
        )


def layout(rows: Sequence[Row]) -> str:
    """Align the columns of a table whose first row is its head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    right = [name in _TO_THE_RIGHT for name in rows[0]]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def describe(net: Net) -> str:
    """Return the table, a row for each top of each layer but splits, and what all of it takes.

    `sees` is the receptive field of a unit in the middle of the top (rows x columns, also into
    the padding); `memory` is that of the top's values and of the layer's parameters in float32.
    In-place layers and views of other blobs take none.
    """
    counted: set[int] = set()
    rows: list[Row] = [HEADS]
    for node in net.nodes:
        if node.layer.type != "Split":
            rows += _rows(net, node, counted)
    held = {id(blob): blob.count for blobs in net.params.values() for blob in blobs}
    parameters = sum(held.values())
    values = sum(
        blob.count
        for node in net.nodes
        if not node.layer.shares_memory and not node.in_place
        for blob in node.tops
    )
    return (
        f"{layout(rows)}\n\n{net.name or 'net'}: {len(rows) - 1} rows, {parameters:,} parameters "
        f"({size_text(4 * parameters)}), {values:,} values in blobs ({size_text(4 * values)})"
    )
