"""Every layer against what BVLC Caffe computed (tests/torchcaffe/golden)."""

from pathlib import Path

import numpy as np
import pytest

import torchcaffe as caffe

CASES = sorted((Path(__file__).parent / "golden").glob("*.npz"))


def close(found, expected, what):
    assert found.shape == expected.shape, what
    bound = 1e-4 + 1e-4 * np.abs(expected)
    worst = np.max(np.abs(found - expected) - bound, initial=-np.inf)
    assert worst <= 0, f"{what}: off by {worst} more than the tolerance"


def part(case, prefix):
    return {key[len(prefix) :]: case[key] for key in case.files if key.startswith(prefix)}


@pytest.fixture(params=CASES, ids=lambda path: path.stem)
def run(request, tmp_path):
    """A net filled with a case's parameters and inputs, after its forward pass."""
    case = np.load(request.param, allow_pickle=False)
    prototxt = tmp_path / "net.prototxt"
    prototxt.write_text(str(case["prototxt"]))
    net = caffe.Net(str(prototxt), caffe.TEST)
    for key, value in part(case, "param/").items():
        layer, number = key.rsplit("/", 1)
        assert net.params[layer][int(number)].shape == value.shape
        net.params[layer][int(number)].data[...] = value
    for name, value in part(case, "in/").items():
        net.blobs[name].data[...] = value
    net.forward()
    return case, net


def test_forward(run):
    case, net = run
    expected = part(case, "data/")
    assert expected
    for name, value in expected.items():
        close(net.blobs[name].data, value, name)


def last_layer(net):
    return len(net.layers) - 1


def set_top_diffs(case, net):
    tops = part(case, "topdiff/")
    if not tops:
        pytest.skip("nothing goes backward in this case")
    for name, value in tops.items():
        net.blobs[name].diff[...] = value


def test_backward(run):
    case, net = run
    set_top_diffs(case, net)
    net.clear_param_diffs()
    net._backward(last_layer(net), 0)
    for name, value in part(case, "diff/").items():
        close(net.blobs[name].diff, value, f"diff of {name}")
    for key, value in part(case, "paramdiff/").items():
        layer, number = key.rsplit("/", 1)
        close(net.params[layer][int(number)].diff, value, f"parameter diff of {key}")


def test_deconv(run):
    case, net = run
    if not part(case, "deconv/"):
        pytest.skip("no deconvnet pass in this case")
    set_top_diffs(case, net)
    net._deconv(last_layer(net), 0)
    for name, value in part(case, "deconv/").items():
        close(net.blobs[name].diff, value, f"deconv diff of {name}")


def test_all_cases_are_here():
    assert len(CASES) == 46
