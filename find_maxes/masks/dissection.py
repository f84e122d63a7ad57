"""How well each unit covers each concept (Bau et al. 2017, Network Dissection).

A unit's threshold is the value that it exceeds at 0.5 % of all places of all photos. Its map is
enlarged to the grid of the masks, linearly between the centres of the receptive fields; where it
is above the threshold, the unit is on. Intersection over union with a concept's masks is taken
over all photos together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from find_maxes.crops.patches import Fields
from find_maxes.masks.mask_folder import GRID, Masks, read_mask
from find_maxes.photos.net_input import FloatArray, Recipe, reason_it_is_bad
from find_maxes.scan.network import Runner
from toolbox.pictures.image_file import ImageError, read_image
from toolbox.pictures.images import Image

ON = 0.005  # share of all places at which a unit is on
LEAST = 0.04  # IoU from which a concept is a unit's label, as in the paper


@dataclass(frozen=True, eq=False)
class Group:
    """Photos that went through the net together.

    Attributes
    ----------
    names : list of str
        Of the photos.
    images : list of ndarray of uint8, shape (h, w, 3)
        The photos.
    values : dict of str to Tensor, shape (photos, units, h, w)
        Layer -> its maps.
    """

    names: list[str]
    images: list[NDArray[np.uint8]]
    values: dict[str, Tensor]


@dataclass
class Overlap:
    """What adds up over photos for a layer: pixels of the grid.

    Attributes
    ----------
    both : ndarray of int64, shape (units, concepts)
        Where the unit is on and the concept is.
    on : ndarray of int64, shape (units,)
        Where the unit is on.
    """

    both: NDArray[np.int64]
    on: NDArray[np.int64]

    def iou(self, concept: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return intersection over union, (units, concepts), for concepts of so many pixels."""
        union = self.on[:, None] + concept[None] - self.both
        return np.asarray(self.both / np.maximum(union, 1))


@dataclass
class Dissector:
    """A net and the photos that have masks.

    Attributes
    ----------
    runner : Runner
        The net.
    recipe : Recipe
        How photos become inputs.
    data : Path
        The photos' folder.
    masks : Masks
        Of which photos.
    bad : dict of str to str
        Photos that could not be read, and why.
    """

    runner: Runner
    recipe: Recipe
    data: Path
    masks: Masks
    bad: dict[str, str] = field(default_factory=dict)

    @property
    def layers(self) -> list[str]:
        """Those of the net's layers that have maps."""
        return [name for name, shape in self.runner.shapes.items() if len(shape) == 3]

    def groups(self, seen: Callable[[], None]) -> Iterator[Group]:
        """Take the photos through the net."""
        recipe, size = self.recipe, self.runner.size
        names: list[str] = []
        images: list[Image] = []
        rows: list[FloatArray] = []
        inputs = np.zeros((size, recipe.height, recipe.width, recipe.channels), np.float32)
        for name in self.masks.photos:
            seen()
            if name in self.bad:
                continue
            path = str(self.data / name)
            try:
                image = read_image(path)
                rows.append(recipe.to_input(recipe.fit(image)))
            except ImageError as error:
                self.bad[name] = reason_it_is_bad(error, path)
                continue
            names.append(name)
            images.append(image)
            if len(rows) == size:
                yield self._forward(names, images, rows, inputs)
                names, images, rows = [], [], []
        if rows:
            yield self._forward(names, images, rows, inputs)

    def _forward(
        self, names: list[str], images: list[Image], rows: list[FloatArray], inputs: FloatArray
    ) -> Group:
        inputs[:] = 0
        inputs[: len(rows)] = rows
        values = self.runner(inputs.copy())
        return Group(names, images, {la: values[la][: len(rows)].cpu() for la in self.layers})

    def thresholds(self, seen: Callable[[], None] = lambda: None) -> dict[str, Tensor]:
        """Return each unit's threshold: layer -> (units,)."""
        tops: dict[str, Tensor] = {}
        count = len(self.masks.photos)
        for group in self.groups(seen):
            for layer, maps in group.values.items():
                places = maps.shape[2] * maps.shape[3]
                keep = max(1, round(ON * (count * places))) + 1
                flat = maps.transpose(0, 1).flatten(1).nan_to_num(nan=-np.inf)
                both = torch.cat([tops[layer], flat], 1) if layer in tops else flat
                tops[layer] = both.topk(min(keep, both.shape[1]), dim=1).values
        found = {}
        for layer, top in tops.items():  # bad photos are known now, and count no places
            shape = self.runner.shapes[layer]
            good = count - len(self.bad)
            keep = max(1, round(ON * (good * shape[1] * shape[2])))
            found[layer] = top[:, min(keep, top.shape[1] - 1)]
        return found

    def overlaps(
        self, thresholds: Mapping[str, Tensor], seen: Callable[[], None] = lambda: None
    ) -> tuple[dict[str, Overlap], NDArray[np.int64]]:
        """Compare maps and masks.

        Returns
        -------
        dict of str to Overlap, ndarray of int64, shape (concepts,)
            By layer; and the pixels of each concept.

        Raises
        ------
        FindMaxesError
            A mask cannot be read or does not fit its photo.
        """
        concepts = len(self.masks.concepts)
        found = {
            layer: Overlap(np.zeros((len(t), concepts), np.int64), np.zeros(len(t), np.int64))
            for layer, t in thresholds.items()
        }
        sizes = np.zeros(concepts, np.int64)
        spreads = {layer: self._spread(layer) for layer in thresholds}
        for group in self.groups(seen):
            for at, (name, image) in enumerate(zip(group.names, group.images, strict=True)):
                where = np.zeros((concepts, GRID * GRID), np.float32)
                for number, path in self.masks.photos[name].items():
                    where[number] = read_mask(path, image, self.recipe).ravel()
                sizes += where.sum(1).astype(np.int64)
                for layer, (down, across) in spreads.items():
                    large = down @ group.values[layer][at].nan_to_num(nan=-np.inf) @ across.T
                    on = (large > thresholds[layer][:, None, None]).flatten(1)
                    both = on.float() @ torch.from_numpy(where).T
                    found[layer].both += both.round().long().numpy()
                    found[layer].on += on.sum(1).numpy()
        return found, sizes

    def _spread(self, layer: str) -> tuple[Tensor, Tensor]:
        """Return the matrices that enlarge a layer's maps: down the rows, across the columns."""
        _, height, width = self.runner.shapes[layer]
        fields = Fields(self.runner.net, layer)
        rows = [fields.region(row, 0).rows for row in range(height)]
        columns = [fields.region(0, column).columns for column in range(width)]
        return (
            torch.from_numpy(enlarging(rows, self.recipe.height)),
            torch.from_numpy(enlarging(columns, self.recipe.width)),
        )


def enlarging(spans: Sequence[tuple[int, int]], size: int) -> NDArray[np.float32]:
    """Return what takes values at the centres of fields to the cells of the grid.

    Parameters
    ----------
    spans : sequence of (int, int)
        First and last pixel of each field.
    size : int
        Pixels of the input.

    Returns
    -------
    ndarray of float32, shape (GRID, len(spans))
        Linear between the centres, the same as the nearest beyond the last. Where centres do not
        rise, they are spread evenly.
    """
    centres = np.array([(first + last + 1) / 2 for first, last in spans])
    if not np.all(np.diff(centres) > 0):
        centres = (np.arange(len(spans)) + 0.5) * size / len(spans)
    cells = (np.arange(GRID) + 0.5) * size / GRID
    one = np.eye(len(spans))
    return np.array([np.interp(cells, centres, row) for row in one]).T.astype(np.float32)
