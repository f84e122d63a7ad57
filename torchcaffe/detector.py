"""Classify windows of images, as pycaffe's `caffe.Detector` (R-CNN, Girshick et al. 2014)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from torchcaffe.classifier import make_transformer
from torchcaffe.engine.net import Net
from torchcaffe.errors import ArgumentError, CaffeError, ShapeError
from torchcaffe.io import load_image, resize_image
from torchcaffe.proto.caffe_pb2 import TEST

Window = Sequence[float] | np.ndarray  # ymin, xmin, ymax, xmax


class SelectiveSearchError(CaffeError, ImportError):
    """Selective search was asked for, which runs in MATLAB."""


class Detector(Net):
    """A net that looks at windows of images.

    Parameters
    ----------
    model_file, pretrained_file : str or Path
        Prototxt and weights.
    mean, input_scale, raw_scale, channel_swap
        As for `Transformer`.
    context_pad : int, optional
        Width, in pixels of the net's input, of a border that shows what surrounds the window;
        outside the image it is filled with the mean.
    """

    def __init__(
        self,
        model_file: str | Path,
        pretrained_file: str | Path,
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = make_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.configure_crop(context_pad)

    def configure_crop(self, context_pad: int | None) -> None:
        """Set the border of context, and with it `crop_dims` (H, W, K) and `crop_mean`."""
        name = self.inputs[0]
        channels, height, width = self.blobs[name].shape[1:]
        if context_pad and (height != width or not 0 < 2 * context_pad < width):
            raise ArgumentError(
                f"context_pad {context_pad} does not fit the input of {height}x{width}; "
                "less than half of the width of a square input is accepted"
            )
        self.crop_dims = np.array((height, width, channels))
        self.context_pad = context_pad
        self.crop_mean = self._mean_of_images(name)

    def _mean_of_images(self, name: str) -> np.ndarray:
        """Return the mean (H, W, K) as it is in images, before any preprocessing."""
        t = self.transformer
        mean = np.zeros(self.crop_dims, np.float32)
        if name in t.mean:
            mean = mean + t.mean[name].transpose(1, 2, 0)
            if name in t.channel_swap:
                mean = mean[:, :, np.argsort(t.channel_swap[name])]
            mean = mean / t.raw_scale.get(name, 1.0)
        return mean

    def detect_windows(
        self, images_windows: Iterable[tuple[str | Path, Iterable[Window]]]
    ) -> list[dict[str, Any]]:
        """Return the net's output for windows, each warped to the input's size.

        Parameters
        ----------
        images_windows : iterable of (str, iterable of (ymin, xmin, ymax, xmax))
            Image files and windows in them.

        Returns
        -------
        list of dict
            One for each window, in order: `filename`, `window`, `prediction`.
        """
        name = self.inputs[0]
        found: list[dict[str, Any]] = []
        batch: list[np.ndarray] = []
        for filename, windows in images_windows:
            image = load_image(filename)
            for window in windows:
                found.append({"window": window, "filename": filename})
                batch.append(self.transformer.preprocess(name, self.crop(image, window)))
        if not found:
            return []
        scores = self.forward_all(**{name: np.stack(batch)})[self.outputs[0]]
        return [{**one, "prediction": score} for one, score in zip(found, scores, strict=True)]

    def detect_selective_search(self, image_fnames: Sequence[str | Path]) -> list[dict[str, Any]]:
        """Raise: pycaffe finds the windows with a MATLAB program, which is not here.

        Raises
        ------
        SelectiveSearchError
            Always (it is an ImportError, as pycaffe's without that program).
        """
        raise SelectiveSearchError(
            "selective search runs in MATLAB and is not part of torchcaffe; find windows by "
            "other means and give them to detect_windows([(filename, windows), ...])"
        )

    def crop(self, im: np.ndarray, window: Window) -> np.ndarray:
        """Return a window of an image, with context around it if so configured.

        Parameters
        ----------
        im : numpy.ndarray
            (H, W, K).
        window : (ymin, xmin, ymax, xmax)
            In pixels; the maxima are not included.

        Returns
        -------
        numpy.ndarray
            The window, or `crop_dims` of it and its surroundings.
        """
        box = np.asarray(window, float)
        if box.shape != (4,) or not np.isfinite(box).all():
            raise ShapeError(f"a window is (ymin, xmin, ymax, xmax), not {window!r}")
        if self.context_pad:
            return self._crop_with_context(im, box)
        top, left, bottom, right = (max(int(edge), 0) for edge in box)
        crop = im[top:bottom, left:right]
        if not crop.size:
            raise ShapeError(f"the window {window!r} is empty in an image of {im.shape[:2]}")
        return crop

    def _crop_with_context(self, im: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Widen the box by the border, warp what lies in the image, fill the rest by the mean."""
        size = int(self.crop_dims[0])
        scale = size / (size - 2.0 * (self.context_pad or 0))
        half = (box[2:] - box[:2] + 1) / 2  # the last pixel counts, as in R-CNN
        centre = box[:2] + half
        low, high = np.round(centre - scale * half), np.round(centre + scale * half)
        zoom = size / (high - low + 1)
        before = np.round(np.maximum(-low, 0) * zoom).astype(int)
        limit = np.array(im.shape[:2], float)
        low, high = np.clip(low, 0, limit), np.clip(high, 0, limit)
        inner = np.minimum(np.round((high - low + 1) * zoom).astype(int), size - before)
        rows, columns = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        seen = im[rows, columns]
        if not seen.size or inner.min() < 1:
            raise ShapeError(f"the window {box.tolist()} lies outside an image of {im.shape[:2]}")
        crop = self.crop_mean.copy()
        crop[before[0] : before[0] + inner[0], before[1] : before[1] + inner[1]] = resize_image(
            seen, inner
        )
        return crop
