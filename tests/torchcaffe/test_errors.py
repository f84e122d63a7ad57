"""A sentence is one line, whatever names a file has; a terminal obeys none of them."""

from __future__ import annotations

import pytest

import torchcaffe as caffe
from torchcaffe import errors

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.CaffeError)
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_control_characters_are_shown(kind):
    assert str(kind("a layer 'x\ny\x1b[2J\x85', größer")) == r"a layer 'x\ny\x1b[2J\x85', größer"
    assert str(kind()) == ""


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        (r'layer { name: "a" type: "Convo\nlution" top: "a" }', r"Convo\nlution"),
        (r'layer { name: "a\033[2J" type: "ReLU" bottom: "b\n" top: "a" }', r"b\n"),
    ],
)
def test_names_of_a_prototxt(tmp_path, definition, said):
    path = tmp_path / "net.prototxt"
    path.write_text(definition, encoding="utf-8")
    with pytest.raises(caffe.CaffeError) as caught:
        caffe.Net(str(path), caffe.TEST)
    text = str(caught.value)
    assert said in text.replace("\\\\", "\\")
    assert text.isprintable()


@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution", "Im2col"])
def test_strides_that_crash_pytorch_are_refused_and_those_before_are_computed(kind, tmp_path):
    def net(stride):
        path = tmp_path / "net.prototxt"
        path.write_text(
            'layer { name: "x" type: "Input" top: "x"'
            " input_param { shape { dim: 2 dim: 4 dim: 6 dim: 7 } } }"
            f'layer {{ name: "y" type: "{kind}" bottom: "x" top: "y"'
            " convolution_param { num_output: 3 kernel_size: 3 pad_h: 2 pad_w: 0"
            f' weight_filler {{ type: "xavier" }} stride_h: 1 stride_w: {stride} }} }}',
            encoding="utf-8",
        )
        return caffe.Net(str(path), caffe.TEST)

    for stride in (1001, 65535, 2**32 - 1):
        with pytest.raises(caffe.DefinitionError, match=r"stride is \(1, \d+\); up to 1000"):
            net(stride)
    one = net(1000)
    one.blobs["x"].data[...] = 1
    one.forward()
    one.blobs["y"].diff[...] = 1
    one.backward()
    assert one.blobs["x"].diff[0, 0, 0].any()
