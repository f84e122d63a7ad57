"""What the kind of network and the preset fill in, and what a file sets itself."""

from __future__ import annotations

from pathlib import Path

import pytest

import settings as settings_file
from toolbox.settings.config import SettingsError
from toolbox.settings.presets import PRESETS, with_model


def load(tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    return settings_file.load(path)


@pytest.mark.parametrize("ending", ["pt2", "onnx"])
def test_a_definition_with_its_weights_needs_no_other_file_and_is_rgb(tmp_path, ending):
    values = load(tmp_path, f"caffevis_deploy_prototxt = 'net.{ending}'")
    assert values.caffevis_network_weights == values.caffevis_deploy_prototxt
    assert values.caffe_net_channel_swap == (0, 1, 2)
    assert values.caffevis_data_mean is None and values.caffe_net_input_std is None


def test_what_the_file_sets_itself_counts(tmp_path):
    text = "caffevis_deploy_prototxt = 'n.pt2'\ncaffe_net_channel_swap = (2, 1, 0)\n"
    assert load(tmp_path, text).caffe_net_channel_swap == (2, 1, 0)
    values = load(tmp_path, text + "caffevis_input_preset = 'imagenet'\ncaffevis_data_mean = 5")
    assert values.caffe_net_channel_swap == (2, 1, 0) and values.caffevis_data_mean == 5
    assert values.caffe_net_input_std == (58.395, 57.12, 57.375)


def test_python_code_is_looked_up_beside_the_file(tmp_path):
    assert load(tmp_path, "caffevis_torch_model = 'mine_nets:net'").caffevis_deploy_prototxt == (
        "mine_nets:net"
    )
    (tmp_path / "mine_nets.py").write_text("", encoding="utf-8")
    for text in ("mine_nets:net@3,32,32", "mine_nets.py:net@3,32,32"):
        values = load(tmp_path, f"caffevis_torch_model = {text!r}")
        assert values.caffevis_deploy_prototxt == f"{tmp_path}/mine_nets.py:net@3,32,32"
        assert values.caffevis_network_weights == "-"
    weights = "\ncaffevis_network_weights = 'state.pth'"
    values = load(tmp_path, "caffevis_torch_model = 'mine_nets:net'" + weights)
    assert values.caffevis_network_weights.endswith("state.pth")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("caffevis_torch_model = 'mynets'", 'as "mynets:resnet" or "nets/mynets.py:resnet"'),
        (
            "caffevis_torch_model = 'a:b'\ncaffevis_deploy_prototxt = 'a.prototxt'",
            "both name a network; keep one",
        ),
        (
            "caffevis_deploy_prototxt = 'a.pt2'\ncaffevis_network_weights = 'b.pth'",
            "has its weights in it; leave caffevis_network_weights out",
        ),
        ("caffevis_input_preset = 'vgg'", "caffevis_input_preset must be .*imagenet"),
        ("caffe_net_input_std = (1, 0, 1)", "caffe_net_input_std must be"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_a_sentence(tmp_path, text, said):
    with pytest.raises(SettingsError, match=said):
        load(tmp_path, text)


def test_another_network_leaves_window_and_inputs_and_nothing_of_the_files(tmp_path):
    values = settings_file.load(None)
    changed = with_model(values, "net.onnx", None, None)
    assert changed.caffevis_network_weights == changed.caffevis_deploy_prototxt == "net.onnx"
    assert changed.caffevis_labels is None and changed.caffevis_unit_jpg_dir is None
    assert changed.caffevis_start is None
    assert changed.source == Path("my_settings.py").absolute()  # which the commands shown name
    said = 'write caffevis_deploy_prototxt = "net.onnx" into my_settings.py; docs/pytorch.md'
    assert said in changed.notes[-1]
    both = with_model(values, "a:b", "w.pth", "half").notes[-1]
    assert 'caffevis_torch_model = "a:b" and caffevis_network_weights = "w.pth" and ' in both
    assert 'caffevis_input_preset = "half" into my_settings.py' in both
    assert changed.caffe_net_input_std == PRESETS["imagenet"][2]
    assert changed.window_panes == values.window_panes
    assert with_model(values, "a.prototxt", "w", None).caffe_net_channel_swap == (2, 1, 0)
    assert with_model(values, "a:b", None, "half").caffevis_data_mean == (127.5,) * 3
    with pytest.raises(SettingsError, match="needs its weights: --weights FILE"):
        with_model(values, "a.prototxt", None, None)
    with pytest.raises(SettingsError, match="weights without the network.* --weights state.pth"):
        with_model(values, "state.pth", None, None)
    with pytest.raises(SettingsError, match="leave --weights out"):
        with_model(values, "a.pt2", "w", None)
