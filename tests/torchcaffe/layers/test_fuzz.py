"""Hostile files: thousands of mutations of prototxt and caffemodel, with a fixed seed.

Every case ends in a result or a CaffeError, within its time, without using the memory up.
"""

import functools
import random
import re
import resource

import numpy as np
import pytest

import torchcaffe as caffe
from tests.mutations import attempt, mutate_bytes, splice
from tests.torchcaffe.layers.replicas import CASES
from tests.torchcaffe.layers.test_layers import prototxt
from torchcaffe.blobs import blob
from torchcaffe.proto import caffe_pb2

DEFAULTS = blob.MAX_BLOB_BYTES, blob.MAX_NET_BYTES
GIB = 1 << 20  # in the KiB of getrusage
NUMBERS = [
    "0", "-1", "1", "2", "3", "7", "4294967295", "2147483647", "-2147483648", "65535", "1000000",
    "9223372036854775807", "1e38", "-1e38", "nan", "inf", "-inf", "1e-45", "0.5",
    "99999999999999999999",
]  # fmt: skip
WORDS = [
    "layer", "layers", "input", "dim: 3", "{", "}", "<", ">", '"', "[", "]", ":", ",", ";", "#",
    'type: "ReLU"', 'type: "Python"', "type: 18", 'top: "x0"', 'bottom: "y0"', 'name: "it"', "\0",
    "\\", "é", "axis: -9", "kernel_size: 99", "group: 7", "num_output: 0", "loss_weight: nan",
    "include { phase: TRAIN }", "param { name: 'w' share_mode: PERMISSIVE }", "unknown_field: 1",
    "shape { dim: 99999 dim: 99999 dim: 99999 }", "pyramid_height: 4000000000", "[a.b/c] { }",
]  # fmt: skip

DEEP = """
name: "mixed"
input: "data" input_shape { dim: 2 dim: 3 dim: 9 dim: 8 }
layer { name: "label" type: "DummyData" top: "label" dummy_data_param { shape { dim: 2 }
        data_filler { type: "uniform" min: 0 max: 1.5 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { name: "w" lr_mult: 1 }
        convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 group: 1
        weight_filler { type: "gaussian" std: 0.1 } bias_filler { type: "constant" value: 0.1 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "norm" type: "LRN" bottom: "conv" top: "norm" lrn_param { local_size: 5 alpha: 0.1 } }
layer { name: "pool" type: "Pooling" bottom: "norm" top: "pool"
        pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "branch" type: "Convolution" bottom: "pool" top: "branch"
        convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "sum" type: "Eltwise" bottom: "pool" bottom: "branch" top: "sum" }
layer { name: "fc" type: "InnerProduct" bottom: "sum" top: "fc" inner_product_param { num_output: 5
        weight_filler { type: "msra" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss"
        exclude { stage: "deploy" } }
"""
LEGACY = """
input: "data" input_dim: 1 input_dim: 2 input_dim: 6 input_dim: 6
layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" blobs_lr: 1 blobs_lr: 2
         convolution_param { num_output: 3 kernel_size: 3 } }
layers { name: "relu" type: RELU bottom: "conv" top: "conv" }
layers { name: "prob" type: SOFTMAX bottom: "conv" top: "prob" }
"""
OLDEST = """
input: "data" input_dim: 1 input_dim: 2 input_dim: 6 input_dim: 6
layers { layer { name: "pad" type: "padding" pad: 1 } bottom: "data" top: "pad" }
layers { layer { name: "conv" type: "conv" num_output: 3 kernelsize: 3 } bottom: "pad" top: "conv" }
layers { layer { name: "relu" type: "relu" } bottom: "conv" top: "conv" }
layers { layer { name: "prob" type: "softmax" } bottom: "conv" top: "prob" }
"""


@pytest.fixture(autouse=True)
def small_limits(monkeypatch):
    """Nets that are too large are the same at 8 MiB as at 4 GiB, only slower to reach."""
    monkeypatch.setattr(blob, "MAX_BLOB_BYTES", 8 << 20)
    monkeypatch.setattr(blob, "MAX_NET_BYTES", 32 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with caffe.python_layers_allowed(False):
        yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GIB


# ---------------------------------------------------------------- prototxt

PAIR = re.compile(r"(\w+): (-?[\w.]+|\"\w*\")")
LAYER = re.compile(r"^layers? \{.*?\}\n(?=layer|$)", re.DOTALL | re.MULTILINE)


def change_value(rng, text):
    """Give a field an absurd number, another field's value, or take it away."""
    found = list(PAIR.finditer(text))
    if not found:
        return text + rng.choice(WORDS)
    pair, other = rng.choice(found), rng.choice(found)
    new = rng.choice(
        [f"{pair[1]}: {rng.choice(NUMBERS)}"] * 4
        + [f"{pair[1]}: {other[2]}", f"{pair[0]} {pair[0]}", "", f"{other[1]}: {pair[2]}"]
    )
    return text[: pair.start()] + new + text[pair.end() :]


def change_type(rng, text):
    """Make a layer one of another type."""
    found = list(re.finditer(r'type: "(\w+)"', text))
    if not found:
        return change_value(rng, text)
    place = rng.choice(found)
    return text[: place.start(1)] + rng.choice(TYPES) + text[place.end(1) :]


def change_layers(rng, text):
    """Take a layer away, write it twice, or move it."""
    found = list(LAYER.finditer(text))
    if not found:
        return change_value(rng, text)
    one, other = rng.choice(found), rng.choice(found)
    return rng.choice([
        text[: one.start()] + text[one.end() :],
        text[: one.end()] + text[one.start() :],
        text[: other.start()] + one[0] + text[other.start() :],
    ])  # fmt: skip


def change_letters(rng, text):
    """Cut the text, put words into it, splice it: most of it is no prototxt any more."""
    at = rng.randrange(len(text) + 1)
    return rng.choice([
        text[:at],
        splice(rng, text, text),
        splice(rng, text, rng.choice(SEEDS)),
        text[:at] + rng.choice(WORDS) + text[at:],
        text[:at] + chr(rng.randrange(1, 300)) + text[at + 1 :],
    ])  # fmt: skip


def mutate_text(rng, text):
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        change = rng.choice([change_value] * 5 + [change_type, change_layers, change_letters])
        text = change(rng, text)
    return text


def run_net(path, phase, leave_out):
    net = caffe.Net(str(path), phase, leave_out_unknown=leave_out)
    net.forward()
    for name in net.outputs:
        net.blobs[name].diff[...] = 1
    net._backward(len(net.layers) - 1, 0)


SEEDS = [DEEP, LEGACY, OLDEST] + [prototxt(case) for case in CASES]
TYPES = [*sorted(caffe.LAYERS), "Glue"]


@pytest.mark.parametrize("part", range(4))
def test_mutated_prototxts(part, tmp_path, rounds):
    rng = random.Random(part)
    path, refused, count = tmp_path / "net.prototxt", 0, rounds(900)
    for i in range(count):
        text = mutate_text(rng, SEEDS[rng.randrange(3)] if i % 4 == 0 else rng.choice(SEEDS))
        path.write_text(text, encoding="utf-8")
        phase = rng.choice([caffe.TRAIN, caffe.TEST])
        run = functools.partial(run_net, path, phase, rng.random() < 0.3)
        refused += attempt(f"case {i}: {text!r}", run)
    assert count * 0.2 < refused < count * 0.9  # nets are built, and nets are refused


def test_building_alone_uses_no_memory_at_the_limits_of_every_day(tmp_path, monkeypatch, rounds):
    """With the default limits, by which blobs of gigabytes are legal."""
    monkeypatch.setattr(blob, "MAX_BLOB_BYTES", DEFAULTS[0])
    monkeypatch.setattr(blob, "MAX_NET_BYTES", DEFAULTS[1])
    rng, path = random.Random(9), tmp_path / "net.prototxt"
    for i in range(rounds(400)):
        text = mutate_text(rng, rng.choice([DEEP, LEGACY]))
        path.write_text(text, encoding="utf-8")
        attempt(f"case {i}: {text!r}", functools.partial(caffe.Net, path, caffe.TEST))


# ---------------------------------------------------------------- weights and means


def stored(net, form):
    """Return the bytes of a caffemodel: V2 layers, V1 or V0 with legacy and unpacked forms."""
    model, legacy = caffe_pb2.NetParameter(name="net"), form in ("V1", "V0")
    for name, blobs in net.params.items():
        if form == "V0":
            layer = model.layers.add().layer
            layer.name = name
        elif form == "V1":
            layer = model.layers.add(name=name, type=4)
        else:
            layer = model.layer.add(name=name, type="Convolution")
        for values in blobs:
            proto = layer.blobs.add()
            if legacy:
                sizes = (*[1] * (4 - len(values.shape)), *values.shape)
                proto.num, proto.channels, proto.height, proto.width = sizes
            else:
                proto.shape.dim.extend(values.shape)
            if form == "half":
                proto.raw_data_type = caffe_pb2.BlobProto.FLOAT16
                proto.raw_data = values.data.astype("<f2").tobytes()
            else:
                (proto.double_data if legacy else proto.data).extend(values.data.ravel().tolist())
    return model.SerializeToString()


@pytest.fixture
def deep(tmp_path):
    path = tmp_path / "deep.prototxt"
    path.write_text(DEEP)
    return caffe.Net(str(path), caffe.TEST)


@pytest.mark.parametrize("form", ["V2", "V1", "V0", "half"])
def test_mutated_caffemodels(deep, tmp_path, form, rounds):
    rng = random.Random(form)
    data, path = stored(deep, form), tmp_path / "w.caffemodel"
    path.write_bytes(data)
    deep.copy_from(path)  # unchanged it is read
    refused, count = 0, rounds(700)
    for i in range(count):
        path.write_bytes(mutate_bytes(rng, data, 60))
        refused += attempt(f"case {i}", functools.partial(deep.copy_from, path))
        if i % 100 == 0:
            attempt(f"forward after case {i}", deep.forward)
    assert count * 0.3 < refused < count


def test_mutated_hdf5_weights(deep, tmp_path, rounds):
    rng, path = random.Random(6), tmp_path / "w.h5"
    deep.save_hdf5(path)
    data = path.read_bytes()
    for i in range(rounds(500)):
        path.write_bytes(mutate_bytes(rng, data, 3000))
        attempt(f"case {i}", functools.partial(deep.copy_from, path))


def test_a_refused_caffemodel_changes_nothing(deep, tmp_path):
    path = tmp_path / "w.caffemodel"
    before = {name: [b.data.copy() for b in blobs] for name, blobs in deep.params.items()}
    for blobs in deep.params.values():
        for values in blobs:
            values.data[...] += 1
    data = stored(deep, "V2")
    path.write_bytes(data[:-3])
    for blobs, old in zip(deep.params.values(), before.values(), strict=True):
        for values, value in zip(blobs, old, strict=True):
            values.data[...] = value
    with pytest.raises(caffe.FileError):
        deep.copy_from(path)
    for blobs, old in zip(deep.params.values(), before.values(), strict=True):
        for values, value in zip(blobs, old, strict=True):
            np.testing.assert_array_equal(values.data, value)


def test_mutated_means(tmp_path, rounds):
    rng = random.Random(5)
    mean = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    np.save(tmp_path / "mean.npy", mean)
    blobproto = caffe.io.array_to_blobproto(mean[None]).SerializeToString()
    for name, data in (
        ("mean.npy", (tmp_path / "mean.npy").read_bytes()),
        ("mean.binaryproto", blobproto),
    ):
        path = tmp_path / name
        refused, count = 0, rounds(500)
        for i in range(count):
            path.write_bytes(mutate_bytes(rng, data, 100))
            refused += attempt(f"{name} {i}", functools.partial(caffe.io.load_mean, path))
        assert count * 0.1 < refused < count
