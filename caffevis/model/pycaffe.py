"""A net of a compiled Caffe, with the names of `layers.NetLike`.

Of pycaffe only what it documents is used, and `_backward` by the layer's index. A stock
BVLC Caffe can only backpropagate: for deconv and guided backprop the layers are walked
backward one at a time, and diffs are clipped here, at each ReLU.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from caffevis.model.pycaffe_module import reason_of
from toolbox.pictures.images import FloatArray

# Strings and comments are matched first, so that nothing within them is taken for a field.
_STRINGS = r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|#[^\n]*"
_FORCE = re.compile(rf"{_STRINGS}|\b(force_backward)\s*:\s*\w+")
_IGNORE = re.compile(rf"{_STRINGS}|\b(deconv_ignore)\s*:\s*\w+[ \t]*[;,]?")


class PycaffeError(Exception):
    """A compiled Caffe raised an exception; one sentence."""


def with_backward(text: str, keep_deconv_fields: bool) -> str:
    """Change a net's definition so that diffs reach its inputs.

    Parameters
    ----------
    text : str
        A prototxt.
    keep_deconv_fields : bool
        Whether this Caffe knows `deconv_ignore`; stock Caffe would end the process.

    Returns
    -------
    str
        The same with `force_backward: true`; unchanged where it says so already.
    """
    found = 0

    def force(match: re.Match[str]) -> str:
        nonlocal found
        if match.group(1) is None:
            return match.group()
        found += 1
        return match.group() if match.group().endswith("true") else "force_backward: true"

    text = _FORCE.sub(force, text)
    if not found:
        text = "force_backward: true\n" + text
    if keep_deconv_fields:
        return text
    return _IGNORE.sub(lambda match: "" if match.group(1) else match.group(), text)


@contextmanager
def _definition(prototxt: str, keep_deconv_fields: bool) -> Iterator[str]:
    """Give the path of a definition with `force_backward`: the user's file, or a copy."""
    try:
        # Byte for byte: comments come in any encoding.
        text = Path(prototxt).read_text(encoding="latin-1")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise PycaffeError(f"{prototxt} cannot be read: {reason}.") from error
    changed = with_backward(text, keep_deconv_fields)
    if changed == text:
        yield prototxt
        return
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dvt-"))
            copy = Path(folder) / Path(prototxt).name
            copy.write_text(changed, encoding="latin-1", newline="")
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise PycaffeError(
                f"no copy of {prototxt} can be written for Caffe: {reason}; TMPDIR names another "
                "place."
            ) from error
        yield str(copy)


class PycaffeBlob:
    """A blob whose shape is a tuple (pycaffe's is a vector of C++)."""

    def __init__(self, blob: Any) -> None:
        self._blob = blob

    @property
    def data(self) -> FloatArray:
        """Values, writable; asked for anew each time, since they may be on a GPU."""
        values: FloatArray = self._blob.data
        return values

    @property
    def diff(self) -> FloatArray:
        """Derivatives, writable."""
        values: FloatArray = self._blob.diff
        return values

    @property
    def shape(self) -> tuple[int, ...]:
        """Axes, the batch first."""
        return tuple(int(size) for size in self._blob.shape)

    def reshape(self, *shape: int) -> None:
        """Change the shape."""
        self._blob.reshape(*shape)


class PycaffeNet:
    """A net of pycaffe's as `layers.NetLike`.

    Parameters
    ----------
    module : module
        pycaffe.
    prototxt, weights : str
        Paths; the definition is not changed on disk.
    gpu : int or None
        The GPU's number, None for the CPU.
    handed_on : frozenset of str
        LRN layers that the deconvnet's rule leaves out (`deconv_ignore`).

    Attributes
    ----------
    regions_net : torchcaffe.Net or None
        The same network in the bundled engine, without weights, where that can build it.
    name : str
        As the definition says; whoever has read that sets it (pycaffe does not tell).

    Raises
    ------
    PycaffeError
        A file cannot be read, or building raised an exception. What Caffe itself finds
        wrong ends the process; nothing can be done about that from outside.
    """

    def __init__(
        self,
        module: Any,
        prototxt: str,
        weights: str,
        gpu: int | None = None,
        handed_on: frozenset[str] = frozenset(),
    ) -> None:
        self._module, self._gpu = module, gpu
        self.regions_net: Any = None
        self.name = ""
        self._thread: int | None = None
        self._handed_on = handed_on
        self._own_deconv = hasattr(module.Net, "deconv_from_layer")
        self._choose_mode()
        with _definition(prototxt, self._own_deconv) as file, _explained("load the network"):
            self._net = module.Net(file, weights, module.TEST)
        net = self._net
        self._layer_names = [str(name) for name in net._layer_names]
        self.layers = list(net.layers)
        self.inputs = [str(name) for name in net.inputs]
        self.blobs = OrderedDict((str(name), PycaffeBlob(b)) for name, b in net.blobs.items())
        self.top_names = {name: list(net.top_names[name]) for name in self._layer_names}
        self.bottom_names = {name: list(net.bottom_names[name]) for name in self._layer_names}
        self._touched = set(self.blobs)  # whose diffs may be other than zero
        self._held: dict[tuple[str, int], Any] = {}

    def _choose_mode(self) -> None:
        """Choose CPU or GPU, which Caffe remembers for each thread."""
        if self._thread == threading.get_ident():
            return
        if self._gpu is None:
            self._module.set_mode_cpu()
        else:
            self._module.set_device(self._gpu)
            self._module.set_mode_gpu()
        self._thread = threading.get_ident()

    def forward(self) -> None:
        """Compute every blob from the inputs."""
        self._choose_mode()
        with _explained("go forward"):
            if self._held:
                self._forward_in_parts()
            else:
                self._net.forward()

    def reshape(self) -> None:
        """Pass changed input shapes on."""
        self._choose_mode()
        with _explained("be reshaped"):
            self._net.reshape()

    def backward_from_layer(self, layer: str, diff: FloatArray, *, zero_higher: bool) -> None:
        """Backpropagate a diff of a layer's top to the inputs; all other diffs are zero."""
        self._walk(layer, diff, self._backprop)

    def deconv_from_layer(self, layer: str, diff: FloatArray, *, zero_higher: bool) -> None:
        """Do the same by the deconvnet's rule: by Caffe where it can, else by the walk."""
        if not self._own_deconv or layer not in self.top_names[layer]:
            self._walk(layer, diff, self._deconv)
            return
        reached = self._way_down(layer, layer)[1]
        self._clear(layer)
        with _explained("go backward"):
            self._net.deconv_from_layer(layer, diff, zero_higher=True)
        self._touched = reached

    def guided_from_layer(self, layer: str, diff: FloatArray, *, zero_higher: bool) -> None:
        """Do the same by guided backprop's rule."""
        self._walk(layer, diff, self._guided)

    @contextmanager
    def lesions(self, held: Mapping[tuple[str, int], Any]) -> Iterator[Callable[[], None]]:
        """Hold units at numbers, or multiply them by a `factor`, in each pass forward.

        It hands out such a pass. All layers run, in parts that end where a blob with such units
        is complete. A back pass knows nothing of it, but that a ReLU lets no diff through where
        it is zero.
        """
        before = self._held
        self._held = {**before, **held}
        try:
            yield self.forward
        finally:
            self._held = before

    def _forward_in_parts(self) -> None:
        names = self._once()
        stops: dict[int, list[tuple[str, int]]] = {}
        for blob, unit in self._held:
            last = max(i for i, name in enumerate(names) if blob in self.top_names[name])
            stops.setdefault(last, []).append((blob, unit))
        begun = 0
        for stop in sorted(stops):
            self._net.forward(start=names[begun], end=names[stop])
            for blob, unit in stops[stop]:
                self._hold(blob, unit, self._held[blob, unit])
            begun = stop + 1
        if begun < len(names):
            self._net.forward(start=names[begun])

    def _hold(self, blob: str, unit: int, value: Any) -> None:
        data = self.blobs[blob].data
        part = data[:, unit] if data.ndim > 1 else data[unit : unit + 1]
        factor = getattr(value, "factor", None)
        part[...] = value if factor is None else part * factor

    def _once(self) -> list[str]:
        """Return the layers' names, where each has its own."""
        if len(set(self._layer_names)) < len(self._layer_names):
            raise PycaffeError(
                "Two layers of the network have one name, and pycaffe cannot tell them apart: "
                "nothing can go backward, and no unit be held."
            )
        return self._layer_names

    def _way_down(self, layer: str, blob: str) -> tuple[list[int], set[str]]:
        """List the layers between a blob and the inputs, from the top, and their blobs.

        Only these are run: other branches would add what earlier passes left in them.
        """
        steps, reached = [], {blob}
        for index in range(self._once().index(layer), -1, -1):
            name = self._layer_names[index]
            if self.bottom_names[name] and not reached.isdisjoint(self.top_names[name]):
                steps.append(index)
                reached.update(self.bottom_names[name])
        return steps, reached

    def _clear(self, but: str) -> None:
        """Set the diffs that earlier passes wrote to zero."""
        self._choose_mode()
        for name in self._touched - {but}:
            self.blobs[name].diff[...] = 0
        # Until the pass is done, any may be other than zero.
        self._touched = set(self.blobs)

    def _walk(self, layer: str, diff: FloatArray, step: Callable[[int], None]) -> None:
        tops = self.top_names[layer]
        blob = layer if layer in tops else tops[0]
        steps, reached = self._way_down(layer, blob)
        self._clear(blob)
        self.blobs[blob].diff[...] = diff
        with _explained("go backward"):
            for index in steps:
                step(index)
        self._touched = reached

    def _backprop(self, index: int) -> None:
        self._net._backward(index, index)

    def _deconv(self, index: int) -> None:
        """Go through a layer by Zeiler and Fergus's rule; in place, top and bottom are one."""
        name = self._layer_names[index]
        clips = self.layers[index].type == "ReLU"
        if not clips and name not in self._handed_on:
            self._backprop(index)
            return
        diff = self.blobs[self.top_names[name][0]].diff
        below = self.blobs[self.bottom_names[name][0]].diff
        below[...] = np.maximum(diff, 0) if clips else diff

    def _guided(self, index: int) -> None:
        """Clip a ReLU's top diff, then backpropagate; the clipped diff stays below it only."""
        if self.layers[index].type != "ReLU":
            self._deconv(index)
            return
        name = self._layer_names[index]
        (top, *_), (bottom, *_) = self.top_names[name], self.bottom_names[name]
        before = self.blobs[top].diff.copy()
        self.blobs[top].diff[...] = np.maximum(before, 0)
        self._backprop(index)
        if top != bottom:
            self.blobs[top].diff[...] = before


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn whatever pycaffe raises into one sentence."""
    try:
        yield
    except Exception as error:
        raise PycaffeError(f"The network of pycaffe cannot {what}: {reason_of(error)}.") from error
