"""Lesions against nets whose weights are zero there, and against a pass by hand, layer by layer."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

import torchcaffe as caffe
from tests.nets.build import build, fill_inputs
from tests.torchcaffe.importing.zoo import SIZE, make

MODEL = Path(__file__).resolve().parents[2] / "models" / "caffenet-caltech101"


@functools.cache
def bundled() -> caffe.Net:
    definition, weights = MODEL / "deploy.prototxt", MODEL / "caffenet-caltech101.caffemodel"
    return caffe.Net(str(definition), str(weights), caffe.TEST)


@functools.cache
def imported(name: str) -> caffe.Net:
    return caffe.from_torch(make(name), (3, SIZE, SIZE))


def opened(name: str) -> caffe.Net:
    """Return a net with random numbers in its inputs, forwarded."""
    if name == "bundled":
        net = bundled()
    elif name in ("googlenet", "resnet50"):
        net = build(name, until="inception_4a/output" if name == "googlenet" else "res3b")
    else:
        net = build(name) if name == "lenet" else imported(name)
    fill_inputs(net, np.random.RandomState(3))
    if name == "bundled":
        net.blobs["data"].data[...] *= 40  # grey levels
    net.forward()
    return net


def strongest(net: caffe.Net, name: str) -> int:
    """Return a blob's unit with the highest value."""
    return int(net.blobs[name].data[0].reshape(net.blobs[name].shape[1], -1).max(axis=1).argmax())


def data(net: caffe.Net) -> dict[str, np.ndarray]:
    return {name: blob.data.copy() for name, blob in net.blobs.items()}


def by_hand(net: caffe.Net, held: dict) -> dict[str, np.ndarray]:
    """Run layer by layer, and change the units behind the last layer that writes their blob."""
    last = {name: layer for layer, tops in net.top_names.items() for name in tops}
    for i, layer in enumerate(net.layer_dict):
        net._forward(i, i)
        for (name, unit), value in held.items():
            if last[name] != layer:
                continue
            layout = net.layouts.get(name)
            axis = layout.axis if layout else min(1, net.blobs[name].data.ndim - 1)
            part = np.moveaxis(net.blobs[name].data, axis, 0)
            part[unit] = part[unit] * value.factor if hasattr(value, "factor") else value
    return data(net)


# Net -> units in a middle layer and above, among them in-place ones, tokens, channels-last.
CASES = {
    "bundled": {("conv3", 60): 0.0, ("conv3", 61): 0.25, ("fc6", 7): caffe.scale(2.0)},
    "lenet": {("conv1", 3): 0.0, ("ip1", 7): 1.5},
    "googlenet": {("inception_3a/3x3", 5): 0.0, ("inception_3b/output", 40): caffe.scale(-1)},
    "resnet50": {("res2a", 5): 0.0, ("res2b_branch2b", 1): caffe.scale(0.5)},
    "Residual": {("stem.1", 2): 0.0},
    "Bottleneck": {("stem", 1): 0.0},
    "ConvNeXt": {("stage.0.up", 3): 0.0, ("stem.0", 1): 2.0},
    "ViT": {("mlp.0", 5): 0.0, ("attn.qkv", 2): caffe.scale(2)},
    "Dense": {("stem", 1): 1.0},
}


def held_of(name: str, net: caffe.Net) -> dict:
    """Return the case's units that the net has; a middle blob where its names are others."""
    held = {key: value for key, value in CASES[name].items() if key[0] in net.blobs}
    return held or {(list(net.blobs)[len(net.blobs) // 3], 1): 0.0}


@pytest.mark.parametrize("name", CASES)
def test_lesions_are_those_of_a_pass_by_hand_and_layers_below_stay_bit_equal(name):
    net = opened(name)
    held, whole = held_of(name, net), data(net)
    wanted = by_hand(net, held)
    with caffe.lesions(net, held):
        net.forward()
        found = data(net)
    first = min(list(net.blobs).index(key[0]) for key in held)
    below = list(net.blobs)[:first]
    assert all(np.array_equal(found[blob], whole[blob]) for blob in below)
    moved = [blob for blob in found if not np.array_equal(found[blob], whole[blob])]
    assert len(moved) > len(held), "what lies above answers"
    for blob in found:
        # Of the largest value: a pass by hand does not fold BatchNorm into the weights before it.
        near = 1e-5 * max(1.0, float(np.abs(wanted[blob]).max()))
        np.testing.assert_allclose(found[blob], wanted[blob], rtol=1e-5, atol=near, err_msg=blob)


@pytest.mark.parametrize("name", CASES)
def test_recomputing_what_lies_above_gives_the_same_and_ends_where_it_began(name):
    net = opened(name)
    held, whole = held_of(name, net), data(net)
    with caffe.lesions(net, held):
        net.forward()
        wanted = data(net)
    net.forward()
    with caffe.lesions(net, held) as recompute:
        recompute()
        found = data(net)
    caffe.recompute(net, [key[0] for key in held])
    for blob in found:
        # Not bit by bit: values that somebody has looked at lie in another order in memory.
        np.testing.assert_allclose(found[blob], wanted[blob], rtol=1e-6, atol=1e-6, err_msg=blob)
        np.testing.assert_allclose(
            net.blobs[blob].data, whole[blob], rtol=1e-6, atol=1e-6, err_msg=blob
        )


@pytest.mark.parametrize("layer", ["conv2", "conv5", "fc6"])
def test_a_unit_that_is_off_is_one_whose_weights_are_zero(layer):
    net = opened("bundled")
    unit = strongest(net, layer)
    with caffe.lesions(net, {(layer, unit): 0.0}):
        found = net.forward()["prob"].copy()
    twin = caffe.Net(str(MODEL / "deploy.prototxt"), caffe.TEST)
    for name, blobs in net.params.items():
        for own, theirs in zip(twin.params[name], blobs, strict=True):
            own.data[...] = theirs.data
    for blob in twin.params[layer]:
        blob.data[unit] = 0
    wanted = twin.forward(data=net.blobs["data"].data)["prob"]
    assert np.abs(net.forward()["prob"] - wanted).max() > 1e-5
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-8)


def test_only_what_lies_above_is_computed_again():
    net = build("googlenet", until="inception_3b/output")
    fill_inputs(net, np.random.RandomState(3))
    net.forward()
    ran: list[str] = []
    names = list(net.layer_dict)
    net.before_forward(lambda number: ran.append(names[number]))
    with caffe.lesions(net, {("inception_3b/3x3", 5): 0.0}) as recompute:
        recompute()
    # Of the module's other branches nothing runs; of the last layer's own branch what is behind.
    assert ran == ["inception_3b/output"]


IN_PLACE = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 dim: 3 dim: 3 } } }
layer { name: "a" type: "Power" bottom: "x" top: "a" power_param { scale: 2 } }
layer { name: "flat" type: "Flatten" bottom: "a" top: "flat" }
layer { name: "neg" type: "Power" bottom: "x" top: "neg" power_param { scale: -3 } }
layer { name: "mean" type: "Reduction" bottom: "neg" top: "mean" reduction_param { axis: 2 } }
layer { name: "b" type: "Power" bottom: "x" top: "b" power_param { scale: 5 } }
layer { name: "gate" type: "Scale" bottom: "b" bottom: "mean" top: "b" scale_param { axis: 0 } }
layer { name: "end" type: "Power" bottom: "b" top: "end" power_param { shift: 1 } }
"""


def test_what_a_layer_works_on_in_place_is_made_anew_before_it(net_of):
    net = net_of(IN_PLACE)
    net.blobs["x"].data[...] = np.arange(1, 19, dtype=np.float32).reshape(1, 2, 3, 3)
    net.forward()
    whole = net.blobs["end"].data.copy()
    with caffe.lesions(net, {("mean", 0): 1.0}) as recompute:
        for _ in range(2):
            recompute()
            np.testing.assert_array_equal(net.blobs["b"].data[0, 0], 5 * net.blobs["x"].data[0, 0])
    caffe.recompute(net, ["mean"])
    np.testing.assert_array_equal(net.blobs["end"].data, whole)


def test_a_view_of_a_blob_below_can_be_held_alone(net_of):
    net = net_of(IN_PLACE)
    net.blobs["x"].data[...] = 1
    net.forward()
    a, flat = net.blobs["a"], net.blobs["flat"]
    with caffe.lesions(net, {("flat", 4): 9.0}):
        assert flat.data[0, 4] == 9 and a.data[0, 0, 1, 1] == 2
        net.blobs["x"].data[...] = 2
        net.forward()
        assert flat.data[0, 4] == 9 and flat.data[0, 5] == 4 and (a.data == 4).all()
    assert (flat.data == 4).all()
    a.data[...] = 7
    assert (flat.data == 7).all(), "the two are one memory again"


def test_a_units_map_is_held_for_all_images_and_arrays_in_hand_follow():
    net = build("lenet")
    fill_inputs(net, np.random.RandomState(3))
    conv1 = net.blobs["conv1"].data
    net.forward()
    before = conv1.copy()
    with caffe.lesions(net, {("conv1", 3): 0.5}):
        assert (conv1[:, 3] == 0.5).all() and np.array_equal(conv1[:, 4:], before[:, 4:])
    assert np.array_equal(conv1, before)


def test_nothing_goes_back_through_a_unit_that_is_held():
    net = opened("bundled")
    unit = strongest(net, "conv5")

    def gradient(held: dict) -> np.ndarray:
        with caffe.lesions(net, held) as recompute:
            recompute()
            diff = np.zeros(net.blobs["fc8"].shape, np.float32)
            diff[0, 5] = 1
            found = net.backward_from_layer("fc8", diff, zero_higher=True)["data"].copy()
        net.forward()
        return found

    plain = gradient({("conv5", unit): caffe.scale(1.0)})
    held = gradient({("conv5", unit): float(net.blobs["conv5"].data[0, unit].max())})
    assert np.abs(held - plain).max() > 1e-7
    weights = net.params["conv5"][0]
    own = weights.data[unit].copy()
    off = gradient({("conv5", unit): 0.0})
    weights.data[unit], bias = 0, net.params["conv5"][1].data[unit]
    net.params["conv5"][1].data[unit] = 0
    net.forward()
    wanted = gradient({("conv5", 0): caffe.scale(1.0)})
    weights.data[unit], net.params["conv5"][1].data[unit] = own, bias
    np.testing.assert_allclose(off, wanted, rtol=1e-4, atol=1e-9)


def test_a_scaled_unit_hands_its_multiple_back(net_of):
    net = net_of(IN_PLACE)
    net.blobs["x"].data[...] = 1
    net.forward()
    with caffe.lesions(net, {("a", 1): caffe.scale(3)}):
        diff = np.ones(net.blobs["flat"].shape, np.float32)
        back = net.backward_from_layer("flat", diff, zero_higher=True)["x"]
        assert (back[0, 0] == 2).all() and (back[0, 1] == 6).all()


def test_contexts_nest_and_an_error_ends_them_all():
    net = opened("bundled")
    whole, attributes = net.blobs["prob"].data.copy(), [dict(vars(node)) for node in net.nodes]
    with caffe.lesions(net, {("conv5", 3): 0.0}):
        inside = net.forward()["prob"].copy()
        with caffe.lesions(net, {("conv5", 4): 0.0, ("conv5", 3): caffe.scale(2.0)}) as recompute:
            recompute()
            assert not net.blobs["conv5"].data[:, 3:5].any()
        assert np.array_equal(net.forward()["prob"], inside)
    with pytest.raises(RuntimeError, match="in the middle"), caffe.lesions(net, {("fc7", 3): 5.0}):
        net.forward()
        raise RuntimeError("in the middle")
    assert np.array_equal(net.forward()["prob"], whole)
    for node, before in zip(net.nodes, attributes, strict=True):
        assert set(vars(node)) == set(before), node.layer.name


def test_before_the_first_pass_there_is_nothing_to_hold_yet():
    net = build("lenet")
    with caffe.lesions(net, {("conv1", 0): 4.0}):
        assert not net.blobs["conv1"].data.any()
        net.forward()
        assert (net.blobs["conv1"].data[:, 0] == 4).all()


WRONG = {
    ("conv9", 0): (0.0, "there is no blob 'conv9' in this net; did you mean conv"),
    ("data", 0): (0.0, "data is an input: change the values that are put into it; lesions are of "
                       "blobs that layers compute"),
    ("conv1", 20): (0.0, "conv1 has the units 0 to 19; 20 is none of them"),
    ("conv1", -1): (0.0, "conv1 has the units 0 to 19; -1 is none of them"),
    ("conv1", "1"): (0.0, "conv1 has the units 0 to 19; '1' is none of them"),
    ("ip1", 2): (float("nan"), "the value of ip1:2 is nan; a finite number, or "
                               "torchcaffe.scale(factor), is accepted"),
    ("ip1", 3): ("off", "the value of ip1:3 is 'off'; a finite number, or torchcaffe.scale(factor),"
                        " is accepted"),
    "conv1": (0.0, "lesions are given by blob and unit, as (\"conv5\", 60), not 'conv1'"),
}  # fmt: skip


@pytest.mark.parametrize("key", WRONG, ids=str)
def test_what_cannot_be_held_is_said_in_a_sentence(key):
    net, (value, said) = build("lenet"), WRONG[key]
    with pytest.raises(caffe.CaffeError) as caught, caffe.lesions(net, {key: value}):
        pass
    assert str(caught.value).startswith(said)


def test_a_scale_is_a_finite_number():
    with pytest.raises(caffe.ArgumentError, match="scale's factor is inf; a finite number"):
        caffe.scale(float("inf"))
    with pytest.raises(caffe.UnknownNameError, match="there is no blob 'conv9'"):
        caffe.recompute(build("lenet"), ["conv9"])
