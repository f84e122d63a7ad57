"""Legacy definitions: V0 of 2013, V1 with the enums of forks, input fields.

Shapes, names and values are those of real Caffe 1.0 with the same files.
"""

import warnings

import numpy as np
import pytest

import torchcaffe as caffe
from torchcaffe.proto.caffe_pb2 import NetParameter, V1LayerParameter
from torchcaffe.proto.text import parse_text
from torchcaffe.proto.upgrade import type_of_v1
from torchcaffe.proto.upgrade_v0 import TYPES

INPUT = 'input: "data" input_dim: 2 input_dim: 2 input_dim: 7 input_dim: 6\n'
V0 = (
    INPUT
    + """
layers { layer { name: "pad1" type: "padding" pad: 2 } bottom: "data" top: "pad1" }
layers { layer { name: "conv1" type: "conv" num_output: 4 group: 2 kernelsize: 3 stride: 2
                 weight_filler { type: "constant" value: 0.25 }
                 bias_filler { type: "constant" value: 0.5 }
                 blobs_lr: 1. blobs_lr: 2. weight_decay: 1. weight_decay: 0. }
         bottom: "pad1" top: "conv1" }
layers { layer { name: "relu1" type: "relu" } bottom: "conv1" top: "conv1" }
layers { layer { name: "pad2" type: "padding" pad: 1 } bottom: "conv1" top: "pad2" }
layers { layer { name: "pool1" type: "pool" pool: AVE kernelsize: 3 stride: 2 }
         bottom: "pad2" top: "pool1" }
layers { layer { name: "norm1" type: "lrn" local_size: 3 alpha: 1.5 beta: 0.75 }
         bottom: "pool1" top: "norm1" }
layers { layer { name: "both" type: "concat" concat_dim: 1 }
         bottom: "pool1" bottom: "norm1" top: "both" }
layers { layer { name: "drop" type: "dropout" dropout_ratio: 0.4 } bottom: "both" top: "both" }
layers { layer { name: "fc" type: "innerproduct" num_output: 3 biasterm: false
                 weight_filler { type: "constant" value: 0.1 } } bottom: "both" top: "fc" }
layers { layer { name: "act" type: "tanh" } bottom: "fc" top: "act" }
layers { layer { name: "prob" type: "softmax" } bottom: "act" top: "prob" }
"""
)


def waves():
    return np.sin(np.arange(2 * 2 * 7 * 6) * 0.7).reshape(2, 2, 7, 6).astype(np.float32)


@pytest.fixture
def oldest(net_of):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return net_of(V0)


def test_v0_becomes_the_layers_of_today(oldest):
    assert oldest._layer_names == [
        "input", "conv1", "relu1", "pool1", "pool1_pool1_0_split", "norm1", "both", "drop", "fc",
        "act", "prob",
    ]  # fmt: skip
    assert {name: blob.shape for name, blob in oldest.blobs.items() if "split" not in name} == {
        "data": (2, 2, 7, 6), "conv1": (2, 4, 5, 4), "pool1": (2, 4, 3, 3), "norm1": (2, 4, 3, 3),
        "both": (2, 8, 3, 3), "fc": (2, 3), "act": (2, 3), "prob": (2, 3),
    }  # fmt: skip
    assert [spec.lr_mult for spec in oldest.layer_dict["conv1"].param.param] == [1, 2]
    assert oldest.layer_dict["drop"].ratio == pytest.approx(0.4)


def test_v0_computes_what_caffe_computes(oldest):
    weights = oldest.params["fc"][0]
    weights.data[...] = np.cos(np.arange(weights.count)).reshape(weights.shape)
    oldest.forward(data=waves())
    sums = {name: float(oldest.blobs[name].data.sum()) for name in ("conv1", "pool1", "norm1")}
    expected = {"conv1": 84.233871, "pool1": 20.882770, "norm1": 18.837151}
    assert sums == pytest.approx(expected, rel=1e-5)
    act = [[0.17526971, -0.27627376, 0.35539907], [0.37387618, -0.38012797, 0.36382163]]
    np.testing.assert_allclose(oldest.blobs["act"].data, act, atol=2e-6)


def test_v0_weights(oldest, tmp_path):
    """Their blobs lie within the inner message, with the shapes of their time."""
    stored = parse_text(V0, NetParameter())
    by_name = {layer.layer.name: layer.layer for layer in stored.layers}
    for name, shape, values in (
        ("conv1", (4, 1, 3, 3), np.sin(np.arange(36) + 1)),
        ("conv1", (1, 1, 1, 4), np.sin(np.arange(4) + 1)),
        ("fc", (1, 1, 3, 72), np.cos(np.arange(216))),
    ):
        blob = by_name[name].blobs.add()
        blob.num, blob.channels, blob.height, blob.width = shape
        blob.data.extend(values)
    (tmp_path / "v0.caffemodel").write_bytes(stored.SerializeToString())
    oldest.copy_from(tmp_path / "v0.caffemodel")
    oldest.forward(data=waves())
    act = [[0.99646741, -0.99473047, 0.98843050], [-0.95856059, 0.98939937, -0.99622554]]
    np.testing.assert_allclose(oldest.blobs["act"].data, act, atol=2e-6)


def test_every_type_of_v0_is_a_layer_of_today():
    for value in TYPES.values():
        assert type_of_v1(V1LayerParameter.LayerType.Name(value)) in caffe.LAYERS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('layers { layer { name: "p" type: "padding" pad: 1 } bottom: "data" top: "p" } '
         'layers { layer { name: "r" type: "relu" } bottom: "p" top: "r" }', ["'p'", "'r' (relu)"]),
        ('layers { layer { name: "r" type: "relu" } bottom: "date" top: "r" }', ["'r'", "'date'"]),
        ('layers { layer { name: "x" type: "maxout" } bottom: "data" top: "x" }',
         ["'x'", "'maxout'", "innerproduct"]),
    ],
    ids=["padding before relu", "unknown bottom", "unknown type"],
)  # fmt: skip
def test_v0_that_caffe_refuses(net_of, text, words):
    with pytest.raises(caffe.DefinitionError) as caught:
        net_of(INPUT + text)
    assert all(word in str(caught.value) for word in words), caught.value


def test_v0_settings_of_another_layer_are_skipped_with_a_warning(net_of):
    text = INPUT + 'layers { layer { name: "r" type: "relu" group: 2 } bottom: "data" top: "r" }'
    with pytest.warns(UserWarning, match=r"layer 'r' \(relu\) has no setting group"):
        assert net_of(text).outputs == ["r"]


def test_v0_data_layers_keep_their_transformation(net_of):
    text = 'layers { layer { name: "d" type: "data" cropsize: 99 batchsize: 4 } top: "data" }'
    with pytest.raises(caffe.DefinitionError, match=r"'d' \(Data\).*dim: 99 dim: 99"):
        net_of(text)


# ---------------------------------------------------------------- V1 with the enums of forks


def test_v1_types_of_forks_keep_their_names(net_of):
    text = INPUT + 'layers { name: "b" type: BN bottom: "data" top: "b" bn_param { eps: 0.5 } }\n'
    text += 'layers { name: "p" type: PRELU bottom: "b" top: "p" }\n'
    net = net_of(text)
    assert [layer.type for layer in net.layers] == ["Input", "BN", "PReLU"]
    assert net.layer_dict["b"].eps == 0.5
    strange = 'layers { name: "s" type: SPATIAL_GLUE bottom: "p" top: "s" }'
    with pytest.raises(caffe.DefinitionError, match="'s' has the unknown type 'SpatialGlue'"):
        net_of(text + strange)


def test_the_beginning_and_end_of_c3d(net_of):
    """Its first and last pooling, in its own words; fc6 of its weights takes 512 x 1 x 4 x 4."""
    conv = (
        "convolution_param { num_output: 2 kernel_size: 3 kernel_depth: 3 pad: 1 temporal_pad: 1}"
    )
    pool = "pooling_param {{ kernel_size: 2 kernel_depth: {0} stride: 2 temporal_stride: {0} }}"
    text = 'input: "data" input_shape { dim: 1 dim: 3 dim: 2 dim: 14 dim: 14 }\n'
    text += f'layers {{ name: "conv1a" type: CONVOLUTION3D bottom: "data" top: "conv1a" {conv} }}\n'
    for name, bottom, depth in (("pool1", "conv1a", 1), ("pool5", "pool1", 2)):
        text += f'layers {{ name: "{name}" type: POOLING3D bottom: "{bottom}" top: "{name}" '
        text += pool.format(depth) + " }\n"
    net = net_of(text)
    shapes = [net.blobs[name].shape for name in ("conv1a", "pool1", "pool5")]
    assert shapes == [(1, 2, 2, 14, 14), (1, 2, 2, 7, 7), (1, 2, 1, 4, 4)]
    clips = 'layers { name: "clips" type: VIDEO_DATA top: "data" top: "label" }'
    with pytest.raises(caffe.DefinitionError, match="dim: 1 dim: 3 dim: 16 dim: 227 dim: 227"):
        net_of(clips)


# ---------------------------------------------------------------- input fields


def test_two_inputs_are_two_tops_of_one_layer(net_of):
    dims = "input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4 "
    text = f'input: "a" input: "b" {dims} {dims.replace("3", "2")}'
    for i in (1, 2):
        text += f' layer {{ name: "r{i}" type: "ReLU" bottom: "a" top: "r{i}" }}'
    net = net_of(text)
    assert net._layer_names == ["input", "a_input_0_split", "r1", "r2"]
    assert net.top_names["input"] == ["a", "b"] and net.inputs == ["a", "b"]
    assert (net.blobs["a"].shape, net.blobs["b"].shape) == ((1, 3, 4, 4), (1, 2, 4, 4))


def test_an_input_without_sizes_beside_its_layer_is_dropped(net_of):
    own = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }'
    relu = 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }'
    net = net_of('input: "data"\n' + own + relu)
    assert net.inputs == ["data"] and net._layer_names == ["data", "r"]
    assert net.blobs["data"].shape == (1, 3)


def test_an_input_without_sizes_that_nobody_makes(net_of):
    with pytest.raises(caffe.DefinitionError, match="input 'data' without its size; write"):
        net_of('input: "data" layer { name: "r" type: "ReLU" bottom: "data" top: "r" }')
