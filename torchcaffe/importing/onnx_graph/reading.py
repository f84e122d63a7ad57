"""From an ONNX file to a module. Needs the package onnx (requirements-onnx.txt)."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from torchcaffe.errors import DefinitionError, FileError
from torchcaffe.importing.onnx_graph.module import _SCOPES, OnnxModule, path_of
from torchcaffe.importing.onnx_graph.table import ON_SIZES, OPS, Node

OLDEST = 7  # the first opset whose operators broadcast as NumPy does
PLAIN = 13  # older files are converted to it


def read_onnx(path: Path) -> tuple[OnnxModule, list[tuple[int | None, tuple[int, ...]]]]:
    """Read an ONNX file.

    Returns
    -------
    module : OnnxModule
        Computes the graph.
    inputs : list of (int or None, tuple of int)
        Of each input the number of images (None: any), and the shape of one.

    Raises
    ------
    FileError
        The package onnx or the file is missing, or it is damaged.
    DefinitionError
        It has operators, sizes or weights that are not known here.
    """
    onnx = _package()
    model = _loaded(onnx, path)
    opset = next((e.version for e in model.opset_import if e.domain in ("", "ai.onnx")), 0)
    if opset < OLDEST:
        raise DefinitionError(
            f"{path} has the opset {opset}; {OLDEST} or later is read: export it anew"
        )
    if opset < PLAIN:
        model = _newer(onnx, model, path, opset)
    graph = model.graph
    weights = {t.name: _array(onnx, t, path) for t in graph.initializer}
    nodes: list[Node] = []
    for node in graph.node:
        if node.op_type == "Constant":
            weights[node.output[0]] = _constant(onnx, node, path)
        else:
            nodes.append(_node(onnx, node, path))
    given = [value for value in graph.input if value.name not in weights]
    module = OnnxModule(
        nodes, [value.name for value in given], [value.name for value in graph.output], weights
    )
    return module, [_shape(value, path) for value in given]


def _package() -> Any:
    try:
        onnx = importlib.import_module("onnx")
        importlib.import_module("onnx.version_converter")
    except ImportError as error:
        raise FileError(
            "an .onnx file needs the package onnx: pip install -r requirements-onnx.txt"
        ) from error
    return onnx


def _loaded(onnx: Any, path: Path) -> Any:
    try:
        return onnx.load(str(path))
    except FileNotFoundError as error:
        missing = Path(str(error.filename)).name if error.filename else str(error)
        raise FileError(f"could not open file {missing}: No such file or directory") from error
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FileError(
            f"{path} is no ONNX file, is cut off, or its external data are missing ({reason}); "
            "copy all of its files"
        ) from error


def _newer(onnx: Any, model: Any, path: Path, opset: int) -> Any:
    try:
        return onnx.version_converter.convert_version(model, PLAIN)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DefinitionError(
            f"{path} has the opset {opset}, and can't be converted to {PLAIN} ({reason}); export "
            "it anew"
        ) from error


def _array(onnx: Any, stored: Any, path: Path) -> np.ndarray:
    try:
        array: np.ndarray = onnx.numpy_helper.to_array(stored)
    except (ValueError, TypeError, OSError) as error:
        raise FileError(f"{path} is damaged: {stored.name} can't be read ({error})") from error
    half = array.dtype.kind == "f" or str(array.dtype) == "bfloat16"
    return array.astype(np.float32) if half else array


def _constant(onnx: Any, node: Any, path: Path) -> np.ndarray:
    (attribute,) = node.attribute
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.name == "value":
        return _array(onnx, value, path)
    kind = np.float32 if attribute.name.startswith("value_float") else np.int64
    return np.array(value, kind)


def _node(onnx: Any, node: Any, path: Path) -> Node:
    if node.domain not in ("", "ai.onnx") or node.op_type not in {**OPS, **ON_SIZES}:
        kind = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        is_quantised = "Quantize" in kind or kind.startswith("QLinear") or "Integer" in kind
        raise DefinitionError(
            f"{path} has a node of the kind {kind}, which is not known here; "
            + (
                "take the model as it was before it was quantised"
                if is_quantised
                else "export the model from PyTorch to a .pt2 file, where every operator is"
            )
        )
    attributes = {}
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, onnx.TensorProto):
            value = _array(onnx, value, path)
        attributes[attribute.name] = value.decode() if isinstance(value, bytes) else value
    scopes = next((p.value for p in node.metadata_props if p.key == _SCOPES), None)
    place = path_of(node.name, scopes)
    return Node(node.op_type, tuple(node.input), tuple(node.output), attributes, place)


def _shape(value: Any, path: Path) -> tuple[int | None, tuple[int, ...]]:
    sizes = value.type.tensor_type.shape.dim
    images = sizes[0].dim_value if sizes and sizes[0].HasField("dim_value") else None
    rest = [size.dim_value if size.HasField("dim_value") else None for size in sizes[1:]]
    known = [size for size in rest if size]
    if len(known) < len(rest):
        raise DefinitionError(
            f"{path}: the input {value.name} has no fixed size; export it with fixed height and "
            "width (the number of images may vary)"
        )
    return images or None, tuple(known)
