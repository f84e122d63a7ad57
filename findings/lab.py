"""A network, photos by category, and what one pass over them shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from optimize.ascent.optimizer import GradientOptimizer
from optimize.ascent.top_images import read_images
from optimize.errors import OptimizeError
from toolbox.pictures.crop import crop_to
from toolbox.pictures.image_file import read_image
from toolbox.pictures.images import Image, fit, resize

FloatArray = npt.NDArray[np.float32]
FACES = ("Faces", "Faces_easy")  # people's; Caltech-101 has both
_AT_ONCE = 16


class FindingsError(Exception):
    """What is wrong, in one sentence."""


@dataclass(frozen=True)
class Photo:
    """A file and its category."""

    path: Path
    category: str


@dataclass(frozen=True, eq=False)
class Survey:
    """What a pass over all photos found; rows are photos.

    Attributes
    ----------
    maxima : dict of str to ndarray of float32, shape (photos, units)
        Each unit's maximum over its map.
    positive : dict of str to ndarray of float32, shape (photos,)
        The share of a layer's values above zero.
    """

    maxima: dict[str, FloatArray]
    positive: dict[str, FloatArray]


class Lab:
    """What the findings work with.

    Parameters
    ----------
    optimizer : GradientOptimizer
        Knows the net, its mean and its labels.
    photos : sequence of Photo
        The held-out ones.
    """

    def __init__(self, optimizer: GradientOptimizer, photos: Sequence[Photo]) -> None:
        self.optimizer, self.photos = optimizer, list(photos)
        self.net = optimizer.net
        self.input = next(n for n in self.net.inputs if len(self.net.blobs[n].shape) == 4)
        self.layers = [
            name
            for name in self.net.params
            if name in self.net.blobs and len(self.net.blobs[name].shape) in (2, 4)
        ]
        self.maps = [name for name in self.layers if len(self.net.blobs[name].shape) == 4]
        self.categories = np.array([photo.category for photo in self.photos])

    @property
    def top_map(self) -> str:
        """The last convolution: conv5 of the bundled model."""
        return self.maps[-1]

    @property
    def class_layer(self) -> str:
        """The layer whose units are the classes, before the softmax."""
        return self.layers[-1]

    @property
    def prob(self) -> str:
        """The net's output."""
        return str(self.net.outputs[-1])

    def inputs(self, photos: Sequence[Photo]) -> FloatArray:
        """Read photos as the window does: the largest centred square; (n, channels, h, w).

        Raises
        ------
        FindingsError
            A file can't be read.
        """
        try:
            found = read_images(self.optimizer, [str(photo.path) for photo in photos])
        except OptimizeError as error:
            raise FindingsError(str(error)) from error
        return np.stack(found).astype(np.float32)

    def batches(self, photos: Sequence[Photo] | None = None) -> Iterator[FloatArray]:
        """Yield the inputs of photos, some at a time."""
        chosen = self.photos if photos is None else photos
        for first in range(0, len(chosen), _AT_ONCE):
            yield self.inputs(chosen[first : first + _AT_ONCE])

    def forward(self, inputs: FloatArray) -> None:
        """Show a batch to the net."""
        blob = self.net.blobs[self.input]
        if tuple(blob.shape) != inputs.shape:
            blob.reshape(*inputs.shape)
        blob.data[...] = inputs
        self.net.forward()

    def values(self, layer: str) -> FloatArray:
        """Return a copy of a layer's values for the batch last shown."""
        return np.array(self.net.blobs[layer].data, np.float32)

    @cached_property
    def survey(self) -> Survey:
        """One pass over all photos."""
        names = [*self.layers, self.prob]
        maxima: dict[str, list[FloatArray]] = {name: [] for name in names}
        positive: dict[str, list[FloatArray]] = {name: [] for name in names}
        for inputs in self.batches():
            self.forward(inputs)
            for name in names:
                values = self.net.blobs[name].data
                maxima[name].append(maximum(values))
                positive[name].append((values > 0).reshape(len(values), -1).mean(axis=1))
        return Survey(
            {name: np.concatenate(parts) for name, parts in maxima.items()},
            {name: np.concatenate(parts).astype(np.float32) for name, parts in positive.items()},
        )

    def of(self, *categories: str) -> npt.NDArray[np.bool_]:
        """Tell for each photo whether it is of one of some categories.

        Raises
        ------
        FindingsError
            There is no such photo.
        """
        found = np.isin(self.categories, categories)
        if not found.any():
            raise FindingsError(
                f"there is no photo of {' or '.join(categories)}; this finding needs the held-out "
                "photos of Caltech-101"
            )
        return np.asarray(found)

    def face_unit(self) -> int:
        """Return the unit of the last convolution with most faces among its strongest photos."""
        faces = self.of(*FACES)
        values = self.survey.maxima[self.top_map]
        count = min(100, int(faces.sum()))
        share = [faces[strongest(values[:, k])[:count]].mean() for k in range(values.shape[1])]
        lead = values[faces].mean(axis=0) / (values[~faces].mean(axis=0) + 1e-6)
        return int(np.lexsort((-lead, -np.array(share)))[0])

    def picture(self, photo: Photo, side: int = 110) -> Image:
        """Return a photo as the net sees it, made small (RGB)."""
        _, height, width = self.optimizer.shape
        seen = crop_to(read_image(photo.path), width / height)
        return resize(seen, *fit(height, width, (side, side)))


def maximum(values: FloatArray) -> FloatArray:
    """Return each unit's maximum over its map: (n, units)."""
    found = values.max(axis=(2, 3)) if values.ndim == 4 else values
    return np.array(found, np.float32)


def strongest(values: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Return photos from the highest value down; equal ones keep their order."""
    return np.asarray(np.argsort(-values, kind="stable"))
