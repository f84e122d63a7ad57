"""io: Transformer, oversample, resize_image, messages and arrays, as pycaffe documents them."""

import numpy as np
import pytest
from PIL import Image

import torchcaffe as caffe
from torchcaffe.io import (
    Transformer,
    array_to_blobproto,
    array_to_datum,
    arraylist_to_blobprotovector_str,
    blobproto_to_array,
    blobprotovector_str_to_arraylist,
    datum_to_array,
    load_image,
    load_mean,
    oversample,
    resize_image,
)
from torchcaffe.proto.caffe_pb2 import BlobProto

PHOTO = np.random.RandomState(0).rand(9, 12, 3).astype(np.float32)


# ---------------------------------------------------------------- messages


def test_blobproto_of_both_forms():
    blob = BlobProto(data=range(12), shape={"dim": [3, 4]})
    np.testing.assert_array_equal(blobproto_to_array(blob), np.arange(12).reshape(3, 4))
    old = BlobProto(data=range(12), num=1, channels=1, height=3, width=4)
    assert blobproto_to_array(old).shape == (1, 1, 3, 4)
    with pytest.raises(ValueError):
        blobproto_to_array(BlobProto(data=range(12)))
    assert blobproto_to_array(BlobProto(data=[123])) == 123


def test_arrays_to_messages_and_back():
    values, diff = np.arange(6.0).reshape(1, 2, 3), np.ones((1, 2, 3))
    blob = array_to_blobproto(values, diff)
    np.testing.assert_array_equal(blobproto_to_array(blob), values)
    np.testing.assert_array_equal(blobproto_to_array(blob, return_diff=True), diff)
    packed = arraylist_to_blobprotovector_str([values, diff[0]])
    again = blobprotovector_str_to_arraylist(packed)
    np.testing.assert_array_equal(again[0], values)
    np.testing.assert_array_equal(again[1], diff[0])


@pytest.mark.parametrize("kind", [np.uint8, np.float64])
def test_datum(kind):
    image = np.arange(24).reshape(2, 3, 4).astype(kind)
    datum = array_to_datum(image, label=3)
    assert datum.label == 3 and not array_to_datum(image).HasField("label")
    np.testing.assert_array_equal(datum_to_array(datum), image)
    with pytest.raises(ValueError, match="C, H, W"):
        array_to_datum(image[0])


def test_means_of_both_forms(tmp_path):
    mean = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    np.save(tmp_path / "mean.npy", mean)
    blob = array_to_blobproto(mean[None])
    (tmp_path / "mean.binaryproto").write_bytes(blob.SerializeToString())
    for name in ("mean.npy", "mean.binaryproto"):
        np.testing.assert_array_equal(load_mean(tmp_path / name), mean)
    (tmp_path / "no.npy").write_bytes(b"\x93NUMPY broken")
    with pytest.raises(RuntimeError, match="no mean image"):
        load_mean(tmp_path / "no.npy")
    with pytest.raises(RuntimeError, match="could not open"):
        load_mean(tmp_path / "absent.npy")


# ---------------------------------------------------------------- images


def test_load_image(tmp_path):
    colour = np.random.RandomState(1).randint(0, 256, (4, 5, 3)).astype(np.uint8)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    Image.fromarray(colour[:, :, 0]).save(tmp_path / "grey.png")
    alpha = np.dstack([colour, np.full((4, 5), 9, np.uint8)])
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    found = load_image(tmp_path / "colour.png")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, colour / 255, atol=1e-6)
    np.testing.assert_allclose(load_image(tmp_path / "alpha.png"), colour / 255, atol=1e-6)
    grey = load_image(tmp_path / "grey.png")
    assert grey.shape == (4, 5, 3) and (grey[..., 0] == grey[..., 2]).all()
    assert load_image(tmp_path / "colour.png", color=False).shape == (4, 5, 1)
    (tmp_path / "text.png").write_text("no image", encoding="utf-8")
    with pytest.raises(RuntimeError, match="text.png"):
        load_image(tmp_path / "text.png")


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_resize_keeps_flat_and_linear_images(channels):
    flat = np.full((7, 9, channels), 0.25, np.float32)
    np.testing.assert_allclose(resize_image(flat, (14, 5)), np.full((14, 5, channels), 0.25))
    ramp = np.tile(np.linspace(-3, 5, 16)[:, None, None], (1, 8, channels))
    out = resize_image(ramp, (32, 8))
    assert out.shape == (32, 8, channels) and out.dtype == np.float32
    assert (np.diff(out[1:-1, 4, 0]) > 0).all()
    assert np.abs(out.mean() - 1) < 0.2 and out.min() >= -3.001 and out.max() <= 5.001


def test_resize_to_the_same_size():
    np.testing.assert_allclose(resize_image(PHOTO, PHOTO.shape[:2]), PHOTO, atol=1e-6)


def test_oversample():
    crops = oversample([PHOTO, 1 - PHOTO], (4, 5))
    assert crops.shape == (20, 4, 5, 3) and crops.dtype == np.float32
    corners = [(0, 0), (0, 7), (5, 0), (5, 7), (2, 3)]
    for i, (y, x) in enumerate(corners):
        expected = PHOTO[y : y + 4, x : x + 5]
        np.testing.assert_array_equal(crops[i], expected)
        np.testing.assert_array_equal(crops[5 + i], expected[:, ::-1])
        np.testing.assert_array_equal(crops[10 + i], (1 - PHOTO)[y : y + 4, x : x + 5])
    with pytest.raises(ValueError, match="10x5"):
        oversample([PHOTO], (10, 5))


# ---------------------------------------------------------------- Transformer


def full(mean):
    t = Transformer({"data": (1, 3, 9, 12)})
    t.set_transpose("data", (2, 0, 1))
    t.set_channel_swap("data", (2, 1, 0))
    t.set_raw_scale("data", 255)
    t.set_mean("data", mean)
    t.set_input_scale("data", 0.5)
    return t


@pytest.mark.parametrize(
    "mean", [np.float32([104, 117, 123]), np.arange(324, dtype=np.float32).reshape(3, 9, 12)]
)
def test_preprocess_in_its_order_and_back(mean):
    t = full(mean)
    wide = mean.reshape(3, 1, 1) if mean.ndim == 1 else mean
    expected = (PHOTO.transpose(2, 0, 1)[::-1] * 255 - wide) * 0.5
    found = t.preprocess("data", PHOTO)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(t.deprocess("data", found), PHOTO, atol=1e-5)
    np.testing.assert_allclose(t.deprocess("data", found[None]), PHOTO, atol=1e-5)


def test_preprocess_resizes_first_and_leaves_the_image():
    t = Transformer({"data": (1, 3, 5, 6)})
    t.set_transpose("data", (2, 0, 1))
    before = PHOTO.copy()
    found = t.preprocess("data", PHOTO)
    np.testing.assert_allclose(found, resize_image(PHOTO, (5, 6)).transpose(2, 0, 1))
    np.testing.assert_array_equal(PHOTO, before)


@pytest.mark.parametrize(
    "name, value",
    [
        ("set_transpose", (1, 0)),
        ("set_channel_swap", (1, 0)),
        ("set_mean", np.zeros(2)),
        ("set_mean", np.zeros((2, 9, 12))),
        ("set_mean", np.zeros((1, 1, 3, 9))),
    ],
)
def test_settings_that_do_not_fit_raise(name, value):
    t = Transformer({"data": (1, 3, 9, 12)})
    with pytest.raises(ValueError) as caught:
        getattr(t, name)("data", value)
    assert isinstance(caught.value, caffe.CaffeError)
    with pytest.raises(ValueError, match="'image' is not one of the net's inputs: data"):
        getattr(t, name)("image", value)
