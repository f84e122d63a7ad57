"""What is done to a program before it becomes a net: constants computed, idle calls left out."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import torch
from torch import Tensor

from torchcaffe.blobs.blob import checked_shape
from torchcaffe.errors import DefinitionError
from torchcaffe.importing.aliases import without_writing, written_by_inputs
from torchcaffe.importing.batching import find_batch
from torchcaffe.importing.program import Batch, Call, Program, Ref, Value, replaced
from torchcaffe.layers.imported.operator import find_operator

_WHOLE = 2**62  # a slice to here goes to the end
_MAKE_NEW = {"new_zeros", "new_ones", "new_full", "new_empty"}
_HANDS_ON = {
    "alias", "clone", "contiguous", "detach", "lift_fresh_copy", "lift", "positive", "_to_copy",
    "to", "type_as", "expand", "expand_as", "slice", "float",
}  # fmt: skip


def simplify(program: Program) -> None:
    """Rewrite a program in place.

    Afterwards it works for any number of images where that is possible, its numbers are float32
    or whole, no call writes into its argument, what depends on no input is a constant, and every
    call is needed for an output.
    """
    _use_float32(program)
    # first, so that what only writes into constants is done by then
    _fold(program, written_by_inputs(program))
    without_writing(program)
    _use_reshape(program)
    _fold(program)
    _hand_on(program)
    _prune(program)
    find_batch(program)


def _use_float32(program: Program) -> None:
    for name, tensor in program.constants.items():
        if tensor.is_complex() or tensor.is_quantized:
            title = program.titles.get(name, name)
            raise DefinitionError(
                f"the model's {title} holds {tensor.dtype} numbers; float and whole numbers are "
                "accepted: export the model before it is quantised"
            )
        if tensor.is_floating_point():
            program.constants[name] = tensor.to(torch.float32)
    for name, value in program.values.items():
        if value.dtype.is_floating_point:
            program.values[name] = Value(value.shape, torch.float32)
    for call in program.calls:
        call.arguments = {name: _float32(value) for name, value in call.arguments.items()}


def _use_reshape(program: Program) -> None:
    """Call views by the operator that takes tensors however they lie in memory."""
    for call in program.calls:
        if str(call.operator) in ("aten.view.default", "aten._unsafe_view.default"):
            call.operator = find_operator("aten.reshape.default")
            call.arguments["shape"] = call.arguments.pop("size")


def _float32(value: Any) -> Any:
    is_float = isinstance(value, torch.dtype) and value.is_floating_point
    return torch.float32 if is_float else value


def _depends_on_batch(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_depends_on_batch, value))
    return isinstance(value, Batch)


def _follows_batch(program: Program, call: Call) -> bool:
    """Return whether a call repeats parameters for every image."""
    may_repeat = not program.is_free and str(call.operator) == "aten.expand.default"
    return may_repeat or any(map(_depends_on_batch, call.arguments.values()))


def _fold(program: Program, left_out: Container[str] = ()) -> None:
    """Compute the calls that need nothing but constants, of which some don't count as such."""
    kept = []
    for call in program.calls:
        makes_new = call.called in _MAKE_NEW  # of the first argument only the type counts
        names = [ref.name for ref in call.refs()]
        known = makes_new or all(n in program.constants and n not in left_out for n in names)
        if known and not _follows_batch(program, call):
            _compute(program, call)
        else:
            kept.append(call)
    program.calls = kept


def _compute(program: Program, call: Call) -> None:
    for name in filter(None, call.outputs):
        checked_shape(program.values[name].shape, f"a constant ({name})")
    arguments = {
        name: replaced(value, lambda ref: program.constants.get(ref.name, torch.zeros(1)))
        for name, value in call.arguments.items()
    }
    arguments = {k: v for k, v in arguments.items() if not isinstance(v, torch.device)}
    try:
        with torch.no_grad():
            made = call.operator(**arguments)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise DefinitionError(
            f"{call.path or 'the model'}: {call.operator} of parameters can't be computed "
            f"({str(error).splitlines()[0]})"
        ) from error
    parts = [made] if isinstance(made, Tensor) else made
    for output, tensor in zip(call.outputs, parts, strict=False):
        if output is not None:
            found = tensor.to(torch.float32) if tensor.is_floating_point() else tensor
            program.constants[output] = found  # maybe a view: later calls may write through it


def _is_idle(program: Program, call: Call) -> bool:
    """Return whether a call hands its argument on as it is."""
    if str(call.operator).split(".")[1] not in _HANDS_ON:
        return False
    ref, name = call.arguments.get("self"), call.outputs[0]
    if not isinstance(ref, Ref) or name is None or ref.name in program.constants:
        return False
    if "step" in call.arguments and call.arguments["step"] != 1:
        return False
    return program.values[ref.name] == program.values[name]


def _hand_on(program: Program) -> None:
    """Leave out calls that change nothing."""
    same: dict[str, str] = {}
    kept = []
    for call in program.calls:
        call.arguments = {
            key: replaced(value, lambda ref: Ref(same.get(ref.name, ref.name)))
            for key, value in call.arguments.items()
        }
        if _is_idle(program, call):
            same[str(call.outputs[0])] = call.refs()[0].name
        else:
            kept.append(call)
    program.calls = kept
    program.outputs = [same.get(name, name) for name in program.outputs]


def _prune(program: Program) -> None:
    """Leave out calls that no output needs."""
    wanted, kept = set(program.outputs), []
    for call in reversed(program.calls):
        call.outputs = [name if name in wanted else None for name in call.outputs]
        if any(call.outputs):
            kept.append(call)
            wanted.update(ref.name for ref in call.refs())
    program.calls = kept[::-1]
