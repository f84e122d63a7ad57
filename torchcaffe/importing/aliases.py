"""Calls that write into their argument, such as `relu_`, as calls that make a value of its own.

A blob of a net is never overwritten by a later layer, so that every one can be looked at.
"""

from __future__ import annotations

from torchcaffe.errors import DefinitionError
from torchcaffe.importing.program import Call, Program, Ref, replaced
from torchcaffe.layers.imported.operator import Operator, find_operator, written_argument


def _is_view(operator: Operator) -> bool:
    return any(result.alias_info is not None for result in operator._schema.returns)


def _pure(call: Call) -> Operator:
    """Return the operator that computes the same without writing into its argument."""
    _, name, overload = str(call.operator).split(".")
    try:
        found = find_operator(f"aten.{name.removesuffix('_')}.{overload}")
    except DefinitionError:
        found = call.operator
    if written_argument(found) is not None:
        raise DefinitionError(
            f"{call.path or 'the model'} calls {name}, which changes a tensor in place and has no "
            "form without that; write the result to a tensor of its own"
        )
    return found


class _Memories:
    """Which names stand for one value, and which values lie in one memory."""

    def __init__(self, program: Program) -> None:
        self.newest: dict[str, str] = {}  # name -> the value it stands for by now
        self.family: dict[str, set[str]] = {}  # name -> names in the same memory
        self.last_use = {
            ref.name: i for i, call in enumerate(program.calls) for ref in call.refs()
        } | dict.fromkeys(program.outputs, len(program.calls))

    def now(self, ref: Ref) -> Ref:
        return Ref(self.newest.get(ref.name, ref.name))

    def join(self, base: str, name: str) -> None:
        """Note that `name` is a view of `base`."""
        family = self.family.setdefault(base, {base})
        family.add(name)
        self.family[name] = family

    def overwrite(self, name: str, new: str, at: int, path: str) -> None:
        """Let all that stood for the old value stand for the new one."""
        old = self.newest.get(name, name)
        same = {n for n in [*self.newest, old] if self.newest.get(n, n) == old} | {name}
        views = self.family.get(name, set()) - same
        used = [view for view in views if self.last_use.get(view, -1) > at]
        if used:
            raise DefinitionError(
                f"{path or 'the model'} changes a tensor in place of which another is a view "
                f"({used[0]}) that is used later; write it without changing a part in place"
            )
        self.newest.update(dict.fromkeys(same, new))
        for member in same:
            self.join(member, new)


def without_writing(program: Program) -> None:
    """Rewrite a program's calls so that none writes into its argument.

    Raises
    ------
    DefinitionError
        A part of a tensor is changed in place and used as a whole afterwards.
    """
    memories = _Memories(program)
    for i, call in enumerate(program.calls):
        target = written_argument(call.operator)
        base = call.arguments.get(target or "self")
        old = base.name if isinstance(base, Ref) else None
        call.arguments = {k: replaced(v, memories.now) for k, v in call.arguments.items()}
        if target is not None:
            call.operator = _pure(call)
            names = [argument.name for argument in call.operator._schema.arguments]
            call.arguments = dict(zip(names, call.arguments.values(), strict=False))
            if old is not None and call.outputs[0] is not None:
                memories.overwrite(old, call.outputs[0], i, call.path)
        elif old is not None and _is_view(call.operator):
            for name in filter(None, call.outputs):
                memories.join(old, name)
    program.outputs = [memories.newest.get(name, name) for name in program.outputs]
