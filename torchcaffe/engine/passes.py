"""The passes by name that pycaffe offers, on top of those by number."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

import numpy as np

from torchcaffe.blobs.blob import Blob
from torchcaffe.engine.backward_rules import BACKPROP, GUIDED, ZEILER_FERGUS, Rule, deconv_rule
from torchcaffe.errors import ArgumentError, ShapeError, unknown_name

Arrays = dict[str, np.ndarray]


def _joined(parts: dict[str, list[np.ndarray]], count: int) -> Arrays:
    """Join batches and drop their padding; of a loss, one number a batch remains."""
    return {
        name: np.concatenate([np.atleast_1d(part) for part in batches])[:count]
        for name, batches in parts.items()
    }


class Passes:
    """Mixin of `Net`: forward, backward, deconv and their variants by layer name."""

    blobs: OrderedDict[str, Blob]
    top_names: OrderedDict[str, list[str]]
    bottom_names: OrderedDict[str, list[str]]
    inputs: list[str]
    outputs: list[str]

    def _index(self, layer: str) -> int:
        raise NotImplementedError

    def _forward(self, start: int, end: int) -> float:
        raise NotImplementedError

    def _backward(self, start: int, end: int, rule: Rule = BACKPROP, params: bool = True) -> None:
        raise NotImplementedError

    def _backward_alone(self, blob: Blob, start: int, rule: Rule, end: int = 0) -> None:
        raise NotImplementedError

    def _blob(self, name: str) -> Blob:
        if name not in self.blobs:
            raise unknown_name("blob", name, self.blobs)
        return self.blobs[name]

    def _fill(self, values: Arrays, names: list[str], what: str, part: str) -> None:
        """Put arrays into the data or diff of blobs, as pycaffe checks them."""
        if not values:
            return
        if set(values) != set(names):
            raise ArgumentError(
                f"{what} arguments {sorted(values)} do not match the net's {sorted(names)}"
            )
        for name, value in values.items():
            blob, array = self.blobs[name], np.asarray(value)
            if array.ndim and array.shape[0] != blob.shape[0]:
                raise ShapeError(
                    f"{what} {name!r} has a batch of {array.shape[0]}, the net one of "
                    f"{blob.shape[0]}; reshape the blob and call net.reshape() first"
                )
            try:
                getattr(blob, part)[...] = array
            except (ValueError, TypeError) as error:
                raise ShapeError(
                    f"{what} {name!r} has the shape {array.shape}, expected is {blob.shape}"
                ) from error

    def forward(
        self,
        blobs: Iterable[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **inputs: np.ndarray,
    ) -> Arrays:
        """Run the net forward.

        Parameters
        ----------
        blobs : iterable of str, optional
            Further blobs to return beside the outputs.
        start, end : str, optional
            Names of the first and last layer to run (default: all).
        **inputs : numpy.ndarray
            Values for all input blobs, each with the net's batch size.

        Returns
        -------
        dict of str to numpy.ndarray
            The outputs (or the tops of `end`) and `blobs`; live views, as pycaffe's.
        """
        names = list(blobs or [])
        last = self._index(end) if end is not None else len(self.top_names) - 1
        first = self._index(start) if start is not None else 0
        wanted = [*(self.top_names[end] if end is not None else self.outputs), *names]
        found = {name: self._blob(name) for name in wanted}
        self._fill(inputs, self.inputs, "input", "data")
        self._forward(first, last)
        return {name: blob.data for name, blob in found.items()}

    def backward(
        self,
        diffs: Iterable[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **top_diffs: np.ndarray,
    ) -> Arrays:
        """Run the net backward, with gradients of parameters, as pycaffe.

        Parameters
        ----------
        diffs : iterable of str, optional
            Further blobs whose diffs to return beside the inputs'.
        start, end : str, optional
            Names of the layers to begin (default: last) and end (default: first) with.
        **top_diffs : numpy.ndarray
            Diffs of all outputs.

        Returns
        -------
        dict of str to numpy.ndarray
            Diffs of the inputs (or the bottoms of `end`) and of `diffs`.
        """
        return self._down(BACKPROP, diffs, start, end, top_diffs, params=True)

    def deconv(
        self,
        diffs: Iterable[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        deconv_type: str = ZEILER_FERGUS,
        **top_diffs: np.ndarray,
    ) -> Arrays:
        """Run the deconvnet backward; arguments and result as for `backward`.

        `deconv_type` is of arikpoz's fork: "Guided Backprop" takes that rule.
        """
        return self._down(deconv_rule(deconv_type), diffs, start, end, top_diffs, params=False)

    def _deconv(self, start: int, end: int, deconv_type: str = ZEILER_FERGUS) -> None:
        """Run layers `start` down to `end` by the deconvnet's rule."""
        self._backward(start, end, deconv_rule(deconv_type), params=False)

    def _down(
        self,
        rule: Rule,
        diffs: Iterable[str] | None,
        start: str | None,
        end: str | None,
        top_diffs: Arrays,
        *,
        params: bool,
    ) -> Arrays:
        names = list(diffs or [])
        first = self._index(start) if start is not None else len(self.top_names) - 1
        last = self._index(end) if end is not None else 0
        wanted = [*(self.bottom_names[end] if end is not None else self.inputs), *names]
        found = {name: self._blob(name) for name in wanted}
        self._fill(top_diffs, self.outputs, "top diff", "diff")
        self._backward(first, last, rule, params)
        return {name: blob.diff for name, blob in found.items()}

    def _from_layer(
        self,
        rule: Rule,
        layer: str,
        diff: np.ndarray,
        diffs: Iterable[str] | None,
        zero_higher: bool,
    ) -> Arrays:
        index = self._index(layer)
        tops = self.top_names[layer]
        if not tops:
            raise ArgumentError(f"layer {layer!r} has no top to go backward from")
        blob = self.blobs[layer if layer in tops else tops[0]]
        array = np.asarray(diff)
        if array.shape != blob.shape:
            raise ShapeError(
                f"the diff for layer {layer!r} has the shape {array.shape}, not {blob.shape}"
            )
        found = {name: self._blob(name) for name in [*self.inputs, *(diffs or [])]}
        blob.diff[...] = array
        if zero_higher:
            self._backward_alone(blob, index, rule)
        else:
            self._backward(index, 0, rule, params=False)
        return {name: blob.diff for name, blob in found.items()}

    def backward_from_layer(
        self,
        layer: str,
        diff: np.ndarray,
        diffs: Iterable[str] | None = None,
        zero_higher: bool = False,
    ) -> Arrays:
        """Backpropagate from a layer's top.

        Parameters
        ----------
        layer : str
            Name of the layer. Starting at the layer whose name is the blob's name leaves
            an in-place ReLU behind it out.
        diff : numpy.ndarray
            The diff of its top, in the top's shape.
        diffs : iterable of str, optional
            Further blobs whose diffs to return.
        zero_higher : bool
            Every other diff counts as zero (and reads so afterwards). Otherwise diffs left
            from earlier passes take part, as in the deconv fork.

        Returns
        -------
        dict of str to numpy.ndarray
            Diffs of the inputs and of `diffs`.
        """
        return self._from_layer(BACKPROP, layer, diff, diffs, zero_higher)

    def gradient_at(self, layer: str, diff: np.ndarray, blob: str) -> np.ndarray:
        """Backpropagate from a layer's top to a blob, behind all layers that write it.

        The diffs that `backward_from_layer` leaves in a blob with an in-place ReLU are those
        before the ReLU; these are of the values that the blob holds.

        Parameters
        ----------
        layer, diff
            As of `backward_from_layer`; every other diff counts as zero.
        blob : str
            Name of a blob that the layer is computed from.

        Returns
        -------
        numpy.ndarray
            The derivative, in the blob's shape. Diffs of earlier passes are lost.

        Raises
        ------
        ArgumentError
            The blob is not written before the layer.
        """
        index, found = self._index(layer), self._blob(blob)
        last = max((i for i, tops in enumerate(self.top_names.values()) if blob in tops), default=0)
        if last >= index:
            raise ArgumentError(f"blob {blob!r} is not below layer {layer!r}")
        tops = self.top_names[layer]
        start = self.blobs[layer if layer in tops else tops[0]]
        start.diff[...] = diff
        self._backward_alone(start, index, BACKPROP, last + 1)
        return found.diff

    def deconv_from_layer(
        self,
        layer: str,
        diff: np.ndarray,
        diffs: Iterable[str] | None = None,
        zero_higher: bool = False,
        deconv_type: str = ZEILER_FERGUS,
    ) -> Arrays:
        """Do the same by the deconvnet's rule (Zeiler and Fergus 2013).

        `deconv_type` is of arikpoz's fork: "Guided Backprop" takes that rule.
        """
        return self._from_layer(deconv_rule(deconv_type), layer, diff, diffs, zero_higher)

    def guided_from_layer(
        self,
        layer: str,
        diff: np.ndarray,
        diffs: Iterable[str] | None = None,
        zero_higher: bool = False,
    ) -> Arrays:
        """Do the same by guided backprop's rule (Springenberg et al. 2014)."""
        return self._from_layer(GUIDED, layer, diff, diffs, zero_higher)

    def _batch(self, values: Arrays) -> Iterator[Arrays]:
        """Cut arrays into the net's batches, the last padded with zeros (pycaffe's way)."""
        if not values:
            raise ArgumentError("no arrays were given")
        counts = {len(value) for value in values.values()}
        if len(counts) != 1:
            raise ShapeError(f"the arrays hold different numbers of images: {sorted(counts)}")
        (count,) = counts
        size = next(iter(self.blobs.values())).shape[0]
        for start in range(0, count, size):
            part = {name: np.asarray(value)[start : start + size] for name, value in values.items()}
            short = size - len(next(iter(part.values())))
            if short:
                part = {
                    name: np.concatenate([value, np.zeros((short, *value.shape[1:]))])
                    for name, value in part.items()
                }
            yield part

    def forward_all(self, blobs: Iterable[str] | None = None, **inputs: np.ndarray) -> Arrays:
        """Run forward over any number of images, in the net's batches."""
        count = len(next(iter(inputs.values()), ()))
        found: dict[str, list[np.ndarray]] = {}
        for batch in self._batch(inputs):
            for name, value in self.forward(blobs, None, None, **batch).items():
                found.setdefault(name, []).append(value.copy())
        return _joined(found, count)

    def forward_backward_all(
        self,
        blobs: Iterable[str] | None = None,
        diffs: Iterable[str] | None = None,
        **values: np.ndarray,
    ) -> tuple[Arrays, Arrays]:
        """Run forward and backward over any number of images, in the net's batches.

        `values` holds the inputs, and diffs of the outputs under the outputs' names.
        """
        inputs = {name: values[name] for name in values if name in self.inputs}
        tops = {name: values[name] for name in values if name not in self.inputs}
        count = len(next(iter(inputs.values()), ()))
        data: dict[str, list[np.ndarray]] = {}
        found: dict[str, list[np.ndarray]] = {}
        top_batches = self._batch(tops) if tops else iter(dict, None)
        for batch, top in zip(self._batch(inputs), top_batches, strict=False):
            for name, value in self.forward(blobs, None, None, **batch).items():
                data.setdefault(name, []).append(value.copy())
            for name, value in self.backward(diffs, None, None, **top).items():
                found.setdefault(name, []).append(value.copy())

        return _joined(data, count), _joined(found, count)
