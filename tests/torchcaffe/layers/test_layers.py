"""Every layer type against slow NumPy replicas of Caffe's own definition.

Parametrised over the registry: a layer type without cases fails. Forward passes are
compared with the replica; backward passes with central differences of the replica (in
float64), or with Caffe's own formula where that is not the derivative.
"""

import numpy as np
import pytest

import torchcaffe as caffe
from tests.torchcaffe.layers.replicas import CASES
from tests.torchcaffe.layers.test_layer_kinds import OWN_TESTS
from torchcaffe.layers import normalise
from torchcaffe.layers.data import FileData
from torchcaffe.proto.caffe_pb2 import LayerParameter, NetParameter
from torchcaffe.proto.text import parse_text

STEP = 1e-6  # in float64: small, so that no value lies that near to a kink
BY_TYPE = {}
for _case in CASES:
    BY_TYPE.setdefault(_case.type, []).append(_case)


def names(case):
    bottoms = [f"x{i}" for i in range(len(case.bottoms))]
    return bottoms, [f"y{i}" for i in range(case.tops)]


def layer_text(case, bottoms, tops):
    ends = "".join(f' bottom: "{b}"' for b in bottoms) + "".join(f' top: "{t}"' for t in tops)
    return f'layer {{ name: "it" type: "{case.type}"{ends} {case.settings} }}\n'


def input_text(name, shape):
    dims = "shape { " + " ".join(f"dim: {d}" for d in shape) + " }"
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ {dims} }} }}\n'


def prototxt(case):
    bottoms, tops = names(case)
    inputs = zip(bottoms, case.inputs(), strict=True)
    text = "".join(input_text(name, value.shape) for name, value in inputs)
    return text + layer_text(case, bottoms, tops)


def fill(case, net):
    """Put the case's inputs and parameters into a net; return both."""
    rng = case.rng()
    rng.normal(size=100)
    params = []
    for i, blob in enumerate(net.params.get("it", [])):
        value = case.params(i, blob.shape, rng) if case.params else rng.normal(size=blob.shape)
        blob.data[...] = value
        params.append(blob.data.astype(np.float64))
    inputs = case.inputs()
    for name, value in zip(names(case)[0], inputs, strict=True):
        net.blobs[name].data[...] = value
    return [value.astype(np.float64) for value in inputs], params


def message(case):
    param = LayerParameter()
    body = layer_text(case, *names(case)).split("{", 1)[1].rsplit("}", 1)[0]
    return parse_text(body, param)


@pytest.fixture
def build(tmp_path):
    def make(text, phase=caffe.TEST):
        path = tmp_path / "net.prototxt"
        path.write_text(text)
        return caffe.Net(str(path), phase)

    return make


def close(found, expected, what):
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape, f"{what}: {found.shape} is not {expected.shape}"
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5, err_msg=what)


@pytest.mark.parametrize("type_", sorted(caffe.LAYERS))
def test_every_type_has_cases(type_):
    if issubclass(caffe.LAYERS[type_], FileData):
        return  # test_layer_kinds goes through all of them
    same = [name for name, cls in caffe.LAYERS.items() if cls is caffe.LAYERS[type_]]
    assert any(name in BY_TYPE or name in OWN_TESTS for name in same), f"no case for {type_}"


def test_case_names_differ():
    assert len({case.id for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_forward(case, build):
    net = build(prototxt(case), case.phase)
    inputs, params = fill(case, net)
    if case.param_shapes is not None:
        assert [blob.shape for blob in net.params.get("it", [])] == list(case.param_shapes)
    before = [net.blobs[name].data.copy() for name in names(case)[0]]
    net.forward()
    expected = case.replica(message(case), inputs, params)
    assert len(expected) == case.tops
    for name, value in zip(names(case)[1], expected, strict=True):
        close(net.blobs[name].data, value, name)
    for name, value in zip(names(case)[0], before, strict=True):
        np.testing.assert_array_equal(net.blobs[name].data, value, f"{name} was changed")


def run_backward(case, net):
    """Go backward from random diffs; return them and all diffs found."""
    rng = case.rng()
    rng.normal(size=200)
    net.forward()
    diffs = [np.zeros(net.blobs[name].shape) for name in names(case)[1]]
    for i, (name, diff) in enumerate(zip(names(case)[1], diffs, strict=True)):
        if i in case.diff_tops:
            diff[...] = rng.normal(size=diff.shape)
        net.blobs[name].diff[...] = diff
        diff[...] = net.blobs[name].diff
    for name in names(case)[0]:
        net.blobs[name].diff[...] = 7.0  # to see which diffs are written
    net.clear_param_diffs()
    net._backward(len(net.layers) - 1, 0)
    bottoms = [net.blobs[name].diff.astype(np.float64) for name in names(case)[0]]
    return diffs, bottoms, [blob.diff.astype(np.float64) for blob in net.params.get("it", [])]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_backward(case, build):
    net = build(prototxt(case), case.phase)
    inputs, params = fill(case, net)
    diffs, bottoms, learned = run_backward(case, net)
    for i in case.labels:
        assert (bottoms[i] == 7.0).all(), f"bottom {i} is a label and got a diff"
    if case.gradient == "zero":
        wanted = [bottom for i, bottom in enumerate(bottoms) if i not in case.labels]
        assert all((diff == 0).all() for diff in [*wanted, *learned])
    elif callable(case.gradient):
        by_formula(case, inputs, params, diffs, bottoms, learned)
    else:
        by_differences(case, inputs, params, diffs, bottoms, learned)
    if case.frozen:
        assert all((diff == 0).all() for diff in learned)


def by_formula(case, inputs, params, diffs, bottoms, learned):
    expected, expected_params = case.gradient(message(case), inputs, params, diffs)
    for i, value in enumerate(expected):
        if i not in case.labels:
            close(bottoms[i], value, f"diff of bottom {i}")
    for i, value in enumerate(expected_params):
        close(learned[i], value, f"diff of parameter {i}")


def by_differences(case, inputs, params, diffs, bottoms, learned):
    param, values = message(case), [*inputs, *params]
    found = [*bottoms, *learned]
    skipped = set(case.labels)
    if case.frozen:
        skipped |= set(range(len(inputs), len(values)))

    def loss():
        tops = case.replica(param, values[: len(inputs)], values[len(inputs) :])
        return sum((top * diff).sum() for top, diff in zip(tops, diffs, strict=True))

    rng = case.rng()
    for i, value in enumerate(values):
        if i in skipped:
            continue
        for direction in directions(value.shape, rng):
            start = value.copy()
            values[i] = start + STEP * direction
            above = loss()
            values[i] = start - STEP * direction
            below = loss()
            values[i] = start
            slope = (above - below) / (2 * STEP)
            parts = found[i] * direction
            bound = 1e-4 * (1 + np.abs(parts).sum())
            assert abs(slope - parts.sum()) <= bound, f"diff {i}: {parts.sum()} is not {slope}"


def directions(shape, rng):
    """Yield directions: three of all values together, and some of one value each."""
    for _ in range(3):
        yield rng.normal(size=shape)
    size = int(np.prod(shape))
    for at in rng.choice(size, min(size, 12), replace=False):
        one = np.zeros(size)
        one[at] = 1.0
        yield one.reshape(shape)


IN_PLACE = [case for case in CASES if case.in_place]


@pytest.mark.parametrize("case", IN_PLACE, ids=lambda case: case.id)
def test_in_place_is_the_same(case, build):
    """The layer between two others, in place and not: same values, same diffs."""
    (value,) = case.inputs()
    found = []
    for top in ("h", "other"):
        text = input_text("x0", value.shape)
        text += 'layer { name: "a" type: "TanH" bottom: "x0" top: "h" }\n'
        text += layer_text(case, ["h"], [top])
        text += f'layer {{ name: "b" type: "Sigmoid" bottom: "{top}" top: "y0" }}\n'
        net = build(text, case.phase)
        fill(case, net)
        _, bottoms, learned = run_backward(case, net)
        found.append([net.blobs[top].data.copy(), net.blobs["y0"].data.copy(), *bottoms, *learned])
    for one, other in zip(*found, strict=True):
        close(one, other, case.id)


def test_the_mean_of_a_whole_map_is_exact_to_float32():
    x = np.random.RandomState(0).uniform(-0.4, 0.6, (1, 64, 56, 56)).astype(np.float32)
    pool = 'layer { name: "y" type: "Pooling" bottom: "x" top: "y" pooling_param { pool: AVE '
    text = input_text("x", x.shape) + pool + "global_pooling: true } }"
    net = caffe.Net.from_param(parse_text(text, caffe.proto.caffe_pb2.NetParameter()))
    net.forward(x=x)
    mean = x.astype(np.float64).mean((2, 3), keepdims=True)
    assert np.abs(net.blobs["y"].data - mean).max() < 5e-7 * np.abs(mean).max()


def test_the_gradient_of_lrn_takes_no_power_of_its_own(monkeypatch):
    text = input_text("x", (1, 6, 3, 3)) + 'layer { name: "y" type: "LRN" bottom: "x" top: "y" }'
    net = caffe.Net.from_param(parse_text(text, NetParameter()))
    net.blobs["x"].data[...] = np.random.RandomState(0).normal(size=(1, 6, 3, 3))
    ones = np.ones((1, 6, 3, 3), np.float32)
    net.forward()
    monkeypatch.setattr(normalise, "to_minus", None)
    assert net.backward_from_layer("y", ones)["x"].any()
