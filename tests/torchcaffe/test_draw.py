"""caffe.draw: the graph in Graphviz's language, and pictures where pydot and Graphviz are."""

import builtins
import sys
import types

import pytest

import torchcaffe as caffe
from torchcaffe import draw
from torchcaffe.proto.text import parse_text

TEXT = """
name: "a \\"net\\""
input: "data"
layer { name: "conv|1" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 6 kernel_size: 5 stride: 2 pad: 1 pad: 2 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { pool: AVE kernel_h: 3 kernel_w: 1 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip" include { phase: TRAIN }
  inner_product_param { num_output: 4 } }
"""


@pytest.fixture
def param():
    return parse_text(TEXT, caffe.proto.caffe_pb2.NetParameter())


def test_the_graph_has_every_layer_blob_and_edge(param):
    text = draw.to_dot(param, "TB")
    assert text.startswith('digraph "a \\"net\\"" {\n    rankdir=TB;\n')
    assert 'label="conv\\|1 (Convolution)\\nkernel 5, stride 2, pad 1x2"' in text
    assert 'label="pool (Pooling)\\nAVE\\nkernel 3x1"' in text
    for edge in ('"blob data" -> layer0;', 'layer0 -> "blob conv" [label=6];',
                 '"blob conv" -> layer1;', 'layer3 -> "blob ip" [label=4];'):  # fmt: skip
        assert edge in text
    assert text.count("octagon") == 4 and text.count("record") == 4


def test_the_layers_of_a_phase(param):
    assert "ip (InnerProduct)" in draw.to_dot(param, phase=caffe.TRAIN)
    assert "ip (InnerProduct)" not in draw.to_dot(param, phase=caffe.TEST)


def test_learning_rates(param):
    param.layer[0].param.add(lr_mult=0.5)
    text = draw.to_dot(param, display_lrm=True)
    assert "\\nlr_mult 0.5, 1" in text and text.count("lr_mult") == 2
    assert "lr_mult" not in draw.to_dot(param)


def test_a_dot_file_needs_nothing(param, tmp_path):
    draw.draw_net_to_file(param, str(tmp_path / "net.dot"))
    assert (tmp_path / "net.dot").read_text(encoding="utf-8") == draw.to_dot(param)


def test_without_pydot_it_is_one_sentence(param, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **more):
        if name == "pydot":
            raise ImportError("No module named 'pydot'")
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(caffe.FileError, match=r"pip install pydot.*\.dot"):
        draw.draw_net_to_file(param, tmp_path / "net.png")
    assert not (tmp_path / "net.png").exists()


class Graph:
    """What is used of pydot's graphs."""

    def __init__(self, text, program=True):
        self.text, self.program = text, program

    def create(self, format):
        if not self.program:
            raise FileNotFoundError("dot")
        return f"{format} of {len(self.text)}".encode()


@pytest.mark.parametrize("program", [True, False])
def test_pictures_are_pydots(param, tmp_path, monkeypatch, program):
    pydot = types.ModuleType("pydot")
    pydot.graph_from_dot_data = lambda text: [Graph(text, program)]
    monkeypatch.setitem(sys.modules, "pydot", pydot)
    path = tmp_path / "net.svg"
    if program:
        draw.draw_net_to_file(param, path)
        assert path.read_bytes() == f"svg of {len(draw.to_dot(param))}".encode()
    else:
        with pytest.raises(caffe.FileError, match="apt-get install graphviz"):
            draw.draw_net_to_file(param, path)


def test_a_wrong_direction_is_one_sentence(param):
    with pytest.raises(caffe.ArgumentError, match="'UP' is unknown; LR, TB"):
        draw.to_dot(param, "UP")
