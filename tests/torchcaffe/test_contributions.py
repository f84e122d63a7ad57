"""What units below add: the sum is the value, and each part what is missing without the unit."""

from __future__ import annotations

import numpy as np
import pytest

import torchcaffe as caffe
from tests.nets.build import build
from tests.torchcaffe.test_lesions import opened
from torchcaffe.sums import SUMS, terms

NETS = ["bundled", "lenet", "googlenet", "resnet50", "Residual", "Bottleneck", "Mobile",
        "Inception", "Segmenter", "ConvNeXt", "ViT"]  # fmt: skip


def maps_of(net: caffe.Net, blob: str) -> np.ndarray:
    """Return the first image's values as (units, rows, columns)."""
    layout, image = net.layouts.get(blob), net.blobs[blob].data[0]
    maps = image if layout is None else layout.maps(image)
    return maps.reshape(len(maps), *([1, 1] if maps.ndim == 1 else [-1, maps.shape[-1]]))


@pytest.mark.parametrize("name", NETS)
def test_parts_and_bias_sum_to_the_value_at_the_strongest_place_of_every_layer(name):
    net, seen = opened(name), set()
    for i, (layer, kind) in enumerate((n, la.type) for n, la in net.layer_dict.items()):
        net._forward(i, i)  # what the layer itself computes, before a ReLU in place
        if kind not in SUMS:
            continue
        maps = maps_of(net, net.top_names[layer][0])
        place = np.unravel_index(np.abs(maps).argmax(), maps.shape)
        parts, bias = caffe.contributions(net, layer, *map(int, place))
        value = float(maps[place])
        assert abs(parts.sum() + bias - value) <= 1e-5 * abs(value), layer
        seen.add(kind)
    assert "Convolution" in seen


def test_a_part_is_what_is_missing_without_the_unit():
    net = opened("bundled")
    for layer, below, place in (("conv2", "pool1", (40, 3, 5)), ("fc6", "pool5", (7, 0, 0))):
        parts, _ = caffe.contributions(net, layer, *place)
        for unit in (0, int(np.abs(parts).argmax()), len(parts) - 1):
            with caffe.lesions(net, {(below, unit): 0.0}):
                net.forward(end=layer)
                without = maps_of(net, layer)[place]
            net.forward(end=layer)
            assert maps_of(net, layer)[place] - without == pytest.approx(parts[unit], abs=2e-5)


GROUPS = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 4 dim: 5 dim: 6 } } }
layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 6
  kernel_size: 3 pad: 2 stride: 2 dilation: 2 group: 2 weight_filler { type: "gaussian" std: 1 }
  bias_filler { type: "constant" value: 0.5 } } }
layer { name: "up" type: "Deconvolution" bottom: "c" top: "up" convolution_param { num_output: 2
  kernel_size: 4 stride: 2 pad: 1 weight_filler { type: "gaussian" std: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "up" top: "ip" inner_product_param { num_output: 3
  transpose: true bias_term: false weight_filler { type: "gaussian" std: 1 } } }
layer { name: "re" type: "ReLU" bottom: "ip" top: "re" }
"""


@pytest.fixture
def grouped(net_of):
    caffe.set_random_seed(0)
    net = net_of(GROUPS)
    net.blobs["x"].data[...] = np.random.default_rng(0).normal(size=(1, 4, 5, 6))
    net.forward()
    return net


def test_groups_padding_strides_and_holes_of_a_convolution_by_hand(grouped):
    x, (weights, bias) = grouped.blobs["x"].data[0], (b.data for b in grouped.params["c"])
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2)))
    for unit, row, column in ((0, 0, 0), (2, 1, 2), (5, 2, 1)):
        first = 2 * (unit // 3)  # three outputs and two inputs a group
        window = padded[:, 2 * row : 2 * row + 5 : 2, 2 * column : 2 * column + 5 : 2]
        wanted = np.zeros(4)
        wanted[first : first + 2] = (window[first : first + 2] * weights[unit]).sum(axis=(1, 2))
        parts, found = caffe.contributions(grouped, "c", unit, row, column)
        np.testing.assert_allclose(parts, wanted, rtol=1e-5, atol=1e-6)
        assert found == bias[unit] == 0.5


def test_each_layer_of_it_sums_up(grouped):
    for layer, place in (("c", (5, 2, 2)), ("up", (1, 3, 4)), ("ip", (2, 0, 0))):
        found = terms(grouped, layer, *place)
        assert found.value == pytest.approx(maps_of(grouped, layer)[place], rel=1e-5)
        product = (found.patch * found.kernel).sum(axis=(1, 2))
        np.testing.assert_allclose(product, found.parts, rtol=1e-6, atol=1e-9)
    assert caffe.contributions(grouped, "ip", 0)[1] == 0


def test_the_patch_is_what_the_kernel_sees_without_the_padding(grouped):
    found = terms(grouped, "c", 0, 0, 0)
    assert (found.below, found.corner) == ("x", (0, 0))
    assert found.patch.shape == found.kernel.shape == (4, 3, 3)
    np.testing.assert_array_equal(found.patch, grouped.blobs["x"].data[0, :, :3, :3])
    # Every second tap lies on the picture; the other rows and columns are holes.
    np.testing.assert_allclose(found.kernel[0, ::2, ::2], grouped.params["c"][0].data[0, 0, 1:, 1:])
    assert not found.kernel[:, 1].any() and not found.kernel[2:].any()


WRONG = {
    ("conv9", 0, 0, 0): "there is no layer 'conv9' in this net; did you mean conv",
    ("pool1", 0, 0, 0): "layer 'pool1' (Pooling) is no sum of products; what units below add is "
                        "known of Convolution, Deconvolution, DepthwiseConvolution and "
                        "InnerProduct",
    ("conv1", 20, 0, 0): "conv1 has the units 0 to 19; 20 is none of them",
    ("conv1", 1, 24, 0): "conv1 has the rows 0 to 23; 24 is none of them",
    ("conv1", 1, 0, -1): "conv1 has the columns 0 to 23; -1 is none of them",
    ("ip1", 1, 0, 1): "ip1 has the columns 0 to 0; 1 is none of them",
}  # fmt: skip


@pytest.mark.parametrize("where", WRONG, ids=str)
def test_what_has_no_account_is_said_in_a_sentence(where):
    net = build("lenet")
    net.forward()
    with pytest.raises(caffe.CaffeError) as caught:
        caffe.contributions(net, *where)
    assert str(caught.value).startswith(WRONG[where])
