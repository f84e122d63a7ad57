"""Whole nets of the wild (tests/nets): forward, backprop, deconv, shared weights, V1 forms."""

import math
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

import torchcaffe as caffe
from tests.nets.build import FOLDER, build, fill_inputs, read, set_statistics
from tests.nets.make import NETS, text
from torchcaffe.proto.caffe_pb2 import NetParameter, V1LayerParameter

# net -> input size (None: the file's), the layer to go backward from, its input
RUNS = {
    "vgg16": ((64, 64), "fc8", "data"),
    "googlenet": (None, "loss3/classifier", "data"),
    "resnet50": (None, "fc1000", "data"),
    "lenet": (None, "ip2", "data"),
    "siamese": (None, "feat", "pair"),
    "fcn": (None, "upscore", "data"),
    "ssd": (None, "mbox_conf", "data"),
}
SHAPES = {
    "vgg16": {"prob": (1, 1000)},
    "googlenet": {"prob": (1, 1000)},
    "resnet50": {"prob": (1, 1000)},
    "lenet": {"prob": (2, 10)},
    "siamese": {"loss": ()},
    "fcn": {"prob": (1, 5, 48, 56)},
    "ssd": {
        "mbox_loc": (1, 4608), "mbox_priorbox": (1, 2, 4608), "mbox_conf_flatten": (1, 6912),
    },
}  # fmt: skip
# parameters that are learned, as the papers and Caffe's own logs count them
LEARNED = {
    "vgg16": 138_357_544,
    "googlenet": 6_998_552,
    "resnet50": 25_557_032,
    "lenet": 431_080,
}


@pytest.fixture(scope="module", params=RUNS)
def ran(request):
    """A net after its forward pass, with its outputs."""
    size, layer, name = RUNS[request.param]
    net = build(request.param, size)
    fill_inputs(net, np.random.RandomState(1))
    outputs = {key: value.copy() for key, value in net.forward().items()}
    return request.param, net, outputs


def test_every_net_is_run():
    assert set(RUNS) == set(NETS) == set(SHAPES)


@pytest.mark.parametrize("name", NETS)
def test_files_are_what_netspec_writes(name):
    assert (FOLDER / f"{name}.prototxt").read_text(encoding="utf-8") == text(NETS[name])


@pytest.mark.parametrize("name", LEARNED)
def test_parameters_are_as_many_as_published(name):
    net = caffe.Net(FOLDER / f"{name}.prototxt", caffe.TEST)  # weights are not made yet
    count = sum(
        blob.count
        for layer in net.layers
        if layer.type != "BatchNorm"
        for blob in layer.blobs
    )  # fmt: skip
    assert count == LEARNED[name]


def test_forward(ran):
    name, net, outputs = ran
    assert {key: value.shape for key, value in outputs.items()} == SHAPES[name]
    assert all(np.isfinite(value).all() for value in outputs.values())
    if "prob" in outputs:
        np.testing.assert_allclose(outputs["prob"].sum(1), 1, atol=1e-5)
        assert outputs["prob"].std() > 0


@pytest.mark.parametrize("kind", ["backward", "deconv", "guided"])
def test_back_to_the_input(ran, kind):
    name, net, _ = ran
    _, layer, source = RUNS[name]
    top = net.blobs[net.top_names[layer][0]]
    diff = np.zeros(top.shape, np.float32)
    diff.reshape(len(diff), -1)[:, : diff[0].size // 2] = 1
    found = getattr(net, f"{kind}_from_layer")(layer, diff, zero_higher=True)[source]
    assert found.shape == net.blobs[source].shape
    assert np.isfinite(found).all()
    assert all(np.abs(image).max() > 0 for image in found)


def test_passes_differ_by_rule():
    net = build("lenet")
    fill_inputs(net, np.random.RandomState(1))
    net.forward()
    diff = np.random.RandomState(2).normal(0, 1, net.blobs["ip2"].shape)
    found = {
        kind: getattr(net, f"{kind}_from_layer")("ip2", diff, zero_higher=True)["data"].copy()
        for kind in ("backward", "deconv", "guided")
    }
    assert not np.allclose(found["backward"], found["deconv"])
    assert not np.allclose(found["backward"], found["guided"])
    assert not np.allclose(found["deconv"], found["guided"])


# ---------------------------------------------------------------- against OpenCV's reader


@pytest.mark.parametrize("name", ["lenet", "googlenet", "resnet50", "fcn", "ssd"])
def test_outputs_are_opencvs(name, tmp_path):
    weights = tmp_path / "net.caffemodel"
    net = build(name, until="upscore" if name == "fcn" else None)
    net.save(weights)
    prototxt = tmp_path / "net.prototxt"
    prototxt.write_text(cut_text(name, net), encoding="utf-8")
    fill_inputs(net, np.random.RandomState(3))
    net.forward()
    other = cv2.dnn.readNetFromCaffe(str(prototxt), str(weights))
    other.setInput(net.blobs["data"].data)
    for output in net.outputs:
        expected = other.forward(output)
        found = net.blobs[output].data
        assert np.abs(found).max() > 0
        np.testing.assert_allclose(
            found, expected.reshape(found.shape), rtol=1e-3, atol=1e-4 * np.abs(expected).max()
        )


def cut_text(name, net):
    lines = (FOLDER / f"{name}.prototxt").read_text(encoding="utf-8").splitlines()
    kept = [f'name: "{layer}"' for layer in net.layer_dict]
    return "\n".join(
        line for line in lines
        if not line.startswith("layer {") or any(f"{{ {k} " in line for k in kept)
    )  # fmt: skip


# ---------------------------------------------------------------- GoogLeNet, ResNet, SSD


def test_inceptions_join_their_branches():
    net = caffe.Net(FOLDER / "googlenet.prototxt", caffe.TEST)
    channels = {"3a": 256, "3b": 480, "4a": 512, "4e": 832, "5b": 1024}
    for name, count in channels.items():
        assert net.blobs[f"inception_{name}/output"].shape[1] == count
    fed = [name for name in net.blobs if name.startswith("pool2/3x3_s2_pool2/3x3_s2_0_split_")]
    assert len(fed) == 4  # one for each branch, so that diffs add up


def test_default_boxes_lie_around_their_positions():
    net = build("ssd")
    net.forward()
    boxes = net.blobs["conv6_mbox_priorbox"].data[0, 0].reshape(8, 8, 2, 4)
    centre = (boxes[4, 3, 0, :2] + boxes[4, 3, 0, 2:]) / 2  # (x, y) of row 4, column 3
    np.testing.assert_allclose(centre, [3.5 * 8 / 64, 4.5 * 8 / 64], atol=1e-6)
    size = (boxes[4, 3, :, 2:] - boxes[4, 3, :, :2]) * 64
    np.testing.assert_allclose(size[0], [24, 24], atol=1e-4)
    np.testing.assert_allclose(size[1], [math.sqrt(24 * 44)] * 2, atol=1e-4)
    scores = net.blobs["mbox_conf_softmax"].data
    assert scores.shape == (1, 1152, 6)
    np.testing.assert_allclose(scores.sum(2), 1, atol=1e-5)


# ---------------------------------------------------------------- shared weights


def test_towers_share_weights_and_add_up_their_gradients(tmp_path):
    net = build("siamese")
    assert net.params["conv1"][0] is net.params["conv1_p"][0]
    random = np.random.RandomState(4)
    fill_inputs(net, random)
    net.blobs["pair"].data[:, 1] = net.blobs["pair"].data[:, 0]
    net.forward()
    np.testing.assert_array_equal(net.blobs["feat"].data, net.blobs["feat_p"].data)
    fill_inputs(net, random)
    net.forward()

    def gradient(*towers):
        net.clear_param_diffs()
        for tower in ("feat", "feat_p"):
            net.blobs[tower].diff[...] = tower in towers
        net._backward(net._layer_names.index("feat_p"), 0)
        return net.params["conv1"][0].diff.copy()

    both = gradient("feat", "feat_p")
    np.testing.assert_allclose(both, gradient("feat") + gradient("feat_p"), rtol=1e-3, atol=1e-4)
    net.save(tmp_path / "siamese.caffemodel")
    again = caffe.Net(
        FOLDER / "siamese.prototxt", caffe.TEST, weights=tmp_path / "siamese.caffemodel"
    )
    np.testing.assert_array_equal(again.params["ip1_p"][0].data, net.params["ip1"][0].data)


def test_each_tower_sees_its_own_channel():
    net = build("siamese")
    fill_inputs(net, np.random.RandomState(5))
    net.forward()
    diff = np.ones(net.blobs["feat"].shape, np.float32)
    left = net.backward_from_layer("feat", diff, zero_higher=True)["pair"].copy()
    right = net.backward_from_layer("feat_p", diff, zero_higher=True)["pair"].copy()
    assert np.abs(left[:, 0]).max() > 0 and not left[:, 1].any()
    assert np.abs(right[:, 1]).max() > 0 and not right[:, 0].any()


# ---------------------------------------------------------------- legacy forms

INPUT = "input_dim: 2\ninput_dim: 3\ninput_dim: 20\ninput_dim: 24\n"
V1 = (FOLDER / "legacy_v1.prototxt").read_text(encoding="utf-8")
V2 = (FOLDER / "legacy_v2.prototxt").read_text(encoding="utf-8")
FIRST = V2[V2.index("layer {") : V2.index("layer {\n")]
FORMS = {
    "V1 with input_dim": V1,
    "V1 with input_shape": V1.replace(
        INPUT, "input_shape { dim: 2 dim: 3 dim: 20 dim: 24 }\n"
    ),
    "V2 with input_dim": V2.replace(FIRST, f'input: "data"\n{INPUT}'),
    "V2 with input_shape": V2.replace(
        FIRST, 'input: "data" input_shape { dim: 2 dim: 3 dim: 20 dim: 24 }\n'
    ),
}  # fmt: skip


def passes(net):
    """Return what a forward and a backward pass leave in all blobs and parameters."""
    fill_inputs(net, np.random.RandomState(6))
    net.forward()
    net.blobs["prob"].diff[...] = np.random.RandomState(7).normal(0, 1, net.blobs["prob"].shape)
    net.clear_param_diffs()
    net.backward()
    found = {name: (b.data.copy(), b.diff.copy()) for name, b in net.blobs.items()}
    for name, blobs in net.params.items():
        found.update({f"{name}/{i}": (b.data, b.diff) for i, b in enumerate(blobs)})
    return found


@pytest.fixture(scope="module")
def modern(tmp_path_factory):
    folder = tmp_path_factory.mktemp("legacy")
    net = build("legacy_v2")
    net.save(folder / "v2.caffemodel")
    return net, folder / "v2.caffemodel", passes(net)


@pytest.mark.parametrize("form", FORMS)
def test_legacy_text_is_the_same_net(form, modern, tmp_path):
    expected_net, weights, expected = modern
    prototxt = tmp_path / "net.prototxt"
    assert FORMS[form] != V2
    prototxt.write_text(FORMS[form], encoding="utf-8")
    net = caffe.Net(prototxt, caffe.TEST, weights=weights)
    # input fields become one layer of this name (real Caffe 1.0)
    assert net._layer_names == ["input", *expected_net._layer_names[1:]]
    assert [layer.type for layer in net.layers] == [layer.type for layer in expected_net.layers]
    assert net.params["ip1"][0] is net.params["ip2"][0]
    found = passes(net)
    assert found.keys() == expected.keys()
    for name, (values, diff) in expected.items():
        np.testing.assert_array_equal(found[name][0], values, err_msg=name)
        np.testing.assert_array_equal(found[name][1], diff, err_msg=f"diff of {name}")


def v1_weights(net, *, legacy_shape):
    """Return the bytes of a caffemodel as Caffe wrote it in 2014."""
    stored = NetParameter(name="legacy")
    for name, layer in net.layer_dict.items():
        if layer.type in ("Split", "Input"):
            continue
        old = stored.layers.add(name=name, type=V1LayerParameter.CONVOLUTION)
        for blob in layer.blobs:
            proto = old.blobs.add(data=blob.data.ravel())
            if legacy_shape:
                shape = (1,) * (4 - len(blob.shape)) + blob.shape
                proto.num, proto.channels, proto.height, proto.width = shape
            else:
                proto.shape.dim.extend(blob.shape)
    return stored.SerializeToString()


@pytest.mark.parametrize("legacy_shape", [True, False])
@pytest.mark.parametrize("form", ["legacy_v1", "legacy_v2"])
def test_v1_weights_load_into_both_forms(form, legacy_shape, modern, tmp_path):
    source, _, expected = modern
    weights = tmp_path / "v1.caffemodel"
    weights.write_bytes(v1_weights(source, legacy_shape=legacy_shape))
    net = caffe.Net(FOLDER / f"{form}.prototxt", caffe.TEST, weights=weights)
    for name, (values, _) in passes(net).items():
        np.testing.assert_array_equal(values, expected[name][0], err_msg=name)


def test_phase_leaves_layers_out():
    train = caffe.Net(FOLDER / "legacy_v1.prototxt", caffe.TRAIN)
    test = caffe.Net(FOLDER / "legacy_v1.prototxt", caffe.TEST)
    assert set(train.outputs) == {"train_only", "prob"}
    assert test.outputs == ["prob"]


def test_messages_are_not_changed_by_building():
    param = read("legacy_v1")
    before = param.SerializeToString(deterministic=True)
    set_statistics(caffe.Net.from_param(param), np.random.RandomState(0))
    assert param.SerializeToString(deterministic=True) == before


def test_a_twin_computes_the_same_beside_it(ran):
    """Both at once, on two threads, with one set of parameters."""
    name, net, outputs = ran
    twin = net.twin()
    assert list(twin.blobs) == list(net.blobs) and list(twin.params) == list(net.params)
    for blobs, own in zip(net.params.values(), twin.params.values(), strict=True):
        assert [b.memory for b in blobs] == [b.memory for b in own]
    for key in net.inputs:
        twin.blobs[key].data[...] = net.blobs[key].data
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(lambda one: one.forward(), [net, twin]):
            for key, value in outputs.items():
                np.testing.assert_array_equal(found[key], value, err_msg=f"{name} {key}")
    assert not any(net.blobs[key].memory is twin.blobs[key].memory for key in net.blobs)
