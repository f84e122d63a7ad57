"""Settings files: every kind of value, every kind of mistake, older users' files."""

from __future__ import annotations

from pathlib import Path

import pytest

import settings as settings_file
from settings import ROOT, TABLE
from toolbox.settings import config
from toolbox.settings.config import SettingsError


def load(tmp_path: Path, text: str) -> config.Settings:
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    return settings_file.load(path)


MODEL = "caffevis_deploy_prototxt = 'a.prototxt'\ncaffevis_network_weights = 'a.caffemodel'\n"


def test_every_default_passes_its_own_check():
    for row in TABLE.rows:
        row.kind(row.default)


def test_every_setting_is_documented_and_declared_once():
    names = [row.name for row in TABLE.rows]
    assert len(names) == len(set(names))
    assert not set(names) & TABLE.legacy
    assert all(row.help for row in TABLE.rows)


def test_without_a_file_the_bundled_model_is_shown():
    settings = config.load(TABLE, None)
    assert settings.caffevis_deploy_prototxt.startswith(str(ROOT / "models"))
    assert settings.caffevis_data_mean == (104, 117, 123)
    assert settings.caffevis_prob_layer == "prob"
    assert settings.caffevis_unit_jpg_dir.startswith(str(ROOT / "models"))
    assert dict(settings.window_panes)["caffevis_jpgvis"] == (0, 1200, 900, 300)


def test_a_file_without_a_model_keeps_the_bundled_one(tmp_path):
    settings = load(tmp_path, "global_scale = 0.5")
    assert settings.global_scale == 0.5
    assert settings.caffevis_prob_layer == "prob"


def test_a_file_with_a_model_takes_nothing_from_the_bundled_one(tmp_path):
    settings = load(tmp_path, MODEL)
    assert settings.caffevis_data_mean is None
    assert settings.caffevis_labels is None
    assert dict(settings.window_panes)["caffevis_jpgvis"] == (0, 1200, 900, 300)


def test_paths_expand_the_root_and_are_looked_up_beside_the_file(tmp_path):
    (tmp_path / "a.prototxt").touch()
    text = MODEL + "caffevis_labels = '%DVT_ROOT%/models/x.txt'\nstatic_files_dir = '/p'\n"
    settings = load(tmp_path, text)
    assert settings.caffevis_deploy_prototxt == str(tmp_path / "a.prototxt")
    assert settings.caffevis_network_weights == str(ROOT / "a.caffemodel")
    assert settings.caffevis_labels == str(ROOT / "models/x.txt")
    assert settings.static_files_dir == "/p"


def test_files_that_inputs_hold_are_looked_up_beside_the_file(tmp_path):
    (tmp_path / "d.npy").write_bytes(b"")
    held = "{'im_info': (600, 800, 1), 'depth': 'd.npy', 'x': -2}"
    found = load(tmp_path, MODEL + f"caffevis_held_inputs = {held}").caffevis_held_inputs
    assert found == {"im_info": (600, 800, 1), "depth": str(tmp_path / "d.npy"), "x": -2}
    with pytest.raises(SettingsError, match="caffevis_held_inputs must be a dict from inputs"):
        load(tmp_path, MODEL + "caffevis_held_inputs = {'im_info': None}")


def test_a_folder_to_write_to_is_where_the_app_was_started(tmp_path, monkeypatch):
    started = tmp_path / "started"
    started.mkdir()
    (tmp_path / "shots").mkdir()
    monkeypatch.chdir(started)
    assert load(tmp_path, "").saved_pictures_dir == str(started)
    assert load(tmp_path, "saved_pictures_dir = 'shots'").saved_pictures_dir == str(
        started / "shots"
    )
    text = "saved_pictures_dir = '%DVT_ROOT%/shots'"
    assert load(tmp_path, text).saved_pictures_dir == str(ROOT / "shots")


def test_font_sizes_follow_the_global_one_unless_set(tmp_path):
    settings = load(tmp_path, "global_font_size = 0.5\ncaffevis_class_fsize = 0.9\n")
    assert settings.caffevis_control_fsize == 0.5
    assert settings.caffevis_class_fsize == 0.9


def test_a_files_own_helpers_are_no_settings(tmp_path):
    text = "import os\nfrom math import sqrt\n_height = 5\ndef helper(x): return x\n"
    load(tmp_path, text + MODEL)


def test_what_a_file_reads_itself_is_its_own_helper(tmp_path):
    text = (
        "import os\nfrom math import pi\nuser = 'me'\nmodel_dir = os.path.join('/home', user)\n"
        "caffevis_labels = model_dir + '/labels.txt'\n"
        "for line in ('0.5', '2'):\n    global_scale = float(line) * pi / pi\n"
    )
    settings = load(tmp_path, text + MODEL)
    assert settings.caffevis_labels == "/home/me/labels.txt"
    assert settings.global_scale == 2


MISTAKES = {
    "global_scal = 2\nglobal_font_size = global_scal": "did you mean 'global_scale'",
    "caffevis_data_maen = None": "'caffevis_data_maen'.*did you mean 'caffevis_data_mean'",
    "def caffevis_layer_prety_name_fn(n): return n": "did you mean 'caffevis_layer_pretty_name_fn'",
    "zzz = 1": "'zzz', which is no setting; begin a helper's name with an underscore",
    "global_scale = 'big'": "global_scale must be a number from 0.05 to 10, but is 'big'",
    "global_scale = float('nan')": "global_scale must be a number",
    "global_scale = True": "global_scale must be a number",
    "caffevis_fast_move_dist = 1.5": "must be a whole number from 1, but is 1.5",
    "window_background = (1, 2)": "window_background must be a colour",
    "help_face = 'FONT_COMIC'": "must be one of OpenCV's fonts",
    "window_panes = [('input', 3)]": "window_panes must be a list of panes",
    "static_files_regexp = '('": "must be a regular expression",
    "static_files_input_mode = 'tape'": "must be one of 'directory', 'image_list'",
    "installed_apps = ('caffevis.app', 'CaffeVisApp')": "must be a list of apps",
    "caffevis_layer_pretty_name_fn = 'name'": "must be None or a function",
    "caffevis_data_mean = (1, 'x')": "caffevis_data_mean must be None or",
    "x =": "line 1: SyntaxError",
    "\n\n1 / 0": "line 3: ZeroDivisionError: division by zero",
    "import missing_module_xyz": "line 1: ModuleNotFoundError",
    "raise SystemExit(3)": "line 1: SystemExit",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_one_sentence(tmp_path, text: str):
    with pytest.raises(SettingsError, match=MISTAKES[text]) as caught:
        load(tmp_path, text)
    assert "mine.py" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(SettingsError, match=r"none\.py does not exist"):
        settings_file.load(tmp_path / "none.py")


def test_settings_do_not_change():
    settings = config.load(TABLE, None)
    with pytest.raises(AttributeError):
        settings.global_scale = 3
    with pytest.raises(AttributeError, match="no setting"):
        _ = settings.bogus


# What a file written for the original toolbox sets, by its names and types.
ORIGINAL = """
caffevis_caffe_root = '/path/to/caffe'
caffevis_deploy_prototxt = '%DVT_ROOT%/models/m/deploy.prototxt'
caffevis_network_weights = '%DVT_ROOT%/models/m/weights'
caffevis_data_mean = '%DVT_ROOT%/models/m/mean.npy'
caffevis_labels = '%DVT_ROOT%/models/m/labels.txt'
caffevis_label_layers = ('fc8', 'prob')
caffevis_prob_layer = 'prob'
caffevis_unit_jpg_dir = '%DVT_ROOT%/models/m/unit_jpg_vis'
caffevis_jpgvis_layers = ['conv1', 'conv2', 'prob']
caffevis_jpgvis_remap = {'pool1': 'conv1'}
def caffevis_layer_pretty_name_fn(name):
    return name.replace('pool', 'p')
caffevis_filter_layers = lambda name: '_split_' in name
_control_height = 125
window_panes = (
    ('input', (0, 0, 300, 300)),
    ('caffevis_status', (900, 0, 30, 1500)),
    ('caffevis_layers', (_control_height, 300, 900 - _control_height, 1200)),
)
caffevis_layers_aspect_ratio = float(window_panes[-1][1][3]) / window_panes[-1][1][2]
caffevis_control_fsize = .85
caffevis_control_line_spacing = 10
caffevis_mode_gpu = True
global_scale = 1.2
global_font_size = .9
print_dots = False
caffevis_jpg_cache_size = 2000 * 1024 ** 2
input_updater_heartbeat_required = 15.0
"""

FORK = """
base_folder = '%DVT_ROOT%/'
caffevis_deploy_prototxt = base_folder + './models/m/deploy.prototxt'
caffevis_network_weights = base_folder + './models/m/weights.caffemodel'
caffevis_data_mean = (103.939, 116.779, 123.68)
static_files_dir = base_folder + './input_images/'
static_files_input_mode = 'image_list'
static_files_input_file = base_folder + 'list.txt'
caffevis_label_layers = ['fc8', 'prob']
caffevis_outputs_dir = base_folder + './models/m/outputs'
layers_to_output_in_offline_scripts = ['conv5_3']
max_tracker_do_histograms = False
caffe_net_channel_swap = None
caffe_net_raw_scale = 255.0
caffe_net_input_scale = None
caffevis_score_face = 5
is_siamese = False
"""


@pytest.mark.parametrize("text", [ORIGINAL, FORK])
def test_older_files_load_as_they_are_and_say_once_what_has_no_effect(tmp_path, text: str):
    settings = load(tmp_path, text)
    assert len(settings.notes) == 1
    assert "no effect here" in settings.notes[0]
    assert settings.caffevis_deploy_prototxt.startswith(str(ROOT))


def test_older_files_settings_of_unit_images_take_effect(tmp_path):
    settings = load(tmp_path, ORIGINAL)
    assert settings.caffevis_unit_jpg_dir == str(ROOT / "models/m/unit_jpg_vis")
    assert settings.caffevis_jpgvis_layers == ("conv1", "conv2", "prob")
    assert settings.caffevis_jpgvis_remap == {"pool1": "conv1"}
    assert settings.caffevis_jpg_cache_size == 2000 * 1024**2
    assert "jpg" not in settings.notes[0]


def test_a_file_may_compute_its_values(tmp_path):
    assert load(tmp_path, ORIGINAL).caffevis_layers_aspect_ratio == pytest.approx(1200 / 775)
