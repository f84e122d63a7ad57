"""The patches that units see in their top images, with deconv and backprop to the input.

Layer by layer, the images that its units need go forward once, in groups; from there, the
passes back to the input take one unit of each image of the group at a time. Images are taken
in the order of how many units need them, so that few places in a group stay empty.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

import torchcaffe as caffe
from find_maxes.crops.patch_pictures import BACKPROP, DECONV, PICTURE, cut
from find_maxes.errors import FindMaxesError
from find_maxes.photos.decoders import Decoder
from find_maxes.photos.net_input import FloatArray, Recipe
from find_maxes.photos.photo_list import ImageList
from find_maxes.scan.maxes_file import Maxes
from find_maxes.scan.network import NetFiles, choose, image_input, last_writer, prepare, put
from torchcaffe.blobs.blob import Shape
from torchcaffe.regions import Region, receptive_field

REPRODUCED = 1e-3  # of the value, or of a thousandth of the layer's highest where that is more:
# sums that cancel out keep the rounding of what was added
_LEAST = 1e-3


@dataclass(frozen=True)
class Entry:
    """One of a unit's top images, and the highest absolute value of its layer."""

    unit: int
    rank: int
    value: float
    highest: float
    image: int
    label: int
    row: int
    column: int


@dataclass(frozen=True, eq=False)
class Patch:
    """What an entry shows.

    Attributes
    ----------
    entry : Entry
        Which.
    region : Region
        What the unit sees of the input.
    value : float
        What the unit gives now.
    parts : dict of str to ndarray of float32, shape (h, w, 3)
        The region of the picture (0 to 255) and of the diffs asked for; RGB.
    """

    entry: Entry
    region: Region
    value: float
    parts: dict[str, FloatArray]

    def is_reproduced(self) -> bool:
        """Return whether the value is the one found before."""
        e = self.entry
        return abs(self.value - e.value) <= REPRODUCED * max(abs(e.value), _LEAST * e.highest)


def entries_of(maxes: Maxes, layer: str, units: Sequence[int], top: int) -> list[Entry]:
    """Return the entries of some units of a layer, without those that have no image."""
    values, places = maxes.values[layer], maxes.locations[layer]
    highest = float(np.abs(values[np.isfinite(values)]).max(initial=0))
    return [
        Entry(unit, rank, float(values[unit, rank]), highest, *map(int, places[unit, rank]))
        for unit in units
        for rank in range(min(top, values.shape[1]))
        if places[unit, rank, 0] >= 0
    ]


class Fields:
    """Receptive fields of a layer's units, remembered."""

    def __init__(self, net: caffe.Net, layer: str) -> None:
        self._net, self._layer = net, layer
        self._input = image_input(net)
        self._rows: dict[int, Region] = {}
        self._columns: dict[int, Region] = {}

    def region(self, row: int, column: int) -> Region:
        """Return the field of the units at a place; -1 where the layer has no map."""
        row, column = max(row, 0), max(column, 0)
        if row not in self._rows:
            self._rows[row] = receptive_field(self._net, self._layer, row, 0, self._input)
        if column not in self._columns:
            self._columns[column] = receptive_field(self._net, self._layer, 0, column, self._input)
        return Region(self._rows[row].rows, self._columns[column].columns)


def start_layer(net: caffe.Net, blob: str) -> str:
    """Return the layer to go back from: the blob's own, so that no in-place ReLU counts."""
    writers = [name for name, tops in net.top_names.items() if blob in tops]
    return blob if blob in writers else writers[0]


@dataclass
class _Work:
    """Entries of one layer by image."""

    by_image: dict[int, list[Entry]] = field(default_factory=lambda: defaultdict(list))

    def order(self) -> list[int]:
        """Return the images, those with most entries first."""
        return sorted(self.by_image, key=lambda i: (-len(self.by_image[i]), i))


class Patcher:
    """A net and the images that its units prefer.

    Parameters
    ----------
    files : NetFiles
        The net.
    recipe : Recipe
        How pictures become inputs, as in the scan.
    images : ImageList
        The scan's.
    net : Net, optional
        The net, where it is open already: its batch is changed.
    """

    def __init__(
        self, files: NetFiles, recipe: Recipe, images: ImageList, net: caffe.Net | None = None
    ) -> None:
        self.net = net or files.open()
        self._recipe, self._images = recipe, images
        shape = self.net.blobs[image_input(self.net)].shape[1:]
        if shape != (recipe.channels, recipe.height, recipe.width):
            raise FindMaxesError(
                f"the net's input has the shape {shape}, and that of MAXES "
                f"{(recipe.channels, recipe.height, recipe.width)}; name the net it was made with"
            )
        self.size, self.shapes = prepare(self.net)
        files.held.fill(self.net)
        self._passes = {
            DECONV: self.net.deconv_from_layer,
            BACKPROP: self.net.backward_from_layer,
        }

    def check(self, maxes: Maxes, layers: Sequence[str]) -> None:
        """Make sure that the scan was one of this net.

        Raises
        ------
        FindMaxesError
            A layer does not exist, is not in MAXES, or has other units or another map there.
        """
        choose(self.net, self.shapes, layers)
        for layer in layers:
            if layer not in maxes.values:
                raise FindMaxesError(
                    f"MAXES has nothing of layer {layer!r}; it has {', '.join(maxes.values)}; "
                    f"find_maxes.find_max_acts with --layers {layer}, and otherwise as before, "
                    "makes a file that has it"
                )
            if len(self.shapes[layer]) > 3:
                raise FindMaxesError(
                    f"layer {layer!r} has the shape {self.shapes[layer]}; patches are of layers "
                    "with rows and columns"
                )
            units, found = self.shapes[layer][0], len(maxes.values[layer])
            if units != found or not fits(maxes.locations[layer], self.shapes[layer]):
                raise FindMaxesError(
                    f"MAXES is of another net: its layer {layer!r} has {found} units, and this "
                    f"net's has the shape {self.shapes[layer]}; name the net it was made with"
                )

    def run(
        self,
        layer: str,
        entries: Sequence[Entry],
        parts: Sequence[str],
        decoder: Decoder,
        bad: dict[int, str],
    ) -> Iterator[Patch]:
        """Yield the patches of a layer's entries, in any order.

        Parameters
        ----------
        layer : str
            Its name.
        entries : sequence of Entry
            Of this layer.
        parts : sequence of str
            Which of picture, deconv and backprop are wanted.
        decoder : Decoder
            For groups of `size` pictures.
        bad : dict of int to str
            Gets the images that cannot be read, and why; they have no patches.
        """
        work = _Work()
        for entry in entries:
            work.by_image[entry.image].append(entry)
        order, fields = work.order(), Fields(self.net, layer)
        chunks = [order[i : i + self.size] for i in range(0, len(order), self.size)]
        paths = ([self._images.path(image) for image in chunk] for chunk in chunks)
        end = last_writer(self.net, [layer])
        for chunk, group in zip(chunks, decoder.groups(paths), strict=True):
            queues = []
            for image, reason in zip(chunk, group.reasons, strict=True):
                if reason is not None:
                    bad[image] = reason
                queues.append([] if reason is not None else work.by_image[image])
            inputs = group.inputs.copy()  # the passes below may outlast the decoder's memory
            put(self.net, inputs)
            self.net._forward(0, end)
            values = self.net.blobs[layer].tensor.cpu().numpy()
            for turn in range(max(map(len, queues), default=0)):
                now = [(slot, q[turn]) for slot, q in enumerate(queues) if turn < len(q)]
                yield from self._turn(layer, now, inputs, values, parts, fields)

    def _turn(
        self,
        layer: str,
        now: Sequence[tuple[int, Entry]],
        inputs: FloatArray,
        values: NDArray[np.float32],
        parts: Sequence[str],
        fields: Fields,
    ) -> Iterator[Patch]:
        """Take one unit of each image (slot of the group)."""
        where = {slot: _index(slot, entry, values.ndim) for slot, entry in now}
        diffs = {
            part: self._back(layer, list(where.values()), part) for part in parts if part != PICTURE
        }
        for slot, entry in now:
            region = fields.region(entry.row, entry.column)
            found = {
                part: cut(self._recipe.in_rgb(diff[slot].transpose(1, 2, 0)), region, (0, 0, 0))
                for part, diff in diffs.items()
            }
            if PICTURE in parts:
                picture = self._recipe.to_picture(inputs[slot])
                found[PICTURE] = cut(picture, region, self._recipe.fill_colour())
            yield Patch(entry, region, float(values[where[slot]]), found)

    def _back(self, layer: str, where: Sequence[tuple[int, ...]], part: str) -> NDArray[np.float32]:
        """Go back from single units; return the input's diff (size, channels, h, w)."""
        diff = np.zeros(self.net.blobs[layer].shape, np.float32)
        for index in where:
            diff[index] = 1
        found = self._passes[part](start_layer(self.net, layer), diff, zero_higher=True)
        return np.array(found[image_input(self.net)])  # the next pass writes over it


def _index(slot: int, entry: Entry, axes: int) -> tuple[int, ...]:
    """Return where in a blob of so many axes an entry's value is."""
    whole: tuple[int, ...] = (slot, entry.unit, entry.row, entry.column)
    if axes <= 2:
        return whole[:axes]
    return (slot, entry.unit, entry.column) if axes == 3 else whole


def fits(locations: NDArray[np.int64], shape: Shape) -> bool:
    """Return whether all places lie in the map of a layer (units, and rows and columns)."""
    axes = shape[1:]
    rows, columns = (1, *axes)[-2:] if axes else (0, 0)
    found = locations[locations[..., 0] >= 0][:, 2:]
    least = 0 if axes else -1
    return bool((found >= least).all() and (found < (rows, columns)).all())
