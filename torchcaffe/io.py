"""Images and means in and out, as pycaffe's `caffe.io`."""

from __future__ import annotations

import tokenize
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError

from torchcaffe.errors import ArgumentError, FileError, ShapeError
from torchcaffe.picture_files import read_pixels
from torchcaffe.proto import caffe_pb2
from torchcaffe.proto.wire import RAW_TYPES

# ---------------------------------------------------------------- messages and arrays


def blobproto_to_array(blob: caffe_pb2.BlobProto, return_diff: bool = False) -> np.ndarray:
    """Return the values (or diffs) of a BlobProto message in its shape."""
    if return_diff:
        values, raw, kind = blob.diff or blob.double_diff, blob.raw_diff, blob.raw_diff_type
    else:
        values, raw, kind = blob.data or blob.double_data, blob.raw_data, blob.raw_data_type
    data = np.frombuffer(raw, RAW_TYPES[kind]) if raw else np.array(values)
    data = np.array(data, np.float32)
    if any(blob.HasField(name) for name in ("num", "channels", "height", "width")):
        return data.reshape(blob.num, blob.channels, blob.height, blob.width)
    return data.reshape(tuple(blob.shape.dim))


def array_to_blobproto(arr: np.ndarray, diff: np.ndarray | None = None) -> caffe_pb2.BlobProto:
    """Return a BlobProto message with the array's values (and diffs of the same shape)."""
    blob = caffe_pb2.BlobProto()
    blob.shape.dim.extend(arr.shape)
    blob.data.extend(np.asarray(arr, float).ravel())
    if diff is not None:
        blob.diff.extend(np.asarray(diff, float).ravel())
    return blob


def arraylist_to_blobprotovector_str(arraylist: Sequence[np.ndarray]) -> bytes:
    """Return the bytes of a BlobProtoVector of these arrays."""
    vector = caffe_pb2.BlobProtoVector()
    vector.blobs.extend([array_to_blobproto(arr) for arr in arraylist])
    return vector.SerializeToString()


def blobprotovector_str_to_arraylist(text: bytes) -> list[np.ndarray]:
    """Return the arrays in the bytes of a BlobProtoVector."""
    return [blobproto_to_array(b) for b in caffe_pb2.BlobProtoVector.FromString(text).blobs]


def array_to_datum(arr: np.ndarray, label: int | None = None) -> caffe_pb2.Datum:
    """Return a Datum message of an image (C, H, W), bytes where it is uint8."""
    if arr.ndim != 3:
        raise ShapeError(f"a datum holds an image (C, H, W), not an array of shape {arr.shape}")
    datum = caffe_pb2.Datum(channels=arr.shape[0], height=arr.shape[1], width=arr.shape[2])
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.astype(float).flat)
    if label is not None:
        datum.label = label
    return datum


def datum_to_array(datum: caffe_pb2.Datum) -> np.ndarray:
    """Return the image (C, H, W) of a Datum message."""
    raw = np.frombuffer(datum.data, np.uint8)
    flat = raw if datum.data else np.array(datum.float_data, float)
    return flat.reshape(datum.channels, datum.height, datum.width)


# what NumPy's reader of .npy headers lets through
_BROKEN = (SyntaxError, tokenize.TokenError, MemoryError, RecursionError, OSError, EOFError)


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0][:200]


def load_mean(path: str | Path) -> np.ndarray:
    """Read a mean image from `.npy` or `.binaryproto`.

    Returns
    -------
    numpy.ndarray
        float32, (C, H, W), or (C,) where the file holds one value a channel; channels in
        the order of the net's input (BGR for nets trained with Caffe's tools).

    Raises
    ------
    FileError
        The file is missing or neither form.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise FileError(f"could not open mean file {path}: {error.strerror or error}") from error
    try:
        if raw[:6] == b"\x93NUMPY":
            # mapped, so that a header with an absurd shape takes no memory
            array = np.load(Path(path), mmap_mode="r", allow_pickle=False)
        else:
            array = blobproto_to_array(caffe_pb2.BlobProto.FromString(raw))
            array = array.reshape(array.shape[-3:]) if array.ndim > 3 else array
        return np.array(array, np.float32)
    except (*_BROKEN, ValueError, DecodeError, TypeError, OverflowError) as error:
        raise FileError(
            f"{path} is no mean image ({_first_line(error)}); "
            "a .npy array or a .binaryproto is accepted"
        ) from error


# ---------------------------------------------------------------- images


def load_image(filename: str | Path, color: bool = True) -> np.ndarray:
    """Read an image.

    Returns
    -------
    numpy.ndarray
        float32, (H, W, 3) RGB, or (H, W, 1) where `color` is False; 0 to 1. docs/picture_files.md
        says what files of all kinds become; where they are transparent, the colours beneath
        count, as in pycaffe, and for grey white does.

    Raises
    ------
    FileError
        The file is missing or no picture.
    """
    from skimage.color import rgb2gray, rgba2rgb
    from skimage.util import img_as_float

    try:
        image = img_as_float(read_pixels(filename))
        if not color and image.ndim == 3:
            image = rgb2gray(rgba2rgb(image) if image.shape[2] == 4 else image)
    except (OSError, ValueError, SyntaxError) as error:
        raise FileError(f"could not read the image {filename}: {error}") from error
    image = image.astype(np.float32)
    if image.ndim == 2:
        image = image[:, :, np.newaxis]
        return np.tile(image, (1, 1, 3)) if color else image
    return image[:, :, :3]


def resize_image(
    im: np.ndarray, new_dims: Sequence[int] | np.ndarray, interp_order: int = 1
) -> np.ndarray:
    """Resize an image.

    Parameters
    ----------
    im : numpy.ndarray
        (H, W, K).
    new_dims : (int, int)
        New height and width.
    interp_order : int
        Order of the spline, 1 for linear.

    Returns
    -------
    numpy.ndarray
        float32, (new height, new width, K).
    """
    from scipy.ndimage import zoom
    from skimage.transform import resize

    if im.shape[-1] not in (1, 3):
        factors = (new_dims[0] / im.shape[0], new_dims[1] / im.shape[1], 1.0)
        return np.asarray(zoom(im, factors, order=interp_order), np.float32)
    low, high = float(im.min()), float(im.max())
    if high <= low:
        return np.full((*tuple(new_dims), im.shape[-1]), low, np.float32)
    unit = (im - low) / (high - low)  # skimage accepts 0 to 1 only
    out = resize(unit, new_dims, order=interp_order, mode="constant")
    return np.asarray(out * (high - low) + low, np.float32)


def oversample(images: Sequence[np.ndarray], crop_dims: Sequence[int] | np.ndarray) -> np.ndarray:
    """Cut the four corners and the centre of each image, and mirror all.

    Parameters
    ----------
    images : sequence of numpy.ndarray
        (H, W, K) each.
    crop_dims : (int, int)
        Height and width of the crops.

    Returns
    -------
    numpy.ndarray
        float32, (10 * N, height, width, K): of each image the corners (top left, top right,
        bottom left, bottom right) and the centre, then the same mirrored.
    """
    height, width = images[0].shape[:2]
    ch, cw = (int(size) for size in crop_dims)
    if ch > height or cw > width:
        raise ShapeError(f"crops of {ch}x{cw} do not fit into images of {height}x{width}")
    corners = [(y, x) for y in (0, height - ch) for x in (0, width - cw)]
    # Caffe rounds the centre as float32 division then truncation
    corners.append((int((height - ch) / 2.0), int((width - cw) / 2.0)))
    crops = []
    for image in images:
        five = [image[y : y + ch, x : x + cw] for y, x in corners]
        crops += five + [crop[:, ::-1] for crop in five]
    return np.asarray(crops, np.float32)


class Transformer:
    """From images to a net's input and back.

    Parameters
    ----------
    inputs : dict of str to tuple of int
        Input blob names and their shapes, as (N, C, H, W).
    """

    def __init__(self, inputs: dict[str, Sequence[int]]) -> None:
        self.inputs = {name: tuple(shape) for name, shape in inputs.items()}
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, np.ndarray] = {}
        self.input_scale: dict[str, float] = {}

    def _check(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise ArgumentError(f"{in_!r} is not one of the net's inputs: {', '.join(self.inputs)}")

    def preprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """Bring an image (H, W, K) to the input's form.

        In this order: resize, transpose (to C, H, W), swap channels (to BGR), raw scale
        (to 0..255), subtract the mean, input scale. The result is float32.
        """
        self._check(in_)
        out = np.asarray(data, np.float32)
        size = tuple(self.inputs[in_][2:])
        if out.shape[:2] != size:
            out = resize_image(out, size)
        if in_ in self.transpose:
            out = out.transpose(self.transpose[in_])
        if in_ in self.channel_swap:
            out = out[list(self.channel_swap[in_]), :, :]
        if in_ in self.raw_scale:
            out = out * self.raw_scale[in_]
        if in_ in self.mean:
            out = out - self.mean[in_]
        if in_ in self.input_scale:
            out = out * self.input_scale[in_]
        return np.asarray(out, np.float32)  # whatever the mean and the scales are

    def deprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """Undo `preprocess` (except the resizing): from the input's form to an image."""
        self._check(in_)
        out = data.copy().squeeze()
        if in_ in self.input_scale:
            out = out / self.input_scale[in_]
        if in_ in self.mean:
            out = out + self.mean[in_]
        if in_ in self.raw_scale:
            out = out / self.raw_scale[in_]
        if in_ in self.channel_swap:
            out = out[np.argsort(self.channel_swap[in_]), :, :]
        if in_ in self.transpose:
            out = out.transpose(np.argsort(self.transpose[in_]))
        return np.asarray(out, data.dtype) if data.dtype.kind == "f" else out

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """Set the order of the image's axes, (2, 0, 1) for (H, W, K) images."""
        self._check(in_)
        if len(order) != len(self.inputs[in_]) - 1:
            raise ArgumentError(
                f"transpose order {tuple(order)} needs as many axes as the input has without "
                f"its batch: {len(self.inputs[in_]) - 1}"
            )
        self.transpose[in_] = tuple(order)

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """Set the order of the channels, (2, 1, 0) from RGB to BGR."""
        self._check(in_)
        if len(order) != self.inputs[in_][1]:
            raise ArgumentError(
                f"channel swap {tuple(order)} needs one number for each of the input's "
                f"{self.inputs[in_][1]} channels"
            )
        self.channel_swap[in_] = tuple(order)

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """Set the factor before the mean is subtracted: 255 for images from 0 to 1."""
        self._check(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: np.ndarray) -> None:
        """Set the mean: one value a channel (C,), or an image (C, H, W).

        An image of another size is resized to the input's, as Caffe 1.0 does.
        """
        self._check(in_)
        channels, *size = self.inputs[in_][1:]
        image = mean[np.newaxis] if mean.ndim == 2 else mean
        if mean.ndim not in (1, 2, 3) or image.shape[0] not in (1, channels):
            raise ShapeError(f"the mean has the shape {mean.shape}, the input {(channels, *size)}")
        if mean.ndim == 1:
            mean = mean[:, np.newaxis, np.newaxis]
        elif image.shape[1:] != tuple(size):
            mean = resize_image(image.transpose(1, 2, 0), size).transpose(2, 0, 1)
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float) -> None:
        """Set the factor after the mean is subtracted."""
        self._check(in_)
        self.input_scale[in_] = scale
