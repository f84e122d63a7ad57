"""Layers that users write in Python, and rules that choose layers, as pycaffe runs them."""

import sys

import numpy as np
import pytest

import torchcaffe as caffe


def write(folder, text, name="net.prototxt"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


# ---------------------------------------------------------------- phase, level, stage

RULES = """
layer { name: "data" type: "DummyData" top: "data" dummy_data_param { shape { dim: 1 dim: 3 } } }
layer { name: "all" type: "ReLU" bottom: "data" top: "all" }
layer { name: "train" type: "ReLU" bottom: "data" top: "train" include { phase: TRAIN } }
layer { name: "no_test" type: "ReLU" bottom: "data" top: "no_test" exclude { phase: TEST } }
layer { name: "low" type: "ReLU" bottom: "data" top: "low" include { max_level: 0 } }
layer { name: "high" type: "ReLU" bottom: "data" top: "high" include { min_level: 1 } }
layer { name: "a" type: "ReLU" bottom: "data" top: "a" include { stage: "a" } }
layer { name: "a_or_b" type: "ReLU" bottom: "data" top: "a_or_b"
  include { stage: "a" } include { stage: "b" } }
layer { name: "a_and_b" type: "ReLU" bottom: "data" top: "a_and_b"
  include { stage: "a" stage: "b" } }
layer { name: "not_b" type: "ReLU" bottom: "data" top: "not_b" include { not_stage: "b" } }
layer { name: "test_b" type: "ReLU" bottom: "data" top: "test_b"
  include { phase: TEST stage: "b" } }
"""
ALWAYS = {"all"}


@pytest.mark.parametrize(
    "phase, settings, kept",
    [
        (caffe.TEST, {}, {"low", "not_b"}),
        (caffe.TRAIN, {}, {"train", "no_test", "low", "not_b"}),
        (caffe.TEST, {"level": 1}, {"high", "not_b"}),
        (caffe.TEST, {"stages": ["a"]}, {"low", "a", "a_or_b", "not_b"}),
        (caffe.TEST, {"stages": ["b"]}, {"low", "a_or_b", "test_b"}),
        (caffe.TRAIN, {"stages": ["b", "a"], "level": 2},
         {"train", "no_test", "high", "a", "a_or_b", "a_and_b"}),
    ],
)  # fmt: skip
def test_rules_choose_layers(tmp_path, phase, settings, kept):
    net = caffe.Net(write(tmp_path, RULES), phase, **settings)
    found = {name for name, layer in net.layer_dict.items() if layer.type == "ReLU"}
    assert found == ALWAYS | kept
    assert set(net.forward()) == found


def test_both_kinds_of_rules_raise(tmp_path):
    text = RULES.replace(
        "include { phase: TRAIN }", "include { phase: TRAIN } exclude { level: 1 }"
    )
    text = text.replace("exclude { level: 1 }", "exclude { min_level: 1 }")
    with pytest.raises(ValueError, match="'train' has include and exclude"):
        caffe.Net(write(tmp_path, text), caffe.TRAIN)


# ---------------------------------------------------------------- Python layers

USER = """
import torchcaffe as caffe

class Times(caffe.Layer):
    def setup(self, bottom, top):
        self.factor = float(self.param_str)
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)
    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data
    def backward(self, top, propagate_down, bottom):
        assert propagate_down == [True]
        bottom[0].diff[...] = self.factor * top[0].diff

class Counter(caffe.Layer):
    def setup(self, bottom, top):
        top[0].reshape(4)
        self.next = 0
    def reshape(self, bottom, top):
        pass
    def forward(self, bottom, top):
        top[0].data[...] = range(self.next, self.next + 4)
        self.next += 4

class Learns(caffe.Layer):
    def setup(self, bottom, top):
        self.blobs.add_blob(1)
        self.blobs.add_blob(2, 3)
        self.blobs[0].data[0] = 3
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)
    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data * self.blobs[0].data[0]
    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[0] = (top[0].diff * bottom[0].data).sum()
        bottom[0].diff[...] = top[0].diff * self.blobs[0].data[0]

class Phase(caffe.Layer):
    def setup(self, bottom, top):
        pass
    def reshape(self, bottom, top):
        top[0].reshape()
    def forward(self, bottom, top):
        top[0].data[()] = self.phase

class TwoTops(caffe.Layer):
    def __init__(self, param):
        super().__init__(param)
        self.name = param.name
    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise Exception("needs two bottoms")
    def reshape(self, bottom, top):
        for blob in top:
            blob.reshape(bottom[0].num, 1)
    def forward(self, bottom, top):
        a, b = bottom[0].data, bottom[1].data
        top[0].data[:, 0] = (a + b).sum(axis=(1, 2))
        top[1].data[:, 0] = (a - b).sum(axis=(1, 2))
    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = (top[0].diff + top[1].diff)[:, :, None]
        bottom[1].diff[...] = (top[0].diff - top[1].diff)[:, :, None]

class Fails(caffe.Layer):
    def setup(self, bottom, top):
        raise RuntimeError("no such database")

class FailsLater(Times):
    def forward(self, bottom, top):
        raise IndexError("beyond the end")
"""
INPUT = 'input: "data" input_shape { dim: 4 dim: 3 dim: 2 }\n'


def python_layer_text(name, layer, tops=("top",), bottoms=("data",), param_str=""):
    ends = " ".join([f'bottom: "{b}"' for b in bottoms] + [f'top: "{t}"' for t in tops])
    return (
        f'layer {{ name: "{name}" type: "Python" {ends} python_param {{ '
        f'module: "user_layers" layer: "{layer}" param_str: "{param_str}" }} }}\n'
    )


@pytest.fixture
def user(tmp_path, monkeypatch):
    write(tmp_path, USER, "user_layers.py")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "user_layers", raising=False)
    yield tmp_path
    sys.modules.pop("user_layers", None)


def test_python_layers_compute(user):
    text = INPUT + python_layer_text("a", "Times", ["a"], param_str="10")
    text += python_layer_text("b", "Times", ["b"], ["a"], param_str="0.5")
    net = caffe.Net(write(user, text), caffe.TEST)
    net.blobs["data"].data[...] = 8
    assert (net.forward()["b"] == 40).all()
    net.blobs["b"].diff[...] = 7
    assert (net.backward()["data"] == 35).all()
    net.blobs["data"].reshape(2, 5, 5, 5)
    net.forward()
    assert all(blob.data.shape == (2, 5, 5, 5) for blob in net.blobs.values())


def test_python_layers_of_several_tops_between_others(user):
    text = INPUT + 'layer { name: "half" type: "Power" bottom: "data" top: "half" ' \
        "power_param { scale: 0.5 } }\n"  # fmt: skip
    text += python_layer_text("two", "TwoTops", ["sum", "difference"], ["data", "half"])
    text += 'layer { name: "out" type: "Eltwise" bottom: "sum" bottom: "difference" top: "out" }'
    net = caffe.Net(write(user, text), caffe.TEST)
    x = np.random.RandomState(0).normal(0, 1, (4, 3, 2)).astype(np.float32)
    out = net.forward(data=x)["out"]
    np.testing.assert_allclose(out[:, 0], 2 * x.sum((1, 2)), rtol=1e-4)
    assert net.layer_dict["two"].name == "two"
    net.blobs["out"].diff[...] = 1
    np.testing.assert_allclose(net.backward()["data"], 2, rtol=1e-6)


def test_python_layer_as_a_source(user):
    net = caffe.Net(write(user, python_layer_text("count", "Counter", ["n"], [])), caffe.TEST)
    for start in (0, 4, 8):
        np.testing.assert_array_equal(net.forward()["n"], np.arange(start, start + 4))


def test_parameters_of_python_layers(user):
    path = write(user, INPUT + python_layer_text("mine", "Learns"))
    net = caffe.Net(path, caffe.TRAIN)
    assert [blob.shape for blob in net.params["mine"]] == [(1,), (2, 3)]
    net.blobs["data"].data[...] = 2
    assert (net.forward()["top"] == 6).all()
    net.blobs["top"].diff[...] = 1
    assert (net.backward()["data"] == 3).all()
    assert net.params["mine"][0].diff[0] == 48
    net.params["mine"][0].data[0] = -1
    net.save(user / "mine.caffemodel")
    other = caffe.Net(path, caffe.TRAIN, weights=user / "mine.caffemodel")
    assert other.params["mine"][0].data[0] == -1
    third = caffe.Net(path, caffe.TRAIN)
    third.share_with(other)
    assert third.layers[-1].blobs[0].data[0] == -1
    other.params["mine"][0].data[0] = 9
    third.blobs["data"].data[...] = 1
    assert (third.forward()["top"] == 9).all()


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_python_layers_know_their_phase(user, phase):
    net = caffe.Net(write(user, python_layer_text("phase", "Phase", ["phase"], [])), phase)
    assert net.forward()["phase"] == phase


@pytest.mark.parametrize(
    "layer, settings, kind, sentence",
    [
        ("Fails", {}, RuntimeError, "no such database"),
        ("Times", {"param_str": "ten"}, ValueError, "ten"),
        ("TwoTops", {"tops": ("a", "b")}, Exception, "needs two bottoms"),
        ("Missing", {}, caffe.DefinitionError, "Missing.*user_layers"),
    ],
)
def test_python_layers_that_fail_raise_what_they_raised(user, layer, settings, kind, sentence):
    path = write(user, INPUT + python_layer_text("mine", layer, **settings))
    with pytest.raises(kind, match=sentence):
        caffe.Net(path, caffe.TEST)


def test_errors_of_python_layers_while_running(user):
    path = write(user, INPUT + python_layer_text("mine", "FailsLater", param_str="1"))
    with pytest.raises(IndexError, match="beyond the end"):
        caffe.Net(path, caffe.TEST).forward()


def test_python_layers_can_be_refused(user):
    path = write(user, INPUT + python_layer_text("mine", "Times", param_str="1"))
    refused = pytest.raises(caffe.DefinitionError, match="--allow-python-layers")
    with caffe.python_layers_allowed(False), refused:
        caffe.Net(path, caffe.TEST)
    assert "user_layers" not in sys.modules
    caffe.Net(path, caffe.TEST)
