"""From a module to a `Program`, by torch.export."""

from __future__ import annotations

import copy
import inspect
import io
import logging
import operator as python_operators
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from torchcaffe.errors import DefinitionError
from torchcaffe.importing.program import (
    WRAPPERS,
    Call,
    Program,
    Ref,
    Value,
    bound,
    renamed,
    size_of,
)
from torchcaffe.layers.imported.operator import Operator, find_operator

Shapes = Sequence[Sequence[int]]
EXAMPLE_BATCH = 2  # torch.export takes sizes 0 and 1 for fixed
_CHECKS = ("_assert", "sym_constrain", "_local_scalar")


def in_float32(module: nn.Module) -> nn.Module:
    """Return the module, or a copy whose half and double parameters and buffers are float32."""
    kinds = {t.dtype for t in [*module.parameters(), *module.buffers()] if t.is_floating_point()}
    return module if kinds <= {torch.float32} else copy.deepcopy(module).float()


def export_module(module: nn.Module, shapes: Shapes, images: int | None = None) -> ExportedProgram:
    """Export a module in testing mode for any number of images, or for one where it must.

    Parameters
    ----------
    module : torch.nn.Module
        Put back into its mode afterwards.
    shapes : sequence of tuple of int
        Of one image of each input.
    images : int, optional
        For so many only.

    Raises
    ------
    DefinitionError
        torch.export refuses it; the sentence says what it said.
    """
    scripted = [
        p or "it" for p, m in module.named_modules() if isinstance(m, torch.jit.ScriptModule)
    ]
    if scripted:
        raise DefinitionError(
            f"{type(module).__name__} can't be exported: {scripted[0]} is TorchScript; put the "
            "module there of which that was made"
        )
    was_training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        return _exported(module, shapes, (EXAMPLE_BATCH, 1) if images is None else (images,))
    finally:
        for part in was_training:
            part.training = True


def _exported(module: nn.Module, shapes: Shapes, batches: Sequence[int]) -> ExportedProgram:
    first = next(module.parameters(), None)
    where = first.device if first is not None else None
    failure: Exception | None = None
    for batch in batches:
        images = tuple(torch.zeros(batch, *shape, device=where) for shape in shapes)
        free = _free_batch(module, len(images)) if len(batches) > 1 and batch > 1 else None
        try:
            with torch.no_grad(), _quiet():
                return torch.export.export(module, images, dynamic_shapes=free, strict=False)
        except Exception as error:  # noqa: BLE001 (it runs the user's code: anything may come)
            failure = failure or error
    raise DefinitionError(
        f"{type(module).__name__} can't be exported with input of {_said(shapes)}: torch.export "
        f"says {_reason(failure)}"
    ) from failure


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torch.export logs and prints on its way off the terminal: the error says it."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.ERROR))  # a traceback, for shapes that do not fit
    try:
        with (
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _free_batch(module: nn.Module, count: int) -> tuple[Any, ...]:
    """Say to torch.export that the number of images may vary, in the form of `forward`."""
    axes = tuple({0: torch.export.Dim.AUTO} for _ in range(count))
    kinds = [p.kind for p in inspect.signature(module.forward).parameters.values()]
    return (axes,) if kinds[:1] == [inspect.Parameter.VAR_POSITIONAL] else axes


def _said(shapes: Shapes) -> str:
    return " and ".join("(N, " + ", ".join(map(str, shape)) + ")" for shape in shapes)


def _reason(error: Exception | None) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(".")


def read_exported(exported: ExportedProgram, name: str) -> Program:
    """Read an exported program.

    Raises
    ------
    DefinitionError
        It calls what is no operator of ATen, or an input is no tensor.
    """
    program = Program(name)
    tensors = {**exported.state_dict, **exported.constants}
    nodes = {node.name: node for node in exported.graph.nodes}
    for spec in exported.graph_signature.input_specs:
        value = spec.arg.name
        if spec.kind == InputKind.USER_INPUT:
            if not isinstance(nodes[value].meta.get("val"), Tensor):
                raise DefinitionError(f"{name}: its input {value} is no tensor; that is refused")
            program.inputs.append(value)
        else:
            program.constants[value] = tensors[spec.target].detach().clone()
            program.titles[value] = str(spec.target)
    _Reader(program).read(list(exported.graph.nodes))
    return program


class _Reader:
    """Reads the nodes of an exported graph into a program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._names: dict[torch.fx.Node, str] = {}  # of nodes in graphs within the graph

    def _name(self, node: torch.fx.Node) -> str:
        return self._names.get(node, node.name)

    def read(self, nodes: list[torch.fx.Node]) -> None:
        first = next((n for n in nodes if n.name in self.program.inputs), None)
        sizes = first.meta["val"].shape if first else ()
        if sizes:
            self.program.batch = self._hint(sizes[0])
            self.program.is_free = _varies(sizes[0])
        for node in nodes:
            self._note(node)
            if node.op == "output":
                self.program.outputs = [n.name for n in node.all_input_nodes]
            elif node.op == "call_function":
                self._call(node)

    def _hint(self, size: Any) -> int:
        return int(size.node.hint if isinstance(size, torch.SymInt) else size)

    def _note(self, node: torch.fx.Node) -> None:
        found = node.meta.get("val")
        if isinstance(found, Tensor):
            shape = tuple(map(self._hint, found.shape))
            self.program.values[self._name(node)] = Value(shape, found.dtype)

    def _call(self, node: torch.fx.Node) -> None:
        target, found = node.target, node.meta.get("val")
        if target is python_operators.getitem or isinstance(found, torch.SymInt | torch.SymFloat):
            return  # noted with what makes it; sizes are read off where they are used
        if str(target) in WRAPPERS or f"higher_order.{target}" in WRAPPERS:
            self._inner(node)
            return
        if not isinstance(target, Operator):
            find_operator(str(target))
        if str(target).split(".")[1].startswith(_CHECKS) or found is None:
            return
        operator = find_operator(str(target))
        args = [self._argument(value) for value in node.args]
        kwargs = {key: self._argument(value) for key, value in node.kwargs.items()}
        path, visit = _module_of(node)
        outputs = self._outputs(node)
        self.program.calls.append(
            Call(operator, bound(operator, args, kwargs), outputs, path, visit)
        )

    def _inner(self, node: torch.fx.Node) -> None:
        """Read the graph within a node as if its calls stood in the node's place."""
        at, place = next(
            (i, arg)
            for i, arg in enumerate(node.args)
            if isinstance(arg, torch.fx.Node) and arg.op == "get_attr"
        )
        inner = list(getattr(node.graph.owning_module, str(place.target)).graph.nodes)
        outer = iter(node.args[at + 1 :])
        for part in inner:
            given = next(outer) if part.op == "placeholder" else None
            name = f"{self._name(node)}.{part.name}"
            self._names[part] = self._name(given) if isinstance(given, torch.fx.Node) else name
        for part in inner:
            if part.op == "call_function":
                self._note(part)
                self._call(part)
        made = inner[-1].args[0]
        for outer_name, own in zip(self._outputs(node), made, strict=False):
            if outer_name is not None:
                self.program.calls.append(renamed(self._name(own), outer_name))

    def _outputs(self, node: torch.fx.Node) -> list[str | None]:
        if isinstance(node.meta["val"], Tensor):
            return [self._name(node)]
        parts: dict[Any, str] = {user.args[1]: self._name(user) for user in node.users}
        return [parts.get(i) for i in range(len(node.meta["val"]))]

    def _argument(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [self._argument(item) for item in value]
        if not isinstance(value, torch.fx.Node):
            return value
        found = value.meta.get("val")
        if isinstance(found, Tensor):
            return Ref(self._name(value))
        return self._size(found, value.name)

    def _size(self, found: Any, name: str) -> Any:
        if not _varies(found):
            return self._hint(found) if isinstance(found, torch.SymInt) else found
        return size_of(self._hint(found), self.program.batch, name)


def _varies(size: Any) -> bool:
    """Return whether a size depends on the input; a symbol may stand for a fixed number."""
    return isinstance(size, torch.SymInt) and not size.node.expr.is_number


def _module_of(node: torch.fx.Node) -> tuple[str, str]:
    stack = list((node.meta.get("nn_module_stack") or {}).items())
    return (stack[-1][1][0], stack[-1][0]) if stack else ("", "")
