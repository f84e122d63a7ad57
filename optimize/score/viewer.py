"""What a network makes of pictures: activations over what a unit sees."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np

from optimize.ascent.optimizer import GradientOptimizer
from optimize.ascent.starts import FloatArray
from optimize.net.section import find_part
from optimize.params import FindParams
from toolbox.pictures.images import Image, resize
from torchcaffe.regions import Region, receptive_field

_AT_ONCE = 16


class Viewer:
    """A network that looks at pictures.

    Parameters
    ----------
    optimizer : GradientOptimizer
        The network's.
    """

    def __init__(self, optimizer: GradientOptimizer) -> None:
        self.optimizer, self.net = optimizer, optimizer.net
        self._source = next(n for n in self.net.inputs if len(self.net.blobs[n].shape) == 4)
        self._order = list(optimizer.channel_swap_to_rgb or range(3))

    def path(self, layer: str) -> list[str]:
        """Return the layers with weights on the way to a layer, and itself."""
        part, order = find_part(self.net, [layer]), list(self.net.layer_dict)
        names = [order[i] for i in part.layers if order[i] in self.net.params]
        return [n for n in names if n in self.net.blobs and n != layer] + [layer]

    def field(self, params: FindParams) -> Region:
        """Return what a unit sees, clipped to the input."""
        return self.optimizer.field(params)

    def placed(self, rgb: Image, field: Region) -> FloatArray:
        """Return a picture where a unit sees it, minus the mean; zero around it."""
        out = np.zeros(self.optimizer.shape, np.float32)
        rows = slice(field.rows[0], field.rows[1] + 1)
        columns = slice(field.columns[0], field.columns[1] + 1)
        values = np.empty((3, field.height, field.width), np.float32)
        values[self._order] = rgb.transpose(2, 0, 1)
        mean = self.optimizer.mean_at(field)
        out[:, rows, columns] = values * self.optimizer.grey - mean
        return out

    def whole(self, rgb: Image) -> FloatArray:
        """Return a picture as the whole input, minus the mean."""
        height, width = self.optimizer.shape[1:]
        everything = Region((0, height - 1), (0, width - 1))
        return self.placed(resize(rgb, height, width), everything)

    def values(self, inputs: Sequence[FloatArray], layers: Sequence[str]) -> dict[str, FloatArray]:
        """Return layers' activations for inputs, (n, channels, h, w) or (n, channels)."""
        parts: dict[str, list[FloatArray]] = {layer: [] for layer in layers}
        with self._any_batch():
            for first in range(0, len(inputs), _AT_ONCE):
                batch = np.stack(inputs[first : first + _AT_ONCE])
                self.net.blobs[self._source].reshape(*batch.shape)
                self.net.blobs[self._source].data[...] = batch
                self.net.forward()
                for layer in layers:
                    parts[layer].append(np.array(self.net.blobs[layer].data))
        return {layer: np.concatenate(found) for layer, found in parts.items()}

    @contextlib.contextmanager
    def _any_batch(self) -> Iterator[None]:
        blob = self.net.blobs[self._source]
        before, shape = np.array(blob.data), blob.shape
        try:
            yield
        finally:
            blob.reshape(*shape)
            blob.data[...] = before
            self.net.reshape()

    def over_field(self, values: FloatArray, field: Region) -> FloatArray:
        """Return the part of a layer's maps that lies over a region, (n, channels, positions).

        Positions are taken in proportion, at least one.
        """
        if values.ndim == 2:
            return values[:, :, None]
        size = self.optimizer.shape[1:]
        spans = [
            _over(span, side, count)
            for span, side, count in zip(
                (field.rows, field.columns), size, values.shape[2:], strict=True
            )
        ]
        return values[:, :, spans[0], spans[1]].reshape(*values.shape[:2], -1)

    def moved(self, image: FloatArray, params: FindParams, place: tuple[int, int]) -> FloatArray:
        """Return an input with what the layer sees from a place brought to the unit's field."""
        home = self.optimizer.place(params)
        at = [receptive_field(self.net, params.push_layer, *p, self._source) for p in (home, place)]
        down, across = at[0].rows[0] - at[1].rows[0], at[0].columns[0] - at[1].columns[0]
        shifted = np.zeros_like(image)
        height, width = image.shape[1:]
        rows = np.arange(max(0, down), min(height, height + down))
        columns = np.arange(max(0, across), min(width, width + across))
        shifted[:, rows[:, None], columns] = image[:, rows[:, None] - down, columns - across]
        out, field = np.zeros_like(image), self.field(params)
        seen = (slice(None), slice(field.rows[0], field.rows[1] + 1),
                slice(field.columns[0], field.columns[1] + 1))  # fmt: skip
        out[seen] = shifted[seen]
        return out


def _over(span: tuple[int, int], side: int, count: int) -> slice:
    first = min(count - 1, span[0] * count // side)
    return slice(first, max(first + 1, -(-(span[1] + 1) * count // side)))
