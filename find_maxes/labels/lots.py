"""What each image of a list is used for, drawn by its name: half, shuffled class, sample.

The draw is a hash of names, so it is the same on every machine and in any order of work.
"""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from find_maxes.errors import FindMaxesError
from find_maxes.photos.photo_list import ImageList

LEAST = 5  # images a class needs in each half
SAMPLE = 500  # images whose maxima are kept for quantiles
SHUFFLED = 16  # classes, at most, of which a shuffled one is kept beside the true ones

Whole = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Lots:
    """The draw for some images.

    Attributes
    ----------
    classes : ndarray of int64, shape (images,)
        Dense numbers of their classes; -1 for none.
    shuffled : ndarray of int64, shape (images,)
        The same with the classes handed out at random: the number of one of the `SHUFFLED`
        classes, else -1.
    halves : ndarray of int64, shape (images,)
        0: labels are chosen on these; 1: they are measured on these.
    sampled : ndarray of bool, shape (images,)
        Whether an image is part of the sample.
    """

    classes: Whole
    shuffled: Whole
    halves: Whole
    sampled: NDArray[np.bool_]

    def part(self, start: int, stop: int) -> Lots:
        """Return those of some images."""
        return Lots(*(values[start:stop] for values in vars(self).values()))

    def of(self, rows: Whole) -> Lots:
        """Return those of the images with these numbers."""
        return Lots(*(values[rows] for values in vars(self).values()))


def class_names(images: ImageList) -> tuple[str, ...]:
    """Return what the dense numbers of `Lots.classes` stand for."""
    if images.class_names:
        return images.class_names
    return tuple(str(number) for number in np.unique(images.classes[images.classes >= 0]))


def draw_lots(images: ImageList) -> Lots:
    """Draw for the images of a list."""
    halves, order, drawn = (
        np.array([_hash(what, name) for name in images.names], np.uint64)
        for what in ("half", "shuffle", "sample")
    )
    sampled = np.zeros(len(images), bool)
    sampled[np.argsort(drawn, kind="stable")[:SAMPLE]] = True
    known = np.flatnonzero(images.classes >= 0)
    dense = np.full(len(images), -1, np.int64)
    dense[known] = np.unique(images.classes[known], return_inverse=True)[1]
    mixed = np.full(len(images), -1, np.int64)
    mixed[known[np.argsort(order[known], kind="stable")]] = dense[known]
    return Lots(dense, _renumbered(mixed), _halves(dense, halves), sampled)


def _halves(classes: Whole, drawn: NDArray[np.uint64]) -> Whole:
    """Deal the images of each class out to two halves, in the order of their draw."""
    order = np.lexsort((drawn, classes))
    first = np.searchsorted(classes[order], classes[order])  # where each class begins
    halves = np.empty(len(classes), np.int64)
    halves[order] = (np.arange(len(classes)) - first) % 2
    return halves


def _hash(what: str, name: str) -> int:
    text = f"{what}\0{name}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def _renumbered(classes: Whole) -> Whole:
    """Keep some of the classes, from the smallest to the largest, and number them anew."""
    names, counts = np.unique(classes[classes >= 0], return_counts=True)
    by_size = names[np.argsort(counts, kind="stable")]
    picked = np.unique(np.linspace(0, len(by_size) - 1, min(SHUFFLED, len(by_size))).round())
    numbers = np.full(int(names.max(initial=-1)) + 2, -1, np.int64)  # the last is for -1
    numbers[by_size[picked.astype(int)]] = np.arange(len(picked))
    return np.asarray(numbers[classes])


def count_shuffled(classes: int) -> int:
    """Return how many shuffled classes are kept of so many."""
    return min(SHUFFLED, classes)


def check_classes(images: ImageList) -> int:
    """Return how many classes a list has.

    Raises
    ------
    FindMaxesError
        There are fewer than two, between which units could tell.
    """
    counts = np.unique(images.classes[images.classes >= 0], return_counts=True)[1]
    count = len(counts)
    if count < 2:
        raise FindMaxesError(
            f"--labels tells classes apart, and the images of {images.folder} have {count}; give "
            "each image a class in FILELIST, or a folder a class and - in place of FILELIST"
        )
    if counts.max() < 2 * LEAST:
        warnings.warn(
            f"no unit will get a label: that takes classes of at least {2 * LEAST} images, and the "
            f"largest of the {count} in {images.folder} has {counts.max()}",
            stacklevel=2,
        )
    return count
