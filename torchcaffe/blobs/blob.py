"""Blobs: named N-dimensional float32 arrays with data and diff, as Caffe's.

Inside the engine a blob is a tensor; outside it is a writable NumPy array. On the CPU the
array *is* the tensor's memory, and as long as somebody holds such an array later passes
write into that memory, so that the array stays live as in Caffe; while nobody does, a pass
may just put a new tensor in its place. On other devices the array is a host copy that is
carried back when the engine next needs it, like Caffe's synchronised memory.
"""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchcaffe.errors import KindError, ShapeError
from torchcaffe.process import device

Shape = tuple[int, ...]
MAX_BLOB_BYTES = 4 << 30
MAX_NET_BYTES = 16 << 30
MAX_DERIVED = 16  # times a memory's size: convolutions' layouts depend on the size of the input

_deriving = threading.Lock()  # nets on several threads may share their parameters
if hasattr(os, "register_at_fork"):  # a forked process must not find it locked
    os.register_at_fork(
        before=_deriving.acquire,
        after_in_parent=_deriving.release,
        after_in_child=_deriving.release,
    )


def checked_shape(shape: Sequence[int], what: str) -> Shape:
    """Return `shape` as a tuple; refuse negative sizes and more memory than the limit."""
    out = tuple(int(size) for size in shape)
    if len(out) > 32 or any(size < 0 for size in out):
        raise ShapeError(f"{what} would have the shape {out}; sizes of 0 or more are accepted")
    if 4 * math.prod(out) > MAX_BLOB_BYTES:
        raise ShapeError(
            f"{what} would have the shape {out} and take {4 * math.prod(out) / 2**30:.1f} GiB; "
            f"{MAX_BLOB_BYTES / 2**30:.1f} GiB are accepted (torchcaffe.blobs.blob.MAX_BLOB_BYTES)"
        )
    return out


def check_total(values: int, what: str) -> None:
    """Refuse a net whose blobs and parameters together hold more than the limit."""
    if 4 * values > MAX_NET_BYTES:
        raise ShapeError(
            f"with {what} the net's blobs take {4 * values / 2**30:.1f} GiB; "
            f"{MAX_NET_BYTES / 2**30:.1f} GiB are accepted (torchcaffe.blobs.blob.MAX_NET_BYTES)"
        )


def is_channels_last(tensor: Tensor) -> bool:
    """Return whether channels lie side by side in memory, as convolutions leave them."""
    return tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)


class Memory:
    """One tensor that may be shared by blobs, with the NumPy arrays given out of it."""

    __slots__ = (
        "_derived", "_derived_from", "_given", "_host", "_make", "_room", "_tensor", "_whole",
        "is_lent", "is_viewed", "shape", "version",
    )  # fmt: skip

    def __init__(self, shape: Shape, make: Callable[[Shape], Tensor] | None = None) -> None:
        self.shape = shape
        self.version = 0  # counts the occasions on which the content may have changed
        self.is_viewed = False  # another memory is a view of this one's tensor, or the reverse
        self.is_lent = False  # others read this tensor too: who wants to write gets a copy
        self._tensor: Tensor | None = None
        self._make = make
        self._room = math.prod(shape)  # the most values that were ever here
        self._whole: Tensor | None = None  # flat, of which the tensor is the beginning
        self._given: weakref.ref[np.ndarray] | None = None
        self._host: np.ndarray | None = None
        self._derived: dict[Hashable, tuple[Hashable, Tensor]] = {}
        self._derived_from = -1  # the version

    def tensor(self) -> Tensor:
        """Return the tensor, made (by the filler, or as zeros) when first asked for."""
        if self._tensor is None:
            made = self._make(self.shape) if self._make else torch.zeros(self.shape)
            self._tensor = made.to(device.current())
        if self._host is not None:
            self._tensor.copy_(torch.from_numpy(self._host))
            self._host = None
        return self._tensor

    def is_untouched(self) -> bool:
        """Return whether nothing was ever written here (so it reads as zeros)."""
        return self._tensor is None and self._make is None

    def is_held(self) -> bool:
        """Return whether an array given out of this memory is still in somebody's hands."""
        return self._given is not None and self._given() is not None

    def derived(
        self, key: Hashable, make: Callable[[Tensor], Tensor], mark: Hashable = None
    ) -> Tensor | None:
        """Return what `make` makes of the tensor, kept until the content may have changed.

        None while somebody may write into it. `key` tells apart what is made of one tensor,
        `mark` the states of what else it is made of, of which the last is kept.
        """
        if self.is_held() or self.is_viewed:
            return None
        with _deriving:
            if self._derived_from != self.version:
                self._derived, self._derived_from = {}, self.version
            if key not in self._derived or self._derived[key][0] != mark:
                self._derived.pop(key, None)
                made = make(self.tensor())
                room = MAX_DERIVED * math.prod(self.shape) - made.numel()
                while sum(old.numel() for _, old in self._derived.values()) > max(room, 0):
                    self._derived.pop(next(iter(self._derived)))
                self._derived[key] = mark, made
            return self._derived[key][1]

    def put(self, value: Tensor) -> None:
        """Take `value` as the new content; write into the old memory if it is held or viewed."""
        self.version += 1
        if self.is_viewed:
            self.tensor().copy_(value)
        elif self.is_held() and self._tensor is not None and self._tensor.shape == value.shape:
            self._tensor.copy_(value)
        else:
            self._tensor, self._given = value, None
        self._make, self._host, self._whole = None, None, None
        self.is_lent = False

    def resized(self, shape: Shape) -> Memory:
        """Return this memory in another shape, as Caffe's reshape leaves it.

        Its first values stay, and come back where it grows again; where it becomes larger
        than it ever was it is zeros.
        """
        new, count = Memory(shape), math.prod(shape)
        if count > self._room:
            return new
        new._room = self._room
        if self.is_untouched():
            return new
        flat = self.tensor().reshape(-1) if self._whole is None else self._whole
        if flat.numel() < count:
            flat = torch.cat([flat, flat.new_zeros(count - flat.numel())])
        new._whole, new._tensor, new.is_lent = flat, flat[:count].view(shape), self.is_lent
        new.is_viewed = self.is_viewed or self.is_held()
        return new

    def array(self) -> np.ndarray:
        """Return the content as a writable, C-contiguous float32 array."""
        self.version += 1
        tensor = self.tensor()
        # of an expanded tensor no value could be written alone
        if self.is_lent or not tensor.is_contiguous():
            self._tensor = tensor = tensor.clone(memory_format=torch.contiguous_format)
            self.is_lent = False
        if tensor.device.type != "cpu":
            self._host = tensor.detach().cpu().numpy()
            return self._host
        whole = self._given() if self._given is not None else None
        if whole is None:
            whole = tensor.detach().numpy()
            self._given = weakref.ref(whole)
        return whole.view()  # a view, as every slice of it, keeps `whole` alive


class ShapeList(list[int]):
    """A blob's shape as programs see it: a list of their own that also equals a tuple."""

    def __eq__(self, other: object) -> bool:
        return list(self) == (list(other) if isinstance(other, tuple) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # as a list's

    def __repr__(self) -> str:
        return repr(tuple(self))

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return ShapeList(found) if isinstance(index, slice) else found

    def __add__(self, other: Any) -> Any:
        return ShapeList([*self, *other])

    def __radd__(self, other: Iterable[int]) -> ShapeList:
        return ShapeList([*other, *self])


class Blob:
    """Data and diff of one shape.

    Attributes
    ----------
    data, diff : numpy.ndarray
        Writable float32 arrays of `shape`; on the CPU views of the engine's own memory.
    """

    def __init__(
        self, shape: Sequence[int] = (), make: Callable[[Shape], Tensor] | None = None
    ) -> None:
        dims = checked_shape(shape, "a blob")
        self._data = Memory(dims, make)
        self._diff = Memory(dims)

    # ------------------------------------------------------------ as pycaffe

    @property
    def data(self) -> np.ndarray:
        """The values."""
        return self._data.array()

    @property
    def diff(self) -> np.ndarray:
        """The gradient of whatever went backward last."""
        return self._diff.array()

    @property
    def shape(self) -> ShapeList:
        """The sizes of all axes, in a list of the caller's own (`reshape` changes the blob)."""
        return ShapeList(self._data.shape)

    @property
    def count(self) -> int:
        """The number of values."""
        return math.prod(self.dims)

    def _legacy(self, axis: int) -> int:
        if len(self.dims) > 4:
            raise ShapeError(f"a blob of {len(self.dims)} axes has no num/channels/height/width")
        return self.dims[axis] if axis < len(self.dims) else 1

    num = property(lambda self: self._legacy(0), doc="The size of axis 0.")
    channels = property(lambda self: self._legacy(1), doc="The size of axis 1.")
    height = property(lambda self: self._legacy(2), doc="The size of axis 2.")
    width = property(lambda self: self._legacy(3), doc="The size of axis 3.")

    def reshape(self, *shape: int) -> None:
        """Change the shape; the first values of data and diff are kept (see `Memory.resized`)."""
        if not all(hasattr(size, "__index__") for size in shape):
            raise KindError(
                "blob.reshape takes whole numbers one by one, as in blob.reshape(1, 3, 227, 227), "
                f"not {', '.join(map(repr, shape))}"
            )
        dims = checked_shape(shape, "a blob")
        if dims != self.dims:
            self._data, self._diff = self._data.resized(dims), self._diff.resized(dims)

    def __repr__(self) -> str:
        """Say the shape and whether anything was written yet."""
        sizes = " x ".join(map(str, self.dims)) or "one number"
        empty = ", nothing in it yet" if self._data.is_untouched() else ""
        return f"<torchcaffe.Blob: {sizes} ({self.count} values of float32){empty}>"

    # ------------------------------------------------------------ for the engine

    @property
    def dims(self) -> Shape:
        """The sizes of all axes, as a tuple."""
        return self._data.shape

    @property
    def memory(self) -> Memory:
        """Where the data is kept."""
        return self._data

    @property
    def tensor(self) -> Tensor:
        """The data as the engine's tensor."""
        return self._data.tensor()

    @property
    def diff_tensor(self) -> Tensor:
        """The diff as the engine's tensor."""
        return self._diff.tensor()

    @property
    def device(self) -> torch.device:
        """Where the engine keeps the data."""
        return device.current()

    def has_diff(self) -> bool:
        """Return whether a diff was ever set (else it reads as zeros)."""
        return not self._diff.is_untouched()

    def is_held(self) -> bool:
        """Return whether somebody holds a NumPy view of the data."""
        return self._data.is_held()

    def set_tensor(self, value: Tensor) -> None:
        """Take a pass's output; a new shape is taken over."""
        if tuple(value.shape) != self.dims:
            self._data, self._diff = Memory(tuple(value.shape)), Memory(tuple(value.shape))
        self._data.put(value)

    def set_diff(self, value: Tensor) -> None:
        """Take a diff of the data's shape."""
        self._diff.put(value if tuple(value.shape) == self.dims else value.reshape(self.dims))

    def lend_diff(self) -> bool:
        """Let others read the diff's tensor; False where somebody may write into it."""
        if self._diff.is_held() or self._diff.is_viewed:
            return False
        self._diff.is_lent = True
        return True

    def owns_diff(self) -> bool:
        """Return whether a pass may write into the diff's tensor: nobody else reads or writes."""
        memory, tensor = self._diff, self._diff.tensor()
        is_dense = tensor.is_contiguous() or is_channels_last(tensor)
        return is_dense and not (memory.is_lent or memory.is_held() or memory.is_viewed)

    def fill_diff(self, value: float) -> None:
        """Take one value for the whole diff; no memory is used until it is asked for."""
        self._diff = Memory(self.dims, lambda dims: torch.full(dims, value))

    def defer_diff(self, make: Callable[[], Tensor]) -> None:
        """Take what `make` returns for the diff, which is made when it is asked for."""
        if self._diff.is_held():
            self.set_diff(make())
        else:
            self._diff = Memory(self.dims, lambda dims: make())

    def clear_diff(self) -> None:
        """Set the diff to zero."""
        if self._diff.is_held():
            self._diff.tensor().zero_()
        else:
            self._diff = Memory(self.dims)

    def add_to_diff(self, value: Tensor) -> None:
        """Accumulate, as Caffe does with the diffs of parameters."""
        if self.has_diff():
            self.set_diff(self.diff_tensor + value)
        else:
            self.set_diff(value)
            self.lend_diff()  # it is the caller's

    def viewed_as(self, shape: Shape) -> Blob:
        """Return a blob of another shape whose values are a view of this one's."""
        view = Blob(shape, lambda dims: self.tensor.view(dims))
        self._data.is_viewed = view._data.is_viewed = True
        return view

    def share_data(self, other: Blob) -> None:
        """Use the other blob's data from now on (the diff stays its own)."""
        if self.dims != other.dims:
            self._diff = self._diff.resized(other.dims)
        self._data = other._data


class Kept:
    """What is computed of some blobs' data, kept until one of them may have changed."""

    def __init__(self) -> None:
        self._value: tuple[Tensor, ...] = ()
        self._marks: list[tuple[Memory, int]] = []

    def of(
        self, blobs: Sequence[Blob], make: Callable[[], tuple[Tensor, ...]]
    ) -> tuple[Tensor, ...]:
        """Return what `make` makes, or what it made of the same data before."""
        marks = [(blob.memory, blob.memory.version) for blob in blobs]
        if any(memory.is_held() or memory.is_viewed for memory, _ in marks):
            self._marks = []  # somebody may write at any time
            return make()
        if self._marks != marks:
            self._value, self._marks = make(), marks
        return self._value
