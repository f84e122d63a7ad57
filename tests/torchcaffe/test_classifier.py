"""Classifier and Detector on a net whose scores are known sums of its input."""

import numpy as np
import pytest
from PIL import Image

import torchcaffe as caffe
from torchcaffe.io import load_image, oversample, resize_image

NET = """
input: "data" input_shape { dim: 2 dim: 3 dim: 20 dim: 20 }
layer { name: "mean" type: "Pooling" bottom: "data" top: "mean"
  pooling_param { pool: AVE global_pooling: true } }
layer { name: "score" type: "Flatten" bottom: "mean" top: "score" }
layer { name: "weigh" type: "Scale" bottom: "score" top: "out" }
"""


@pytest.fixture
def files(tmp_path):
    prototxt, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    prototxt.write_text(NET, encoding="utf-8")
    caffe.Net(prototxt, caffe.TEST).save(weights)
    photo = np.random.RandomState(0).randint(0, 256, (50, 60, 3)).astype(np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    return prototxt, weights, tmp_path / "photo.png"


# ---------------------------------------------------------------- Classifier


def test_predictions_are_means_over_ten_crops(files):
    net = caffe.Classifier(*files[:2], image_dims=(30, 32), raw_scale=255, channel_swap=(2, 1, 0))
    images = [load_image(files[2]), load_image(files[2])[::-1], load_image(files[2])[:40]]
    scores = net.predict(images)
    assert scores.shape == (3, 3)
    for image, score in zip(images, scores, strict=True):
        crops = oversample([resize_image(image, (30, 32))], (20, 20))
        np.testing.assert_allclose(score, crops.mean((0, 1, 2))[::-1] * 255, rtol=1e-4)


def test_prediction_of_the_centre(files):
    net = caffe.Classifier(*files[:2], image_dims=(30, 33), mean=np.float32([1, 2, 3]))
    image = load_image(files[2])
    centre = resize_image(image, (30, 33))[5:25, 6:26]
    expected = centre.mean((0, 1)) - [1, 2, 3]
    np.testing.assert_allclose(net.predict([image], oversample=False)[0], expected, rtol=1e-4)


# ---------------------------------------------------------------- Detector


def test_windows_are_scored_in_order(files):
    net = caffe.Detector(*files[:2], input_scale=2.0)
    windows = [(0, 0, 50, 60), (10, 20, 30, 40), (5, 5, 9, 9)]
    found = net.detect_windows([(files[2], windows), (files[2], windows[1:2])])
    assert [one["window"] for one in found] == [*windows, windows[1]]
    assert {one["filename"] for one in found} == {files[2]}
    image = load_image(files[2])
    for one in found:
        top, left, bottom, right = one["window"]
        crop = resize_image(image[top:bottom, left:right], (20, 20))
        np.testing.assert_allclose(one["prediction"], crop.mean((0, 1)) * 2, rtol=1e-4)
    assert net.detect_windows([]) == []


def test_context_widens_a_window_inside_the_image(files):
    net = caffe.Detector(*files[:2], context_pad=4)
    image = load_image(files[2])
    # 12 pixels (the last one counts) fill the inner 12 of 20: four more on each side
    found = net.crop(image, (20, 25, 31, 36))
    np.testing.assert_allclose(found, resize_image(image[16:36, 21:41], (20, 20)), atol=1e-6)


def test_context_outside_the_image_is_the_mean(files):
    net = caffe.Detector(
        *files[:2], mean=np.float32([10, 20, 30]), raw_scale=255, channel_swap=(2, 1, 0),
        context_pad=4,
    )  # fmt: skip
    image = load_image(files[2])
    found = net.crop(image, (0, 0, 11, 11))
    np.testing.assert_allclose(found[:4], np.broadcast_to(net.crop_mean[:4], found[:4].shape))
    np.testing.assert_allclose(found[0, 0], np.float32([30, 20, 10]) / 255, rtol=1e-6)
    assert found.shape == (20, 20, 3) and not np.allclose(found[10], found[0])
    padding = net.transformer.preprocess("data", found)[:, :4]
    np.testing.assert_allclose(padding, 0, atol=1e-4)


@pytest.mark.parametrize("window", [(90, 90, 95, 95), (5, 5, 5, 9), (1, 2, 3), (0, 0, np.nan, 4)])
@pytest.mark.parametrize("context", [None, 4])
def test_windows_that_do_not_exist(files, window, context):
    net = caffe.Detector(*files[:2], context_pad=context)
    image = load_image(files[2])
    if context and window == (5, 5, 5, 9):  # R-CNN's box of one row
        assert net.crop(image, window).shape == (20, 20, 3)
        return
    with pytest.raises(ValueError, match="window"):
        net.crop(image, window)


def test_context_that_does_not_fit(files):
    with pytest.raises(ValueError, match="context_pad 10"):
        caffe.Detector(*files[:2], context_pad=10)


def test_selective_search_says_what_to_do(files):
    net = caffe.Detector(*files[:2])
    with pytest.raises(ImportError, match="MATLAB.*detect_windows"):
        net.detect_selective_search([files[2]])
