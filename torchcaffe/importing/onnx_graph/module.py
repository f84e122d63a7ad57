"""An ONNX graph as a module of PyTorch's, ready for torch.export.

The nodes are called from submodules with the paths that their names say, so that the net's
blobs have the names that users of PyTorch know: `/layer1/layer1.0/conv1/Conv` is a call of the
submodule `layer1.0.conv1`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from torchcaffe.errors import DefinitionError
from torchcaffe.importing.onnx_graph import moving, pointwise, windows
from torchcaffe.importing.onnx_graph.table import ON_SIZES, OPS, Input, Node

ROOMS = (moving, pointwise, windows)  # which register their operators
_SCALED = ("Resize", "Upsample")
_SCOPES = "pkg.torch.onnx.name_scopes"  # where PyTorch's newer exporter says the module


def path_of(name: str, scopes: str | None) -> str:
    """Return the path of the module that a node belongs to.

    Parameters
    ----------
    name : str
        The node's: "/layer1/layer1.0/conv1/Conv".
    scopes : str or None
        A list of paths, the innermost module's last but one, as PyTorch's newer exporter
        writes: "['', 'layer1', 'layer1.0', 'layer1.0.conv1', 'conv2d']".
    """
    if scopes:
        try:
            found = ast.literal_eval(scopes)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            found = []
        if isinstance(found, list) and len(found) > 1:
            return _clean(str(found[-2]).split("."))
    parts: list[str] = []
    for part in [part for part in name.split("/") if part][:-1]:
        if parts and part.startswith(parts[-1] + "."):
            parts[-1] = part
        else:
            parts.append(part)
    return _clean([piece for part in parts for piece in part.split(".")])


def _clean(parts: Sequence[str]) -> str:
    """Return a path whose parts are names that modules may have."""
    words = [re.sub(r"\W", "_", part) for part in parts if part]
    return ".".join(f"{word}_" if hasattr(nn.Module(), word) else word for word in words)


def _is_size(value: Input) -> bool:
    """Return whether an input is known whole numbers, or sizes."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "iuOb"


class _Place(nn.Module):
    """A submodule: calls the functions of the nodes that belong to it."""

    def forward(self, node: Node, inputs: Sequence[Input]) -> Any:
        """Compute a node."""
        known = all(_is_size(value) for value in inputs if value is not None)
        if not known or node.kind not in ON_SIZES:
            return OPS[node.kind](node, inputs)
        made = ON_SIZES[node.kind](node, inputs)
        return made if isinstance(made, torch.Tensor) else np.asarray(made, object)


class OnnxModule(nn.Module):
    """A graph of nodes as a module."""

    def __init__(
        self,
        nodes: Sequence[Node],
        inputs: Sequence[str],
        outputs: Sequence[str],
        weights: dict[str, np.ndarray],
    ) -> None:
        super().__init__()
        self._nodes, self._inputs, self._outputs = list(nodes), list(inputs), list(outputs)
        self._known: dict[str, np.ndarray] = {}
        self._holder: dict[str, str] = {}
        scales = {n for node in nodes if node.kind in _SCALED for n in node.inputs[1:]}
        for i, (name, array) in enumerate(weights.items()):
            is_whole = array.ndim == 1 and array.dtype.kind in "iu"
            if array.ndim == 0 or is_whole or name in scales:
                self._known[name] = array  # numbers, sizes, axes, places
                continue
            self._holder[name] = f"weight_{i}"
            value = torch.from_numpy(np.array(array))
            kind = nn.Parameter(value, requires_grad=False)
            self.register_parameter(self._holder[name], kind)
        for node in self._nodes:
            self._place(node.path)

    def _place(self, path: str) -> nn.Module:
        found: nn.Module = self
        for part in path.split(".") if path else []:
            if not hasattr(found, part):
                found.add_module(part, _Place())
            found = getattr(found, part)
        return found

    def forward(self, *images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Compute the graph's outputs."""
        values: dict[str, Input] = dict(zip(self._inputs, images, strict=True))
        values.update(self._known)
        values.update({name: getattr(self, held) for name, held in self._holder.items()})
        values[""] = None
        direct = _Place.forward
        for node in self._nodes:
            given = [values[name] for name in node.inputs]
            place = self._place(node.path)
            try:
                made = place(node, given) if place is not self else direct(place, node, given)  # type: ignore[arg-type]
            except (ValueError, KeyError, TypeError, IndexError, RuntimeError) as error:
                raise DefinitionError(
                    f"the node {node.outputs[0]} ({node.kind}) can't be converted: "
                    f"{str(error).splitlines()[0] if str(error) else type(error).__name__}"
                ) from error
            parts = made if isinstance(made, list) else [made]
            values.update(zip(node.outputs, parts, strict=False))
        return tuple(values[name] for name in self._outputs)
