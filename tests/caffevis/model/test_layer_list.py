"""Which layers are listed, and where a back pass starts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from caffevis.model.layer_list import LayerError, list_layers, shown_blobs, start_layer, units_of


class Blob:
    def __init__(self, *shape: int) -> None:
        self.shape = shape


def make(*layers: tuple[str, str, dict[str, tuple[int, ...]]], inputs: tuple[str, ...] = ()):
    net = SimpleNamespace(_layer_names=[], layers=[], top_names={}, blobs={}, inputs=list(inputs))
    for name in inputs:
        net.blobs[name] = Blob(1, 3, 8, 8)
    for name, kind, tops in layers:
        net._layer_names.append(name)
        net.layers.append(SimpleNamespace(type=kind))
        net.top_names[name] = list(tops)
        for top, shape in tops.items():
            net.blobs.setdefault(top, Blob(*shape))
    return net


MAP = (1, 4, 6, 6)
NET = make(
    ("input", "Input", {"data": (1, 3, 8, 8)}),
    ("conv", "Convolution", {"conv": MAP}),
    ("relu", "ReLU", {"conv": MAP}),
    ("split", "Split", {"conv_split_0": MAP, "conv_split_1": MAP}),
    ("out", "ReLU", {"other": MAP}),
    ("drop", "Dropout", {"dropped": MAP}),
    ("sum", "Eltwise", {"sum": MAP}),
    ("fc", "InnerProduct", {"fc": (1, 10)}),
    ("flat", "Reshape", {"flat": (10,)}),
    ("loss", "EuclideanLoss", {"loss": ()}),
    ("quiet", "Silence", {}),
)


def test_layers_that_hold_data_are_listed_once_and_in_order():
    assert shown_blobs(NET) == ["conv", "other", "sum", "fc", "flat"]


def test_inputs_without_a_layer_are_not_listed():
    net = make(("conv", "Convolution", {"conv": MAP}), inputs=("data",))
    assert shown_blobs(net) == ["conv"]


def test_filter_leaves_layers_out():
    assert shown_blobs(NET, lambda name: "o" in name) == ["sum", "fc", "flat"]


def test_nothing_to_show_is_one_sentence():
    with pytest.raises(LayerError, match="no layer to show"):
        shown_blobs(NET, lambda name: True)


@pytest.mark.parametrize(
    ("shape", "units"), [((1, 96, 55, 55), 96), ((1, 7, 9), 7), ((1, 12), 12), ((5,), 5), ((), 0)]
)
def test_units_are_the_second_axis_or_the_only_one(shape: tuple[int, ...], units: int):
    assert units_of(shape) == units


def test_labels_and_grid_follow_the_settings():
    layers = list_layers(NET, 4.0, str.upper)
    assert [layer.label for layer in layers][:2] == ["CONV", "OTHER"]
    assert (layers[0].rows, layers[0].columns) == (1, 4)
    fc = layers[3]
    assert (fc.units, fc.rows, fc.columns) == (10, 2, 7)


@pytest.mark.parametrize(("blob", "layer"), [("conv", "conv"), ("other", "out"), ("fc", "fc")])
def test_back_starts_before_an_in_place_relu(blob: str, layer: str):
    assert start_layer(NET, blob) == layer
