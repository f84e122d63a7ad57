"""Receptive fields against gradients: non-zero ones lie in the field and touch its borders."""

import numpy as np
import pytest

import torchcaffe as caffe
from tests.nets.build import FOLDER, build, fill_inputs
from torchcaffe.proto.caffe_pb2 import NetParameter
from torchcaffe.proto.text import parse_text
from torchcaffe.regions import Region, field_size, receptive_field

CAFFENET = FOLDER.parents[1] / "models/caffenet-yos/caffenet-yos-deploy.prototxt"
# net, input size, last layer kept, layers to look at
NETS = [
    ("vgg16", (56, 48), "conv3_3", ["conv1_1", "conv2_2", "pool2", "conv3_3"]),
    (
        "googlenet", (80, 96), "inception_3b/3x3",
        ["conv1/7x7_s2", "pool2/3x3_s2", "inception_3a/output", "inception_3b/3x3"],
    ),
    (
        "resnet50", (96, 80), "res3a",
        ["conv1", "res2a", "res2b", "res3a_branch1", "res3a"],
    ),
    ("lenet", None, None, ["conv1", "pool1", "conv2", "pool2", "ip1", "ip2"]),
    ("siamese", None, "feat_p", ["conv1", "conv2_p", "pool2_p", "feat"]),
    (
        "fcn", None, None,
        ["relu1", "pool2", "conv3", "score", "upscore2", "score_pool2c", "fuse", "upscore",
         "upscorec", "prob"],
    ),
    ("ssd", None, None, ["conv4_norm", "conv6", "conv6_mbox_loc", "mbox_loc", "mbox_conf"]),
]  # fmt: skip


def units(shape):
    """Return places of units to try: first, last, and one in the middle (off its centre)."""
    if len(shape) != 4:
        return [(0, 0)]
    height, width = shape[2:]
    places = [(0, 0), (height - 1, width - 1), (height // 2, width // 3), (height // 3, width - 1)]
    return sorted(set(places))


def draw_weights(net, random):
    """Draw weights anew, so that zeros of one draw are no zeros of the next."""
    for name, blobs in net.params.items():
        if net.layer_dict[name].type == "Convolution":
            scale = np.sqrt(2.0 / blobs[0].data[0].size)
            blobs[0].data[...] = random.normal(0, scale, blobs[0].shape)


def top_of(net, layer):
    tops = net.top_names[layer]
    return net.blobs[layer if layer in tops else tops[0]]


def one_unit(shape, row, column, random):
    """Return a diff that is not zero at one place only (all channels)."""
    diff = random.normal(0, 1, shape).astype(np.float32)
    if len(shape) == 4:
        mask = np.zeros(shape, bool)
        mask[:, :, row, column] = True
        diff[~mask] = 0
    return diff


def seen_by(net, layers, source, draws):
    """Return {(layer, row, column): where its gradient is more than rounding in some draw}."""
    seen = {
        (layer, row, column): np.zeros(net.blobs[source].shape[2:], bool)
        for layer in layers
        for row, column in units(top_of(net, layer).shape)
    }
    for draw in range(draws):
        random = np.random.RandomState(draw)
        draw_weights(net, random)
        fill_inputs(net, random)
        net.forward()
        for (layer, row, column), where in seen.items():
            diff = one_unit(top_of(net, layer).shape, row, column, random)
            found = net.backward_from_layer(layer, diff, [source], zero_higher=True)[source]
            # Winograd's tiles leave some 5e-7 of the largest value where there is nothing.
            where |= (np.abs(found) > 1e-5 * np.abs(found).max()).any((0, 1))
    return seen


def bounds(seen):
    """Return the smallest Region around the true values."""
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    return Region((int(rows[0]), int(rows[-1])), (int(columns[0]), int(columns[-1])))


def check(net, layers, source, *, draws=2, borders="all"):
    """Compare fields and gradients of some units of `layers`.

    `borders`: which must be touched; "all", "inner" (those that are no border of the input)
    or "none".
    """
    height, width = net.blobs[source].shape[2:]
    for (layer, row, column), seen in seen_by(net, layers, source, draws).items():
        where = f"{layer} at {row}, {column}"
        try:
            region = receptive_field(net, layer, row, column, source)
            clipped = region.clipped(height, width)
        except caffe.ArgumentError:  # it sees padding only, or nothing
            assert not seen.any(), where
            continue
        (top, bottom), (left, right) = clipped.rows, clipped.columns
        outside = seen.copy()
        outside[top : bottom + 1, left : right + 1] = False
        assert not outside.any(), f"{where}: {clipped} does not hold {bounds(seen)}"
        if borders == "all" or (borders == "inner" and clipped == region):
            assert bounds(seen) == clipped, where


@pytest.mark.parametrize("name, size, until, layers", NETS, ids=[row[0] for row in NETS])
def test_fields_are_what_gradients_see(name, size, until, layers):
    net = build(name, size, until)
    check(net, layers, net.inputs[0])


def test_field_of_caffenet_is_what_gradients_see():
    param = parse_text(CAFFENET.read_text(encoding="utf-8"), NetParameter())
    names = [layer.name for layer in param.layer]
    del param.layer[names.index("conv4") :]
    param.input_shape[0].dim[2:] = (115, 107)
    net = caffe.Net.from_param(param)
    check(net, ["conv1", "pool1", "norm1", "conv2", "pool2", "conv3"], "data")


# ---------------------------------------------------------------- known sizes


def test_sizes_are_the_published_ones():
    # Araujo, Norris and Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks"
    vgg = caffe.Net(FOLDER / "vgg16.prototxt", caffe.TEST)
    assert field_size(vgg, "pool5") == (212, 212)
    resnet = caffe.Net(FOLDER / "resnet50.prototxt", caffe.TEST)
    assert field_size(resnet, "res5c") == (483, 483)
    caffenet = caffe.Net(CAFFENET, caffe.TEST)
    sizes = {"conv1": 11, "pool1": 19, "conv2": 51, "pool2": 67, "conv3": 99, "conv4": 131,
             "conv5": 163, "pool5": 195}  # fmt: skip
    for layer, size in sizes.items():
        assert field_size(caffenet, layer) == (size, size)
    for layer in ("fc6", "fc8", "prob"):
        assert receptive_field(caffenet, layer) == Region((0, 226), (0, 226))


def test_fields_reach_into_the_padding_until_clipped():
    net = caffe.Net(CAFFENET, caffe.TEST)
    region = receptive_field(net, "conv2", 0, 26)
    assert region == Region((-16, 34), (192, 242))
    assert (region.height, region.width) == (51, 51)
    assert region.clipped(227, 227) == Region((0, 34), (192, 226))


def test_blob_and_layer_names_and_blobs_on_the_way():
    net = build("resnet50", (64, 64), "res3a")
    assert receptive_field(net, "res2a_relu", 3, 4) == receptive_field(net, "res2a", 3, 4)
    assert receptive_field(net, "res3a", 1, 1, input="res2c") == Region((0, 4), (0, 4))
    assert receptive_field(net, "conv1", 5, 6, input="conv1") == Region((5, 5), (6, 6))
    assert receptive_field(net, "data", 5, 6) == Region((5, 5), (6, 6))


def test_towers_have_the_fields_of_their_own_inputs():
    net = caffe.Net(FOLDER / "siamese.prototxt", caffe.TEST)
    assert receptive_field(net, "pool2_p", 1, 2) == Region((4, 19), (8, 23))
    assert receptive_field(net, "loss") == Region((0, 27), (0, 27))
    with pytest.raises(caffe.ArgumentError, match="does not depend on 'similar'"):
        receptive_field(net, "pool2_p", 1, 2, input="similar")


# ---------------------------------------------------------------- one layer at a time

CONV = "convolution_param { num_output: 4 weight_filler { type: 'msra' } "
ODD = {
    "rectangular": ("Convolution", CONV + "kernel_h: 5 kernel_w: 2 stride_h: 1 stride_w: 3 }"),
    "stride past the kernel": ("Convolution", CONV + "kernel_size: 1 stride: 3 }"),
    "depthwise": ("DepthwiseConvolution", CONV + "kernel_size: 3 }"),
    "upsampling": ("Deconvolution", CONV + "kernel_size: 5 stride: 3 pad: 2 }"),
    "max, padded": ("Pooling", "pooling_param { kernel_size: 3 stride: 2 pad: 1 }"),
    "max, last window cut": ("Pooling", "pooling_param { kernel_size: 4 stride: 3 }"),
    "average": ("Pooling", "pooling_param { pool: AVE kernel_h: 2 kernel_w: 5 stride: 2 }"),
    "global": ("Pooling", "pooling_param { pool: AVE global_pooling: true }"),
    "im2col": ("Im2col", "convolution_param { kernel_size: 3 stride: 2 pad: 1 }"),
    "LRN within": ("LRN", "lrn_param { local_size: 5 norm_region: WITHIN_CHANNEL alpha: 2 }"),
    "LRN across": ("LRN", "lrn_param { local_size: 3 alpha: 2 }"),
    "softmax over channels": ("Softmax", ""),
    "softmax along rows": ("Softmax", "softmax_param { axis: 2 }"),
    "softmax along columns": ("Softmax", "softmax_param { axis: -1 }"),
    "MVN": ("MVN", ""),
    "BatchNorm of the batch": ("BatchNorm", "batch_norm_param { use_global_stats: false }"),
    "Normalize a point": ("Normalize", "norm_param { across_spatial: false }"),
    "Normalize an image": ("Normalize", "norm_param { across_spatial: true }"),
    "Interp up": ("Interp", "interp_param { height: 29 width: 40 }"),
    "Interp down": ("Interp", "interp_param { shrink_factor: 3 pad_beg: -1 pad_end: -2 }"),
    "Slice": ("Slice", "slice_param { axis: 1 }"),
    "Reduction": ("Reduction", "reduction_param { axis: 1 operation: SUMSQ }"),
    "SPP": ("SPP", "spp_param { pyramid_height: 2 pool: AVE }"),
    "same rows": ("Reshape", "reshape_param { shape { dim: 2 dim: 2 dim: 0 dim: 0 } }"),
    "PReLU": ("PReLU", ""),
    "shuffled": ("ShuffleChannel", "shuffle_channel_param { group: 2 }"),
}
# holes between the kernel's taps may lie on the input's border
HOLES = {
    "dilated": ("Convolution", CONV + "kernel_size: 3 dilation: 2 pad: 3 stride: 2 }"),
    "dilated upsampling": ("Deconvolution", CONV + "kernel_size: 3 stride: 2 dilation: 2 }"),
    "both dilated": ("Deconvolution", CONV + "kernel_size: 3 stride: 2 dilation: 3 pad: 2 }"),
}
# layers whose map is wider than what their units see
LOOSE = {
    "other rows": ("Reshape", "reshape_param { shape { dim: 0 dim: 0 dim: -1 dim: 7 } }"),
    "permuted": ("Permute", "permute_param { order: 0 order: 2 order: 3 order: 1 }"),
    "tiled rows": ("Tile", "tile_param { axis: 2 tiles: 2 }"),
    "sliced rows": ("Slice", "slice_param { axis: 2 }"),
}
BORDERS = {"all": ODD, "inner": HOLES, "none": LOOSE}


def one_layer(kind, settings):
    """Return a net of one layer."""
    tops = 'top: "x" top: "y"' if kind == "Slice" else 'top: "x"'
    text = f"""
        layer {{ name: "data" type: "Input" top: "data"
          input_param {{ shape {{ dim: 1 dim: 4 dim: 14 dim: 21 }} }} }}
        layer {{ name: "x" type: "{kind}" bottom: "data" {tops} {settings} }}"""
    caffe.set_random_seed(0)
    return caffe.Net.from_param(parse_text(text, NetParameter()))


@pytest.mark.parametrize("borders, case", [(b, case) for b in BORDERS for case in BORDERS[b]])
def test_field_of_one_layer(borders, case):
    check(one_layer(*BORDERS[borders][case]), ["x"], "data", draws=8, borders=borders)


JOINED = """
layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 1 dim: 3 dim: 18 dim: 16 } } }
layer { name: "b" type: "Input" top: "b" input_param { shape { dim: 1 dim: 3 dim: 18 dim: 16 } } }
layer { name: "two" type: "Convolution" bottom: "a" bottom: "b" top: "two_a" top: "two_b"
  convolution_param { num_output: 3 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "wide" type: "Convolution" bottom: "two_a" top: "wide"
  convolution_param { num_output: 3 kernel_h: 7 kernel_w: 1 pad_h: 3 pad_w: 0
    weight_filler { type: "msra" } } }
layer { name: "shift" type: "Convolution" bottom: "two_a" top: "shift"
  convolution_param { num_output: 3 kernel_h: 1 kernel_w: 4 pad_h: 0 pad_w: 3
    weight_filler { type: "msra" } } }
layer { name: "part" type: "Crop" bottom: "shift" bottom: "two_b" top: "part"
  crop_param { axis: 2 offset: 0 offset: 3 } }
layer { name: "both" type: "Eltwise" bottom: "wide" bottom: "part" top: "both" }
layer { name: "cat" type: "Concat" bottom: "both" bottom: "two_b" top: "cat" }
layer { name: "mean" type: "Pooling" bottom: "two_b" top: "mean"
  pooling_param { pool: AVE global_pooling: true } }
layer { name: "gated" type: "Axpy" bottom: "mean" bottom: "both" bottom: "wide" top: "gated" }
layer { name: "boxes" type: "PriorBox" bottom: "two_a" bottom: "b" top: "boxes"
  prior_box_param { min_size: 4 } }
"""


@pytest.fixture
def joined():
    caffe.set_random_seed(0)
    return caffe.Net.from_param(parse_text(JOINED, NetParameter()))


@pytest.mark.parametrize(
    "layer, source",
    [("wide", "a"), ("part", "a"), ("both", "a"), ("cat", "a"), ("cat", "b"), ("gated", "a"),
     ("gated", "b"), ("mean", "b")],
)  # fmt: skip
def test_field_over_several_ways(joined, layer, source):
    check(joined, [layer], source)


def test_hull_of_two_ways_by_hand(joined):
    wide = receptive_field(joined, "wide", 8, 8, "a")
    part = receptive_field(joined, "part", 8, 8, "a")
    assert wide == Region((4, 12), (7, 9))
    assert part == Region((7, 9), (7, 12))
    assert receptive_field(joined, "both", 8, 8, "a") == Region((4, 12), (7, 12))


@pytest.mark.parametrize("layer, source", [("both", "b"), ("boxes", "a"), ("boxes", "b")])
def test_what_a_unit_does_not_see(joined, layer, source):
    with pytest.raises(caffe.ArgumentError, match="depend"):
        receptive_field(joined, layer, 0, 0, source)
    with pytest.raises(caffe.ArgumentError, match="depend"):
        field_size(joined, layer, source)


def test_units_between_the_steps_of_a_deconvolution_see_nothing():
    net = one_layer("Deconvolution", CONV + "kernel_size: 1 stride: 3 }")
    assert receptive_field(net, "x", 3, 6) == Region((1, 1), (2, 2))
    with pytest.raises(caffe.ArgumentError, match="row 4, column 6"):
        receptive_field(net, "x", 4, 6)
    assert field_size(net, "x") == (1, 1)


def test_bad_requests_get_a_sentence():
    net = build("lenet")
    with pytest.raises(caffe.UnknownNameError, match="did you mean conv1"):
        receptive_field(net, "conv11")
    with pytest.raises(caffe.UnknownNameError, match="no blob 'image'"):
        receptive_field(net, "conv1", input="image")
    with pytest.raises(caffe.ArgumentError, match="no row 24"):
        receptive_field(net, "conv1", 24, 0)
    with pytest.raises(caffe.ArgumentError, match="no column -1"):
        receptive_field(net, "conv1", 0, -1)
    with pytest.raises(caffe.ArgumentError, match="outside an image"):
        Region((-9, -2), (0, 4)).clipped(10, 10)


def test_fields_follow_a_new_input_size():
    net = build("fcn")
    net.blobs["data"].reshape(1, 3, 80, 96)
    net.reshape()
    height, width = net.blobs["prob"].shape[2:]
    assert (height, width) == (80, 96)
    last = receptive_field(net, "prob", 79, 95)
    assert last.rows[1] >= 79 and last.columns[1] >= 95
