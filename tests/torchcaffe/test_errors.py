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
