"""The engine on a GPU: golden cases of BVLC Caffe, replicas, and memory kept in step."""

import numpy as np
import pytest

import torchcaffe as caffe
from tests.torchcaffe.layers import test_golden as golden
from tests.torchcaffe.layers.replicas import CASES
from tests.torchcaffe.layers.test_layers import fill, message, names, prototxt, run_backward

pytestmark = pytest.mark.gpu
SOME = {}
for _case in CASES:
    SOME.setdefault(_case.type, _case)


@pytest.fixture(autouse=True)
def on_gpu():
    caffe.set_mode_gpu()
    yield
    caffe.set_mode_cpu()


def is_on_gpu(net):
    return all(blob.tensor.device.type == "cuda" for blob in net.blobs.values())


@pytest.mark.parametrize("path", golden.CASES, ids=lambda path: path.stem)
def test_golden_case(path, net_of):
    case = np.load(path, allow_pickle=False)
    net = net_of(str(case["prototxt"]))
    for key, value in golden.part(case, "param/").items():
        layer, number = key.rsplit("/", 1)
        net.params[layer][int(number)].data[...] = value
    for name, value in golden.part(case, "in/").items():
        net.blobs[name].data[...] = value
    net.forward()
    assert is_on_gpu(net)
    for name, value in golden.part(case, "data/").items():
        golden.close(net.blobs[name].data, value, name)
    tops = golden.part(case, "topdiff/")
    for name, value in tops.items():
        net.blobs[name].diff[...] = value
    if tops:
        net.clear_param_diffs()
        net._backward(len(net.layers) - 1, 0)
        for name, value in golden.part(case, "diff/").items():
            golden.close(net.blobs[name].diff, value, f"diff of {name}")


@pytest.mark.parametrize("case", SOME.values(), ids=lambda case: case.id)
def test_layer_type(case, net_of):
    """One case of every type: the replica's values, and the diffs of the CPU."""
    net = net_of(prototxt(case), case.phase)
    inputs, params = fill(case, net)
    net.forward()
    for name, value in zip(
        names(case)[1], case.replica(message(case), inputs, params), strict=True
    ):
        golden.close(net.blobs[name].data, value, name)
    _, *found = run_backward(case, net)
    caffe.set_mode_cpu()
    other = net_of(prototxt(case), case.phase)
    fill(case, other)
    _, *expected = run_backward(case, other)
    for one, two in zip([*found[0], *found[1]], [*expected[0], *expected[1]], strict=True):
        golden.close(one, two, case.id)


def test_arrays_are_carried_over_when_the_engine_needs_them(net_of):
    net = net_of("""
        input: "x" input_shape { dim: 2 dim: 3 }
        layer { name: "y" type: "Power" bottom: "x" top: "y" power_param { scale: 2 } }""")
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    net.blobs["x"].data[...] = x
    np.testing.assert_array_equal(net.forward()["y"], 2 * x)
    net.blobs["x"].data[0] += 1
    np.testing.assert_array_equal(net.forward()["y"][0], 2 * (x[0] + 1))
    net.blobs["y"].diff[...] = 1
    np.testing.assert_array_equal(net.backward()["x"], np.full((2, 3), 2))
