"""Caltech-101 as training and held-out images, with augmentation on small batches.

The images are decoded once, shrunk to a short side of 256 pixels and kept in memory
(about 2 GB); crops are cut from there by a background thread, so that the decoder and
the network share two CPU cores without waiting for each other.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
SPLIT_FILE = HERE / "split.txt"
LABELS_FILE = HERE / "labels.txt"
BACKGROUND = "BACKGROUND_Google"
SHORT_SIDE = 256
HELD_OUT_SHARE = 0.2


@dataclass(frozen=True)
class Dataset:
    """Decoded images (H, W, 3 uint8, BGR) with their class indices (-1: no class)."""

    images: list[np.ndarray]
    classes: np.ndarray
    paths: list[str]


def categories(root: Path) -> list[str]:
    """Return the 101 category names in alphabetical (ASCII) order."""
    return sorted(p.name for p in root.iterdir() if p.is_dir() and p.name != BACKGROUND)


def write_split(root: Path) -> None:
    """Write the fixed 80/20 split of every category, and the label file."""
    names = categories(root)
    rng = np.random.RandomState(101)
    lines = []
    for name in names:
        files = sorted(p.name for p in (root / name).glob("*.jpg"))
        held_out = set(rng.permutation(len(files))[: round(HELD_OUT_SHARE * len(files))])
        for i, file in enumerate(files):
            lines.append(f"{'test' if i in held_out else 'train'} {name}/{file}")
    SPLIT_FILE.write_text("\n".join(lines) + "\n")
    LABELS_FILE.write_text("\n".join(names) + "\n")


def read_split(part: str) -> list[str]:
    """Return the paths of `part` ("train" or "test"), relative to the data set."""
    rows = [line.split(" ", 1) for line in SPLIT_FILE.read_text().splitlines()]
    return [path for which, path in rows if which == part]


def _decode(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise SystemExit(f"{path} is not a readable image: copy the data set anew")
    scale = SHORT_SIDE / min(image.shape[:2])
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return image


def load(root: Path, part: str, *, with_background: bool = False) -> Dataset:
    """Decode one part of the split; background images get class -1 (distillation only)."""
    labels = LABELS_FILE.read_text().splitlines()
    paths = read_split(part)
    classes = [labels.index(path.split("/")[0]) for path in paths]
    if with_background:
        extra = [f"{BACKGROUND}/{p.name}" for p in sorted((root / BACKGROUND).glob("*.jpg"))]
        paths, classes = paths + extra, classes + [-1] * len(extra)
    with ThreadPoolExecutor(2) as pool:
        images = list(pool.map(_decode, [root / path for path in paths]))
    return Dataset(images, np.array(classes), paths)


def _box(
    height: int, width: int, area: tuple[float, float], rng: np.random.RandomState
) -> tuple[int, int, int, int]:
    """Draw a crop box; half of them relative to the image stretched to a square."""
    share = rng.uniform(*area)
    aspect = np.exp(rng.uniform(-0.4, 0.4))
    if rng.rand() < 0.5:  # stretched, as the window's key 0 does
        w, h = width * np.sqrt(share * aspect), height * np.sqrt(share / aspect)
    else:  # true proportions, as photos are cropped, and the camera
        side = np.sqrt(share) * min(height, width) * 1.1
        w, h = side * np.sqrt(aspect), side / np.sqrt(aspect)
    w, h = int(min(max(w, 8), width)), int(min(max(h, 8), height))
    return rng.randint(height - h + 1), rng.randint(width - w + 1), h, w


def random_crop(
    image: np.ndarray, size: int, area: tuple[float, float], rng: np.random.RandomState
) -> np.ndarray:
    """Cut a random box out of `image`, resize it to `size` x `size`, flip half of them."""
    top, left, h, w = _box(image.shape[0], image.shape[1], area, rng)
    crop = image[top : top + h, left : left + w]
    shrinks = h * w > size * size
    crop = cv2.resize(
        crop, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return crop[:, ::-1] if rng.rand() < 0.5 else crop


def shares_right(classes: np.ndarray, right: np.ndarray) -> dict[int, float]:
    """Return for each category the share of its images that are right."""
    return {int(c): float(right[classes == c].mean()) for c in np.unique(classes)}


def stretched(image: np.ndarray, size: int) -> np.ndarray:
    """Resize to a square, as the window does in stretch mode."""
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)


def centre_square(image: np.ndarray, size: int) -> np.ndarray:
    """Resize the largest centred square, as the window does by default."""
    h, w = image.shape[:2]
    side = min(h, w)
    top, left = (h - side) // 2, (w - side) // 2
    return stretched(image[top : top + side, left : left + side], size)


def _sampling_weights(classes: np.ndarray, balance: float) -> np.ndarray:
    counts = np.bincount(classes[classes >= 0])
    weights = np.where(classes >= 0, counts[classes] ** (balance - 1.0), 0.0)
    weights[classes < 0] = np.median(weights[classes >= 0])
    return weights / weights.sum()


def batches(
    data: Dataset, size: int, area: tuple[float, float], batch: int, seed: int, balance: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield an epoch of augmented (uint8 N, H, W, 3) images and classes (N,).

    `balance` is the power of a category's size to which it is shown: 1 every image
    equally often, 0 every category equally often.
    """
    rng = np.random.RandomState(seed)
    weights = _sampling_weights(data.classes, balance)
    order = rng.choice(len(data.images), len(data.images) // batch * batch, p=weights)
    ready: queue.Queue = queue.Queue(maxsize=4)

    def produce() -> None:
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            crops = [random_crop(data.images[i], size, area, rng) for i in rows]
            ready.put((np.stack(crops), data.classes[rows]))
        ready.put(None)

    threading.Thread(target=produce, daemon=True).start()
    while (item := ready.get()) is not None:
        yield item
