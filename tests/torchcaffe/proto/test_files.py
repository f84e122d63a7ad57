"""The forms of prototxt, and what is said of bad ones."""

import warnings

import numpy as np
import pytest

import torchcaffe as caffe
from torchcaffe.blobs import blob
from torchcaffe.engine.graph import unique_names
from torchcaffe.proto.wire import write_caffemodel

INPUT = 'layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }\n'
FC = """layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
                inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }\n"""
MORE = FC.replace('"fc"', '"more"')


@pytest.fixture
def refused(net_of):
    """Return the one sentence with which a text is refused."""

    def build(text, *words, **more):
        with pytest.raises(caffe.CaffeError) as caught:
            net_of(text, **more)
        said = str(caught.value)
        assert "\n" not in said
        for word in words:
            assert word in said, said
        return said

    return build


# ---------------------------------------------------------------- forms of prototxt


def names(net):
    return list(net.layer_dict)


@pytest.mark.parametrize(
    "text",
    [
        INPUT + FC,
        'input: "data" input_shape { dim: 2 dim: 3 }\n' + FC,
        'input: "data" input_dim: 2 input_dim: 3 input_dim: 1 input_dim: 1\n' + FC,
        'input: "data" input_shape < dim: [2, 3] >\n' + FC.replace("{", "<").replace("}", ">"),
        ("# a comment\n" + INPUT + FC + "# the end").replace("\n", "\r\n"),
        "\ufeff" + INPUT + FC,
        INPUT.replace(" type", ", type").replace(" top", "; top") + FC.replace("{", ": {", 1),
        INPUT + FC.replace('"InnerProduct"', "'Inner' 'Product'"),
        'input: "data" input_shape { dim: 2 dim: 3 }\n'
        'layers { name: "fc" type: INNER_PRODUCT bottom: "data" top: "fc" '
        "inner_product_param { num_output: 4 } }",
        'input: "data" input_shape { dim: 2 dim: 3 }\n'
        'layers { name: "fc" type: 14 bottom: "data" top: "fc" blobs_lr: 1 blobs_lr: 2 '
        "weight_decay: 1 weight_decay: 0 inner_product_param { num_output: 4 } }",
        (INPUT + FC).encode() + "# 中文注释".encode("gbk"),
    ],
    ids=[
        "Input", "input_shape", "input_dim", "angle brackets", "comments and CRLF", "byte mark",
        "separators", "single quotes", "V1", "V1 by number", "comment in GBK",
    ],
)  # fmt: skip
def test_every_form_is_read(net_of, text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = net_of(text)
    assert net.inputs == ["data"] and net.outputs == ["fc"]
    assert net.blobs["data"].shape[:2] == (2, 3) and net.blobs["fc"].shape == (2, 4)
    assert [b.shape for b in net.params["fc"]] == [(4, 3), (4,)]


def test_v1_settings_are_kept(net_of):
    net = net_of("""
        input: "data" input_dim: 1 input_dim: 2 input_dim: 5 input_dim: 5
        layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" param: "w" param: "b"
                 blobs_lr: 1 blobs_lr: 0 convolution_param { num_output: 2 kernel_size: 3 pad: 1 } }
        layers { name: "again" type: CONVOLUTION bottom: "conv" top: "again" param: "w" param: "b"
                 convolution_param { num_output: 2 kernel_size: 3 } }
        layers { name: "pool" type: POOLING bottom: "again" top: "pool"
                 pooling_param { pool: AVE kernel_size: 3 } }
        layers { name: "slice" type: SLICE bottom: "pool" top: "a" top: "b" }
        layers { name: "both" type: CONCAT bottom: "a" bottom: "b" top: "ab"
                 concat_param { concat_dim: 0 } }""")
    assert net.params["conv"][0] is net.params["again"][0]
    assert net.layer_dict["conv"].param.param[1].lr_mult == 0
    assert net.blobs["pool"].shape == (1, 2, 1, 1) and net.blobs["ab"].shape == (2, 1, 1, 1)
    assert [layer.type for layer in net.layers][1:] == [
        "Convolution", "Convolution", "Pooling", "Slice", "Concat",
    ]  # fmt: skip


def test_unknown_fields_are_skipped_with_one_warning_each(net_of):
    text = 'colour: "red" ' + INPUT + FC.replace("num_output", "shade: 1 shade { x: 2 } num_output")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        net = net_of(text + MORE.replace("bottom", "shade { deeper: { x: 1 } } bottom"))
    assert net.blobs["fc"].shape == (2, 4)
    found = sorted(str(w.message).split(": ", 1)[1] for w in said)
    assert found == [
        "unknown field InnerProductParameter.shade is skipped",
        "unknown field LayerParameter.shade is skipped",
        "unknown field NetParameter.colour is skipped",
    ]


def test_an_unknown_type_lists_the_known(refused):
    said = refused(INPUT + FC.replace("InnerProduct", "Innerproduct"), "'fc'", "'Innerproduct'")
    assert "@torchcaffe.layer(" in said
    assert all(name in said for name in caffe.layer_type_list())


# ---------------------------------------------------------------- files that are no prototxt


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(caffe.FileError, match="could not open file .*none.prototxt"):
        caffe.Net(str(tmp_path / "none.prototxt"), caffe.TEST)
    with pytest.raises(caffe.FileError, match="[Ii]s a directory"):
        caffe.Net(str(tmp_path), caffe.TEST)
    with pytest.raises(RuntimeError):  # as pycaffe
        caffe.Net(str(tmp_path / "none.prototxt"), caffe.TEST)


def test_weights_in_the_place_of_the_prototxt(net_of, tmp_path):
    net_of(INPUT + FC).save(tmp_path / "w.caffemodel")
    with pytest.raises(caffe.DefinitionError, match="not text .* goes where the weights are"):
        caffe.Net(str(tmp_path / "w.caffemodel"), caffe.TEST)


def test_a_prototxt_in_the_place_of_the_weights(net_of, tmp_path):
    net = net_of(INPUT + FC)
    with pytest.raises(caffe.FileError, match="not a caffemodel"):
        net.copy_from(tmp_path / "net.prototxt")


def test_syntax_errors_name_the_line(refused):
    refused(INPUT + FC.replace("num_output:", "num_output"), "line 3", "not a valid prototxt")
    refused(INPUT + "layer { name: 7 }", "line 2")
    refused("layer {" * 3000, "nested")
    refused(INPUT + "}", "line 2", "closes")
    refused("", "no layer")


# ---------------------------------------------------------------- phase, level, stage


RULES = (
    INPUT
    + """
layer { name: "train" type: "ReLU" bottom: "data" top: "a" include { phase: TRAIN } }
layer { name: "test" type: "ReLU" bottom: "data" top: "b" exclude { phase: TRAIN } }
layer { name: "high" type: "ReLU" bottom: "data" top: "c" include { min_level: 2 } }
layer { name: "low" type: "ReLU" bottom: "data" top: "d" include { max_level: 1 } }
layer { name: "x" type: "ReLU" bottom: "data" top: "e" include { stage: "x" } }
layer { name: "x_and_y" type: "ReLU" bottom: "data" top: "f" include { stage: "x" stage: "y" } }
layer { name: "not_y" type: "ReLU" bottom: "data" top: "g" include { not_stage: "y" } }
layer { name: "any" type: "ReLU" bottom: "data" top: "h"
        include { stage: "y" } include { phase: TRAIN min_level: 1 } }
layer { name: "no_x" type: "ReLU" bottom: "data" top: "i" exclude { stage: "x" } }
"""
)


@pytest.mark.parametrize(
    ("phase", "level", "stages", "kept"),
    [
        (caffe.TRAIN, 0, [], "train low not_y no_x"),
        (caffe.TEST, 0, [], "test low not_y no_x"),
        (caffe.TEST, 2, ["x"], "test high x not_y"),
        (caffe.TRAIN, 1, ["x", "y"], "train low x x_and_y any"),
        (caffe.TEST, 1, ["y"], "test low any no_x"),
    ],
)
def test_rules_filter_layers(net_of, phase, level, stages, kept):
    net = net_of(RULES, phase, level=level, stages=stages)
    assert [name for name in names(net) if "split" not in name][1:] == kept.split()


def test_layers_of_the_other_phase_need_no_files(net_of, refused):
    data = 'layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TRAIN } }\n'
    other = INPUT.replace("top", "include { phase: TEST } top")
    assert net_of(data + other + FC).outputs == ["fc"]
    refused(data + other + FC, "'d' (Data)", 'type: "Input"', phase=caffe.TRAIN)


def test_include_and_exclude_together_are_refused(refused):
    refused(INPUT.replace("top", "include { phase: TEST } exclude { stage: 'x' } top"), "'in'")


# ---------------------------------------------------------------- nets that don't fit together


def test_layers_of_one_name_get_names_of_their_own(net_of):
    relu = 'layer { name: "fc" type: "ReLU" bottom: "fc" top: "fc" }\n'
    later = FC.replace('top: "fc"', 'top: "other"')
    with pytest.warns(UserWarning, match="two layers have the name 'fc'") as caught:
        net = net_of(INPUT + FC + relu + later)
    assert len(caught) == 2
    assert [net.layer_dict[name].type for name in ("fc", "fc_2", "fc_3")] == [
        "InnerProduct", "ReLU", "InnerProduct",
    ]  # fmt: skip
    assert list(net.params) == ["fc", "fc_3"]


def test_weights_of_layers_of_one_name_go_to_their_turn(net_of, tmp_path):
    relu = 'layer { name: "fc" type: "ReLU" bottom: "fc" top: "fc" }\n'
    with pytest.warns(UserWarning, match="two layers"):
        net = net_of(INPUT + FC + relu + FC.replace('top: "fc"', 'top: "other"'))
    stored = [
        (caffe.proto.caffe_pb2.LayerParameter(name="fc"), arrays)
        for arrays in (
            [np.full((4, 3), 1.0), np.full(4, 2.0)],
            [],
            [np.full((4, 3), 3.0), np.full(4, 4.0)],
        )
    ]
    write_caffemodel("twins", stored, tmp_path / "twins.caffemodel")
    net.copy_from(tmp_path / "twins.caffemodel")
    found = [blob.data.flat[0] for name in ("fc", "fc_3") for blob in net.params[name]]
    assert found == [1.0, 2.0, 3.0, 4.0]


def test_names_of_twins_avoid_names_that_exist():
    assert unique_names(["a", "a", "a_2", "a", ""]) == ["a", "a_3", "a_2", "a_4", ""]


def test_names_and_counts(refused):
    refused(INPUT + FC + FC.replace('name: "fc"', 'name: "two"'), "'two'", "top 'fc'")
    refused(INPUT + FC.replace('bottom: "data"', 'bottom: "date"'), "bottom 'date'", "data")
    refused(INPUT + FC.replace('bottom: "data"', ""), "'fc'", "0 bottom(s); it takes 1")
    refused(INPUT + FC.replace("top", 'top: "b" top'), "'fc'", "2 top(s); it takes 1")
    refused(INPUT + FC.replace("top", "loss_weight: 1 loss_weight: 0 top"), "2 loss_weight")
    refused(
        INPUT + 'layer { name: "s" type: "Slice" bottom: "data" top: "a" top: "b" }', "'s'", "3"
    )


def test_tops_that_would_replace_a_blob(refused):
    used = FC + 'layer { name: "r" type: "ReLU" bottom: "data" top: "data" }'
    refused(INPUT + used, "'r'", "'data'")
    twice = 'layer { name: "e" type: "Eltwise" bottom: "fc" bottom: "more" top: "more" }'
    refused(INPUT + FC + MORE + twice, "'e'", "'more'")
    changed = (
        'layer { name: "f" type: "Flatten" bottom: "data" top: "data" flatten_param { axis: 0 } }'
    )
    refused(INPUT + changed, "'f'", "in place")


def test_mixed_and_oldest_forms(refused):
    v1 = 'layers { name: "r" type: RELU bottom: "data" top: "r" }'
    refused(INPUT + v1, "'layer' and 'layers'")
    v0 = 'input: "x" input_dim: 1 input_dim: 1 input_dim: 1 input_dim: 1 layers { layer { name: '
    refused(v0 + '"old" type: "elu" } bottom: "x" top: "y" }', "'old'", "'elu'", "2013", "relu")
    refused('input: "a" input_dim: 1 input_dim: 3', "1 input(s)", "2 input_dim")
    refused('input: "a" input: "b" input_shape { dim: 1 }', "2 input(s)", "1 input_shape")


@pytest.mark.parametrize(
    ("type_", "settings"),
    [
        ("InnerProduct", "inner_product_param { num_output: 0 }"),
        ("InnerProduct", "inner_product_param { num_output: 4 axis: 2 }"),
        ("InnerProduct", 'inner_product_param { num_output: 4 weight_filler { type: "best" } }'),
        ("Clip", "clip_param { min: 1 }"),
        ("Log", "log_param { base: 1 }"),
        ("Exp", "exp_param { base: -2 }"),
        ("Dropout", "dropout_param { dropout_ratio: 1 }"),
        ("Pooling", "pooling_param { kernel_size: 2 }"),
        ("LRN", "lrn_param { local_size: 4 }"),
        ("Convolution", "convolution_param { num_output: 2 kernel_size: 1 group: 2 }"),
        ("Convolution", "convolution_param { num_output: 2 kernel_h: 2 }"),
        ("Reshape", "reshape_param { shape { dim: 4 dim: -1 } }"),
        ("Permute", "permute_param { order: 0 order: 0 }"),
        ("Scale", "scale_param { num_axes: 3 }"),
        ("ArgMax", "argmax_param { top_k: 4 }"),
        ("LSTM", "recurrent_param { num_output: 2 }"),
        ("InfogainLoss", ""),
    ],
)
def test_bad_settings_name_the_layer(refused, type_, settings):
    layer = f'layer {{ name: "it" type: "{type_}" bottom: "data" {settings} top: "y" }}'
    refused(INPUT + layer, "layer 'it'")


# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (INPUT.replace("dim: 2", "dim: -2"), ["'data'", "(-2, 3)"]),
        (INPUT.replace("dim: 2", "dim: 99999999999"), ["'data'", "GiB"]),
        (INPUT + FC.replace("num_output: 4", "num_output: 4000000000"), ["'fc'", "GiB"]),
        (INPUT + 'layer { name: "t" type: "Tile" bottom: "data" top: "y" '
         "tile_param { axis: 0 tiles: 2000000000 } }", ["GiB"]),
        (INPUT + 'layer { name: "e" type: "Embed" bottom: "data" top: "y" '
         "embed_param { num_output: 100000 input_dim: 100000 } }", ["'e'", "GiB"]),
        ('input: "data" input_dim: 1 input_dim: 1 input_dim: 40000 input_dim: 40000', ["GiB"]),
        ('input: "d" input_dim: 1 input_dim: 2 input_dim: 9 input_dim: 9 layer { name: "s" '
         'type: "SPP" bottom: "d" top: "y" spp_param { pyramid_height: 4000000 } }', ["1 to 10"]),
        ('input: "d" input_dim: 1 input_dim: 2 input_dim: 9 input_dim: 9 layer { name: "c" '
         'type: "Convolution" bottom: "d" top: "y" convolution_param { num_output: 1 '
         "kernel_size: 1 pad: 99999999 } }", ["'c'", "GiB"]),
        ('input: "d" input_dim: 1 input_dim: 2 input_dim: 9 input_dim: 9 layer { name: "p" '
         'type: "Pooling" bottom: "d" top: "y" pooling_param { kernel_size: 4000000 pad: 3999999 '
         "stride: 3999999 } }", ["'p'", "GiB"]),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else None,
)  # fmt: skip
def test_absurd_sizes_are_refused_before_memory_is_used(refused, text, words):
    refused(text, *words)


def test_many_large_blobs_are_refused_together(refused, monkeypatch):
    monkeypatch.setattr(blob, "MAX_NET_BYTES", 1000)
    copies = "".join(
        f'layer {{ name: "p{i}" type: "TanH" bottom: "data" top: "p{i}" }}\n' for i in range(60)
    )
    refused(INPUT + copies, "MAX_NET_BYTES")


def test_too_many_layers_are_refused(refused, monkeypatch):
    monkeypatch.setattr("torchcaffe.engine.graph.MAX_LAYERS", 5)
    refused(INPUT * 6, "6 layers", "5 are accepted")


def test_large_nets_are_built_without_using_their_memory(net_of):
    """Blobs and parameters take memory when they are first used."""
    text = INPUT.replace("dim: 2", "dim: 1").replace("dim: 3", "dim: 10000")
    text += 'layer { name: "t" type: "Tile" bottom: "data" top: "y" loss_weight: 1 '
    net = net_of(text + "tile_param { tiles: 90000 } }")
    assert net.blobs["y"].shape == (1, 900_000_000)
