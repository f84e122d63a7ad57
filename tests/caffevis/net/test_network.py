"""Requests and results: what is computed, when, and what belongs together."""

from __future__ import annotations

import numpy as np
import pytest

from caffevis.keys.state import BACK_MODES, Origin
from caffevis.model import opening, threads
from caffevis.model.opening import make_preprocess
from caffevis.model.preprocess import InputError, Preprocess, check_swap, find_pair, fit_mean
from caffevis.net.network import Back, NetRequest, Network
from settings import TABLE
from toolbox.settings import config

BGR = (2, 1, 0)


@pytest.fixture
def network(net):
    prepare = Preprocess(3, 8, 8, BGR, None)
    return Network(net, prepare, "prob", threads=1)


def test_forward_runs_once_a_frame_and_views_need_none(net, network, make_frame):
    frame = make_frame()
    network(NetRequest(frame, "conv"))
    network(NetRequest(frame, "fc"))
    network(NetRequest(make_frame(2), "fc"))
    assert net.calls == [("forward",), ("forward",)]


def test_back_runs_only_when_frame_origin_or_mode_change(net, network, make_frame):
    frame = make_frame()
    grad, deconv = Back("grad", Origin("conv", 1)), Back("deconv", Origin("conv", 1))
    for back in (grad, grad, deconv, None, deconv):
        network(NetRequest(frame, "conv", back))
    network(NetRequest(frame, "fc", deconv))
    assert net.calls == [("forward",), ("grad", "conv"), ("deconv", "conv")]
    network(NetRequest(make_frame(2), "conv", deconv))
    assert net.calls[3:] == [("forward",), ("deconv", "conv")]


def test_result_holds_copies_of_the_viewed_layer(net, network, make_frame):
    frame = make_frame(value=100)
    result = network(NetRequest(frame, "conv"))
    assert result.request.frame is frame
    assert result.activations.shape == (4, 4, 4)
    assert np.all(result.activations[0] == 100)
    assert result.probs is not None
    assert result.probs.sum() == pytest.approx(1)
    before = result.activations.copy()
    network(NetRequest(make_frame(value=7), "conv"))
    assert np.array_equal(result.activations, before)


def test_diff_is_the_units_own_activation_and_zero_elsewhere(net, network, make_frame):
    back = Back("grad", Origin("conv", 2))
    result = network(NetRequest(make_frame(value=50), "conv", back))
    assert np.all(result.layer_diffs[2] == 100)
    assert np.all(result.layer_diffs[[0, 1, 3]] == 0)


def test_back_image_is_the_input_diff_in_rgb_order(net, network, make_frame):
    back = Back("deconv", Origin("fc", 4))
    result = network(NetRequest(make_frame(), "fc", back))
    # The stand-in writes minus 1, 2, 3 times the sum into B, G, R; the unit's value is 3.
    assert np.all(result.back_image == np.array([-9, -6, -3], np.float32))


def test_guided_backprop_is_offered_where_the_network_has_it(net, guided_net, make_frame):
    prepare = Preprocess(3, 8, 8, BGR, None)
    assert Network(net, prepare, None, threads=1).back_modes == ("grad", "deconv")
    network = Network(guided_net, prepare, None, threads=1)
    assert network.back_modes == BACK_MODES
    frame, origin = make_frame(), Origin("fc", 4)
    grad = network(NetRequest(frame, "fc", Back("grad", origin))).back_image
    guided = network(NetRequest(frame, "fc", Back("guided", origin)))
    assert np.array_equal(guided.back_image, 10 * grad)
    assert [timing.name for timing in guided.timings] == ["guided"]


def test_without_back_there_are_no_diffs(network, make_frame):
    result = network(NetRequest(make_frame(), "conv"))
    assert result.layer_diffs is None
    assert result.back_image is None


def test_after_an_error_the_frame_is_computed_anew(net, network, make_frame):
    frame = make_frame()
    net.fail = RuntimeError("out of order")
    with pytest.raises(RuntimeError):
        network(NetRequest(frame, "conv"))
    net.fail = None
    assert network(NetRequest(frame, "conv")).activations.any()
    assert net.calls == [("forward",), ("forward",)]


def test_preprocessing_swaps_channels_subtracts_the_mean_and_scales(make_frame):
    image = np.zeros((4, 4, 3), np.uint8)
    image[:] = (10, 20, 30)
    mean = fit_mean(np.array([1, 2, 3], np.float32), 3, 2, 2)
    prepare = Preprocess(3, 2, 2, BGR, mean, raw_scale=510, input_scale=0.5)
    assert prepare(image).shape == (1, 3, 2, 2)
    assert prepare(image)[0, :, 0, 0].tolist() == [29.5, 19.0, 8.5]


def test_preprocessing_makes_grey_for_one_channel():
    image = np.full((4, 4, 3), 60, np.uint8)
    assert np.all(Preprocess(1, 2, 2, BGR, None)(image) == 60)
    assert Preprocess(1, 2, 2, BGR, None).back_image(np.ones((1, 2, 2), np.float32)).shape == (
        2, 2, 1,
    )  # fmt: skip


def test_preprocessing_and_back_image_are_each_others_inverse(make_frame):
    image = make_frame().image
    for swap in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        prepare = Preprocess(3, 8, 8, swap, None)
        assert np.array_equal(prepare.back_image(prepare(image)[0]), image)


def test_mean_is_cropped_to_the_centre():
    mean = np.arange(3 * 6 * 6, dtype=np.float32).reshape(3, 6, 6)
    assert np.array_equal(fit_mean(mean, 3, 2, 4), mean[:, 2:4, 1:5])


@pytest.mark.parametrize("shape", [(3, 2, 2), (4, 8, 8), (2,), (8, 8)])
def test_mean_that_does_not_fit_is_one_sentence(shape: tuple[int, ...]):
    with pytest.raises(InputError, match="caffevis_data_mean"):
        fit_mean(np.zeros(shape, np.float32), 3, 4, 4)


def test_channels_that_pictures_cannot_feed_are_one_sentence():
    with pytest.raises(InputError, match="0 channels; pictures can feed 1"):
        find_pair(0, 8, False)
    with pytest.raises(InputError, match="channel_swap"):
        check_swap((0, 1, 1), 3)


def test_channels_beyond_the_colours_hold_their_values():
    others = np.arange(2 * 4 * 4, dtype=np.float32).reshape(2, 4, 4)
    mean = np.array([1, 2, 3, 0, 0], np.float32)[:, None, None]
    assert find_pair(5, 4, False) == ""
    prepare = Preprocess(5, 4, 4, check_swap(None, 5), mean, others=others)
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[:] = (10, 20, 30)
    found = prepare(picture)[0]
    assert found[:3, 1, 1].tolist() == [29, 18, 7]
    np.testing.assert_array_equal(found[3:], others)
    assert prepare.back_image(found)[1, 1].tolist() == [7, 18, 29], "the colours' diff"


def settings_with(**values):
    return config.load(TABLE, None).replaced(**values)


def test_settings_name_the_mean_by_value_or_file(net, tmp_path):
    np.save(tmp_path / "mean.npy", np.full((3, 10, 10), 5, np.float32))
    for mean in ((1.0, 2.0, 3.0), str(tmp_path / "mean.npy"), None):
        assert make_preprocess(net, settings_with(caffevis_data_mean=mean)).height == 8
    per_file = make_preprocess(net, settings_with(caffevis_data_mean=str(tmp_path / "mean.npy")))
    assert per_file.mean.shape == (3, 8, 8)


def test_batches_become_one_image(make_fake):
    net = make_fake(batch=10)
    opening._use_one_image(net)
    assert net.blobs["data"].shape == (1, 3, 8, 8)
    assert net.blobs["fc"].shape == (1, 5)


def test_window_keeps_a_core_for_itself(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 8)
    assert threads.compute_threads(None) == (7, 4)
    assert threads.compute_threads(3) == (3, 1)
    assert threads.compute_threads(1) == (1, 0)
    monkeypatch.setattr(threads, "cores", lambda: 2)
    assert threads.compute_threads(None) == (1, 1)
    monkeypatch.setattr(threads, "cores", lambda: 1)
    assert threads.compute_threads(None) == (1, 0)


def test_a_frame_may_be_prepared_before_and_is_the_same_request(network, make_frame):
    frame = make_frame(value=60)
    plain = NetRequest(frame, "conv")
    prepared = NetRequest(frame, "conv", values=network.prepare(make_frame(value=80)))
    assert prepared == plain
    assert hash(prepared) == hash(plain)
    # The values count where they are given, here those of another picture.
    assert np.all(network(prepared).activations[0] == 80)
    assert np.all(network(NetRequest(make_frame(value=60), "conv")).activations[0] == 60)
