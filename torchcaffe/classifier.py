"""Classify whole images, as pycaffe's `caffe.Classifier`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from torchcaffe.engine.net import Net
from torchcaffe.io import Transformer, oversample, resize_image
from torchcaffe.proto.caffe_pb2 import TEST


def make_transformer(
    net: Net,
    mean: np.ndarray | None,
    input_scale: float | None,
    raw_scale: float | None,
    channel_swap: Sequence[int] | None,
) -> Transformer:
    """Return the Transformer for a net's first input, as Classifier and Detector set it."""
    name = net.inputs[0]
    transformer = Transformer({name: net.blobs[name].shape})
    transformer.set_transpose(name, (2, 0, 1))
    if mean is not None:
        transformer.set_mean(name, mean)
    if input_scale is not None:
        transformer.set_input_scale(name, input_scale)
    if raw_scale is not None:
        transformer.set_raw_scale(name, raw_scale)
    if channel_swap is not None:
        transformer.set_channel_swap(name, channel_swap)
    return transformer


class Classifier(Net):
    """A net that takes images of any size.

    Parameters
    ----------
    model_file, pretrained_file : str or Path
        Prototxt and weights.
    image_dims : (int, int), optional
        Height and width to which images are resized before cropping.
    mean, input_scale, raw_scale, channel_swap
        As for `Transformer`.
    """

    def __init__(
        self,
        model_file: str | Path,
        pretrained_file: str | Path,
        image_dims: Sequence[int] | None = None,
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = make_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims = np.array(self.blobs[self.inputs[0]].shape[2:])
        self.image_dims = np.array(image_dims) if image_dims is not None else self.crop_dims

    def predict(self, inputs: Sequence[np.ndarray], oversample: bool = True) -> np.ndarray:
        """Return the scores of images.

        Parameters
        ----------
        inputs : sequence of numpy.ndarray
            (H, W, K) images.
        oversample : bool
            Mean over ten crops (corners, centre, mirrored); otherwise the centre only.

        Returns
        -------
        numpy.ndarray
            (N, classes).
        """
        sized = np.stack([resize_image(im, self.image_dims) for im in inputs])
        crops = self._crops(sized, ten=oversample)
        name = self.inputs[0]
        batch = np.stack([self.transformer.preprocess(name, crop) for crop in crops])
        scores = self.forward_all(**{name: batch})[self.outputs[0]]
        if oversample:
            return scores.reshape(len(scores) // 10, 10, -1).mean(1)
        return scores

    def _crops(self, images: np.ndarray, *, ten: bool) -> np.ndarray:
        if ten:
            return oversample(list(images), self.crop_dims)
        height, width = self.crop_dims
        top = int(self.image_dims[0] / 2.0 - height / 2.0)
        left = int(self.image_dims[1] / 2.0 - width / 2.0)
        return images[:, top : top + height, left : left + width]
