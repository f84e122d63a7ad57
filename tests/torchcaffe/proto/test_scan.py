"""What is unknown in a prototxt, and what files that are none are said to be."""

import warnings

import pytest

import torchcaffe as caffe
from torchcaffe.proto.caffe_pb2 import NetParameter
from torchcaffe.proto.foreign import FOREIGN
from torchcaffe.proto.text import parse_text

INPUT = 'layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }\n'


def read(text):
    """Return the message and the warnings' sentences."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        message = parse_text(text, NetParameter(), "net")
    return message, [str(w.message) for w in said]


POOL, CONV = "PoolingParameter", "ConvolutionParameter"


@pytest.mark.parametrize(
    ("line", "field", "said"),
    [
        (2, "pooling_param { pool: MEDIAN }", f"unknown value MEDIAN of {POOL}.pool"),
        (2, "pooling_param { pool: 7 }", f"unknown value 7 of {POOL}.pool"),
        (2, "convolution_param { engine: MKLDNN }", f"unknown value MKLDNN of {CONV}.engine"),
        (4, "pooling_param < engine\n:\n  MKL2017 >", f"unknown value MKL2017 of {POOL}.engine"),
        (2, "pooling_param { scheme: STRANGE }", f"unknown field {POOL}.scheme"),
        (2, "fork_param { pool: MEDIAN }", "unknown field LayerParameter.fork_param"),
    ],
    ids=["name", "number", "engine", "over lines", "field", "message"],
)
def test_unknown_values_are_skipped_as_unknown_fields_are(line, field, said):
    message, warned = read(f'layer {{ name: "a"\n{field} top: "b" }}')
    assert warned == [f"net, line {line}: {said} is skipped"]
    (layer,) = message.layer
    assert layer.name == "a" and layer.top == ["b"]  # what stands around it is read


def test_values_that_are_known_are_kept():
    text = "layer { pooling_param { pool: AVE engine: 1 } include { phase: TEST } }"
    message, warned = read(text)
    assert not warned
    assert message.layer[0].pooling_param.pool == 1 and message.layer[0].include[0].phase == 1


def test_one_warning_for_a_value_that_stands_often():
    _, warned = read("layer { pooling_param { pool: MEDIAN } }\n" * 3)
    assert warned == ["net, line 1: unknown value MEDIAN of PoolingParameter.pool is skipped"]


def test_errors_keep_their_line():
    text = "layer { pooling_param { pool: MEDIAN } }\nlayer { name: 7 }"
    with pytest.raises(caffe.DefinitionError, match="line 2"):
        read(text)


# ---------------------------------------------------------------- files of other kinds


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('net: "models/x/train_val.prototxt"\nbase_lr: 0.01 max_iter: 10', ": models/x/train_val"),
        (
            'train_net: "train.prototxt" test_net: "test.prototxt" lr_policy: "fixed"',
            ": train.prot",
        ),
        ("base_lr: 0.01 solver_mode: GPU", "names, best"),
    ],
)
def test_a_solver_in_the_place_of_the_network(net_of, text, named):
    with pytest.raises(caffe.DefinitionError, match=r"is a solver's file \(.*deploy") as caught:
        net_of(text)
    assert named in str(caught.value)


def test_a_network_with_a_field_of_solvers_is_one(net_of):
    with pytest.warns(UserWarning, match="unknown field NetParameter.base_lr"):
        assert net_of("base_lr: 1 " + INPUT).inputs == ["data"]


ODD_NETS = {
    "net.onnx": (b"\x08\x07\x12\x07pytorch", "is an ONNX network; give the network's Caffe files"),
    "net.pt": (b"PK\x03\x04\x00\x00archive", "is a file of PyTorch; give the network's Caffe"),
    "net.pth": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9", "is a file of PyTorch; give the network's Caffe"),
    "deploy.prototxt": (b"version https://git-lfs.github.com/spec/v1\n", "run `git lfs pull`"),
    "page.prototxt": (b"\n<!DOCTYPE html><html>", "is a web page, not the file itself; fetch"),
    "yolo.cfg": (b"[net]\nbatch=1\n", "is a file of Darknet; give the network's Caffe files"),
    "net.prototxt.gz": (b"\x1f\x8b\x08\x00", "is an archive; unpack it"),
}
ODD_WEIGHTS = {
    **{name: odd for name, odd in ODD_NETS.items() if not name.endswith(("cfg", "prototxt"))},
    "w.caffemodel": (b"version https://git-lfs.github.com/spec/v1\n", "run `git lfs pull`"),
    "w.safetensors": (b"\x10\x00\x00\x00\x00\x00\x00\x00{}", "is a file of safetensors"),
    "mean.npy": (b"\x93NUMPY\x01\x00", "is a mean image; give a .caffemodel"),
    "net.prototxt": (b'name: "x"\n', "is a prototxt, not a caffemodel; give a .caffemodel"),
    "x_iter_10.solverstate": (b"\x08\n\x12\x07x.model", "(solverstate); give the .caffemodel that"),
    "weights.tar": (b"\x00" * 257 + b"ustar\x00", "is an archive; unpack it"),
}


@pytest.mark.parametrize("name", ODD_NETS)
def test_odd_files_in_the_place_of_the_network(name, tmp_path):
    content, said = ODD_NETS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(caffe.CaffeError) as caught:
        caffe.Net(tmp_path / name, caffe.TEST)
    assert str(caught.value).startswith(f"{tmp_path / name} is a") and said in str(caught.value)


@pytest.mark.parametrize("name", ODD_WEIGHTS)
def test_odd_files_in_the_place_of_the_weights(name, net_of, tmp_path):
    fc = 'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { '
    net = net_of(INPUT + fc + "num_output: 2 } }")
    content, said = ODD_WEIGHTS[name]
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / name).write_bytes(content)
    with pytest.raises(caffe.FileError) as caught:
        net.copy_from(tmp_path / "odd" / name)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_prototxt_may_have_the_ending_of_another_program(tmp_path):
    """py-faster-rcnn called its definitions test.pt."""
    (tmp_path / "test.pt").write_text(INPUT, encoding="utf-8")
    assert caffe.Net(tmp_path / "test.pt", caffe.TEST).inputs == ["data"]


def test_every_kind_can_be_told():
    assert all(kind.endings or kind.marks for kind in FOREIGN)
