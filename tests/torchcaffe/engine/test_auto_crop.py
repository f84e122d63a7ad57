"""Crops without an offset: worked out from the layers between their bottoms."""

import numpy as np
import pytest

import torchcaffe as caffe

POOL = "pooling_param { kernel_size: 2 stride: 2 }"
INPUT = 'input: "data" input_dim: 1 input_dim: 1 input_dim: 20 input_dim: 24\n'


def layer(type_, name, bottoms, settings=""):
    ends = "".join(f' bottom: "{bottom}"' for bottom in bottoms)
    return f'layers {{ name: "{name}" type: {type_}{ends} top: "{name}" {settings} }}\n'


def conv(name, bottom, kernel, pad=0, type_="CONVOLUTION", stride=1):
    settings = f"num_output: 1 kernel_size: {kernel} pad: {pad} stride: {stride}"
    return layer(type_, name, [bottom], f"convolution_param {{ {settings} }}")


def fcn_8s():
    """The skeleton of FCN-8s as its V1 files had it."""
    text, before = INPUT, "data"
    for stage in range(1, 6):
        text += conv(f"conv{stage}", before, 3, 100 if stage == 1 else 1)
        text += layer("RELU", f"relu{stage}", [f"conv{stage}"])
        before = f"pool{stage}"
        text += layer("POOLING", before, [f"relu{stage}"], POOL)
    text += conv("fc6", "pool5", 7) + layer("DROPOUT", "drop6", ["fc6"])
    text += conv("up2", "drop6", 4, 0, "DECONVOLUTION", 2)
    text += conv("score4", "pool4", 1) + layer("CROP", "crop4", ["score4", "up2"])
    text += layer("ELTWISE", "sum4", ["up2", "crop4"])
    text += conv("up4", "sum4", 4, 0, "DECONVOLUTION", 2)
    text += conv("score3", "pool3", 1) + layer("CROP", "crop3", ["score3", "up4"])
    text += layer("ELTWISE", "sum3", ["up4", "crop3"])
    text += conv("up8", "sum3", 16, 0, "DECONVOLUTION", 8)
    return text + layer("CROP", "score", ["up8", "data"])


def offsets(net):
    return {
        name: list(one.param.crop_param.offset)
        for name, one in net.layer_dict.items()
        if one.type == "AutoCrop"
    }


def test_offsets_of_fcn_8s(net_of):
    """Those that the authors later wrote into their files for BVLC's Crop layer."""
    net = net_of(fcn_8s())
    assert offsets(net) == {"crop4": [5], "crop3": [9], "score": [31]}
    assert net.blobs["score"].shape == net.blobs["data"].shape


def test_the_crop_lies_over_the_reference(net_of):
    """An identity, padded by 3, cropped again: the input itself, forward and backward."""
    text = INPUT + conv("wide", "data", 1, 3).replace("num_output", "bias_term: false num_output")
    net = net_of(text + layer("CROP", "same", ["wide", "data"]))
    net.params["wide"][0].data[...] = 1
    x = np.random.default_rng(1).normal(size=(1, 1, 20, 24)).astype(np.float32)
    np.testing.assert_array_equal(net.forward(data=x)["same"], x)
    np.testing.assert_array_equal(net.backward(same=x)["data"], x)
    twin = net.twin()
    np.testing.assert_array_equal(twin.forward(data=x)["same"], x)


@pytest.mark.parametrize("setting", ["dilation", "hole"])
def test_dilation_counts(net_of, setting):
    wide = conv("wide", "data", 3, 9).replace("pad", f"{setting}: 3 pad")
    assert offsets(net_of(INPUT + wide + layer("CROP", "c", ["wide", "data"]))) == {"c": [6]}


def test_type_of_rcf_and_an_offset_that_is_given(net_of):
    wide = conv("wide", "data", 1, 3)
    text = INPUT + wide + layer("CROP", "c", ["wide", "data"], "crop_param { offset: 1 }")
    given = net_of(text).layer_dict["c"]
    assert given.type == "Crop" and list(given.param.crop_param.offset) == [1]
    modern = """
        input: "data" input_shape { dim: 1 dim: 1 dim: 9 dim: 9 }
        layer { name: "up" type: "Deconvolution" bottom: "data" top: "up"
                convolution_param { num_output: 1 kernel_size: 4 pad: 1 } }
        layer { name: "c" type: "AutoCrop" bottom: "up" bottom: "data" top: "c" }"""
    with pytest.raises(caffe.DefinitionError, match="'c' .*noninteger width .*crop_param"):
        net_of(modern)
    net = net_of(modern.replace("kernel_size: 4 pad: 1", "kernel_size: 5"))
    assert offsets(net) == {"c": [2]} and net.blobs["c"].shape == (1, 1, 9, 9)


def test_bottoms_that_are_not_connected(net_of):
    shapes = "".join(f" input_shape {{ dim: 1 dim: 1 dim: {n} dim: {n} }}" for n in (9, 7))
    text = f'input: "a" input: "b" {shapes} layer {{ name: "c" type: "AutoCrop" '
    text += 'bottom: "a" bottom: "b" top: "c" }'
    with pytest.raises(caffe.DefinitionError, match="layer 'c' .*not connected"):
        net_of(text)
    with pytest.raises(caffe.DefinitionError, match="unknown bottom 'x'"):
        net_of(text.replace('bottom: "b"', 'bottom: "x"'))
