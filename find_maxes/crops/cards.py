"""A picture a unit of what it answers to at other levels than the highest.

    DIR/card/<layer>/<layer>_<unit:04d>.jpg

Four rows of three patches: images whose maximum is at the 99th, 90th and 50th percentile of the
scan's sample, and in the last row those of its lowest values: below zero and before an in-place
ReLU, so what the unit is suppressed by. A tile without an image has the background's colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

import torchcaffe as caffe
from find_maxes.crops.patch_pictures import COLUMNS, as_picture, as_tile, cut, layer_path, tiled
from find_maxes.crops.patches import Fields, start_layer
from find_maxes.errors import FindMaxesError, reason_of
from find_maxes.labels.card import Card
from find_maxes.labels.lots import draw_lots
from find_maxes.photos.decoders import Decoder
from find_maxes.photos.net_input import FloatArray, Recipe
from find_maxes.photos.photo_list import ImageList
from find_maxes.scan.network import put
from find_maxes.scan.top_n import Maxima, Tracker
from toolbox.pictures.image_file import ImageError, write_image
from toolbox.pictures.images import Image
from toolbox.pictures.stamp import Stamp, write_stamp

FOLDER = "card"
LOWEST = COLUMNS  # images of the lowest values
ROWS = 4


@dataclass
class Sampled:
    """The sample's images, and which of them have each unit's lowest values.

    Attributes
    ----------
    pictures : dict of int to ndarray of uint8, shape (height, width, 3)
        Image -> what the net sees of it, RGB.
    lowest : dict of str to Tracker
        Layer -> its units' lowest values, with the opposite sign: the lowest first.
    """

    pictures: dict[int, Image] = field(default_factory=dict)
    lowest: dict[str, Tracker] = field(default_factory=dict)


def look_at_sample(
    net: caffe.Net,
    size: int,
    layers: Sequence[str],
    images: ImageList,
    recipe: Recipe,
    decoder: Decoder,
) -> Sampled:
    """Go once through the sample's images.

    Parameters
    ----------
    net : Net
        Set to groups of `size`.
    size : int
        Pictures of a group.
    layers : sequence of str
        Of which units the lowest values are wanted.
    images : ImageList
        The scan's.
    recipe : Recipe
        From picture to input.
    decoder : Decoder
        For groups of this size, entered.
    """
    order = list(net.layer_dict)
    ends = sorted((order.index(start_layer(net, layer)), layer) for layer in layers)
    found = Sampled(lowest={la: Tracker.empty(net.blobs[la].shape[1], LOWEST) for la in layers})
    numbers = np.flatnonzero(draw_lots(images).sampled).tolist()
    chunks = [numbers[i : i + size] for i in range(0, len(numbers), size)]
    paths = ([images.path(number) for number in chunk] for chunk in chunks)
    for first, (chunk, group) in enumerate(zip(chunks, decoder.groups(paths), strict=True)):
        inputs = group.inputs.copy()
        put(net, inputs)
        good = torch.tensor([reason is None for reason in group.reasons])
        at = 0
        for end, layer in ends:
            if end >= at:
                net._forward(at, end)
                at = end + 1
            maxima = Maxima.of(-net.blobs[layer].tensor[: len(chunk)].cpu(), good)
            found.lowest[layer].update(maxima.values, first * size, maxima.places)
        for number, values, reason in zip(chunk, inputs, group.reasons, strict=False):
            if reason is None:
                found.pictures[number] = as_picture(recipe.to_picture(values))
    for tracker in found.lowest.values():  # from places in the sample to numbers of images
        tracker.images = torch.tensor([*numbers, -1])[tracker.images]
    return found


Tile = tuple[int, int, int]  # image, row and column; image -1 for none


def tiles_of(card: Card, lowest: Tracker, unit: int, map_width: int) -> list[Tile]:
    """Return where the tiles of a unit's card come from, row by row."""
    at = [] if card.at_locs is None else card.at_locs[unit][:, [0, 2, 3]].tolist()
    for value, image, place in zip(
        lowest.values[unit].tolist(), lowest.images[unit].tolist(), lowest.places[unit].tolist(),
        strict=True,
    ):  # fmt: skip
        below_zero = image >= 0 and value > 0  # the sign is the opposite
        at.append([image, *divmod(place, map_width)] if below_zero else [-1, 0, 0])
    return [(image, row, column) for image, row, column in at]


def write_cards(
    folder: Path,
    layer: str,
    card: Card,
    units: Sequence[int],
    sample: Sampled,
    net: caffe.Net,
    background: tuple[int, int, int],
    stamp: Stamp,
) -> None:
    """Write the pictures of a layer's units.

    Raises
    ------
    FindMaxesError
        A file cannot be written.
    """
    below = layer_path(layer)
    place, fields = folder / FOLDER / below, Fields(net, layer)
    shape = net.blobs[layer].shape
    width = shape[-1] if len(shape) > 2 else 1
    pictures: dict[int, FloatArray] = {
        number: picture.astype(np.float32) for number, picture in sample.pictures.items()
    }
    for unit in units:
        tiles: list[Image | None] = []
        for image, row, column in tiles_of(card, sample.lowest[layer], unit, width):
            seen = pictures.get(image)
            patch = None if seen is None else cut(seen, fields.region(row, column), background)
            tiles.append(None if patch is None else as_tile(as_picture(patch)))
        path = place / below.with_name(f"{below.name}_{unit:04d}.jpg")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, tiled(tiles, background, ROWS))
        except OSError as error:
            raise FindMaxesError(f"{path} cannot be written: {reason_of(error)}") from error
        except ImageError as error:
            raise FindMaxesError(str(error)) from error
    write_stamp(place, stamp)
