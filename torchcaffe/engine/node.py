"""A layer in its place in a net, and what its errors look like."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

import torch
from torch import Tensor

from torchcaffe.blobs.blob import Blob, Shape
from torchcaffe.engine.backward_rules import Rule
from torchcaffe.errors import CaffeError, DefinitionError, LayerError
from torchcaffe.layers import Layer

_EXPECTED = (RuntimeError, ValueError, LookupError, TypeError, ArithmeticError, MemoryError)


class explained:
    """Context in which whatever a layer fails with becomes one sentence that names it.

    Errors of a Python layer are the user's own and pass through, as in pycaffe.
    """

    def __init__(self, layer: Layer, bottoms: list[Blob] | list[Shape]) -> None:
        self.layer, self.bottoms = layer, bottoms

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not isinstance(error, _EXPECTED) or isinstance(error, CaffeError):
            return
        if self.layer.type == "Python":
            return
        shapes = [b.dims if isinstance(b, Blob) else b for b in self.bottoms]
        reason = str(error).split("\n", 1)[0] or type(error).__name__
        raise LayerError(
            f"layer {self.layer.name!r} ({self.layer.param.type}) can't work on bottoms of the "
            f"shapes {shapes}: {reason}"
        ) from error


def _pointer(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _storages(tensors: list[Tensor]) -> set[int]:
    return {_pointer(tensor) for tensor in tensors}


def _own(value: Tensor, taken: set[int]) -> Tensor:
    """Return `value` in memory that no blob in `taken` has, and take that memory.

    Layers may hand on a tensor, or views of one: as blobs, writing one would change others.
    """
    pointer = _pointer(value)
    if pointer in taken:
        return value.clone(memory_format=torch.contiguous_format)
    taken.add(pointer)
    return value


def _set_diff(blob: Blob, diff: Tensor, owners: dict[int, Blob]) -> None:
    """Let `blob` have a diff that may be (a part of) another's: both then only read it."""
    pointer = _pointer(diff)
    owner = owners.get(pointer)
    if owner is None:
        owners[pointer] = blob
        blob.set_diff(diff)
    elif owner.lend_diff():
        blob.set_diff(diff)
        blob.lend_diff()
    else:
        blob.set_diff(diff.clone(memory_format=torch.contiguous_format))


class Node:
    """A layer in its place in the net, with its bottom and top blobs."""

    def __init__(self, layer: Layer, bottoms: list[Blob], tops: list[Blob]) -> None:
        self.layer, self.bottoms, self.tops = layer, bottoms, tops
        self.seen: list[Shape] = []
        self.saved: list[Tensor] | None = None
        self.recall: Callable[[], list[Tensor]] | None = None  # makes them where none is saved
        param = layer.param
        self.in_place = bool(tops) and bool(bottoms) and tops[0] is bottoms[0]
        self.learns = [True] * len(layer.blobs)
        for i, spec in enumerate(param.param[: len(layer.blobs)]):
            self.learns[i] = spec.lr_mult != 0
        # Which bottoms' diffs Caffe computes, and which the definition does not refuse.
        self.needs = [False] * len(bottoms)
        self.given = [True] * len(bottoms)
        self.is_aliased = False  # run in place on memory that a view above it shares

    def set_needs(self, needed: set[str], forced: bool) -> None:
        """Learn which diffs Caffe would compute here.

        Parameters
        ----------
        needed : set of str
            The blobs that need a diff, of the layers below; this one's tops are added.
        forced : bool
            `force_backward: true`, which wants all.
        """
        param = self.layer.param
        self.needs = [name in needed for name in param.bottom]
        for i, wanted in enumerate(param.propagate_down[: len(self.needs)]):
            self.needs[i] = self.given[i] = wanted
        if forced:
            self.needs = self.given = [True] * len(self.bottoms)
            self.learns = [True] * len(self.learns)
        if any(self.needs) or any(self.learns):
            needed.update(param.top)

    def loss_weights(self) -> list[float]:
        """Return what each top counts in the loss."""
        layer, given = self.layer, list(self.layer.param.loss_weight)
        if len(given) not in (0, len(self.tops)):
            raise DefinitionError(
                f"layer {layer.name!r} ({layer.param.type}) has {len(given)} loss_weight for "
                f"{len(self.tops)} top(s); none or one for each is accepted"
            )
        return given or [layer.default_loss_weight, *[0.0] * len(self.tops)][: len(self.tops)]

    def inputs(self) -> list[Tensor]:
        """Return the bottoms' values as the layer saw them."""
        if self.saved is None and self.recall is not None:
            return self.recall()
        return self.saved if self.saved is not None else [blob.tensor for blob in self.bottoms]

    def reshape(self) -> None:
        """Bring the tops to the shapes that the bottoms' now give."""
        shapes = [blob.dims for blob in self.bottoms]
        if self.layer.is_input or (shapes == self.seen and not self.layer.works_on_blobs):
            return
        for blob, shape in zip(self.tops, self.layer.reshape(shapes), strict=True):
            blob.reshape(*shape)
        self.seen = shapes

    def forward(self) -> None:
        """Compute the tops."""
        with explained(self.layer, self.bottoms):
            self._forward()

    def _forward(self) -> None:
        self.reshape()
        if self.layer.works_on_blobs:
            self.layer.run()
            return
        inputs = [blob.tensor for blob in self.bottoms]
        if self.in_place:
            self._forward_in_place(inputs)
            return
        values, taken = self.layer.forward(inputs), _storages(inputs)
        for blob, value in zip(self.tops, values, strict=False):
            blob.set_tensor(value if self.layer.shares_memory else _own(value, taken))
        if self.layer.type == "Split":
            for blob in self.tops:
                blob.share_data(self.bottoms[0])

    def _forward_in_place(self, inputs: list[Tensor]) -> None:
        shared = self.is_aliased or self.bottoms[0].is_held()
        if self.layer.saves_input:
            self.saved = [inputs[0].clone() if shared else inputs[0], *inputs[1:]]
        elif self.layer.forward_in_place(inputs[0]) is not None:
            return
        values = self.layer.forward(inputs)
        if shared:
            inputs[0].copy_(values[0])
        else:
            self.tops[0].set_tensor(values[0])
        for blob, value in zip(self.tops[1:], values[1:], strict=True):
            blob.set_tensor(value)

    def backward(self, rule: Rule, *, params: bool) -> None:
        """Set the bottoms' diffs from the tops', and add to the parameters' if asked."""
        with explained(self.layer, self.bottoms):
            self._backward(rule, params=params)

    def _backward(self, rule: Rule, *, params: bool) -> None:
        if not self.bottoms and not (params and self.layer.blobs):
            return
        if self.layer.works_on_blobs:
            # Ours also goes where Caffe would not at all: diffs always reach the inputs.
            caffes = params and any(self.needs)
            self.layer.run_backward(self.needs if caffes else [True] * len(self.bottoms))
            return
        inputs = self.inputs()
        tops = [blob.tensor for blob in self.tops]
        sources = self._sources_of_diffs()
        top_diffs = [blob.diff_tensor for blob in sources]
        if params and any(self.learns):
            news = self.layer.param_diffs(top_diffs, inputs, tops)
            for blob, new, learns in zip(self.layer.blobs, news, self.learns, strict=True):
                if new is not None and learns:
                    blob.add_to_diff(new)
        if not self.bottoms:
            return
        if self.in_place and self._overwrites_diff(rule, inputs):
            return
        diffs = rule.bottom_diffs(self.layer, top_diffs, inputs, tops)
        owners = {_pointer(diff): blob for diff, blob in zip(top_diffs, sources, strict=True)}
        for blob, diff, wanted in zip(self.bottoms, diffs, self.given, strict=True):
            if diff is not None and (wanted or not params):
                _set_diff(blob, diff, owners)

    def _sources_of_diffs(self) -> list[Blob]:
        """Return the tops; of a Split those alone whose diffs are not zeros, which it adds up."""
        if self.layer.type != "Split":
            return self.tops
        return [blob for blob in self.tops if blob.has_diff()] or self.tops[:1]

    def _overwrites_diff(self, rule: Rule, inputs: list[Tensor]) -> bool:
        """Turn the one blob's diff into the bottom's in its own memory, where that is possible."""
        (blob,) = self.tops[:1]
        if len(self.tops) + len(self.bottoms) > 2 or not self.given[0] or not blob.owns_diff():
            return False
        return rule.overwrite(self.layer, blob.diff_tensor, inputs[0])
