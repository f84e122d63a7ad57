"""live_vis.py from scripts: pictures without a display, and one sentence for each mistake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toolbox.drawing.tiles import plan_grid
from toolbox.pictures.image_file import read_image

INPUT = (slice(0, 200), slice(0, 200))
AUX = (slice(200, 400), slice(0, 200))
BACK = (slice(400, 600), slice(0, 200))
STATUS = (slice(600, 630), slice(0, 1200))
LAYERS = (slice(30, 600), slice(200, 1000))
JPGVIS = (slice(0, 600), slice(1000, 1200))


def shot(in_process, folder: Path, keys: str, *more: object) -> np.ndarray:
    out = folder / "out.png"
    done = in_process("--headless", "--keys", keys, "--screenshot", out, *more)
    assert (done.code, done.err) == (0, "")
    return read_image(out)


def test_keys_and_screenshot_work_without_a_display(in_process, tmp_path, world):
    first = shot(in_process, tmp_path, "")
    assert first.shape == (630, 1200, 3)
    photo = read_image(world / "photos" / "a first.png")[:, 30:150]
    assert np.abs(first[INPUT][118, 118].astype(int) - photo[70, 70]).max() < 20
    back = shot(in_process, tmp_path, "o o down right b")
    for pane in (AUX, BACK, STATUS, LAYERS):
        assert not np.array_equal(first[pane], back[pane])
    assert np.array_equal(first[INPUT], back[INPUT])
    assert len(np.unique(back[BACK])) > 10


def test_the_same_keys_give_the_same_picture_in_every_process(live_vis, in_process, tmp_path):
    keys = "o o down right n n m z e 5 t y"
    done = live_vis("--headless", "--keys", keys, "--screenshot", tmp_path / "other.png")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    here = shot(in_process, tmp_path, keys)
    assert np.array_equal(here, read_image(tmp_path / "other.png"))


def test_every_key_after_another_draws_and_esc_brings_the_start_back(in_process, tmp_path):
    pressed = "o down right 1 v r x g n n n m z o t v a z y s s . ; o / d v o x x 8 9 down 1 b"
    plain = shot(in_process, tmp_path, "")
    busy = shot(in_process, tmp_path, f"{pressed} e w")
    for pane in (INPUT, AUX, LAYERS, STATUS):
        assert not np.array_equal(plain[pane], busy[pane])
    assert np.array_equal(plain, shot(in_process, tmp_path, f"{pressed} esc"))
    # An ascent is ended first.
    assert np.array_equal(plain, shot(in_process, tmp_path, "o down 2 z z esc esc"))


def test_a_unit_is_laid_over_the_photo_and_back_again(in_process, tmp_path):
    plain = shot(in_process, tmp_path, "o down right")
    active = shot(in_process, tmp_path, "o down right v")
    inactive = shot(in_process, tmp_path, "o down right v v")
    assert np.all(active[INPUT] <= plain[INPUT].astype(int) + 1)
    assert active[INPUT].mean() < plain[INPUT].mean()
    assert not np.array_equal(inactive[INPUT], active[INPUT])
    assert np.array_equal(plain, shot(in_process, tmp_path, "o down right v v v v"))


def test_without_a_display_the_process_ends_with_2_and_one_line(live_vis):
    done = live_vis()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "--headless" in done.stderr


def test_images_named_on_the_command_line_are_shown(in_process, tmp_path, world):
    named = shot(in_process, tmp_path, "", "--image", world / "photos" / "b.png")
    stepped = shot(in_process, tmp_path, "e")
    assert np.array_equal(named[INPUT], stepped[INPUT])
    assert np.array_equal(named[LAYERS], stepped[LAYERS])


def test_an_unreadable_image_is_named_and_the_app_goes_on(in_process, tmp_path, world):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    out = tmp_path / "out.png"
    images = [tmp_path / "broken.jpg", world / "photos" / "b.png"]
    done = in_process("--headless", "--screenshot", out, "--image", *images)
    assert done.code == 0
    assert done.err == (
        "note: skipped: broken.jpg cannot be read: "
        "it is not a picture OpenCV can decode, or it is cut off\n"
    )
    alone = shot(in_process, tmp_path, "", "--image", images[1])
    assert done.code == 0
    assert np.array_equal(read_image(out)[INPUT], alone[INPUT])


def test_an_absent_camera_is_said_and_files_are_shown(in_process, tmp_path):
    out = tmp_path / "out.png"
    done = in_process("--headless", "--keys", "c", "--screenshot", out)
    assert (done.code, done.err) == (
        0, "note: camera 97 could not be opened; showing files\n",
    )  # fmt: skip
    plain = shot(in_process, tmp_path, "")
    assert np.array_equal(read_image(out)[INPUT], plain[INPUT])


def test_a_tour_is_written_where_there_is_no_display(in_process, tmp_path):
    done = in_process("--run-or-tour", tmp_path / "tour")
    assert (done.code, done.err) == (0, "")
    names = sorted(path.name for path in (tmp_path / "tour").iterdir())
    assert names[0] == "01_photo.png"
    assert len(names) >= 6
    assert str(tmp_path / "tour") in done.out
    assert "see it live" in done.out
    pictures = [read_image(tmp_path / "tour" / name) for name in names]
    for one, other in zip(pictures, pictures[1:], strict=False):
        assert not np.array_equal(one, other)


COMMAND_LINES = {
    "unknown key": (["--headless", "--keys", "o nokey"], "Nothing is bound to the key 'nokey'"),
    "unknown option": (["--headles"], "unrecognized arguments: --headles"),
    "keys with a window": (["--keys", "o"], "--keys and --screenshot need --headless"),
    "tour and headless": (["--headless", "--tour", "x"], "exclude each other"),
    "missing image": (["--headless", "--image", "/none/a.jpg"], "--image: there is no /none/a.jpg"),
    "two tours": (["--tour", "x", "--run-or-tour", "y"], "not allowed with argument"),
    "ending": (["--headless", "--screenshot", "out.xyz"], "its ending must be one of"),
    "folder": (["--headless", "--screenshot", "/none/out.png"], "the folder /none does not exist"),
    "no display": ([], "there is no display"),
}


@pytest.mark.parametrize("case", COMMAND_LINES)
def test_a_wrong_command_line_is_one_sentence_and_exit_code_2(in_process, case: str):
    arguments, message = COMMAND_LINES[case]
    done = in_process(*arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.startswith("live_vis.py: ")
    assert done.err.count("\n") == 1


MODELS = {
    "missing prototxt": ("caffevis_deploy_prototxt = 'none.prototxt'", "none.prototxt"),
    "bad prototxt": ("caffevis_deploy_prototxt = 'labels.txt'", "labels.txt"),
    "missing weights": ("caffevis_network_weights = 'none.caffemodel'", "none.caffemodel"),
    "no weights": ("caffevis_network_weights = None", "caffevis_network_weights is not set"),
    "bad weights": ("caffevis_network_weights = 'labels.txt'", "labels.txt"),
    "wrong shapes": ("caffevis_deploy_prototxt = 'other.prototxt'", "conv2"),
    "missing mean": ("caffevis_data_mean = 'none.npy'", "none.npy"),
    "mean too small": ("caffevis_data_mean = 'small.npy'", "smaller than the network's input"),
    "missing labels": ("caffevis_labels = 'none.txt'", "caffevis_labels"),
    "two in one place": ("window_panes = [('input', (0, 0, 9, 9)), ('caffevis_aux', (5, 5, 9, 9))]",
                          "overlap"),
    "unknown pane": ("window_panes = [('input', (0, 0, 9, 9)), ('aux', (9, 9, 9, 9))]",
                     "'aux' that nothing draws"),
    "unknown setting": ("caffevis_labls = None", "did you mean 'caffevis_labels'"),
    "missing app": ("installed_apps = (('caffevis.app', 'NoApp'),)", "NoApp"),
}  # fmt: skip


@pytest.mark.parametrize("case", MODELS)
def test_wrong_settings_and_models_are_one_sentence(in_process, world, tmp_path, case: str):
    line, message = MODELS[case]
    np.save(world / "small.npy", np.zeros((3, 8, 8), np.float32))
    other = (
        (world / "tiny.prototxt").read_text(encoding="utf-8").replace("output: 20", "output: 24")
    )
    (world / "other.prototxt").write_text(other, encoding="utf-8")
    settings = world / f"{case.replace(' ', '_')}.py"
    base = (world / "settings.py").read_text(encoding="utf-8")
    settings.write_text(base + line + "\n", encoding="utf-8")
    done = in_process("--headless", "--screenshot", tmp_path / "out.png", settings=settings)
    assert (done.code, done.out) == (2, ""), done.err
    assert message in done.err
    assert "Traceback" not in done.err
    assert done.err.strip().count("\n") == 0
    assert not (tmp_path / "out.png").exists()


def test_python_layers_run_only_when_allowed(in_process, world, tmp_path, monkeypatch):
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "double_e2e.py").write_text(
        "import torchcaffe as caffe\n"
        "class Double(caffe.Layer):\n"
        "    def reshape(self, bottom, top):\n"
        "        top[0].reshape(*bottom[0].shape)\n"
        "    def forward(self, bottom, top):\n"
        "        top[0].data[...] = 2 * bottom[0].data\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(modules))
    text = (world / "tiny.prototxt").read_text(encoding="utf-8")
    text += (
        'layer { name: "twice" type: "Python" bottom: "prob" top: "twice" '
        'python_param { module: "double_e2e" layer: "Double" } }\n'
    )
    (world / "python.prototxt").write_text(text, encoding="utf-8")
    settings = world / "python_settings.py"
    base = (world / "settings.py").read_text(encoding="utf-8")
    line = "caffevis_deploy_prototxt = 'python.prototxt'\n"
    settings.write_text(base + line, encoding="utf-8")
    out = tmp_path / "out.png"
    refused = in_process("--headless", "--screenshot", out, settings=settings)
    assert refused.code == 2
    assert "double_e2e" in refused.err
    assert "--allow-python-layers" in refused.err
    assert not out.exists()
    command = ("--headless", "--allow-python-layers", "--screenshot", out)
    assert in_process(*command, settings=settings).code == 0
    assert out.exists()


def test_images_of_the_selected_unit_are_shown_and_hidden(in_process, tmp_path, world):
    unit = shot(in_process, tmp_path, "o down right")
    for third, kind in enumerate(("regularized_opt", "max_im", "max_deconv")):
        ending = "_montage.jpg" if kind == "regularized_opt" else ".jpg"
        file = world / "unit_jpg_vis" / kind / "conv1" / f"conv1_0001{ending}"
        middle = unit[JPGVIS][200 * third + 100, 100].astype(int)
        assert np.abs(middle - read_image(file)[18, 18]).max() <= 3
    hidden = shot(in_process, tmp_path, "o down right 9")
    assert len(np.unique(hidden[JPGVIS])) == 1
    for pane in (INPUT, AUX, BACK, LAYERS):
        assert np.array_equal(unit[pane], hidden[pane])
    again = shot(in_process, tmp_path, "o down right 9 9")
    assert np.array_equal(unit, again)


def test_pattern_mode_shows_what_each_unit_prefers_and_says_where_it_cannot(
    in_process, tmp_path, world
):
    patterns = shot(in_process, tmp_path, "s")
    sheet = read_image(world / "unit_jpg_vis" / "regularized_opt" / "conv1" / "whole_layer.jpg")
    grid = plan_grid((1, 1), 3, 4, (570, 800))
    for unit in range(12):
        top, left = grid.corner(unit)
        shown = patterns[LAYERS][top + grid.height // 2, left + grid.width // 2].astype(int)
        row, column = divmod(unit, 4)
        assert np.abs(shown - sheet[16 * row + 8, 16 * column + 8]).max() <= 3
    # conv2 has none: nothing of conv1's is left, and the way back is the same key.
    none = shot(in_process, tmp_path, "s o o")
    assert np.count_nonzero(np.any(none[LAYERS] != (51, 51, 51), axis=2)) < 0.05 * 570 * 800
    assert np.array_equal(shot(in_process, tmp_path, "s o o s"), shot(in_process, tmp_path, "o o"))


def test_a_corrupt_unit_image_is_named_and_the_others_are_shown(in_process, tmp_path, world):
    file = world / "unit_jpg_vis" / "max_im" / "conv1" / "conv1_0005.jpg"
    whole = file.read_bytes()
    good = shot(in_process, tmp_path, "down right right right right right")
    try:
        file.write_bytes(whole[: len(whole) // 2])
        bad = shot(in_process, tmp_path, "down right right right right right")
    finally:
        file.write_bytes(whole)
    assert np.array_equal(good[JPGVIS][:200], bad[JPGVIS][:200])
    assert np.array_equal(good[JPGVIS][400:], bad[JPGVIS][400:])
    assert not np.array_equal(good[JPGVIS][200:400], bad[JPGVIS][200:400])
    assert not np.array_equal(good[STATUS], bad[STATUS])
