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

class OldName(Times):
    def setup(self, bottom, top):
        self.factor = float(self.param_str_)

class ImportsLate(Times):
    def forward(self, bottom, top):
        import caffe
        import caffe.io
        from caffe.proto import caffe_pb2
        top[0].data[...] = isinstance(self, caffe.Layer) and caffe.io.caffe_pb2 is caffe_pb2

class Looks(Times):
    def setup(self, bottom, top):
        pass
    def reshape(self, bottom, top):
        pass
    def forward(self, bottom, top):
        self.least = bottom[0].data.min()
        self.is_one = top[0] is bottom[0]

class Adds(Looks):
    def forward(self, bottom, top):
        bottom[0].data[...] += 1
        top[0].data[...] *= 2

class Feed(caffe.Layer):
    def setup(self, bottom, top):
        self.width = 4
    def reshape(self, bottom, top):
        top[0].reshape(1, 3, 4, self.width)
    def forward(self, bottom, top):
        top[0].data[...] = self.width
        self.width += 1

class LabelFree(Times):
    def setup(self, bottom, top):
        pass
    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data
    def backward(self, top, propagate_down, bottom):
        if propagate_down[1]:
            raise Exception("no diffs for labels")
        bottom[0].diff[...] = top[0].diff

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


def test_the_param_str_of_early_pycaffe(user):
    path = write(user, INPUT + python_layer_text("old", "OldName", param_str="5"))
    net = caffe.Net(path, caffe.TEST)
    net.blobs["data"].data[...] = 1
    assert (net.forward()["top"] == 5).all()
    assert net.layers[-1].param_str == net.layers[-1].param_str_ == "5"


def test_caffe_can_be_imported_inside_python_layers(user):
    text = USER.replace("import torchcaffe as caffe", "import caffe")
    write(user, text, "user_layers.py")
    path = write(user, INPUT + python_layer_text("late", "ImportsLate", param_str="1"))
    before = {name for name in sys.modules if name.split(".")[0] == "caffe"}
    try:
        assert (caffe.Net(path, caffe.TEST).forward()["top"] == 1).all()
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "caffe"]:
            if name not in before:
                del sys.modules[name]


SHIFT = """
layer { name: "c" type: "Power" bottom: "data" top: "c" power_param { shift: 1 } }
"""


def test_a_python_layer_in_place_sees_and_leaves_its_bottom(user):
    path = write(user, INPUT + SHIFT + python_layer_text("look", "Looks", ["c"], ["c"]))
    net = caffe.Net(path, caffe.TEST)
    for value in (0, 3):
        net.blobs["data"].data[...] = value
        assert (net.forward()["c"] == value + 1).all()
        assert net.layers[-1].least == value + 1 and net.layers[-1].is_one


def test_a_python_layer_in_place_changes_its_bottom(user):
    relu = 'layer { name: "relu" type: "ReLU" bottom: "c" top: "c" }\n'
    text = INPUT + SHIFT + relu + python_layer_text("add", "Adds", ["c"], ["c"])
    text += 'layer { name: "out" type: "Power" bottom: "c" top: "out" power_param { scale: 3 } }'
    net = caffe.Net(write(user, text), caffe.TEST)
    net.blobs["data"].data[...] = -4
    net.blobs["data"].data[0] = 1
    out = net.forward()["out"]
    assert (out[0] == 3 * 2 * (2 + 1)).all() and (out[1:] == 3 * 2 * (0 + 1)).all()


def test_a_data_layer_in_python_gets_on_in_every_pass(user):
    text = python_layer_text("d", "Feed", ["data"], [])
    text += 'layer { name: "c" type: "Convolution" bottom: "data" top: "c" ' \
        "convolution_param { num_output: 2 kernel_size: 3 } }"  # fmt: skip
    net = caffe.Net(write(user, text), caffe.TEST)
    assert [net.forward()["c"].shape[3] for _ in range(3)] == [2, 3, 4]
    assert (net.blobs["data"].data == 6).all()
    assert list(net.params) == ["c"]


def test_labels_get_no_diffs(user):
    text = 'input: "data" input_shape { dim: 4 dim: 3 } input: "label" input_shape { dim: 4 }\n'
    text += 'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" ' \
        "inner_product_param { num_output: 3 } }\n"  # fmt: skip
    text += python_layer_text("loss", "LabelFree", ["top"], ["ip", "label"])
    net = caffe.Net(write(user, text), caffe.TEST)
    net.forward()
    net.blobs["top"].diff[...] = 2
    net.backward()
    assert (net.blobs["ip"].diff == 2).all()


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
