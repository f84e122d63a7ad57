"""Drawings of a net's graph, as pycaffe's `caffe.draw`.

`to_dot` writes Graphviz's language and needs nothing; pictures need the package pydot and the
program `dot`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torchcaffe.engine.graph import filter_layers
from torchcaffe.errors import ArgumentError, FileError
from torchcaffe.proto.caffe_pb2 import (
    LayerParameter,
    NetParameter,
    NetState,
    Phase,
    PoolingParameter,
)

_BLOB = 'shape=octagon, style=filled, fillcolor="#e0e0e0"'
_LAYER = 'shape=record, style=filled, fillcolor="#6495ed"'
_LEARNED = ("Convolution", "Deconvolution", "InnerProduct")
_IN_PLACE = 'shape=record, style=filled, fillcolor="#90ee90"'


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _window(param: Any) -> str:
    """Say kernel, stride and pad, where they are not the default."""
    found = []
    for field, name in (("kernel_size", "kernel"), ("stride", "stride"), ("pad", "pad")):
        short = field.removesuffix("_size")
        sizes = [getattr(param, f"{short}_{axis}") for axis in "hw"]
        if not any(sizes):
            value = getattr(param, field)
            sizes = [value] if isinstance(value, int) else list(value)
        if any(sizes) and not (field == "stride" and set(sizes) == {1}):
            found.append(f"{name} {'x'.join(map(str, sizes))}")
    return ", ".join(found)


def _layer_text(layer: LayerParameter, rates: bool) -> str:
    lines = [f"{layer.name} ({layer.type})"]
    if layer.type in ("Convolution", "Deconvolution"):
        lines.append(_window(layer.convolution_param))
    elif layer.type == "Pooling":
        lines.append(PoolingParameter.PoolMethod.Name(layer.pooling_param.pool))
        lines.append(_window(layer.pooling_param))
    if rates and layer.type in _LEARNED:
        given = [f"{param.lr_mult:g}" for param in layer.param[:2]]
        lines.append(f"lr_mult {', '.join([*given, '1', '1'][:2])}")
    text = "\\n".join(_quoted(line)[1:-1] for line in lines if line)
    for sign in "{}<>|":  # which mean something in a record
        text = text.replace(sign, f"\\{sign}")
    return f'"{text}"'


def _edge(layer: LayerParameter) -> str:
    for param in (layer.convolution_param, layer.inner_product_param):
        if param.num_output:
            return f" [label={param.num_output}]"
    return ""


def _lines(net: NetParameter, phase: Phase | None, rates: bool) -> Iterator[str]:
    layers = list(net.layer) if phase is None else filter_layers(net, NetState(phase=phase))
    blobs: dict[str, None] = dict.fromkeys(net.input)
    for i, layer in enumerate(layers):
        in_place = list(layer.bottom) == list(layer.top) != []
        yield f"layer{i} [label={_layer_text(layer, rates)}, {_IN_PLACE if in_place else _LAYER}];"
        for name in layer.bottom:
            blobs[name] = None
            yield f"{_quoted('blob ' + name)} -> layer{i};"
        for name in layer.top:
            blobs[name] = None
            yield f"layer{i} -> {_quoted('blob ' + name)}{_edge(layer)};"
    for name in blobs:
        yield f"{_quoted('blob ' + name)} [label={_quoted(name)}, {_BLOB}];"


def to_dot(
    caffe_net: NetParameter,
    rankdir: str = "LR",
    phase: Phase | None = None,
    display_lrm: bool = False,
) -> str:
    """Write a net's graph in Graphviz's language.

    Parameters
    ----------
    caffe_net : NetParameter
        The definition, with `layer` (V1's `layers` are not drawn).
    rankdir : str
        "LR" (from left to right), "TB" or "BT".
    phase : Phase, optional
        Draw only the layers of that phase.
    display_lrm : bool
        Write the learning rates of weights and bias beside each layer that has them.

    Returns
    -------
    str
    """
    if rankdir not in ("LR", "TB", "BT", "RL"):
        raise ArgumentError(f"rankdir {rankdir!r} is unknown; LR, TB, BT and RL are accepted")
    lines = "\n".join(f"    {line}" for line in _lines(caffe_net, phase, display_lrm))
    return f"digraph {_quoted(caffe_net.name or 'Net')} {{\n    rankdir={rankdir};\n{lines}\n}}\n"


def get_pydot_graph(
    caffe_net: NetParameter,
    rankdir: str,
    label_edges: bool = True,
    phase: Phase | None = None,
    display_lrm: bool = False,
) -> Any:
    """Return the graph as one of pydot's; parameters are as for `to_dot`.

    Raises
    ------
    FileError
        pydot is not installed.
    """
    try:
        import pydot
    except ImportError as error:
        raise FileError(
            "drawing a net needs pydot (pip install pydot) and Graphviz; a name that ends in "
            ".dot is written without them"
        ) from error
    (graph,) = pydot.graph_from_dot_data(to_dot(caffe_net, rankdir, phase, display_lrm))
    if not label_edges:
        for edge in graph.get_edges():
            edge.get_attributes().pop("label", None)
    return graph


def draw_net(
    caffe_net: NetParameter,
    rankdir: str,
    ext: str = "png",
    phase: Phase | None = None,
    display_lrm: bool = False,
) -> bytes:
    """Return a picture of the net, in the format that `ext` names."""
    if ext == "dot":
        return to_dot(caffe_net, rankdir, phase, display_lrm).encode()
    graph = get_pydot_graph(caffe_net, rankdir, True, phase, display_lrm)
    try:
        picture: bytes = graph.create(format=ext)
    except FileNotFoundError as error:
        raise FileError(
            "drawing a net needs Graphviz (apt-get install graphviz); a name that ends in .dot "
            "is written without it"
        ) from error
    return picture


def draw_net_to_file(
    caffe_net: NetParameter,
    filename: str | Path,
    rankdir: str = "LR",
    phase: Phase | None = None,
    display_lrm: bool = False,
) -> None:
    """Write a picture of the net; the name's ending says the format (.png, .svg, .pdf, .dot)."""
    path = Path(filename)
    picture = draw_net(caffe_net, rankdir, path.suffix.lstrip(".") or "png", phase, display_lrm)
    try:
        path.write_bytes(picture)
    except OSError as error:
        raise FileError(f"could not write {path}: {error.strerror or error}") from error
