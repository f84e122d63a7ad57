"""Layers and settings of forks: what the replicas do not show, and what is said of bad ones."""

import warnings

import numpy as np
import pytest

import torchcaffe as caffe
from torchcaffe.layers.forks.normalise import fork_of
from torchcaffe.proto.caffe_pb2 import BNParameter
from torchcaffe.proto.text import parse_text
from torchcaffe.regions import receptive_field


def inputs(**shapes):
    return "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ '
        + " ".join(f"dim: {dim}" for dim in shape)
        + " } } }\n"
        for name, shape in shapes.items()
    )


def layer(type_, *bottoms, tops=("y",), more=""):
    ends = "".join(f' bottom: "{b}"' for b in bottoms) + "".join(f' top: "{t}"' for t in tops)
    return f'layer {{ name: "it" type: "{type_}"{ends} {more} }}\n'


# ---------------------------------------------------------------- values of real Caffe


def test_lstm_unit_as_caffe_computes_it(net_of):
    net = net_of(
        inputs(c=(1, 2, 3), x=(1, 2, 12), cont=(1, 2))
        + layer("LSTMUnit", "c", "x", "cont", tops=("cell", "h"))
    )
    cell, gates = np.arange(6) / 5 - 0.5, np.sin(np.arange(24))
    found = net.forward(c=cell.reshape(1, 2, 3), x=gates.reshape(1, 2, 12), cont=[[1, 0]])
    expected = {
        "cell": [[-0.072476, -0.442413, -0.570614], [0.252398, -0.005342, -0.502490]],
        "h": [[-0.031153, -0.273735, -0.376005], [0.079245, -0.002871, -0.331164]],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name][0], values, atol=1e-6)


def test_reverse_as_caffe_computes_it(net_of):
    net = net_of(inputs(x=(2, 3, 2)) + layer("Reverse", "x", more="reverse_param { axis: 1 }"))
    found = net.forward(x=np.arange(12).reshape(2, 3, 2))["y"]
    assert found.tolist() == [[[4, 5], [2, 3], [0, 1]], [[10, 11], [8, 9], [6, 7]]]


def test_continuation_indicator_as_caffe_computes_it(net_of):
    more = "continuation_indicator_param { time_step: 3 batch_size: 2 }"
    found = net_of(layer("ContinuationIndicator", more=more)).forward()["y"]
    assert found.tolist() == [[0, 0], [1, 1], [1, 1]]


# ---------------------------------------------------------------- settings of forks


SAMPLED = "dropout_param { dropout_ratio: 0.5 sample_weights_test: true }"


@pytest.mark.parametrize("top", ["y", "x"], ids=["", "in place"])
def test_dropout_that_samples_when_testing(net_of, top):
    net = net_of(inputs(x=(1, 10000)) + layer("Dropout", "x", tops=(top,), more=SAMPLED))
    draws = []
    for _ in range(2):
        net.forward(x=np.ones((1, 10000)))
        draws.append(net.blobs[top].data.copy())
        assert set(np.unique(draws[-1])) == {0.0, 2.0}
        assert abs((draws[-1] == 0).mean() - 0.5) < 0.03
    assert (draws[0] != draws[1]).any()
    net.blobs[top].diff[...] = 1
    net.backward()
    np.testing.assert_array_equal(net.blobs["x"].diff, draws[1])


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ("", 6),
        ("ceil_mode: true", 6),
        ("ceil_mode: false", 5),
        ("round_mode: FLOOR", 5),
        ("round_mode: CEIL ceil_mode: false", 5),
    ],
)
def test_rounding_of_pooling(net_of, settings, size):
    more = f"pooling_param {{ kernel_size: 3 stride: 2 {settings} }}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = net_of(inputs(x=(1, 3, 12, 12)) + layer("Pooling", "x", more=more))
    assert net.blobs["y"].shape == (1, 3, size, size)


def test_hole_is_dilation(net_of):
    conv = "convolution_param {{ num_output: 2 kernel_size: 3 hole{0}: 2 hole{1}: 3 }}"
    net = net_of(inputs(x=(1, 1, 9, 9)) + layer("Convolution", "x", more=conv.format("_h", "_w")))
    assert net.blobs["y"].shape == (1, 2, 5, 3)


# ---------------------------------------------------------------- BN


@pytest.mark.parametrize(
    ("text", "params", "fork"),
    [
        ("scale_filler { value: 1 } shift_filler { value: 0.001 }", 0, "segnet"),
        ("scale_filler { value: 1 } shift_filler { value: 0.001 }", 2, "segnet"),
        ("bn_mode: INFERENCE", 0, "segnet"),
        ("scale_filler { value: 1 }", 4, "pspnet"),
        ("scale_filler { value: 1 } moving_average: true decay: 0.05", 4, "pspnet"),
        ("slope_filler { value: 1 } bias_filler { value: 0 }", 2, "action"),
        ("frozen: true momentum: 0.95", 4, "action"),
        ("", 2, "action"),
    ],
)
def test_whose_bn_it_is(text, params, fork):
    assert fork_of(parse_text(text, BNParameter()), params) == fork


def test_bn_learns_its_statistics_when_training(net_of):
    x = np.random.default_rng(1).normal(3, 2, (4, 2, 5, 5))
    for settings, share in (("moving_average: true decay: 0.25", 0.25), ("momentum: 0.9", 0.1)):
        more = f"bn_param {{ {settings} }}"
        net = net_of(inputs(x=x.shape) + layer("BN", "x", more=more), caffe.TRAIN)
        before = [blob.data.copy().ravel() for blob in net.params["it"][2:]]
        net.forward(x=x)
        news = [x.mean((0, 2, 3)), x.var((0, 2, 3))]
        for blob, old, new in zip(net.params["it"][2:], before, news, strict=True):
            np.testing.assert_allclose(
                blob.data.ravel(), (1 - share) * old + share * new, rtol=1e-5
            )


# ---------------------------------------------------------------- sequences


def test_lstm_goes_on_only_with_marks(net_of):
    x = np.random.default_rng(2).normal(size=(2, 1, 3)).astype(np.float32)
    settings = 'lstm_param { num_output: 2 weight_filler { type: "gaussian" std: 1 } }'
    net = net_of(inputs(x=x.shape) + layer("Lstm", "x", more=settings))
    first = net.forward(x=x)["y"].copy()
    np.testing.assert_array_equal(net.forward(x=x)["y"], first)
    marked = net_of(inputs(x=x.shape, m=(2,)) + layer("Lstm", "x", "m", more=settings))
    marked.share_with(net)
    np.testing.assert_allclose(marked.forward(x=x, m=[0, 1])["y"], first, rtol=1e-6)
    gone_on = marked.forward(x=x, m=[1, 1])["y"]
    both = net_of(inputs(x=(4, 1, 3)) + layer("Lstm", "x", more=settings))
    both.share_with(net)
    whole = both.forward(x=np.concatenate([x, x]))["y"]
    np.testing.assert_allclose(gone_on, whole[2:], rtol=1e-5)


def test_clipping_threshold_bounds_what_goes_backward(net_of):
    x = np.random.default_rng(3).normal(size=(1, 1, 3)).astype(np.float32)
    settings = 'num_output: 2 weight_filler { type: "gaussian" std: 1 }'
    nets = [
        net_of(inputs(x=x.shape) + layer("Lstm", "x", more=f"lstm_param {{ {settings} {more} }}"))
        for more in ("", "clipping_threshold: 0.01")
    ]
    nets[1].share_with(nets[0])
    for net in nets:
        net.clear_param_diffs()
        net.forward(x=x)
        net.blobs["y"].diff[...] = 5
        net.backward()
    gates, bounded = (net.params["it"][2].diff.copy() for net in nets)
    assert np.abs(gates).max() > 0.01
    np.testing.assert_allclose(bounded, gates.clip(-0.01, 0.01), rtol=1e-5)
    weights = nets[0].params["it"][0].data
    np.testing.assert_allclose(nets[1].blobs["x"].diff.ravel(), bounded @ weights, rtol=1e-4)


# ---------------------------------------------------------------- boxes


SSD = (
    inputs(x=(1, 2, 4, 4), image=(1, 3, 32, 32))
    + """
layer { name: "loc" type: "Convolution" bottom: "x" top: "loc"
        convolution_param { num_output: 8 kernel_size: 3 pad: 1 } }
layer { name: "conf" type: "Convolution" bottom: "x" top: "conf"
        convolution_param { num_output: 6 kernel_size: 3 pad: 1 } }
layer { name: "p" type: "PriorBox" bottom: "x" bottom: "image" top: "p"
        prior_box_param { min_size: 8 max_size: 16 variance: [0.1, 0.1, 0.2, 0.2] } }
layer { name: "loc_rows" type: "Permute" bottom: "loc" top: "loc_rows"
        permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "conf_rows" type: "Permute" bottom: "conf" top: "conf_rows"
        permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "loc_flat" type: "Flatten" bottom: "loc_rows" top: "loc_flat" }
layer { name: "conf_flat" type: "Flatten" bottom: "conf_rows" top: "conf_flat" }
layer { name: "it" type: "DetectionOutput" bottom: "loc_flat" bottom: "conf_flat" bottom: "p"
        top: "y" detection_output_param { num_classes: 3 code_type: CENTER_SIZE
        confidence_threshold: 0.5 nms_param { nms_threshold: 0.45 top_k: 400 } keep_top_k: 200 } }
"""
)


def test_detections_of_a_net(net_of):
    """One position is sure of class 2 with its large box: that prior comes out."""
    net = net_of(SSD)
    x = np.zeros((1, 2, 4, 4))
    x[0, 0, 1, 2] = 1
    net.params["conf"][0].data[5, 0, 1, 1] = 0.9  # second box, class 2
    found = net.forward(x=x, image=np.zeros((1, 3, 32, 32)))["y"]
    side = np.sqrt(8 * 16) / 2
    centre = np.array([2.5 * 8, 1.5 * 8])
    corners = np.concatenate([centre - side, centre + side]) / 32
    assert found.shape == (1, 1, 1, 7)
    np.testing.assert_allclose(found[0, 0, 0], [0, 2, 0.9, *corners], atol=1e-6)
    nothing = net.forward(x=0 * x, image=np.zeros((1, 3, 32, 32)))["y"]
    assert nothing.tolist() == [[[[0, -1, -1, -1, -1, -1, -1]]]]


def test_detections_that_do_not_fit_their_priors(net_of):
    """SSD would stop: here all before it can be looked at."""
    with pytest.warns(UserWarning, match="'it' .*32 prior boxes need 128 offsets and 96 scores"):
        net = net_of(SSD.replace("num_output: 8", "num_output: 4"))
    assert net.forward()["y"].tolist() == [[[[0, -1, -1, -1, -1, -1, -1]]]]


def test_regions_that_are_not_filled_are_one_position(net_of):
    more = "roi_pooling_param { pooled_h: 2 pooled_w: 2 spatial_scale: 0.5 }"
    net = net_of(inputs(x=(1, 1, 4, 4), r=(3, 5)) + layer("ROIPooling", "x", "r", more=more))
    x = np.arange(16).reshape(1, 1, 4, 4) + 7
    assert (net.forward(x=x, r=np.zeros((3, 5)))["y"] == 7).all()


# ---------------------------------------------------------------- receptive fields


def test_fields_through_layers_of_forks(net_of):
    text = inputs(x=(1, 4, 8, 8))
    text += 'layer { name: "p" type: "Pooling" bottom: "x" top: "p" top: "m" pooling_param { '
    text += "kernel_size: 2 stride: 2 } }\n"
    up = layer("Upsample", "p", "m", more="upsample_param { scale: 2 }")
    field = receptive_field(net_of(text + up), "it", 5, 2)
    assert (field.rows, field.columns) == ((4, 5), (2, 3))
    flip = layer("Reverse", "x", more="reverse_param { axis: 3 }")
    field = receptive_field(net_of(inputs(x=(1, 4, 8, 8)) + flip), "it", 5, 2)
    assert (field.rows, field.columns) == ((5, 5), (0, 7))


# ---------------------------------------------------------------- what is said of bad ones


BIG, MAP = (1, 6, 4, 4), (1, 4, 4, 4)


@pytest.mark.parametrize(
    ("type_", "shapes", "more", "said"),
    [
        ("BN", [MAP], "bn_param { axis: 3 moving_average: true }", "axis is 3; 1 or 2"),
        ("Upsample", [MAP], "upsample_param { scale: 0 }", "scale is (0, 0); 1 or more"),
        ("Upsample", [MAP, BIG], "", "must have one shape"),
        ("ROIPooling", [MAP, (2, 5)], "", "pooled_h and pooled_w are (0, 0)"),
        ("ROIPooling", [MAP, (2, 4)], "roi_pooling_param { pooled_h: 1 pooled_w: 1 }",
         "rows of five are needed"),
        ("PSROIPooling", [MAP, (2, 5)], "psroi_pooling_param { output_dim: 4 }",
         "needs spatial_scale, output_dim and group_size"),
        ("PSROIPooling", [MAP, (2, 5)], "psroi_pooling_param { output_dim: 2 group_size: 2 "
         "spatial_scale: 1 }", "4 channels; 2 * 2 ** 2 are needed"),
        ("Reorg", [MAP], "", "needs a stride"),
        ("Reorg", [BIG], "reorg_param { stride: 2 }", "does not divide by stride 2"),
        ("Transpose", [MAP], "transpose_param { dim: 0 dim: 1 }", "must name each axis"),
        ("Reverse", [MAP], "reverse_param { axis: 4 }", "axis 4 is outside"),
        ("Lstm", [(4, 2, 3)], "", "num_output and batch_size must be 1 or more"),
        ("Lstm", [(5, 3)], "lstm_param { num_output: 1 batch_size: 2 }", "no multiple of batch"),
        ("ContinuationIndicator", [], "", "time_step and batch_size must be 1 or more"),
        ("DetectionOutput", [(1, 8), (1, 4), (1, 2, 8)], "", "needs num_classes"),
        ("DetectionOutput", [(1, 8), (1, 4), (1, 8)],
         "detection_output_param { num_classes: 2 }", "prior boxes (1, 8) must have the shape"),
        ("Proposal", [BIG, MAP, (1, 3)], "", "needs ratio and scale"),
        ("Proposal", [BIG, MAP, (1, 3)], "proposal_param { ratio: 1 scale: 8 }",
         "do not fit 1 anchors: 2 and 4 channels"),
        ("Convolution3D", [MAP], "convolution_param { num_output: 1 kernel_size: 3 }",
         "5 axes are needed"),
        ("Pooling3D", [(1, 1, 2, 2, 2)], "pooling_param { kernel_size: 2 pad: 2 }",
         "must be smaller than the kernel"),
    ],
)  # fmt: skip
def test_bad_settings(net_of, type_, shapes, more, said):
    named = {f"x{i}": shape for i, shape in enumerate(shapes)}
    with pytest.raises(caffe.CaffeError) as caught:
        net_of(inputs(**named) + layer(type_, *named, more=more))
    assert "layer 'it'" in str(caught.value) and said in str(caught.value), caught.value


@pytest.mark.parametrize(
    ("type_", "shapes", "more", "values", "said"),
    [
        ("Upsample", [MAP, MAP], "upsample_param { scale: 2 }", 64,
         "its mask names positions 64 to 64, its top has 64"),
        ("ROIPooling", [MAP, (2, 5)], "roi_pooling_param { pooled_h: 1 pooled_w: 1 }", 3,
         "a region is of image 3; there are 1"),
        ("ROIPooling", [MAP, (2, 5)], "roi_pooling_param { pooled_h: 1 pooled_w: 1 }", np.nan,
         "values that are no numbers"),
    ],
)  # fmt: skip
def test_bad_values(net_of, type_, shapes, more, values, said):
    named = {f"x{i}": shape for i, shape in enumerate(shapes)}
    net = net_of(inputs(**named) + layer(type_, *named, more=more))
    net.blobs["x1"].data[...] = values
    with pytest.raises(caffe.CaffeError) as caught:
        net.forward()
    assert said in str(caught.value)
