"""Calls that write into their argument, such as `relu_`, as calls that make a value of its own.

A blob of a net is never overwritten by a later layer, so that every one can be looked at. What
is written into a part of a tensor (`y[:, :4] *= 2`) becomes a new whole tensor, and what else
looked at the old one looks at the new one.
"""

from __future__ import annotations

from typing import Any

from torchcaffe.errors import DefinitionError
from torchcaffe.importing.program import Call, Program, Ref, Value, replaced
from torchcaffe.layers.imported.operator import Operator, find_operator, written_argument

# Views, and what puts a written part back into the whole: with the whole as first argument ...
_SCATTERS = {
    "aten.slice.Tensor": "aten.slice_scatter.default",
    "aten.select.int": "aten.select_scatter.default",
    "aten.diagonal.default": "aten.diagonal_scatter.default",
}
# ... or, where the view shows all of it, by turning it back.
_RESHAPES = {
    f"aten.{name}"
    for name in (
        "view.default", "unflatten.int", "squeeze.default", "squeeze.dim", "squeeze.dims",
        "unsqueeze.default",
    )
}  # fmt: skip
_TURNS = {"aten.transpose.int", "aten.t.default", "aten.alias.default", "aten.detach.default"}
_MAYBE_COPIES = {"contiguous", "reshape", "flatten", "to", "expand", "expand_as"}


def is_view(operator: Operator) -> bool:
    """Return whether what an operator makes lies in the memory of its argument."""
    return any(result.alias_info is not None for result in operator._schema.returns)


def written_by_inputs(program: Program) -> set[str]:
    """Return what is made of constants alone, and views of it, into which inputs are written.

    It is no constant then: what is made of it may come before or after.
    """
    root: dict[str, str] = {}
    written: set[str] = set()
    while True:
        before = len(written)
        known = set(program.constants) - written
        for call in program.calls:
            target = call.arguments.get(written_argument(call.operator) or "self")
            base = root.get(target.name, target.name) if isinstance(target, Ref) else ""
            if base and (is_view(call.operator) or written_argument(call.operator)):
                root.update(dict.fromkeys(filter(None, call.outputs), base))
            names = [ref.name for ref in call.refs()]
            if all(name in known and root.get(name) not in written for name in names):
                known.update(filter(None, call.outputs))
            elif base in known and written_argument(call.operator):
                written.add(base)
        if len(written) == before:
            return written | {name for name, base in root.items() if base in written}


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
        self.program = program
        self.calls: list[Call] = []  # as they are rewritten
        self.newest: dict[str, str] = {}  # name -> the value it stands for by now
        self.views: dict[str, Call] = {}  # name -> the call that made it of another's memory
        self._same = _results_of_writing(program)
        self._last_use: dict[str, int] = {}
        for i, call in enumerate(program.calls):
            self._last_use.update((self.first(ref.name), i) for ref in call.refs())
        self._last_use.update((self.first(name), len(program.calls)) for name in program.outputs)

    def first(self, name: str) -> str:
        """Return the first name of a tensor, of which writing returns others."""
        return self._same.get(name, name)

    def now(self, ref: Ref) -> Ref:
        """Return the value that a tensor has by now."""
        return Ref(self.newest.get(self.first(ref.name), ref.name))

    def add_view(self, call: Call) -> None:
        """Note that what a call makes lies in the memory of its argument."""
        kept = Call(call.operator, dict(call.arguments), list(call.outputs), call.path, call.visit)
        self.views.update(dict.fromkeys(filter(None, call.outputs), kept))

    def _above(self, name: str) -> list[str]:
        """Return what a tensor is a view of, the nearest first."""
        found = []
        while name in self.views:
            name = self.first(self.views[name].arguments["self"].name)
            found.append(name)
        return found

    def overwrite(self, name: str, new: str, at: int) -> None:
        """Let all that lies in the memory of `name` see what is written there.

        Parameters
        ----------
        name : str
            The first name of the tensor that is written into.
        new : str
            The value it has from now on.
        at : int
            Which call that is: what is used no later does not count.
        """
        chain = [name, *self._above(name)]
        used = {n for n in [chain[-1], *self.views] if self._last_use.get(n, -1) > at} - {name}
        used = {n for n in used if n in chain or chain[-1] in self._above(n)}
        self.newest[name] = new
        if not used:
            return
        for part, whole in zip(chain, chain[1:], strict=False):
            self.newest[whole] = new = self._put_back(part, whole, new)
        below = {n for user in used for n in [user, *self._above(user)]} - set(chain)
        for view in [n for n in self.views if n in below]:  # in the order they were made
            self._look_again(view)

    def _append(self, call: Call, like: str) -> str:
        (name,) = call.outputs
        constant = self.program.constants.get(like)
        self.program.values[str(name)] = (
            self.program.values[like]
            if constant is None
            else Value(tuple(constant.shape), constant.dtype)
        )
        self.calls.append(call)
        return str(name)

    def _fresh(self, name: str) -> str:
        number = 1
        while f"{name}_written_{number}" in self.program.values:
            number += 1
        return f"{name}_written_{number}"

    def _put_back(self, part: str, whole: str, new: str) -> str:
        """Return the whole in which the part is `new`."""
        view = self.views[part]
        if view.called == "slice" and self._shape(part) == self._shape(whole):
            return new
        operator, arguments = self._inverse(view, whole, new)
        names: list[str | None] = [self._fresh(whole)]
        made = Call(find_operator(operator), arguments, names, view.path, view.visit)
        return self._append(made, whole)

    def _inverse(self, view: Call, whole: str, new: str) -> tuple[str, dict[str, Any]]:
        name, given = str(view.operator), view.arguments
        if name in _SCATTERS:
            rest = {key: value for key, value in given.items() if key != "self"}
            return _SCATTERS[name], {"self": self.now(Ref(whole)), "src": Ref(new), **rest}
        if name in _RESHAPES:
            return "aten.reshape.default", {"self": Ref(new), "shape": self._shape(whole)}
        if name in _TURNS:
            return name, {**given, "self": Ref(new)}
        if name == "aten.permute.default":
            axes = [axis % len(given["dims"]) for axis in given["dims"]]
            return name, {"self": Ref(new), "dims": sorted(range(len(axes)), key=axes.__getitem__)}
        raise self._refusal(view)

    def _shape(self, name: str) -> list[int]:
        if name in self.program.constants:
            return list(self.program.constants[name].shape)
        first, *rest = [*self.program.values[name].shape] or [1]
        return [-1 if self.program.is_free else first, *rest]

    def _refusal(self, view: Call) -> DefinitionError:
        return DefinitionError(
            f"{view.path or 'the model'} changes a tensor in place of which another is a view "
            f"(by {view.called}) that is used later; write it without changing a part in place"
        )

    def _look_again(self, view: str) -> None:
        call = self.views[view]
        if call.called in _MAYBE_COPIES:
            raise self._refusal(call)
        names = [self._fresh(output) if output == view else None for output in call.outputs]
        arguments = {**call.arguments, "self": self.now(call.arguments["self"])}
        (made,) = filter(None, names)
        self.program.values[made] = self.program.values[view]
        self.calls.append(Call(call.operator, arguments, list(names), call.path, call.visit))
        self.newest[view] = made


def _results_of_writing(program: Program) -> dict[str, str]:
    """Return for what writing returns the tensor that it is: the one written into."""
    same: dict[str, str] = {}
    for call in program.calls:
        target = call.arguments.get(written_argument(call.operator) or "")
        if isinstance(target, Ref):
            first = same.get(target.name, target.name)
            same.update(dict.fromkeys(filter(None, call.outputs[:1]), first))
    return same


def without_writing(program: Program) -> None:
    """Rewrite a program's calls so that none writes into its argument.

    Raises
    ------
    DefinitionError
        A part of a tensor is changed in place that can't be put back into the whole.
    """
    memories = _Memories(program)
    for i, call in enumerate(program.calls):
        target = written_argument(call.operator)
        base = call.arguments.get(target or "self")
        if target is None and isinstance(base, Ref) and is_view(call.operator):
            memories.add_view(call)
        call.arguments = {k: replaced(v, memories.now) for k, v in call.arguments.items()}
        memories.calls.append(call)
        if target is not None:
            call.operator = _pure(call)
            names = [argument.name for argument in call.operator._schema.arguments]
            call.arguments = dict(zip(names, call.arguments.values(), strict=False))
            if str(call.operator) == "aten.copy.default":  # it has no derivative
                call.operator = find_operator("aten.expand_as.default")
                source, whole = call.arguments["src"], call.arguments["self"]
                call.arguments = {"self": source, "other": whole}
            if isinstance(base, Ref) and call.outputs[0] is not None:
                memories.overwrite(memories.first(base.name), call.outputs[0], i)
    program.calls = memories.calls
    program.outputs = [memories.now(Ref(name)).name for name in program.outputs]
