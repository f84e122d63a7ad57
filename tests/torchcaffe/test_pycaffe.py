"""pycaffe's behaviours: passes by name, what raises, reshaping, saving and loading."""

import inspect
import sys
import types
import warnings
from collections import OrderedDict

import numpy as np
import pytest

import torchcaffe as caffe
from torchcaffe.layers import python_layer

NET = """
name: "small" force_backward: true
layer { name: "data" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 3 dim: 2 dim: 6 dim: 5 } shape { dim: 3 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  param { lr_mult: 1 } param { lr_mult: 0 }
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 1 }
    bias_filler { type: "constant" value: 2 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "scores"
  inner_product_param { num_output: 7 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "scores" top: "prob" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss" }
"""


def write(folder, text, name="net.prototxt"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def net(tmp_path):
    caffe.set_random_seed(0)
    return caffe.Net(write(tmp_path, NET), caffe.TEST)


@pytest.fixture
def inputs():
    random = np.random.RandomState(0)
    return {"data": random.normal(0, 1, (3, 2, 6, 5)), "label": np.array([0, 6, 3])}


# ---------------------------------------------------------------- what a net tells


def test_names(net):
    assert net.inputs == ["data", "label"]
    assert net.outputs == ["loss", "prob"]  # sorted, as Caffe's
    assert list(net.layer_dict) == net._layer_names
    assert [layer.type for layer in net.layers] == [
        "Input", "Convolution", "ReLU", "InnerProduct", "Split", "Softmax", "SoftmaxWithLoss",
    ]  # fmt: skip
    assert isinstance(net.top_names, OrderedDict)
    assert net.top_names["data"] == ["data", "label"] and net.bottom_names["data"] == []
    assert net.top_names["relu"] == net.bottom_names["relu"] == ["conv"]
    assert net.bottom_names["loss"] == ["scores_ip_0_split_1", "label"]
    assert net.blob_loss_weights["loss"] == 1 and net.blob_loss_weights["prob"] == 0
    assert list(net.params) == ["conv", "ip"]
    assert len(net.layer_dict["conv"].blobs) == 2 and net.name == "small"


def test_parameters_without_names_or_fillers(net):
    assert [blob.shape for blob in net.params["conv"]] == [(4, 2, 3, 3), (4,)]
    assert (net.params["conv"][1].data == 2).all()
    assert (net.params["ip"][1].data == 0).all()
    assert 0.5 < net.params["conv"][0].data.std() < 1.5


def test_blobs(net):
    blob = net.blobs["data"]
    assert (blob.num, blob.channels, blob.height, blob.width) == (3, 2, 6, 5)
    assert blob.count == 180 and tuple(blob.shape) == (3, 2, 6, 5)
    assert blob.data.dtype == blob.diff.dtype == np.float32
    assert blob.data.flags.writeable and blob.data.flags.c_contiguous
    assert (net.blobs["label"].num, net.blobs["label"].height) == (3, 1)


def test_layer_type_list():
    known = caffe.layer_type_list()
    assert {"Data", "Convolution", "InnerProduct", "Python", "Permute"} <= set(known)
    assert known == sorted(known)


# ---------------------------------------------------------------- forward and backward


def test_forward_returns_outputs_and_what_was_asked(net, inputs):
    out = net.forward(blobs=["conv"], **inputs)
    assert set(out) == {"prob", "loss", "conv"}
    np.testing.assert_allclose(out["prob"].sum(1), 1, rtol=1e-5)
    assert out["conv"].min() == 0
    np.testing.assert_allclose(
        out["loss"], -np.log(out["prob"][[0, 1, 2], [0, 6, 3]]).mean(), rtol=1e-5
    )
    np.testing.assert_array_equal(net.blobs["data"].data, inputs["data"].astype(np.float32))
    assert all(isinstance(value, np.ndarray) for value in out.values())


def test_forward_from_and_to_a_layer(net, inputs):
    net.forward(**inputs)
    conv = np.random.RandomState(1).normal(0, 1, net.blobs["conv"].shape).astype(np.float32)
    net.blobs["conv"].data[...] = conv
    before = net.blobs["prob"].data.copy()
    out = net.forward(start="ip", end="ip")
    assert set(out) == {"scores"}
    weight, bias = (blob.data for blob in net.params["ip"])
    np.testing.assert_allclose(out["scores"], conv.reshape(3, -1) @ weight.T + bias, rtol=1e-4)
    np.testing.assert_array_equal(net.blobs["prob"].data, before)


def test_backward_from_and_to_a_layer(net, inputs):
    net.forward(**inputs)
    top = np.random.RandomState(1).normal(0, 1, (3, 7)).astype(np.float32)
    net.blobs["scores"].diff[...] = top
    out = net.backward(start="ip", end="ip")
    assert set(out) == {"conv"}
    expected = (top @ net.params["ip"][0].data).reshape(net.blobs["conv"].shape)
    np.testing.assert_allclose(out["conv"], expected, rtol=1e-4, atol=1e-6)


def test_backward_with_diffs_of_outputs(net, inputs):
    net.forward(**inputs)
    zero = net.backward(prob=np.zeros((3, 7)), loss=np.zeros(()))["data"].copy()
    assert not zero.any()
    out = net.backward(diffs=["conv"], prob=np.zeros((3, 7)), loss=np.ones(()))
    assert set(out) == {"data", "label", "conv"}
    step = 1e-2
    at = np.unravel_index(np.abs(out["data"]).argmax(), out["data"].shape)
    losses = []
    for sign in (1, -1):
        moved = {**inputs, "data": inputs["data"].copy()}
        moved["data"][at] += sign * step
        losses.append(float(net.forward(**moved)["loss"]))
    assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(float(out["data"][at]), rel=0.02)


def test_loss_goes_backward_by_itself(net, inputs):
    net.forward(**inputs)
    net.blobs["prob"].diff[...] = 0
    assert np.abs(net.backward()["data"]).max() > 0


def test_gradients_of_parameters_add_up_until_cleared(net, inputs):
    net.forward(**inputs)
    net.backward()
    once = net.params["conv"][0].diff.copy()
    assert np.abs(once).max() > 0
    net.backward()
    held = net.params["conv"][0].diff
    np.testing.assert_allclose(held, 2 * once, rtol=1e-5, atol=1e-7)
    assert net.params["conv"][1].diff.any()  # in spite of lr_mult: 0, by force_backward
    net.clear_param_diffs()
    assert not held.any()


@pytest.mark.parametrize(
    "call, kind, sentence",
    [
        (lambda net, x: net.forward(data=x["data"]), ValueError, r"\['data'\].*label"),
        (lambda net, x: net.forward(image=x["data"], label=x["label"]), ValueError, "image"),
        (lambda net, x: net.forward(data=x["data"][:2], label=x["label"]), ValueError, "batch"),
        (lambda net, x: net.forward(data=x["data"][:, :1], label=x["label"][:, None]), ValueError,
         "shape"),
        (lambda net, x: net.forward(blobs=["con"]), KeyError, "did you mean conv"),
        (lambda net, x: net.forward(end="fc"), KeyError, "no layer 'fc'"),
        (lambda net, x: net.forward(start="fc"), KeyError, "no layer 'fc'"),
        (lambda net, x: net.backward(diffs=["con"]), KeyError, "did you mean conv"),
        (lambda net, x: net.backward(end="fc"), KeyError, "no layer 'fc'"),
        (lambda net, x: net.backward(prob=np.zeros((3, 7))), ValueError, "loss"),
        (lambda net, x: net.backward(prob=np.zeros((2, 7)), loss=np.ones(())), ValueError,
         "batch"),
        (lambda net, x: net.backward_from_layer("ip", np.zeros((3, 8))), ValueError, "shape"),
        (lambda net, x: net._forward(0, 99), ValueError, "0 to 6"),
        (lambda net, x: net._backward(2, 3), ValueError, "order"),
        (lambda net, x: net.forward_all(), ValueError, "no arrays"),
        (lambda net, x: net.forward_all(data=x["data"], label=x["label"][:1]), ValueError,
         "different numbers"),
    ],
)  # fmt: skip
def test_wrong_calls_raise(net, inputs, call, kind, sentence):
    with pytest.raises(kind, match=sentence) as caught:
        call(net, inputs)
    assert isinstance(caught.value, caffe.CaffeError)


def test_forward_all_over_any_number_of_images(net):
    random = np.random.RandomState(2)
    data, label = random.normal(0, 1, (8, 2, 6, 5)), random.randint(0, 7, 8)
    net.blobs["label"].data[...] = 0
    every = net.forward_all(blobs=["conv"], data=data, label=label)
    assert every["conv"].shape == (8, 4, 4, 3)
    assert every["loss"].shape == (3,)  # one number a batch
    for start in (0, 5):
        part = slice(start, start + 3)
        one = net.forward(data=data[part], label=label[part])
        np.testing.assert_allclose(every["prob"][part], one["prob"], rtol=1e-5)


def test_forward_backward_all(tmp_path):
    text = NET[: NET.index('layer { name: "loss"')].replace('top: "label"', "")
    text = text.replace("shape { dim: 3 }", "")
    net = caffe.Net(write(tmp_path, text), caffe.TEST)
    random = np.random.RandomState(3)
    data, top = random.normal(0, 1, (5, 2, 6, 5)), random.normal(0, 1, (5, 7))
    found, diffs = net.forward_backward_all(diffs=["conv"], data=data, prob=top)
    assert found["prob"].shape == (5, 7) and diffs["conv"].shape == (5, 4, 4, 3)
    net.forward(data=data[:3])
    np.testing.assert_allclose(net.backward(prob=top[:3])["data"], diffs["data"][:3], rtol=1e-5)


def test_reshaping_the_input(net):
    net.blobs["data"].reshape(5, 2, 6, 5)
    net.blobs["label"].reshape(5)
    net.reshape()
    assert net.blobs["prob"].shape == (5, 7)
    net.blobs["data"].reshape(1, 2, 6, 5)
    net.blobs["label"].reshape(1)
    assert net.forward()["prob"].shape == (1, 7)
    net.blobs["data"].reshape(1, 2, 9, 9)
    with pytest.raises(ValueError, match="'ip'.*weights"):
        net.forward()


def test_memory_outlives_the_net(net, inputs):
    net.forward(**inputs)
    net.backward()
    blobs = [*net.blobs.values(), *(blob for blobs in net.params.values() for blob in blobs)]
    sums = [float(blob.data.sum()) + float(blob.diff.sum()) for blob in blobs]
    held = net.blobs["prob"].data
    del net
    assert sums == [float(blob.data.sum()) + float(blob.diff.sum()) for blob in blobs]
    assert held.sum() == pytest.approx(3, rel=1e-5)


# ---------------------------------------------------------------- names, shapes, forks


def test_an_unknown_name_lists_near_ones(net):
    with pytest.raises(KeyError, match="no blob 'conv1' in this net; did you mean conv?"):
        net.blobs["conv1"]
    with pytest.raises(KeyError, match="no layer with parameters 'relu'"):
        net.params["relu"]
    with pytest.raises(KeyError, match="no layer 'Prob' in this net; did you mean prob?"):
        net.layer_dict["Prob"]
    with pytest.raises(KeyError, match="no layer"):
        net.top_names["x"]
    assert "conv1" not in net.blobs and net.blobs.get("conv1") is None
    assert type(net.blobs.copy()) is OrderedDict


def test_nets_and_blobs_say_what_they_are(net):
    assert repr(net) == (
        "<torchcaffe.Net 'small': 7 layers, TEST, data (3, 2, 6, 5), label (3,) -> "
        "loss (), prob (3, 7)>"
    )
    assert repr(net.blobs["conv"]) == (
        "<torchcaffe.Blob: 3 x 4 x 4 x 3 (144 values of float32), nothing in it yet>"
    )
    net.forward(data=np.zeros((3, 2, 6, 5)), label=np.zeros(3))
    assert repr(net.blobs["conv"]) == "<torchcaffe.Blob: 3 x 4 x 4 x 3 (144 values of float32)>"
    assert repr(net.blobs["loss"]) == "<torchcaffe.Blob: one number (1 values of float32)>"


def test_a_shape_is_a_list_that_equals_a_tuple(net):
    blob = net.blobs["data"]
    shape = blob.shape
    assert isinstance(shape, list) and shape == (3, 2, 6, 5) == shape and shape == [3, 2, 6, 5]
    assert shape != (3, 2, 6) and shape != [1] and blob.data.shape == shape
    assert shape[2:] == (6, 5) and shape[1:] + (1,) == (2, 6, 5, 1) and (9,) + shape[3:] == (9, 5)
    assert repr(shape) == "(3, 2, 6, 5)" and shape != "3265" and shape is not None
    shape[0] = 1
    shape.append(4)
    assert shape == (1, 2, 6, 5, 4) and blob.shape == (3, 2, 6, 5)
    blob.reshape(*shape[:4])
    assert blob.data.shape == (1, 2, 6, 5)
    with pytest.raises(TypeError, match=r"whole numbers one by one.*not \(1, 2\)"):
        blob.reshape((1, 2))
    with pytest.raises(TypeError, match="not 1, 2.5"):
        blob.reshape(1, 2.5)


@pytest.mark.parametrize(
    "name, rule", [("Zeiler & Fergus", "deconv"), ("Guided Backprop", "guided")]
)
def test_deconv_type_of_another_fork(net, inputs, name, rule):
    net.forward(**inputs)
    diff = np.random.RandomState(5).normal(0, 1, net.blobs["conv"].shape)
    call = getattr(net, f"{rule}_from_layer")
    expected = call("relu", diff, zero_higher=True)["data"].copy()
    found = net.deconv_from_layer("relu", diff, zero_higher=True, deconv_type=name)["data"]
    np.testing.assert_array_equal(found, expected)
    net.blobs["conv"].diff[...] = diff
    found = net.deconv(start="relu", deconv_type=name)["data"]
    np.testing.assert_array_equal(found, expected)
    net.blobs["conv"].diff[...] = diff
    net._deconv(2, 0, name)
    np.testing.assert_array_equal(net.blobs["data"].diff, expected)


def test_an_unknown_deconv_type_is_one_sentence(net):
    with pytest.raises(ValueError, match="'zf' is unknown; known are 'Zeiler & Fergus', 'Guided"):
        net.deconv_from_layer("relu", np.zeros(net.blobs["conv"].shape), deconv_type="zf")


MEMORY = """
layer { name: "m" type: "MemoryData" top: "data" top: "label"
  memory_data_param { batch_size: 2 channels: 3 height: 4 width: 5 } }
"""


@pytest.mark.parametrize(
    "data, labels, sentence",
    [
        ((4, 3, 4, 6), 4, r"\(N, 3, 4, 5\) with N a multiple of 2, not \(4, 3, 4, 6\)"),
        ((3, 3, 4, 5), 3, "N a multiple of 2"),
        ((0, 3, 4, 5), 0, "N a multiple of 2"),
        ((4, 3, 4, 5), 3, "one label for each of 4 images, not 3"),
    ],
)
def test_arrays_that_do_not_fit_a_memory_data_layer(tmp_path, data, labels, sentence):
    net = caffe.Net(write(tmp_path, MEMORY), caffe.TEST)
    with pytest.raises(RuntimeError, match=sentence):
        net.set_input_arrays(np.zeros(data), np.zeros(labels))
    net.set_input_arrays(np.ones((2, 3, 4, 5)), np.array([3, 4]))  # float64 and whole numbers too
    out = net.forward()
    assert (out["data"] == 1).all() and out["label"].ravel().tolist() == [3, 4]


def test_arrays_are_for_nets_that_begin_with_memory_data(net):
    with pytest.raises(RuntimeError, match=r"this one's is Input; give the arrays to forward"):
        net.set_input_arrays(np.zeros((3, 2, 6, 5)), np.zeros(3))


# ---------------------------------------------------------------- files


def exactly_equal(net, other):
    assert list(net.params) == list(other.params)
    for name, blobs in net.params.items():
        for blob, same in zip(blobs, other.params[name], strict=True):
            np.testing.assert_array_equal(blob.data.view(np.int32), same.data.view(np.int32))


def odd_values(net):
    weight = net.params["conv"][0].data.reshape(-1)
    weight[:6] = [np.nan, np.inf, -np.inf, -0.0, 1e-42, 3.4028235e38]


def test_saving_keeps_every_bit(net, tmp_path):
    odd_values(net)
    path = tmp_path / "net.caffemodel"
    net.save(path)
    prototxt = tmp_path / "net.prototxt"
    exactly_equal(net, caffe.Net(prototxt, caffe.TEST, weights=path))
    exactly_equal(net, caffe.Net(str(prototxt), str(path), caffe.TEST))
    stored = caffe.proto.caffe_pb2.NetParameter.FromString(path.read_bytes())
    assert [layer.name for layer in stored.layer][:2] == ["data", "conv"]
    assert list(stored.layer[1].blobs[0].shape.dim) == [4, 2, 3, 3]


def test_hdf5_without_h5py_is_one_sentence(net, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)  # as where it is not installed
    for call in (net.save_hdf5, net.load_hdf5):
        with pytest.raises(RuntimeError, match="need the package h5py: pip install h5py"):
            call(tmp_path / "net.h5")
    assert not (tmp_path / "net.h5").exists()


@pytest.mark.parametrize("name", ["net.h5", "net.weights"])
def test_saving_hdf5_keeps_every_bit(net, tmp_path, name):
    odd_values(net)
    net.save_hdf5(tmp_path / name)
    other = caffe.Net(tmp_path / "net.prototxt", caffe.TEST)
    other.load_hdf5(tmp_path / name)
    exactly_equal(net, other)
    if name.endswith(".h5"):
        exactly_equal(net, caffe.Net(tmp_path / "net.prototxt", tmp_path / name, caffe.TEST))


def test_hdf5_is_laid_out_as_caffes(net, inputs, tmp_path):
    h5py = pytest.importorskip("h5py")
    net.forward(**inputs)
    net.backward()
    net.save_hdf5(tmp_path / "net.h5", diffs=True)
    with h5py.File(tmp_path / "net.h5", "r") as file:
        assert sorted(file["data"]["ip"]) == ["0", "1"]
        np.testing.assert_array_equal(file["data/conv/1"][...], np.full(4, 2, np.float32))
        np.testing.assert_array_equal(file["diff/ip/0"][...], net.params["ip"][0].diff)


def test_layers_without_weights_keep_theirs_and_warn_once(net, tmp_path):
    net.save(tmp_path / "a.caffemodel")
    text = NET.replace('name: "ip"', 'name: "ip_new"')
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        other = caffe.Net(
            write(tmp_path, text, "b.prototxt"), caffe.TEST, weights=tmp_path / "a.caffemodel"
        )
    assert ["ip_new" in str(w.message) for w in caught] == [True]
    np.testing.assert_array_equal(other.params["conv"][0].data, net.params["conv"][0].data)


def test_entries_of_one_name_go_to_layers_of_one_name(net, tmp_path):
    text = NET.replace('name: "ip"', 'name: "conv"')
    path = write(tmp_path, text, "twins.prototxt")
    with pytest.warns(UserWarning, match="'conv_2' here"):
        twins = caffe.Net(path, caffe.TEST)
    twins.params["conv_2"][1].data[...] = 9
    twins.save(tmp_path / "twins.caffemodel")
    message = caffe.proto.caffe_pb2.NetParameter.FromString(
        (tmp_path / "twins.caffemodel").read_bytes()
    )
    for layer in message.layer:
        layer.name = layer.name.replace("conv_2", "conv")
    (tmp_path / "twins.caffemodel").write_bytes(message.SerializeToString())
    with pytest.warns(UserWarning):
        again = caffe.Net(path, caffe.TEST, weights=tmp_path / "twins.caffemodel")
    exactly_equal(twins, again)


def test_wrong_files_raise(net, tmp_path):
    with pytest.raises(RuntimeError, match="could not open"):
        caffe.Net(tmp_path / "no.prototxt", caffe.TEST)
    with pytest.raises(RuntimeError, match="no.caffemodel"):
        net.copy_from(tmp_path / "no.caffemodel")
    with pytest.raises(RuntimeError, match="HDF5"):
        net.load_hdf5(write(tmp_path, "text"))
    net.save(tmp_path / "a.caffemodel")
    text = NET.replace("num_output: 7", "num_output: 8")
    with pytest.raises(ValueError, match=r"'ip'.*\(7, 48\).*\(8, 48\)"):
        caffe.Net(write(tmp_path, text), caffe.TEST, weights=tmp_path / "a.caffemodel")
    with pytest.raises(ValueError, match="phase"):
        caffe.Net(tmp_path / "net.prototxt")


def test_nets_share_parameters(net, tmp_path):
    other = caffe.Net(tmp_path / "net.prototxt", caffe.TEST)
    assert not np.array_equal(other.params["conv"][0].data, net.params["conv"][0].data)
    other.share_with(net)
    net.params["conv"][0].data[...] = 5
    assert (other.params["conv"][0].data == 5).all()


def test_messages_are_written_and_read(tmp_path):
    pb = caffe.proto.caffe_pb2
    message = pb.NetParameter(name="n", layer=[pb.LayerParameter(name="a", type="ReLU")])
    assert pb.NetParameter.FromString(message.SerializeToString()) == message
    assert pb.LayerParameter(convolution_param={"pad": [1, 2]}).convolution_param.pad == [1, 2]
    assert (pb.TRAIN, pb.TEST) == (caffe.TRAIN, caffe.TEST) == (0, 1)
    with pytest.raises(AttributeError):
        message.nmae = "x"


# ---------------------------------------------------------------- the package itself


PACKAGE = [
    "Classifier", "Detector", "Layer", "Net", "NetSpec", "TEST", "TRAIN", "coord_map", "io",
    "layer_type_list", "layers", "net_spec", "params", "proto", "set_device", "set_mode_cpu",
    "set_mode_gpu", "set_random_seed", "to_proto", "__version__",
]  # fmt: skip
ON_NETS = [
    "_backward", "_deconv", "_forward", "_layer_names", "backward", "backward_from_layer",
    "blob_loss_weights", "blobs", "bottom_names", "clear_param_diffs", "copy_from", "deconv",
    "deconv_from_layer", "forward", "forward_all", "forward_backward_all", "guided_from_layer",
    "inputs", "layer_dict", "layers", "load_hdf5", "outputs", "params", "reshape", "save",
    "save_hdf5", "share_with", "top_names", "zero",
]  # fmt: skip


def test_everything_pycaffe_offers_is_here():
    assert [name for name in PACKAGE if not hasattr(caffe, name)] == []
    assert isinstance(caffe.layers, types.ModuleType)
    assert caffe.Layer is python_layer.PythonLayer
    net = caffe.Net.from_param(caffe.to_proto(caffe.layers.Input(shape={"dim": [1]})))
    assert [name for name in ON_NETS if not hasattr(net, name)] == []
    assert list(inspect.signature(net.forward).parameters) == ["blobs", "start", "end", "inputs"]
