"""Which layers hold classes, where the settings do not say; labels; where the window opens."""

from __future__ import annotations

import pytest

from caffevis.from_settings import read_labels
from caffevis.keys.state import Options, first_state
from caffevis.model.classes import Classes, class_unit, find_classes
from caffevis.model.layer_list import list_layers
from caffevis.model.start import start_state
from settings import TABLE
from toolbox.settings import config

FIVE = ("a", "b", "c", "d", "e")


def settings_of(tmp_path, text: str = "") -> config.Settings:
    path = tmp_path / "s.py"
    path.write_text(f"caffevis_deploy_prototxt = 'x'\n{text}\n", encoding="utf-8")
    return config.load(TABLE, path)


def classes_of(tmp_path, net, text: str = "", labels=FIVE) -> Classes:
    return find_classes(net, list_layers(net, 1.0, str), settings_of(tmp_path, text), labels)


@pytest.mark.parametrize("labels", [(), FIVE, ("only", "two")])
def test_a_softmax_at_the_end_holds_the_classes(tmp_path, make_fake, labels):
    found = classes_of(tmp_path, make_fake(), labels=labels)
    assert found == Classes("prob", ("fc", "prob"), labels)


def test_without_a_softmax_the_number_of_labels_decides(tmp_path, make_fake):
    net = make_fake()
    net.layers[-1].type = "InnerProduct"
    assert classes_of(tmp_path, net).listed == "prob"
    assert classes_of(tmp_path, net, labels=FIVE[:4]) == Classes(None, (), FIVE[:4])


def test_a_map_at_the_end_holds_no_classes(tmp_path, make_fake):
    net = make_fake()
    net.blobs["prob"].reshape(1, 5, 7, 7)
    assert classes_of(tmp_path, net).listed is None


def test_what_the_settings_say_counts(tmp_path, make_fake):
    none = "caffevis_prob_layer = None\ncaffevis_label_layers = None"
    assert classes_of(tmp_path, make_fake(), none) == Classes(None, (), FIVE)
    other = "caffevis_prob_layer = 'fc'\ncaffevis_label_layers = ('conv',)"
    assert classes_of(tmp_path, make_fake(), other) == Classes("fc", ("conv",), FIVE)


def test_names_of_another_network_are_told_and_guessed_instead(tmp_path, make_fake):
    text = "caffevis_prob_layer = 'porb'\ncaffevis_label_layers = ('fc8', 'porb')"
    sentence = "no layer 'porb'; did you mean 'prob'"
    with pytest.warns(UserWarning, match=f"{sentence}.*; those of prob are shown"):
        assert classes_of(tmp_path, make_fake(), text) == Classes("prob", ("fc", "prob"), FIVE)
    net = make_fake()
    net.layers[-1].type = "InnerProduct"
    with pytest.warns(UserWarning, match=f"{sentence}.*; none are shown"):
        assert classes_of(tmp_path, net, text, ()).listed is None


def test_a_class_is_a_unit_of_the_first_layer_that_has_it(make_fake):
    layers = list_layers(make_fake(), 1.0, str)
    names = [layer.name for layer in layers]
    assert class_unit(Classes("prob", ("fc", "prob")), layers, 3) == (names.index("fc"), 3)
    assert class_unit(Classes("prob"), layers, 3) == (names.index("prob"), 3)
    assert class_unit(Classes("prob"), layers, 5) is None
    assert class_unit(Classes(), layers, 0) is None


def test_synsets_are_left_out_of_labels(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text(
        "n01532829 house finch, linnet\n  n02085620\tChihuahua \nn01440764\nn1 plain\nant\n",
        encoding="utf-8",
    )
    expected = ("house finch, linnet", "Chihuahua", "n01440764", "n1 plain", "ant")
    assert read_labels(str(path)) == expected


STARTS = {
    "conv:2 deconv": ("conv", 2, True, True, "deconv"),
    "conv:2": ("conv", 2, True, False, "grad"),
    "fc": ("fc", 0, False, False, "grad"),
    "fc grad": ("fc", 0, False, True, "grad"),
}


@pytest.mark.parametrize("start", STARTS)
def test_the_window_opens_where_the_setting_says(make_fake, start):
    net = make_fake()
    state = start_state(first_state(list_layers(net, 1.0, str), Options()), start, net)
    found = (state.layer.name, state.unit, state.in_units, state.back_on, state.back_mode)
    assert found == STARTS[start]


@pytest.mark.parametrize(("start", "sentence"), [
    ("cnov:2", "no layer 'cnov'; did you mean 'conv'"),
    ("conv:4", "conv has only 4 units"),
    ("conv:1 uphill", "one of grad, deconv, guided, not 'uphill'"),
    ("conv 1 2 3", "is not written like 'conv5:12 deconv'"),
])  # fmt: skip
def test_a_wrong_start_is_a_note_and_the_first_layer(make_fake, start, sentence):
    net = make_fake()
    state = first_state(list_layers(net, 1.0, str), Options())
    with pytest.warns(UserWarning, match=f"caffevis_start: .*{sentence}.*; the first layer"):
        assert start_state(state, start, net) == state
