"""Which of a network's inputs takes the picture, and what the others hold.

A detector's `im_info`, a depth map, the other tower of a siamese network: none is fed by the
picture, and each keeps a value, zero unless the user gives another.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from toolbox.pictures.array_file import DAMAGED
from toolbox.pictures.crop import window_fit
from toolbox.pictures.image_file import ImageError, read_image
from toolbox.pictures.images import FloatArray

Value = float | tuple[float, ...] | str  # a number, one a channel, or a file's name
PICTURE_CHANNELS = 3
ACCEPTED = (
    "a number, one number a channel as 600,800,1, a .npy array, or (for one channel) a picture "
    "file is accepted"
)


class HeldError(Exception):
    """An input that does not exist, or a value that does not fit it; one sentence."""


class NetInputs(Protocol):
    """What is needed of a net: pycaffe's `inputs` and `blobs`."""

    @property
    def inputs(self) -> list[str]:
        """The inputs' names; a list that may be put in another order."""

    @property
    def blobs(self) -> Mapping[str, Any]:
        """The blobs by name."""


def parse_held(words: Sequence[str]) -> tuple[tuple[str, Value], ...]:
    """Read `im_info=600,800,1` and `depth=depth.npy`.

    Raises
    ------
    HeldError
        A word has another form.
    """
    found: dict[str, Value] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not name or not text:
            raise HeldError(f"--hold {word} is not NAME=VALUE as im_info=600,800,1; {ACCEPTED}")
        try:
            numbers = tuple(float(part) for part in text.strip("()[] ").split(","))
        except ValueError:
            found[name] = os.path.abspath(text)  # other folders may be where it is read
            continue
        found[name] = numbers if len(numbers) > 1 else numbers[0]
    return tuple(found.items())


def held_words(values: Sequence[tuple[str, Value]]) -> list[str]:
    """Return the words that `parse_held` reads as these values."""
    return [
        f"{name}={','.join(map(repr, value)) if isinstance(value, tuple) else value}"
        for name, value in values
    ]


@dataclass(frozen=True)
class Held:
    """The user's choice.

    Parameters
    ----------
    image : str or None
        The input that takes the picture; None: the first with four axes.
    values : tuple of (str, number, numbers or file)
        What other inputs hold; under the picture's own input, what its channels beyond red,
        green and blue hold.
    """

    image: str | None = None
    values: tuple[tuple[str, Value], ...] = ()

    @classmethod
    def of(cls, image: str | None, values: Mapping[str, Value]) -> Held:
        """Return the choice of the settings."""
        return cls(image, tuple(values.items()))

    def changed(self, image: str | None, values: Sequence[str] | None) -> Held:
        """Return this choice with what a command line gives instead."""
        mine = {**dict(self.values), **dict(parse_held(values or ()))}
        return Held(image or self.image, tuple(mine.items()))

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads; nothing where nothing was chosen."""
        values = {name: list(v) if isinstance(v, tuple) else v for name, v in self.values}
        return {
            **({"image": self.image} if self.image else {}),
            **({"values": values} if values else {}),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Held:
        """Return the choice that `to_json` wrote."""
        values = dict(found.get("values", {}))
        return cls(
            found.get("image"),
            tuple((n, tuple(v) if isinstance(v, list) else v) for n, v in values.items()),
        )

    def fill(self, net: NetInputs) -> None:
        """Put the picture's input first in `net.inputs`, and give the others their values.

        To be called again after the net's batch was changed.

        Raises
        ------
        HeldError
            An input does not exist, or a value does not fit it.
        """
        unknown = {name for name, _ in self.values} | ({self.image} if self.image else set())
        unknown -= set(net.inputs)
        if unknown:
            raise HeldError(
                f"the network has no input {min(unknown)!r}; its inputs are {', '.join(net.inputs)}"
            )
        if self.image is not None:
            if len(net.blobs[self.image].shape) != 4:
                raise HeldError(f"the input {self.image!r} has not the four axes of pictures")
            net.inputs.sort(key=lambda name: name != self.image)
        picture = next((n for n in net.inputs if len(net.blobs[n].shape) == 4), None)
        for name, value in self.values:
            if name != picture:
                net.blobs[name].data[...] = _array(name, value, net.blobs[name].shape[1:])

    def channels(self, net: NetInputs, picture: str) -> FloatArray | None:
        """Return what the channels hold that no colour feeds, (channels - 3, h or 1, w or 1).

        None where red, green and blue, grey, or pairs of pictures (2 or 6 channels) feed all.
        In units of the net's input, as all values held.
        """
        count, height, width = net.blobs[picture].shape[1:]
        if count <= PICTURE_CHANNELS or count == 2 * PICTURE_CHANNELS:
            return None
        shape = (count - PICTURE_CHANNELS, height, width)
        return _array(picture, dict(self.values).get(picture, 0.0), shape)


def _array(name: str, value: Value, shape: Sequence[int]) -> FloatArray:
    """Return a value in an input's shape without the batch."""
    found = _read(name, value, shape) if isinstance(value, str) else np.array(value, np.float32)
    if found.ndim == 1 and len(shape) > 1 and len(found) == shape[0]:
        found = found.reshape(-1, *[1] * (len(shape) - 1))  # one a channel
    if found.ndim == len(shape) + 1 and len(found) == 1:
        found = found[0]  # a batch of one
    try:
        out = np.broadcast_to(found, tuple(shape))
    except ValueError:
        out = np.full(1, math.nan)
    if not np.isfinite(out).all():
        raise HeldError(
            f"the input {name!r} takes values of the shape {tuple(shape)}, and {value!r} gives "
            f"{found.shape or 'one'}, or numbers that are not finite; {ACCEPTED}"
        )
    return np.ascontiguousarray(out, np.float32)


def _read(name: str, path: str, shape: Sequence[int]) -> FloatArray:
    """Read a file of values."""
    if path.lower().endswith(".npy"):
        try:
            return np.array(np.load(Path(path), mmap_mode="r", allow_pickle=False), np.float32)
        except DAMAGED as error:
            raise HeldError(f"{path}, held by the input {name!r}, is no .npy array") from error
    if len(shape) != 3 or shape[0] != 1:
        raise HeldError(
            f"{path} can't be held by the input {name!r} of the shape {tuple(shape)}; {ACCEPTED}"
        )
    try:
        picture = window_fit(shape[1], shape[2])(read_image(path))
    except ImageError as error:
        raise HeldError(f"the input {name!r}: {error}") from error
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32)[None]


def pad_mean(mean: FloatArray, channels: int) -> FloatArray:
    """Give a mean of red, green and blue zeros for further channels of the input.

    Parameters
    ----------
    mean : ndarray, shape (c, h, w), (c,) or another
        As the user gave it.
    channels : int
        Of the input.
    """
    beyond = channels - PICTURE_CHANNELS
    if beyond < 1 or channels == 2 * PICTURE_CHANNELS or mean.ndim not in (1, 3):
        return mean
    if len(mean) != PICTURE_CHANNELS:
        return mean
    return np.concatenate([mean, np.zeros((beyond, *mean.shape[1:]), mean.dtype)])
