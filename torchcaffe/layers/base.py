"""The base of all layers, and the registry from prototxt types to classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from torchcaffe.blobs.blob import Blob, Shape, checked_shape
from torchcaffe.blobs.fillers import make_filler
from torchcaffe.errors import DefinitionError, ShapeError
from torchcaffe.proto.caffe_pb2 import TEST, FillerParameter, LayerParameter

LAYERS: dict[str, type[Layer]] = {}
C = TypeVar("C", bound="type[Layer]")
Span = tuple[int, int]  # first and last position
Diffs = Sequence[Tensor | None]  # None: no diff goes there


def layer(*types: str) -> Callable[[C], C]:
    """Register a layer class under its prototxt type(s), also one of a user's own."""

    def register(cls: C) -> C:
        for name in types:
            LAYERS[name] = cls
        cls.type = types[0]
        return cls

    return register


class Layer:
    """One layer of a net.

    A plain layer defines `reshape` (the shapes of its tops) and `compute` (tops from bottoms
    and parameters); its backward pass then is PyTorch's derivative of `compute`. A layer
    whose derivative Caffe defines otherwise, or whose speed matters, defines `backward` too.

    Attributes
    ----------
    blobs : list of Blob
        The parameters.
    bottoms, tops : (int, int or None)
        Class attributes: the least and most bottoms and tops (None: any number).
    shares_memory : bool
        Class attribute: tops are views of the bottoms, as with Caffe's ShareData.
    works_on_blobs : bool
        Class attribute: `run` and `run_backward` take the place of `forward` and `backward`,
        on the blobs that `attach` was given.
    is_input : bool
        Class attribute: tops are filled by the user, and keep the shapes given there.
    saves_input : bool
        `backward` needs the input, also when run in place.
    may_leave_top_out : bool
        Class attribute: a definition may name no top; there is one nevertheless.
    is_followed : bool
        `field` says what the layer sees; else it is taken to see everything. `why_not` says it
        in words.
    """

    type: ClassVar[str] = ""
    bottoms: ClassVar[tuple[int, int | None]] = (1, 1)
    tops: ClassVar[tuple[int, int | None]] = (1, 1)
    shares_memory: ClassVar[bool] = False
    works_on_blobs: ClassVar[bool] = False
    is_input: ClassVar[bool] = False
    saves_input: bool = True
    is_followed: bool = True
    why_not: str = ""
    default_loss_weight: ClassVar[float] = 0.0
    may_leave_top_out: ClassVar[bool] = False

    def __init__(self, param: LayerParameter, phase: int = TEST) -> None:
        self.param = param
        self.name = param.name
        self.phase = phase
        self.blobs: list[Blob] = []

    # ------------------------------------------------------------ what a layer defines

    def attach(self, bottoms: list[Blob], tops: list[Blob]) -> None:
        """Take the blobs of the layer's place in the net; called once, before `setup`."""

    def setup(self, shapes: list[Shape]) -> None:
        """Read the settings and create the parameters for bottoms of these shapes."""

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        """Return the tops' shapes; raise ShapeError where the bottoms do not fit."""
        return [shapes[0]]

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        """Return the tops; pure, without writing into its arguments."""
        raise NotImplementedError(f"{type(self).__name__} defines no compute")

    def forward(self, bottoms: list[Tensor]) -> list[Tensor]:
        """Return the tops for these bottoms and the layer's parameters."""
        return self.compute(bottoms, [blob.tensor for blob in self.blobs])

    def run(self) -> None:
        """Fill the tops' data, where the layer works on blobs."""
        raise NotImplementedError(f"{type(self).__name__} defines no run")

    def run_backward(self, propagate_down: list[bool]) -> None:
        """Fill the diffs of those bottoms that want it, where the layer works on blobs."""
        raise NotImplementedError(f"{type(self).__name__} defines no run_backward")

    def forward_in_place(self, bottom: Tensor) -> Tensor | None:
        """Overwrite the bottom and return it, or return None where that is not possible."""
        return None

    def backward(self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]) -> Diffs:
        """Return the bottoms' diffs (None: this bottom has none, as a label)."""
        return self._derivative(top_diffs, bottoms, wrt_params=False)

    def backward_in_place(self, diff: Tensor, bottom: Tensor) -> bool:
        """Turn the top's diff into the bottom's in its place; False where that is not possible."""
        return False

    def param_diffs(
        self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]
    ) -> Diffs:
        """Return what this pass adds to the parameters' diffs."""
        return self._derivative(top_diffs, bottoms, wrt_params=True) if self.blobs else []

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        """Return which positions of a bottom the top's `span` (first, last) depends on.

        `axis` is 0 for rows, 1 for columns; `shapes` are the bottoms'. None: all of them; a
        span that ends before it begins: none. Asked only of tops and bottoms of four axes.
        The default is that of a layer that works point by point.
        """
        return span if len(shapes[bottom]) == 4 else None

    def connects(self, top: int, bottom: int) -> bool:
        """Return whether a top's values depend on a bottom's (both by their numbers)."""
        return True

    # ------------------------------------------------------------ helpers for layers

    def _derivative(
        self, top_diffs: list[Tensor], bottoms: list[Tensor], *, wrt_params: bool
    ) -> Diffs:
        with torch.enable_grad():
            params = [blob.tensor.detach() for blob in self.blobs]
            inputs = [bottom.detach() for bottom in bottoms]
            wanted = [t.requires_grad_() for t in (params if wrt_params else inputs)]
            tops = self.compute(inputs, params)
            pairs = [(t, d) for t, d in zip(tops, top_diffs, strict=True) if t.requires_grad]
            if not pairs:
                return [None] * len(wanted)
            outs, diffs = zip(*pairs, strict=True)
            return list(torch.autograd.grad(outs, wanted, diffs, allow_unused=True))

    def add_param(self, shape: Sequence[int], filler: FillerParameter) -> Blob:
        """Create a parameter with its filler (run only if no weights are loaded)."""
        dims = checked_shape(shape, f"layer {self.name!r}: parameter {len(self.blobs)}")
        blob = Blob(dims, make_filler(filler, self.name))
        self.blobs.append(blob)
        return blob

    def axis(self, value: int, shape: Shape, what: str = "axis", *, extra: int = 0) -> int:
        """Return the axis as 0 or more; `extra` allows that many past the last."""
        n = len(shape) + extra
        if not -n <= value < n:
            raise self.shape_error(f"{what} {value} is outside a bottom of {len(shape)} axes")
        return value % n if n else 0

    def shape_error(self, reason: str) -> ShapeError:
        """Build a ShapeError that names this layer."""
        return ShapeError(f"layer {self.name!r} ({self.param.type}): {reason}")

    def error(self, reason: str) -> DefinitionError:
        """Build a DefinitionError that names this layer."""
        return DefinitionError(f"layer {self.name!r} ({self.param.type}): {reason}")

    def need_axes(self, shape: Shape, least: int, most: int | None = None) -> None:
        """Refuse a bottom with too few or too many axes."""
        if len(shape) < least or (most is not None and len(shape) > most):
            accepted = f"{least}" if most == least else f"{least} or more"
            raise self.shape_error(f"its bottom has the shape {shape}; {accepted} axes are needed")

    def need_same(self, shapes: list[Shape]) -> None:
        """Refuse bottoms of different shapes."""
        if any(shape != shapes[0] for shape in shapes):
            raise self.shape_error(f"its bottoms must have one shape, not {shapes}")


def layer_class(param: LayerParameter) -> type[Layer] | None:
    """Return the class of a layer message; None where its type is unknown.

    Forks read their training data by layers of their own (`VideoData`, `ImageSegData`, ...);
    they count as the known ones do.
    """
    reads_files = param.type.endswith("Data") and not param.bottom
    return LAYERS.get(param.type) or (LAYERS["Data"] if reads_files else None)


def create(param: LayerParameter, phase: int) -> Layer:
    """Return the layer object for a layer message.

    Raises
    ------
    DefinitionError
        The type is unknown; the sentence lists the known ones and how to add one.
    """
    cls = layer_class(param)
    if cls is None:
        raise DefinitionError(
            f"layer {param.name!r} has the unknown type {param.type!r}; known are "
            f"{', '.join(sorted(LAYERS))}; register your own with "
            f'@torchcaffe.layer("{param.type}") on a torchcaffe.Layer class'
        )
    _check_count(cls.bottoms, len(param.bottom), "bottom", param)
    _check_count(cls.tops, len(param.top), "top", param)
    return cls(param, phase)


def _check_count(
    allowed: tuple[int, int | None], count: int, what: str, param: LayerParameter
) -> None:
    least, most = allowed
    if count >= least and (most is None or count <= most):
        return
    wants = f"{least}" if most == least else f"{least} to {most}" if most else f"{least} or more"
    raise DefinitionError(
        f"layer {param.name!r} ({param.type}) has {count} {what}(s); it takes {wants}"
    )


def spatial(param: Any, name: str, axes: int, default: int, owner: Layer) -> tuple[int, ...]:
    """Return kernel, stride, pad or dilation for every spatial axis.

    Reads the repeated field (one value, or one an axis) or, for two axes, `<name>_h/_w`.
    """
    short = name.removesuffix("_size")
    has_hw = f"{short}_h" in param.DESCRIPTOR.fields_by_name
    if has_hw and (param.HasField(f"{short}_h") or param.HasField(f"{short}_w")):
        if axes != 2:
            raise owner.error(f"{short}_h and {short}_w are for 2 spatial axes, here are {axes}")
        return (getattr(param, f"{short}_h"), getattr(param, f"{short}_w"))
    values = getattr(param, name)
    listed = [values] if isinstance(values, int) else list(values)
    if not listed:
        listed = [default]
    if len(listed) not in (1, axes):
        raise owner.error(f"{name} is given {len(listed)} times; once or {axes} times is accepted")
    return tuple(listed * axes if len(listed) == 1 else listed)
