"""Nets with layers that nobody knows: refused, or built without what depends on them."""

import warnings

import numpy as np
import pytest

import torchcaffe as caffe

INPUT = 'input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8\n'


def layer(type_, name, *bottoms, top=None, more=""):
    ends = "".join(f' bottom: "{bottom}"' for bottom in bottoms)
    return f'layer {{ name: "{name}" type: "{type_}"{ends} top: "{top or name}" {more} }}\n'


TREE = (
    INPUT
    + layer("ReLU", "a", "data")
    + layer("Glue", "odd", "a")
    + layer("ReLU", "b", "odd")
    + layer("TanH", "c", "a")
    + layer("Concat", "both", "b", "c")
    + layer("Pooling", "end", "c", more="pooling_param { global_pooling: true }")
)


def opened(net_of, text, **more):
    """Return the net without its unknown layers, and the warnings' sentences."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        net = net_of(text, leave_out_unknown=True, **more)
    return net, [str(w.message) for w in said]


def test_what_does_not_depend_on_it_is_built(net_of, tmp_path):
    net, said = opened(net_of, TREE)
    assert [name for name in net._layer_names if "split" not in name] == ["input", "a", "c", "end"]
    assert net.outputs == ["end"]
    assert net.left_out == {"odd": "Glue", "b": "ReLU", "both": "Concat"}
    assert said == [
        f"{tmp_path / 'net.prototxt'}: 3 of 7 layers are left out: 'odd', of the unknown type "
        "'Glue', and what depends on it: 'b', 'both'"
    ]
    x = np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype(np.float32)
    expected = np.tanh(np.maximum(x, 0)).max((2, 3))
    np.testing.assert_allclose(net.forward(data=x)["end"][..., 0, 0], expected, rtol=1e-5)


def test_a_twin_lacks_the_same(net_of):
    net, _ = opened(net_of, TREE)
    assert net.twin()._layer_names == net._layer_names


def test_unless_asked_the_whole_net_is_refused(net_of):
    with pytest.raises(caffe.DefinitionError, match="'odd' has the unknown type 'Glue'; known"):
        net_of(TREE)
    net, said = opened(net_of, TREE.replace("Glue", "Sigmoid"))
    assert net.left_out == {} and not said and "odd" in net.layer_dict


def test_in_place_it_spoils_what_comes_behind(net_of):
    text = INPUT + layer("ReLU", "a", "data") + layer("Glue", "odd", "a", top="a")
    net, said = opened(net_of, text + layer("ReLU", "b", "a"))
    assert list(net.left_out) == ["odd", "b"] and net.outputs == ["a"]
    assert "2 of 4 layers are left out" in said[0]


def test_a_single_last_layer(net_of):
    net, said = opened(net_of, INPUT + layer("ReLU", "a", "data") + layer("Glue", "odd", "a"))
    assert net.outputs == ["a"]
    assert said[0].endswith("1 of 3 layers is left out: 'odd', of the unknown type 'Glue'")


def test_long_lists_are_cut(net_of):
    text = INPUT + layer("ReLU", "a", "data") + layer("Glue", "odd", "a") + layer("Tape", "n", "a")
    text += "".join(layer("ReLU", f"r{i}", "odd") for i in range(20))
    _, said = opened(net_of, text)
    assert "22 of 24 layers are left out: 'odd', 'n', of the unknown type 'Glue', 'Tape'" in said[0]
    assert said[0].endswith("'r6', 'r7' and 12 more")


def test_weights_of_what_is_left(net_of, tmp_path):
    fc = layer("InnerProduct", "fc", "data", more="inner_product_param { num_output: 2 }")
    other = fc.replace('"fc"', '"other"').replace('"data"', '"odd"')
    net_of(INPUT + fc).save(tmp_path / "w.caffemodel")
    net, said = opened(
        net_of, INPUT + fc + layer("Glue", "odd", "fc") + other, weights=tmp_path / "w.caffemodel"
    )
    assert list(net.params) == ["fc"] and len(said) == 1


def test_nothing_but_inputs_would_be_left(net_of):
    text = INPUT + layer("Glue", "odd", "data") + layer("ReLU", "r", "odd")
    with pytest.raises(caffe.DefinitionError, match="2 of 3 layers .*'Glue'.*; no layer is left"):
        net_of(text, leave_out_unknown=True)


def test_layers_of_another_phase_do_not_count(net_of):
    text = INPUT + layer("ReLU", "a", "data")
    net, said = opened(net_of, text + layer("Glue", "odd", "a", more="include { phase: TRAIN }"))
    assert net.outputs == ["a"] and not said


PYTHON = 'python_param {{ module: "{}" layer: "P" }}'


@pytest.mark.parametrize("allowed", [True, False])
def test_python_layers_without_their_module(net_of, allowed):
    more = PYTHON.format("no_such_rpn.proposal")
    text = INPUT + layer("ReLU", "a", "data") + layer("Python", "rois", "a", more=more)
    with caffe.python_layers_allowed(allowed):
        net, said = opened(net_of, text)
    assert net.outputs == ["a"] and "Python (module no_such_rpn.proposal)" in said[0]


def test_python_layers_that_are_there_run_only_if_allowed(net_of, tmp_path, monkeypatch):
    package = tmp_path / "rpn_of_test"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('this code has run')")
    monkeypatch.syspath_prepend(str(tmp_path))
    more = PYTHON.format("rpn_of_test.proposal")
    text = INPUT + layer("ReLU", "a", "data") + layer("Python", "rois", "a", more=more)
    with (
        caffe.python_layers_allowed(False),
        pytest.raises(caffe.DefinitionError, match="--allow-python-layers"),
    ):
        net_of(text, leave_out_unknown=True)


def test_a_known_name_of_another_fork(net_of):
    """YOLO's DetectionOutput has one bottom, and nothing of SSD's but its name."""
    yolo = layer("DetectionOutput", "out", "a", more="detection_output_param { classes: 80 }")
    text = INPUT + layer("ReLU", "a", "data") + yolo + layer("ReLU", "b", "out")
    with pytest.raises(caffe.DefinitionError, match=r"'out' .* has 1 bottom\(s\); it takes 3 to 4"):
        net_of(text)
    net, said = opened(net_of, text)
    assert net.left_out == {"out": "DetectionOutput", "b": "ReLU"} and net.outputs == ["a"]
    (note,) = [line for line in said if "left out" in line]
    assert "2 of 4 layers are left out: 'out'" in note and "(layer 'out'" in note
    wrong = layer("Reorg", "r", "a", more="reorg_param { stride: 3 }")
    net, _ = opened(net_of, INPUT + layer("ReLU", "a", "data") + wrong)
    assert net.left_out == {"r": "Reorg"}


def test_what_is_wrong_with_other_layers_is_an_error(net_of):
    even = layer("LRN", "n", "data", more="lrn_param { local_size: 2 }")
    text = INPUT + layer("Glue", "odd", "data") + even
    with pytest.raises(caffe.DefinitionError, match="'n' .*local_size is 2"):
        net_of(text, leave_out_unknown=True)
    with pytest.raises(caffe.DefinitionError, match="unknown bottom 'date'"):
        net_of(TREE + layer("ReLU", "n", "date"), leave_out_unknown=True)


def test_training_data_of_forks_is_refused_with_the_way_out(net_of):
    text = 'layer { name: "clips" type: "VideoData" top: "data" top: "label" }\n'
    text += layer("ReLU", "a", "data")
    for more in ({}, {"leave_out_unknown": True}):
        with pytest.raises(caffe.DefinitionError, match=r"'clips' \(VideoData\).*type: \"Input\""):
            net_of(text, **more)
