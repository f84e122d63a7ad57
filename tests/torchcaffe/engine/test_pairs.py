"""BatchNorm and the Scale behind it in one pass: every blob and diff as from the two alone."""

import numpy as np
import pytest

import torchcaffe as caffe
from torchcaffe.layers.linear import Scale
from torchcaffe.proto.caffe_pb2 import NetParameter
from torchcaffe.proto.text import parse_text

NETS = {
    "a blob of its own": "top: 'bn'",
    "in place": "top: 'conv'",
}
TEXT = """force_backward: true
layer {{ name: 'data' type: 'Input' top: 'data'
  input_param {{ shape {{ dim: 2 dim: 3 dim: 6 dim: 5 }} }} }}
layer {{ name: 'conv' type: 'Convolution' bottom: 'data' top: 'conv'
  convolution_param {{ num_output: 4 kernel_size: 3 }} }}
layer {{ name: 'bn' type: 'BatchNorm' bottom: 'conv' {top} batch_norm_param {{ eps: 1e-3 }} }}
layer {{ name: 'scale' type: 'Scale' {bottom} {top} scale_param {{ bias_term: {bias} }} }}
layer {{ name: 'relu' type: 'ReLU' {bottom} {top} }}
layer {{ name: 'score' type: 'InnerProduct' {bottom} top: 'score'
  inner_product_param {{ num_output: 3 }} }}
"""


def make(kind, *, alone, bias=True):
    caffe.set_random_seed(1)
    top = NETS[kind]
    text = TEXT.format(top=top, bottom=top.replace("top", "bottom"), bias=str(bias).lower())
    net = caffe.Net.from_param(parse_text(text, NetParameter()))
    random = np.random.RandomState(3)
    for name, blobs in net.params.items():
        for blob in blobs:
            low = 0.5 if name in ("bn", "scale") else -0.5
            blob.data[...] = random.uniform(low, low + 1, blob.shape)
    if bias:
        net.params["scale"][1].data[...] = random.normal(0, 1, 4)
    if alone:
        net.before_forward(lambda number: None)
    return net


def pictures(net, seed=5):
    return np.random.RandomState(seed).normal(0, 1, net.blobs["data"].shape).astype(np.float32)


def all_of(net, part):
    return {name: getattr(blob, part).copy() for name, blob in net.blobs.items()}


def assert_same(ours, expected):
    assert list(ours) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-5, atol=2e-6, err_msg=name)


def both(kind, look, **options):
    return [look(make(kind, alone=alone, **options)) for alone in (False, True)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", NETS)
def test_forward_and_back(kind, bias):
    def look(net):
        net.forward(data=pictures(net))
        seen = [all_of(net, "data")]
        diff = np.random.RandomState(2).normal(0, 1, net.blobs["score"].shape)
        for rule in ("backward", "deconv", "guided"):
            for zero_higher in (True, False):
                call = getattr(net, f"{rule}_from_layer")
                call("score", diff, zero_higher=zero_higher)
                seen.append(all_of(net, "diff"))
        return seen

    for ours, expected in zip(*both(kind, look, bias=bias), strict=True):
        assert_same(ours, expected)


@pytest.mark.parametrize("kind", NETS)
def test_gradients_of_parameters(kind):
    def look(net):
        net.forward(data=pictures(net))
        net.backward(score=np.ones(net.blobs["score"].shape))
        blobs = [(f"{n} {i}", b) for n, bs in net.params.items() for i, b in enumerate(bs)]
        return {**{name: blob.diff.copy() for name, blob in blobs}, **all_of(net, "diff")}

    ours, expected = both(kind, look)
    assert np.abs(expected["scale 0"]).max() > 0
    assert_same(ours, expected)


@pytest.mark.parametrize("kind", NETS)
def test_it_is_one_pass(kind, monkeypatch):
    net = make(kind, alone=False)
    expected = make(kind, alone=True)
    expected.forward(data=pictures(net))

    def never(*args):
        raise AssertionError("the Scale ran alone")

    for name in ("compute", "backward"):
        monkeypatch.setattr(Scale, name, never)
    net.forward(data=pictures(net))
    net.backward_from_layer("score", np.ones(net.blobs["score"].shape), zero_higher=True)
    assert_same(all_of(net, "data"), all_of(expected, "data"))


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize(("layer", "number"), [("bn", 0), ("bn", 1), ("bn", 2), ("scale", 0)])
def test_an_edited_parameter_counts(kind, layer, number):
    def look(net):
        net.forward(data=pictures(net))
        net.backward_from_layer("score", np.ones(net.blobs["score"].shape), zero_higher=True)
        net.params[layer][number].data[...] *= 3
        net.forward(data=pictures(net))
        net.backward_from_layer("score", np.ones(net.blobs["score"].shape), zero_higher=True)
        held = net.params[layer][number].data
        net.forward()
        held[1:] += 1  # after a pass that saw it unchanged
        held[:1] += 2
        net.forward(data=pictures(net))
        net.backward_from_layer("score", np.ones(net.blobs["score"].shape), zero_higher=True)
        return {**all_of(net, "data"), **{f"d{k}": v for k, v in all_of(net, "diff").items()}}

    assert_same(*both(kind, look))


@pytest.mark.parametrize("kind", NETS)
def test_a_held_array_stays_live(kind):
    def look(net):
        name = "bn" if "bn" in net.blobs else "conv"
        data, diff = net.blobs[name].data, net.blobs[name].diff
        net.forward(data=pictures(net))
        net.backward_from_layer("score", np.ones(net.blobs["score"].shape), zero_higher=True)
        assert data.any()
        assert diff.any()
        return {"data": data.copy(), "diff": diff.copy(), "in": net.blobs["data"].diff.copy()}

    assert_same(*both(kind, look))


@pytest.mark.parametrize("kind", NETS)
def test_passes_that_begin_or_end_between(kind):
    def look(net):
        net.forward(end="bn", data=pictures(net))
        seen = all_of(net, "data")
        net.forward(start="scale")
        seen |= {f"then {k}": v for k, v in all_of(net, "data").items()}
        net.blobs["score"].diff[...] = 1
        net.backward(end="scale")
        seen |= {f"d {k}": v for k, v in all_of(net, "diff").items()}
        net.backward(start="bn")
        return seen | {f"dd {k}": v for k, v in all_of(net, "diff").items()}

    assert_same(*both(kind, look))


def test_another_size_and_no_images():
    net = make("a blob of its own", alone=False)
    for shape in ((3, 3, 8, 7), (0, 3, 8, 7)):
        net.blobs["data"].reshape(*shape)
        net.forward(end="relu")
        assert net.blobs["bn"].shape == (shape[0], 4, 6, 5)
