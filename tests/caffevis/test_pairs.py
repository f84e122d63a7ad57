"""Pairs of pictures: what feeds siamese networks, and what comes back from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import torchcaffe as caffe
from caffevis.app import CaffeVisApp
from caffevis.model.opening import make_preprocess
from caffevis.model.preprocess import (
    CHANNELS,
    WIDTH,
    InputError,
    Preprocess,
    check_swap,
    find_pair,
    fit_pair_mean,
)
from caffevis.panes.back import filtered
from settings import TABLE
from toolbox.app.core_panes import InputView, draw_input
from toolbox.input.frame import Frame
from toolbox.pictures.images import side_by_side
from toolbox.settings import config

BGR = (2, 1, 0)
BOTH = (2, 1, 0, 5, 4, 3)
BY_KEY = {key: row for row in CaffeVisApp.bindings for key in row.keys}
DEFAULTS = config.load(TABLE, None).replaced(pane_headings=False, caffevis_start=None,
    caffevis_data_mean=None, caffevis_labels=None, caffevis_label_layers=None,
    caffevis_prob_layer=None, caffevis_compute_threads=1,
)  # fmt: skip


def flat(*colour: int, side: int = 8) -> np.ndarray:
    return np.full((side, side, 3), colour, np.uint8)


@pytest.fixture
def pair() -> Frame:
    random = np.random.default_rng(2)
    one, two = random.integers(0, 255, (2, 8, 8, 3), dtype=np.uint8)
    return Frame(1, one, "a + b", two)


# ------------------------------------------------------------------ into the input


def test_the_second_pictures_channels_come_behind_the_firsts(pair):
    prepare = Preprocess(6, 8, 8, check_swap(BGR, 6), None, pair=CHANNELS)
    planes = prepare(pair.image, pair.second)[0]
    assert np.array_equal(planes[:3], pair.image[:, :, ::-1].transpose(2, 0, 1))
    assert np.array_equal(planes[3:], pair.second[:, :, ::-1].transpose(2, 0, 1))


def test_grey_pairs_have_a_channel_each():
    prepare = Preprocess(2, 4, 4, BGR, None, pair=CHANNELS)
    planes = prepare(flat(30, 30, 30), flat(200, 200, 200))[0]
    assert [np.unique(plane).tolist() for plane in planes] == [[30], [200]]


def test_pairs_side_by_side_are_the_halves_of_the_width(pair):
    prepare = Preprocess(3, 8, 16, (0, 1, 2), None, pair=WIDTH)
    planes = prepare(pair.image, pair.second)[0]
    assert np.array_equal(planes[:, :, :8], pair.image.transpose(2, 0, 1))
    assert np.array_equal(planes[:, :, 8:], pair.second.transpose(2, 0, 1))


def test_a_photo_counts_for_both_and_another_network_takes_the_first(pair):
    both = Preprocess(6, 8, 8, check_swap(None, 6), None, pair=CHANNELS)
    planes = both(pair.image)[0]
    assert np.array_equal(planes[:3], planes[3:])
    alone = Preprocess(3, 8, 8, BGR, None)
    assert np.array_equal(alone(pair.image, pair.second), alone(pair.image))


MEANS = {
    "a value a channel": (np.array([1, 2, 3]), [1, 2, 3, 1, 2, 3]),
    "six values": (np.array([1, 2, 3, 4, 5, 6]), [1, 2, 3, 4, 5, 6]),
    "one value": (np.array(7), [7] * 6),
    "an image": (np.array([1, 2, 3])[:, None, None] * np.ones((3, 10, 10)), [1, 2, 3, 1, 2, 3]),
    "both images": (np.arange(1, 7)[:, None, None] * np.ones((1, 6, 9, 9)), [1, 2, 3, 4, 5, 6]),
}


@pytest.mark.parametrize("case", MEANS)
def test_a_mean_given_once_counts_for_both(case: str):
    mean, expected = MEANS[case]
    fitted = fit_pair_mean(mean, CHANNELS, 6, 8, 8)
    prepare = Preprocess(6, 8, 8, check_swap(BGR, 6), fitted, pair=CHANNELS)
    assert (100 - prepare(flat(100, 100, 100))[0, :, 3, 3]).tolist() == expected


def test_a_mean_image_of_one_half_counts_for_both_halves():
    half = np.arange(8, dtype=np.float32)[None, None] * np.ones((3, 8, 1), np.float32)
    fitted = fit_pair_mean(half, WIDTH, 3, 8, 16)
    assert np.array_equal(fitted[0, 0], [*range(8), *range(8)])
    whole = np.arange(16, dtype=np.float32)[None, None] * np.ones((3, 8, 1), np.float32)
    assert np.array_equal(fit_pair_mean(whole, WIDTH, 3, 8, 16)[0, 0], range(16))
    assert fit_pair_mean(np.array([1, 2, 3]), WIDTH, 3, 8, 16).ravel().tolist() == [1, 2, 3]


@pytest.mark.parametrize("shape", [(4,), (3, 4, 4), (5, 8, 8), (12, 8, 8)])
def test_a_mean_that_fits_neither_is_one_sentence(shape: tuple[int, ...]):
    with pytest.raises(InputError, match="caffevis_data_mean"):
        fit_pair_mean(np.zeros(shape, np.float32), CHANNELS, 6, 8, 8)


def test_the_swap_of_a_pair_has_three_or_six_numbers():
    assert check_swap(None, 6) == check_swap(BGR, 6) == check_swap(BOTH, 6) == BOTH
    assert check_swap((0, 1, 2, 5, 4, 3), 6) == (0, 1, 2, 5, 4, 3)
    for wrong in ((0, 1), (0, 1, 1), (0, 1, 2, 3, 4, 4)):
        with pytest.raises(InputError, match="0, 1 and 2, or 0 to 5"):
            check_swap(wrong, 6)


def test_which_inputs_are_pairs():
    assert [find_pair(channels, 8, False) for channels in (1, 2, 3, 6)] == ["", CHANNELS] * 2
    assert find_pair(3, 8, True) == WIDTH
    assert find_pair(6, 8, True) == CHANNELS
    with pytest.raises(InputError, match="is 7 wide, which has no halves"):
        find_pair(3, 7, True)


# ------------------------------------------------------------------ and back


@pytest.mark.parametrize(
    "prepare",
    [Preprocess(6, 8, 8, BOTH, None, pair=CHANNELS),
     Preprocess(6, 8, 8, (1, 2, 0, 3, 5, 4), None, pair=CHANNELS),
     Preprocess(3, 8, 16, BGR, None, pair=WIDTH)],
)  # fmt: skip
def test_the_back_image_is_the_inputs_inverse(pair, prepare: Preprocess):
    back = prepare.back_image(prepare(pair.image, pair.second)[0])
    assert np.array_equal(back, [pair.image, pair.second])


@pytest.mark.parametrize("how", ["raw", "gray", "norm", "normblur"])
def test_back_images_of_a_pair_are_scaled_together_and_shown_side_by_side(how: str):
    strong = np.random.default_rng(1).normal(0, 4, (8, 8, 3)).astype(np.float32)
    both = filtered(np.stack([strong, strong / 4]), how, 1.0)
    assert both.shape == (8, 16, 3)
    alone = filtered(strong, how, 1.0)
    if how in ("raw", "gray"):
        assert np.array_equal(both[:, :8], alone)
    assert np.ptp(both[:, :8]) > 2 * np.ptp(both[:, 8:])


def test_a_blur_does_not_run_from_one_picture_into_the_other():
    diff = np.zeros((2, 8, 8, 1), np.float32)
    diff[0, :, 7] = 1
    picture = filtered(diff, "normblur", 2.0)
    assert picture[:, 7].min() > 100
    assert picture[:, 8:].max() == 0


def test_both_pictures_are_drawn_side_by_side():
    canvas = np.zeros((20, 20, 3), np.uint8)
    frame = Frame(1, flat(250, 0, 0), "a + b", flat(0, 0, 250, side=4))
    draw_input(canvas, InputView(frame, (9, 9, 9)))
    assert np.all(canvas[:10, :9] == (250, 0, 0))
    assert np.all(canvas[:10, 11:] == (0, 0, 250))
    assert np.all(canvas[10:] == 9)
    assert side_by_side((frame.image,)) is frame.image


# ------------------------------------------------------------------ through the app

STACKED = """
name: "stacked" force_backward: true
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 6 dim: 8 dim: 8 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 6 kernel_size: 1 bias_term: false } }
"""
TOWER = """
layer { name: "conv1%s" type: "Convolution" bottom: "%s" top: "conv1%s"
        param { name: "w" } convolution_param { num_output: 3 kernel_size: 1 bias_term: false } }
layer { name: "relu1%s" type: "ReLU" bottom: "conv1%s" top: "conv1%s" }
layer { name: "pool%s" type: "Pooling" bottom: "conv1%s" top: "pool%s"
        pooling_param { pool: AVE global_pooling: true } }
"""
TWINS = """
name: "twins" force_backward: true
layer { name: "pair" type: "Input" top: "pair"
        input_param { shape { dim: 1 dim: 6 dim: 8 dim: 8 } } }
layer { name: "slice" type: "Slice" bottom: "pair" top: "left" top: "right"
        slice_param { axis: 1 slice_point: 3 } }
"""


def twins() -> str:
    text = TWINS
    for suffix, bottom in (("", "left"), ("_p", "right")):
        text += TOWER % (suffix, bottom, *[suffix] * 7)
    return text


def load(tmp_path, text: str) -> caffe.Net:
    (tmp_path / "net.prototxt").write_text(text, encoding="utf-8")
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    weights = net.params["conv1"][0].data
    weights[...] = np.eye(weights.shape[0]).reshape(weights.shape)
    return net


@pytest.fixture
def start(tmp_path):
    apps = []

    def make(text: str, **settings) -> CaffeVisApp:
        apps.append(CaffeVisApp(DEFAULTS.replaced(**settings), lambda: 0.0, load(tmp_path, text)))
        apps[-1].start()
        return apps[-1]

    yield make
    assert all(app.close() for app in apps)


def press(app: CaffeVisApp, keys: str) -> None:
    for key in keys.split():
        app.handle(BY_KEY[key])
    app.update()
    while not app.settled():
        app.wait(0.05)
        app.update()


def test_a_network_of_six_channels_sees_both_pictures(start, pair):
    app = start(STACKED)
    app.set_frame(pair)
    press(app, "down right")
    result = app.result
    assert np.array_equal(result.activations[2], pair.image[:, :, 0])
    assert np.array_equal(result.activations[5], pair.second[:, :, 0])
    press(app, "right right b")  # unit 3: the second picture's blue
    first, second = app.result.back_image
    assert not first.any()
    assert np.array_equal(second[:, :, 2], pair.second[:, :, 2])
    assert app.message() == ""


def test_twin_towers_see_one_picture_each_with_the_same_weights(start, pair):
    app = start(twins(), caffevis_data_mean=(1.0, 2.0, 3.0))
    app.set_frame(pair)
    press(app, "o o")
    names = [layer.name for layer in app.state.layers]
    assert {"conv1", "pool", "conv1_p", "pool_p"} <= set(names)

    def go_to(name: str) -> np.ndarray:
        press(app, "esc " + "o " * names.index(name))
        return app.result.activations

    less = np.maximum(pair.second[:, :, ::-1].astype(np.float32) - (1, 2, 3), 0)
    assert np.array_equal(go_to("conv1_p"), less.transpose(2, 0, 1))
    assert np.allclose(go_to("pool_p").ravel(), less.mean((0, 1)), rtol=1e-5)
    press(app, "down n n")
    assert app.state.back_mode == "deconv"
    first, second = app.result.back_image
    assert not first.any()
    assert second[:, :, 2].min() > 0
    assert not second[:, :, :2].any()


def test_a_photo_feeds_both_towers(start, pair):
    app = start(twins())
    app.set_frame(replace(pair, second=None))
    press(app, "")
    names = [layer.name for layer in app.state.layers]
    press(app, "o " * names.index("pool"))
    left = app.result.activations
    press(app, "o " * (names.index("pool_p") - names.index("pool")))
    assert np.array_equal(left, app.result.activations)
    assert app.message() == ""


def test_a_pair_on_a_network_of_one_picture_says_that_it_takes_the_first(start, pair):
    app = start(STACKED.replace("dim: 6", "dim: 3").replace("num_output: 6", "num_output: 3"))
    app.set_frame(pair)
    press(app, "")
    assert np.array_equal(app.result.activations[2], pair.image[:, :, 0])
    assert app.message() == "the network takes one picture: the pair's first"


def test_the_forks_settings_of_halves_are_obeyed(tmp_path):
    net = load(tmp_path, STACKED.replace("dim: 6", "dim: 3").replace("output: 6", "output: 3")
               .replace("dim: 8 }", "dim: 16 }"))  # fmt: skip
    along = {"is_siamese": True, "siamese_input_mode": "concat_along_width"}
    assert make_preprocess(net, DEFAULTS.replaced(**along)).pair == WIDTH
    assert make_preprocess(net, DEFAULTS.replaced(is_siamese=True)).pair == ""
    assert make_preprocess(net, DEFAULTS).pair == ""
