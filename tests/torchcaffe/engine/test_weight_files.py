"""The forms of caffemodel and mean files, and what is said of bad ones."""

import warnings

import h5py
import numpy as np
import pytest

import torchcaffe as caffe
from torchcaffe.proto import caffe_pb2

INPUT = 'layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }\n'
FC = """layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
                inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }\n"""
MORE = FC.replace('"fc"', '"more"')


# ---------------------------------------------------------------- caffemodels


def weights_of(net):
    rng = np.random.default_rng(0)
    return {
        name: [rng.normal(size=b.shape).astype(np.float32) for b in blobs]
        for name, blobs in net.params.items()
    }


def as_v2(model, name, arrays, fill):
    layer = model.layer.add(name=name, type="InnerProduct")
    for array in arrays:
        proto = layer.blobs.add()
        proto.shape.dim.extend(array.shape)
        fill(proto, array)


def as_v1(model, name, arrays, fill):
    layer = model.layers.add(name=name, type=14)
    for array in arrays:
        sizes = [1] * (4 - array.ndim) + list(array.shape)
        proto = layer.blobs.add(num=sizes[0], channels=sizes[1], height=sizes[2], width=sizes[3])
        fill(proto, array)


def floats(proto, array):
    proto.data.extend(array.ravel().tolist())


def doubles(proto, array):
    proto.double_data.extend(array.ravel().tolist())


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def unpacked(weights):
    """Return a V2 caffemodel whose floats stand one by one, as the oldest writers did."""
    out = b""
    for name, arrays in weights.items():
        blobs = b""
        for array in arrays:
            shape = caffe_pb2.BlobShape(dim=array.shape).SerializeToString()
            loose = b"".join(varint(5 << 3 | 5) + v.tobytes() for v in array.ravel())
            blobs += field(7, field(7, shape) + loose)
        out += field(100, field(1, name.encode()) + blobs)
    return out


@pytest.mark.parametrize("legacy", [as_v2, as_v1])
@pytest.mark.parametrize("kind", [floats, doubles])
def test_every_form_of_caffemodel(net_of, tmp_path, legacy, kind):
    net = net_of(INPUT + FC + MORE)
    weights, model = weights_of(net), caffe_pb2.NetParameter()
    for name, arrays in weights.items():
        legacy(model, name, arrays, kind)
    check_read(net, weights, model.SerializeToString(), tmp_path)


def test_unpacked_floats(net_of, tmp_path):
    net = net_of(INPUT + FC + MORE)
    weights = weights_of(net)
    data = unpacked(weights)
    assert caffe_pb2.NetParameter.FromString(data).layer[1].name == "more"
    check_read(net, weights, data, tmp_path)


def check_read(net, weights, data, tmp_path):
    path = tmp_path / "w.caffemodel"
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.copy_from(str(path))
    for name, arrays in weights.items():
        for held, array in zip(net.params[name], arrays, strict=True):
            np.testing.assert_array_equal(held.data, array)


@pytest.mark.parametrize("name", ["w.caffemodel", "w.h5"])
def test_saved_weights_are_the_same_bits(net_of, tmp_path, name):
    net = net_of(INPUT + FC + MORE)
    for blobs in net.params.values():
        for values in blobs:
            bits = np.random.default_rng(1).integers(0, 2**32, values.shape, np.uint32)
            values.data[...] = np.where(
                np.isfinite(bits.view(np.float32)), bits.view(np.float32), 0
            )
    (net.save_hdf5 if name.endswith("h5") else net.save)(tmp_path / name)
    other = net_of(INPUT + FC + MORE, weights=tmp_path / name)
    for one, two in zip(net.params.values(), other.params.values(), strict=True):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a.data.view(np.uint32), b.data.view(np.uint32))


@pytest.mark.parametrize("name", ["w.caffemodel", "w.h5"])
def test_layers_without_weights_keep_theirs_with_one_warning(net_of, tmp_path, name):
    small = net_of(INPUT + FC)
    (small.save_hdf5 if name.endswith("h5") else small.save)(tmp_path / name)
    net = net_of(INPUT + FC + MORE + FC.replace('"fc"', '"most"'))
    before = net.params["more"][0].data.copy()
    with pytest.warns(UserWarning, match="no weights for layer.s. more, most") as said:
        net.copy_from(tmp_path / name)
    assert len(said) == 1
    np.testing.assert_array_equal(net.params["more"][0].data, before)
    np.testing.assert_array_equal(net.params["fc"][0].data, small.params["fc"][0].data)


@pytest.mark.parametrize("name", ["w.caffemodel", "w.h5"])
def test_wrong_shapes_name_layer_expected_and_found(net_of, tmp_path, name):
    other = net_of(INPUT + MORE + FC.replace("num_output: 4", "num_output: 5"))
    (other.save_hdf5 if name.endswith("h5") else other.save)(tmp_path / name)
    net = net_of(INPUT + MORE + FC)
    before = [b.data.copy() for blobs in net.params.values() for b in blobs]
    with pytest.raises(caffe.ShapeError, match=r"'fc'.*\(5, 3\).*expected is \(4, 3\)"):
        net.copy_from(tmp_path / name)
    after = [b.data for blobs in net.params.values() for b in blobs]
    for one, two in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_wrong_number_of_parameters(net_of, tmp_path):
    net_of(INPUT + FC.replace("num_output", "bias_term: false num_output")).save(
        tmp_path / "w.caffemodel"
    )
    with pytest.raises(caffe.ShapeError, match="'fc' has 2 parameter.*holds 1"):
        net_of(INPUT + FC, weights=tmp_path / "w.caffemodel")


def test_weights_of_another_net(net_of, tmp_path):
    net_of(INPUT + MORE).save(tmp_path / "w.caffemodel")
    with pytest.raises(caffe.FileError, match="none of this net's layers .*more"):
        net_of(INPUT + FC, weights=tmp_path / "w.caffemodel")


def test_damaged_weights(net_of, tmp_path):
    net = net_of(INPUT + FC)
    path = tmp_path / "w.caffemodel"
    net.save(path)
    data = path.read_bytes()
    for bad in (data[:-1], data[:30], b"", b"\x00" * 50, b"not a model at all", data[5:]):
        path.write_bytes(bad)
        with pytest.raises(caffe.FileError, match=r"w\.caffemodel"):
            net.copy_from(path)
    with pytest.raises(caffe.FileError, match="No such file"):
        net.copy_from(tmp_path / "none.caffemodel")
    with pytest.raises(caffe.FileError, match="directory"):
        net.copy_from(tmp_path)
    (tmp_path / "w.h5").write_bytes(b"no HDF5")
    with pytest.raises(caffe.FileError, match=r"w\.h5"):
        net.copy_from(tmp_path / "w.h5")


def test_an_hdf5_file_that_claims_to_be_huge(net_of, tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_dataset("data/fc/0", shape=(10**6, 10**6), dtype="f4", chunks=(10, 10))
    with pytest.raises(caffe.ShapeError, match="fc/0.*GiB"):
        net_of(INPUT + FC, weights=tmp_path / "w.h5")


# ---------------------------------------------------------------- means


def test_means(tmp_path):
    mean = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    np.save(tmp_path / "image.npy", mean.astype(np.float64))
    np.save(tmp_path / "channels.npy", mean[:, 0, 0])
    for name, array in (("four.binaryproto", mean[None]), ("three.binaryproto", mean)):
        data = caffe.io.array_to_blobproto(array).SerializeToString()
        (tmp_path / name).write_bytes(data)
    legacy = caffe_pb2.BlobProto(num=1, channels=3, height=4, width=5, data=mean.ravel())
    (tmp_path / "legacy.binaryproto").write_bytes(legacy.SerializeToString())
    for name in ("image.npy", "four.binaryproto", "three.binaryproto", "legacy.binaryproto"):
        found = caffe.io.load_mean(tmp_path / name)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, mean, name)
    np.testing.assert_array_equal(caffe.io.load_mean(tmp_path / "channels.npy"), mean[:, 0, 0])


def test_bad_means(tmp_path):
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    np.save(tmp_path / "objects.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    (tmp_path / "text.binaryproto").write_bytes(b"mean of nothing")
    (tmp_path / "short.binaryproto").write_bytes(
        caffe_pb2.BlobProto(num=1, channels=3, height=4, width=5, data=[1.0]).SerializeToString()
    )
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (99999, 99999, 99), }".ljust(117)
    (tmp_path / "huge.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00" + header.encode() + b"\n")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(caffe.FileError, match=path.name):
            caffe.io.load_mean(path)
    with pytest.raises(caffe.FileError, match="could not open mean file"):
        caffe.io.load_mean(tmp_path / "none.npy")
