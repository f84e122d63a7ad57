"""Weights as forks and other years wrote them; files made byte by byte."""

import warnings

import h5py
import numpy as np
import pytest

import torchcaffe as caffe
from torchcaffe.proto import caffe_pb2

INPUT = 'layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }\n'
V1, V2 = 2, 100  # NetParameter's fields for layers


def fc(name, bottom, outputs=3, params=""):
    settings = f"inner_product_param {{ num_output: {outputs} }} {params}"
    ends = f'bottom: "{bottom}" top: "{name}"'
    return f'layer {{ name: "{name}" type: "InnerProduct" {ends} {settings} }}\n'


def number(value):
    """Return a varint."""
    low = value & 127
    return bytes([low]) if value < 128 else bytes([low | 128]) + number(value >> 7)


def varint(field, value):
    return number(field << 3) + number(value)


def content(field, raw):
    return number(field << 3 | 2) + number(len(raw)) + raw


def stored(name, *blobs, form=V2):
    """Return the bytes of a caffemodel with one layer."""
    name_field, blob_field = {V2: (1, 7), V1: (4, 6)}[form]
    body = content(name_field, name.encode()) + b"".join(content(blob_field, b) for b in blobs)
    return content(form, body)


def shape(*dims):
    return content(7, content(1, b"".join(number(dim) for dim in dims)))


@pytest.fixture
def load(net_of, tmp_path):
    """Return a function that builds a net and loads bytes into it, without a warning."""

    def build(text, raw, name="w.caffemodel"):
        (tmp_path / name).write_bytes(raw)
        net = net_of(text)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            net.copy_from(tmp_path / name)
        return net

    return build


@pytest.mark.parametrize(
    ("kind", "dtype"), [(0, "<f8"), (1, "<f4"), (2, "<f2"), (3, "<i4"), (4, "<u4")]
)
def test_values_as_bytes(load, kind, dtype):
    """NVIDIA's fork, from 0.16 on."""
    weights, bias = np.arange(9).reshape(3, 3), np.array([7, 8, 9])
    raw = stored(
        "fc",
        *[
            shape(*a.shape) + varint(10, kind) + content(12, a.astype(dtype).tobytes())
            for a in (weights, bias)
        ],
    )
    net = load(INPUT + fc("fc", "data"), raw)
    np.testing.assert_array_equal(net.params["fc"][0].data, weights)
    np.testing.assert_array_equal(net.params["fc"][1].data, bias)


def test_half_floats_that_are_no_whole_numbers(load):
    values = np.array([1, 2, 3, 0.5, -0.25, 1e-4], "<f2")
    blob = shape(2, 3) + varint(10, 2) + content(12, values.tobytes())
    text = INPUT + fc("fc", "data", 2).replace("num_output", "bias_term: false num_output")
    found = load(text, stored("fc", blob)).params["fc"][0].data
    np.testing.assert_array_equal(found.ravel(), values.astype(np.float32))
    assert found[0].sum() == 6.0


def test_bytes_that_do_not_fill_the_shape(net_of, tmp_path):
    blob = shape(3, 3) + varint(10, 2) + content(12, b"\x00" * 17)
    (tmp_path / "w.caffemodel").write_bytes(stored("fc", blob))
    with pytest.raises(caffe.FileError, match="not a caffemodel, or is damaged"):
        net_of(INPUT + fc("fc", "data")).copy_from(tmp_path / "w.caffemodel")


def test_a_mean_of_half_floats(tmp_path):
    values = np.array([[104, 117], [123, 0.5]], "<f2")
    raw = shape(1, 2, 2) + varint(10, 2) + content(12, values.tobytes())
    (tmp_path / "mean.binaryproto").write_bytes(raw)
    np.testing.assert_array_equal(
        caffe.io.load_mean(tmp_path / "mean.binaryproto").reshape(2, 2), values
    )
    blob = caffe_pb2.BlobProto(raw_diff_type=1, raw_diff=np.array([2.5], "<f4").tobytes())
    blob.shape.dim.append(1)
    assert caffe.io.blobproto_to_array(blob, return_diff=True) == [2.5]


@pytest.mark.parametrize("type_", ["Convolution", "Convolution3D"])
def test_blobs_of_five_axes(load, type_):
    """C3D: a number `length` where BVLC has its shape message."""
    weights = np.random.default_rng(1).normal(size=(4, 3, 2, 3, 3)).astype("<f4")
    dims = {1: 4, 2: 3, 7: 2, 3: 3, 4: 3}
    blob = b"".join(varint(*pair) for pair in dims.items()) + content(5, weights.tobytes())
    ones = b"".join(varint(field, 1) for field in (1, 2, 7, 3)) + varint(4, 4)
    bias = ones + content(5, np.arange(4, dtype="<f4").tobytes())
    text = """layer { name: "in" type: "Input" top: "data"
                      input_param { shape { dim: 1 dim: 3 dim: 4 dim: 6 dim: 6 } } }
              layer { name: "c" type: "Convolution" bottom: "data" top: "c"
                      convolution_param { num_output: 4 kernel_size: [2, 3, 3] } }"""
    if type_ == "Convolution3D":
        text = text.replace('"Convolution"', '"Convolution3D"')
        text = text.replace("kernel_size: [2, 3, 3]", "kernel_size: 3 kernel_depth: 2")
    net = load(text, stored("c", blob, bias, form=V1))
    np.testing.assert_array_equal(net.params["c"][0].data, weights)
    np.testing.assert_array_equal(net.params["c"][1].data, np.arange(4))
    assert net.blobs["c"].shape == (1, 4, 3, 4, 4)


NORM = """layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn"
                  batch_norm_param { scale_filler { value: 1 } bias_filler { value: 0 } } }"""


def test_batch_norm_with_scale_and_bias(load):
    """NVIDIA's: five blobs, the third of which is 1."""
    arrays = [[1, 2, 3], [4, 4, 9], [1], [2, 2, 3], [0, 1, 0.5]]
    blobs = [shape(len(a)) + content(5, np.array(a, "<f4").tobytes()) for a in arrays]
    net = load(INPUT + NORM, stored("bn", *blobs))
    found = net.forward(data=np.array([[1, 4, 3], [3, 0, 6]], np.float32))["bn"]
    np.testing.assert_allclose(found, [[0, 3, 0.5], [2, -1, 3.5]], atol=2e-5)


def test_five_blobs_for_a_batch_norm_of_three(net_of, tmp_path):
    blobs = [shape(1) + content(5, np.ones(1, "<f4").tobytes())] * 5
    (tmp_path / "w.caffemodel").write_bytes(stored("bn", *blobs))
    net = net_of(INPUT + NORM.split("batch_norm_param")[0] + "}")
    with pytest.raises(caffe.ShapeError, match=r"'bn' has 3 parameter\(s\), .* holds 5"):
        net.copy_from(tmp_path / "w.caffemodel")


@pytest.mark.parametrize("dims", [(3,), (1, 3), (1, 3, 1, 1), (1, 1, 1, 3)])
def test_blobs_of_bn_as_its_forks_have_shaped_them(load, dims):
    blobs = [shape(*dims) + content(5, np.full(3, i, "<f4").tobytes()) for i in range(4)]
    bn = 'layer { name: "bn" type: "BN" bottom: "data" top: "bn" bn_param { frozen: true } }'
    net = load(INPUT + bn, stored("bn", *blobs))
    assert [blob.data.ravel().tolist() for blob in net.params["bn"]] == [[i] * 3 for i in range(4)]


def test_a_matrix_is_no_vector(net_of, tmp_path):
    blobs = [shape(3, 3, 1, 1) + content(5, np.ones(9, "<f4").tobytes())] * 2
    (tmp_path / "w.caffemodel").write_bytes(stored("fc", *blobs))
    with pytest.raises(caffe.ShapeError, match=r"\(3, 3, 1, 1\) in .*, expected is \(3, 3\)"):
        net_of(INPUT + fc("fc", "data")).copy_from(tmp_path / "w.caffemodel")


# ---------------------------------------------------------------- HDF5


SHARED = INPUT + fc("a", "data", params='param { name: "w" } param { name: "b" }')
SHARED += fc("b", "a", params='param { name: "w" } param { name: "b2" }')
SHARED += fc("c", "b", params='param { name: "w" } param { name: "b" }')


def hdf5(path, **layers):
    with h5py.File(path, "w") as file:
        for name, blobs in layers.items():
            group = file.require_group("data").create_group(name)
            for i, value in blobs.items():
                group.create_dataset(str(i), data=np.asarray(value, np.float32))
    return path


def test_shared_weights_stand_once_in_hdf5(net_of, tmp_path):
    """As real Caffe writes them: each where its first layer is, other groups lack it."""
    weights = np.arange(9).reshape(3, 3)
    held = {"in": {}, "a": {0: weights, 1: [1, 2, 3]}, "b": {1: [4, 5, 6]}, "c": {}}
    file = hdf5(tmp_path / "w.h5", **held)
    net = net_of(SHARED)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.copy_from(file)
    for name, bias in (("a", [1, 2, 3]), ("b", [4, 5, 6]), ("c", [1, 2, 3])):
        np.testing.assert_array_equal(net.params[name][0].data, weights)
        np.testing.assert_array_equal(net.params[name][1].data, bias)


def test_loosely_shared_weights_stand_once_in_hdf5(net_of, tmp_path):
    """Of another shape they are a view of the first layer's."""
    wide = INPUT.replace('"in"', '"more"').replace('"data"', '"wide"').replace("dim: 3", "dim: 9")
    text = INPUT + wide + fc("a", "data", params='param { name: "w" }')
    loose = 'param { name: "w" share_mode: PERMISSIVE }'
    text += fc("b", "wide", 1, loose).replace("num_output", "bias_term: false num_output")
    file = hdf5(tmp_path / "w.h5", a={0: np.arange(9).reshape(3, 3), 1: [0, 0, 0]}, b={})
    net = net_of(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.copy_from(file)
    np.testing.assert_array_equal(net.params["b"][0].data, np.arange(9).reshape(1, 9))


def test_what_is_not_shared_must_be_in_the_file(net_of, tmp_path):
    file = hdf5(tmp_path / "w.h5", a={0: np.eye(3), 1: [0, 0, 0]}, b={}, c={})
    with pytest.warns(UserWarning, match=r"no weights for layer\(s\) b;"):
        net_of(SHARED).copy_from(file)
    file = hdf5(tmp_path / "x.h5", a={0: np.eye(3)}, b={1: [0, 0, 0]}, c={})
    with pytest.raises(caffe.ShapeError, match=r"'a' has 2 parameter\(s\), .* holds 1"):
        net_of(SHARED).copy_from(file)


def test_hdf5_is_told_by_its_content_too(net_of, tmp_path):
    hdf5(tmp_path / "w.h5", fc={0: np.eye(3), 1: [1, 2, 3]}).rename(tmp_path / "w.caffemodel")
    net = net_of(INPUT + fc("fc", "data"))
    net.copy_from(tmp_path / "w.caffemodel")
    np.testing.assert_array_equal(net.params["fc"][1].data, [1, 2, 3])
