"""Losses without a top: Caffe gives them one, which is no output."""

import numpy as np
import pytest

import torchcaffe as caffe

INPUTS = """
layer { name: "in" type: "Input" top: "data" top: "label"
        input_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
        inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
"""
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" }\n'


def test_names_outputs_and_weight(net_of):
    """All as real Caffe 1.0 has them."""
    net = net_of(INPUTS + LOSS)
    assert net.outputs == []
    assert net.top_names["loss"] == ["(automatic)"]
    assert list(net.blobs) == ["data", "label", "fc", "(automatic)"]
    assert net.blobs["(automatic)"].shape == () and net.blob_loss_weights["(automatic)"] == 1


def test_values_and_diffs_are_those_of_a_named_top(net_of):
    x, label = np.arange(6).reshape(2, 3) / 5, np.array([1, 3])
    found = []
    net = net_of(INPUTS + LOSS)
    named = net_of(INPUTS + LOSS.replace('"loss"', '"loss" top: "l"', 1))
    named.share_with(net)
    for one, top in ((net, "(automatic)"), (named, "l")):
        one.forward(data=x, label=label)
        one.backward()
        found.append((one.blobs[top].data.copy(), one.blobs["data"].diff.copy()))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert found[0][0] > 0 and np.abs(found[0][1]).max() > 0


def test_several(net_of):
    second = 'layer { name: "l2" type: "EuclideanLoss" bottom: "data" bottom: "data" }'
    net = net_of(INPUTS + LOSS + second)
    assert net.outputs == [] and len(net.layers) > 4
    assert net.top_names["l2"] != net.top_names["loss"]
    assert net.twin().top_names == net.top_names


def test_v1(net_of):
    loss = LOSS.replace("layer {", "layers {").replace('"SoftmaxWithLoss"', "SOFTMAX_LOSS")
    text = 'input: "fc" input: "label" input_shape { dim: 2 dim: 4 } input_shape { dim: 2 }'
    assert net_of(text + loss).outputs == []


@pytest.mark.parametrize("type_", ["Accuracy", "Softmax"])
def test_other_layers_need_their_top(net_of, type_):
    bottoms = 'bottom: "fc"' + (' bottom: "label"' if type_ == "Accuracy" else "")
    with pytest.raises(caffe.DefinitionError, match=r"'it' .* has 0 top\(s\)"):
        net_of(INPUTS + f'layer {{ name: "it" type: "{type_}" {bottoms} }}')
