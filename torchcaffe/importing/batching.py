"""Which axis of each value counts the images; and models exported for a fixed number, freed.

A program is run on zeros, as far as its shapes need that, for another number of images than its
example had: where a size then differs, there the images are. A model that was exported for a
fixed number has that number in the sizes of its views, which are rewritten to follow it.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor

from torchcaffe.blobs.blob import Shape
from torchcaffe.errors import DefinitionError
from torchcaffe.importing.program import Batch, Call, Program, Ref, Value, bound, replaced
from torchcaffe.layers.imported.operator import Operator, check_states, find_operator, shape_device

_TIMES = 3  # how many times the images of the example
_EXPECTED = (RuntimeError, ValueError, IndexError, TypeError, NotImplementedError)


def find_batch(program: Program) -> None:
    """Set `program.batch_axes`, and free the program from a fixed number of images.

    A program that can't be freed keeps its number (`is_free` stays false).

    Raises
    ------
    DefinitionError
        It was exported for any number, but does not work for another.
    """
    calls = program.calls
    if not program.is_free:
        program.calls = [new for call in calls for new in _with_free_state(program, call)]
    probe = _Probe(program)
    try:
        for call in program.calls:
            probe.run(call)
    except _EXPECTED as error:
        if program.is_free:
            raise DefinitionError(
                f"{program.name} does not work for {_TIMES * program.batch} images: "
                f"{str(error).splitlines()[0]}"
            ) from error
        program.calls = calls
        return
    program.is_free = True
    program.batch_axes = probe.axes


def _with_free_state(program: Program, call: Call) -> list[Call]:
    """Return a copy of a call; of a recurrent one, before it, the zeros it begins with.

    Exported for a fixed number of images, they are a constant of that size.
    """
    before: list[Call] = []
    call = copy.copy(call)

    def zeros(ref: Ref) -> Ref:
        state = program.constants.get(ref.name)
        if state is None or state.ndim != 3 or bool(state.any()):
            return ref
        name = f"{call.outputs[0]}_state_{len(before)}"
        size = [state.shape[0], Batch(state.shape[1] // program.batch), state.shape[2]]
        operator = find_operator("aten.zeros.default")
        program.values[name] = Value(tuple(state.shape))
        before.append(Call(operator, bound(operator, [size], {}), [name], call.path, call.visit))
        return Ref(name)

    if "hx" in call.arguments:
        call.arguments = {**call.arguments, "hx": replaced(call.arguments["hx"], zeros)}
    return [*before, call]


class _Probe:
    """Runs a program's calls for more images."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.shapes: dict[str, Shape] = {}
        self.axes: dict[str, int] = {}
        self.inner: dict[str, int] = {}  # how many of that axis lie before the images
        for name in program.inputs:
            value = program.values[name]
            self.shapes[name] = (value.shape[0] * _TIMES, *value.shape[1:]) if value.shape else ()
            self._note(name)

    def run(self, call: Call) -> None:
        """Compute the shapes of a call's outputs."""
        if not self.program.is_free:
            self._free(call)
        made = self._made(call)
        for name, shape in zip(call.outputs, made, strict=False):
            if name is not None:
                self.shapes[name] = shape
                self._note(name)
                self._inherit(call, name)

    def _made(self, call: Call) -> list[Shape]:
        """Return the shapes of a call's outputs."""
        values = self.program.values
        seen = {r.name for r in call.refs() if r.name in self.shapes}
        (first, *more) = call.outputs
        keeps = first is not None and not more and not _moves_axes(call.operator)
        if keeps and seen and all(values[n].shape == values[str(first)].shape for n in seen):
            return [self.shapes[seen.pop()]]
        if call.called == "linear":
            rows, weight = (self._shape(call.arguments[name].name) for name in ("input", "weight"))
            return [(*rows[:-1], weight[0])]
        if call.called.startswith("conv") and str(first) in values:
            images = self._shape(call.arguments["input"].name)[0]
            return [(images, *values[str(first)].shape[1:])]
        where = shape_device(str(call.operator))
        arguments = {
            key: replaced(
                _filled(value, _TIMES * self.program.batch), lambda ref: self._zeros(ref, where)
            )
            for key, value in call.arguments.items()
            if not isinstance(value, torch.device)
        }
        check_states(arguments)
        with torch.no_grad():
            made = call.operator(**arguments)
        return [tuple(t.shape) for t in ([made] if isinstance(made, Tensor) else made)]

    def _shape(self, name: str) -> Shape:
        constant = self.program.constants.get(name)
        return self.shapes[name] if constant is None else tuple(constant.shape)

    def _zeros(self, ref: Ref, where: str) -> Tensor:
        if ref.name in self.shapes:
            dtype = self.program.values[ref.name].dtype
            return torch.zeros(self.shapes[ref.name], dtype=dtype, device=where)
        return self.program.constants[ref.name].to(where)

    def _note(self, name: str) -> None:
        before, now = self.program.values[name].shape, self.shapes[name]
        differ = [i for i, (a, b) in enumerate(zip(before, now, strict=True)) if a != b]
        if len(differ) > 1:
            raise ValueError(f"{name} counts the images twice")
        if differ:
            self.axes[name] = differ[0]

    def _inherit(self, call: Call, name: str) -> None:
        if name in self.inner or name not in self.axes:
            return
        size = self.shapes[name][self.axes[name]]
        for ref in call.refs():
            axis = self.axes.get(ref.name)
            if axis is not None and self.shapes[ref.name][axis] == size:
                self.inner[name] = self.inner.get(ref.name, 1)

    # ------------------------------------------------------------ a fixed number of images

    def _free(self, call: Call) -> None:
        """Let the sizes of a view follow the number of images."""
        ref, name = call.arguments.get("self"), str(call.operator)
        if name == "aten.affine_grid_generator.default":
            call.arguments = {**call.arguments, "size": [Batch(), *call.arguments["size"][1:]]}
        if not isinstance(ref, Ref):
            return
        if name == "aten.reshape.default":
            sizes = self._view(call, ref.name, call.arguments["shape"])
            call.arguments = {**call.arguments, "shape": sizes}
        elif name == "aten.expand.default":
            call.arguments = {**call.arguments, "size": self._expanded(ref.name, call)}

    def _view(self, call: Call, bottom: str, sizes: list[Any]) -> list[Any]:
        axis, shape = self.axes.get(bottom), self.program.values[bottom].shape
        if axis is None:
            return sizes
        out = self.program.values[str(call.outputs[0])].shape
        before = math.prod(shape[:axis]) * self.inner.get(bottom, 1)
        place = _place_of_batch(out, before, self.program.batch, axis, len(shape))
        if place is None:
            return sizes
        self.inner[str(call.outputs[0])] = max(before // math.prod(out[:place]), 1)
        return [Batch(n // self.program.batch) if i == place else n for i, n in enumerate(out)]

    def _expanded(self, bottom: str, call: Call) -> list[Any]:
        sizes = list(call.arguments["size"])
        constant = self.program.constants.get(bottom)
        if constant is not None:
            repeats = sizes and sizes[0] in (self.program.batch, -1)
            repeats = repeats and constant.ndim == len(sizes) and len(constant) == 1
            return [Batch(), *sizes[1:]] if repeats else sizes
        axis, shape = self.axes.get(bottom), self.program.values[bottom].shape
        if axis is not None:
            sizes[axis + len(sizes) - len(shape)] = -1
        return sizes


def _moves_axes(operator: Operator) -> bool:
    """Return whether equal shapes may hide that axes changed their places."""
    is_view = any(result.alias_info is not None for result in operator._schema.returns)
    return is_view or str(operator) == "aten.reshape.default"


def _filled(value: Any, images: int) -> Any:
    if isinstance(value, list):
        return [_filled(item, images) for item in value]
    return value.times * images if isinstance(value, Batch) else value


def _place_of_batch(out: Shape, before: int, batch: int, axis: int, axes: int) -> int | None:
    """Return which axis of a view counts the images.

    Parameters
    ----------
    out : tuple of int
        The view's shape for the example.
    before : int
        The product of all that lies before them in memory: 17 in a blob (17, images, 16).
    batch : int
        The images of the example.
    axis, axes : int
        Where the images are in what is viewed, and how many axes that has.
    """
    places, product = [], 1
    for i, size in enumerate(out):
        holds = product <= before and before * batch <= product * size and size % batch == 0
        if holds and before % product == 0:
            places.append((i, product))
        product *= size
    if not places:
        return None
    if len(out) == axes and axis in [i for i, _ in places]:
        return axis
    alone = [i for i, product in places if product == before and out[i] == batch]
    return (alone or [i for i, _ in places])[0]
