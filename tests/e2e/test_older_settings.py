"""Settings files of the original toolbox and its fork: they load, and the app runs with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import settings as settings_file
import torchcaffe as caffe
from settings import ROOT
from toolbox.pictures.image_file import read_image, write_image

FILES = Path(__file__).with_name("older_settings")
HOME = Path.home()

EXPECTED: dict[str, dict[str, Any]] = {
    "caffenet-yos": {
        "caffevis_deploy_prototxt":
            str(ROOT / "models/caffenet-yos/caffenet-yos-deploy.prototxt"),
        "caffevis_data_mean": str(ROOT / "models/caffenet-yos/ilsvrc_2012_mean.npy"),
        "caffevis_label_layers": ("fc8", "prob"),
        "static_files_dir": str(HOME / "photos/zoo"),
        "static_file_stretch_mode": True,
        "input_updater_capture_device": 1,
        "caffevis_fast_move_dist": 5,
        "caffevis_boost_gamma_choices": (1, .7, .5, .3, .1),
        "global_scale": .8,
        "caffevis_control_fsize": .9,
        "caffevis_status_clr": (.9, .9, .6),
        "caffevis_mode_gpu": False,
    },
    "bvlc-googlenet": {
        "caffevis_network_weights": str(ROOT / "models/bvlc-googlenet/bvlc-googlenet.caffemodel"),
        "caffevis_data_mean": (104, 117, 123),
        "caffevis_label_layers": ("loss3/classifier", "prob"),
        "caffevis_layers_aspect_ratio": 1200 / 775,
        "caffevis_control_fsize": .85,
        "caffevis_mode_gpu": True,
        "input_updater_capture_device": 0,
    },
    "squeezenet": {
        "caffevis_labels": str(ROOT / "models/squeezenet/ilsvrc_2012_labels.txt"),
        "caffevis_prob_layer": "prob",
        "caffevis_control_line_spacing": 10,
        "input_updater_capture_device": None,
        "installed_apps": (("caffevis.app", "CaffeVisApp"),),
    },
    "fork": {
        "caffevis_deploy_prototxt": str(ROOT / "models/twins/twins.prototxt"),
        "caffe_net_channel_swap": (2, 1, 0, 5, 4, 3),
        "static_files_input_mode": "siamese_image_list",
        "is_siamese": True,
        "siamese_input_mode": "concat_channelwise",
        "caffevis_gpu_id": 2,
    },
}  # fmt: skip
NAMES = {
    "caffenet-yos": ("pool1", "p1"),
    "bvlc-googlenet": ("inception_3a/3x3_reduce", "i3a/3x3_r"),
    "squeezenet": ("fire2/squeeze1x1", "f2/s"),
    "fork": ("norm2", "n2"),
}


def write_settings(case: str, folder: Path, more: str = "") -> Path:
    path = folder / "settings_local.py"
    path.write_text((FILES / f"{case}.txt").read_text(encoding="utf-8") + more, encoding="utf-8")
    return path


@pytest.mark.parametrize("case", EXPECTED)
def test_an_older_file_loads_unchanged(tmp_path, case: str):
    settings = settings_file.load(write_settings(case, tmp_path))
    for name, value in EXPECTED[case].items():
        expected = value if name == "installed_apps" else pytest.approx(value)
        assert getattr(settings, name) == expected, name
    long, short = NAMES[case]
    assert settings.caffevis_layer_pretty_name_fn(long) == short
    assert len(settings.notes) <= 1


# ------------------------------------------------------------------ the app with them

UNITS = 6


def layer(name: str, kind: str, bottom: str, more: str = "", top: str | None = None) -> str:
    bottoms = " ".join(f'bottom: "{blob}"' for blob in bottom.split())
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} top: "{top or name}" {more} }}\n'


def conv(name: str, bottom: str, units: int = UNITS) -> str:
    filler = 'weight_filler { type: "gaussian" std: 0.1 }'
    more = f"convolution_param {{ num_output: {units} kernel_size: 3 pad: 1 {filler} }}"
    return layer(name, "Convolution", bottom, more) + layer(f"relu_{name}", "ReLU", name, top=name)


def pool(name: str, bottom: str) -> str:
    return layer(name, "Pooling", bottom, "pooling_param { pool: MAX kernel_size: 3 stride: 2 }")


def fc(name: str, bottom: str, units: int) -> str:
    filler = 'weight_filler { type: "gaussian" std: 0.1 }'
    return layer(
        name, "InnerProduct", bottom, f"inner_product_param {{ num_output: {units} {filler} }}"
    )


def data(channels: int = 3) -> str:
    shape = f"shape {{ dim: 1 dim: {channels} dim: 32 dim: 32 }}"
    return "force_backward: true\n" + (
        f'layer {{ name: "data" type: "Input" top: "data" input_param {{ {shape} }} }}\n'
    )


# Networks with the names of the real ones, but few units.
NETS = {
    "caffenet-yos": data()
    + conv("conv1", "data") + pool("pool1", "conv1") + layer("norm1", "LRN", "pool1")
    + conv("conv2", "norm1") + pool("pool2", "conv2") + layer("norm2", "LRN", "pool2")
    + conv("conv3", "norm2") + conv("conv4", "conv3") + conv("conv5", "conv4")
    + pool("pool5", "conv5") + fc("fc6", "pool5", 16) + fc("fc7", "fc6", 16)
    + fc("fc8", "fc7", 9) + layer("prob", "Softmax", "fc8"),
    "bvlc-googlenet": data()
    + conv("conv1/7x7_s2", "data") + pool("pool1/3x3_s2", "conv1/7x7_s2")
    + conv("inception_3a/1x1", "pool1/3x3_s2") + conv("inception_3a/3x3_reduce", "pool1/3x3_s2")
    + layer("inception_3a/output", "Concat", "inception_3a/1x1 inception_3a/3x3_reduce")
    + fc("loss3/classifier", "inception_3a/output", 9)
    + layer("prob", "Softmax", "loss3/classifier"),
    "squeezenet": data()
    + conv("conv1", "data") + pool("pool1", "conv1") + conv("fire2/squeeze1x1", "pool1")
    + conv("fire2/expand1x1", "fire2/squeeze1x1") + conv("fire2/expand3x3", "fire2/squeeze1x1")
    + layer("fire2/concat", "Concat", "fire2/expand1x1 fire2/expand3x3")
    + conv("conv10", "fire2/concat", 9)
    + layer("pool10", "Pooling", "conv10", "pooling_param { pool: AVE global_pooling: true }")
    + layer("prob", "Softmax", "pool10"),
    "fork": data(6) + conv("conv1", "data") + pool("pool1", "conv1")
    + fc("fc8", "pool1", 9) + layer("prob", "Softmax", "fc8"),
}  # fmt: skip
SIZES = {"caffenet-yos": .8, "bvlc-googlenet": 1.0, "squeezenet": .6, "fork": 1.0}  # fmt: skip


@pytest.fixture
def older(tmp_path):
    """Write a file of an older toolbox that names a small model; all else in it is unchanged."""

    def make(case: str) -> Path:
        (tmp_path / "net.prototxt").write_text(NETS[case], encoding="utf-8")
        caffe.set_random_seed(1)
        net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
        net.save(str(tmp_path / "net.caffemodel"))
        mean = np.full((3, 40, 40), 110, np.float32)
        np.save(tmp_path / "mean.npy", mean)
        (tmp_path / "labels.txt").write_text("\n".join("abcdefghi"), encoding="utf-8")
        photo = np.random.default_rng(3).integers(0, 255, (40, 50, 3), dtype=np.uint8)
        for name in ("one.png", "two.png"):
            write_image(tmp_path / name, photo[:: 1 if name == "one.png" else -1])
        (tmp_path / "pairs.txt").write_text("one.png two.png 1\n", encoding="utf-8")
        more = (
            "caffevis_deploy_prototxt = 'net.prototxt'\n"
            "caffevis_network_weights = 'net.caffemodel'\n"
            "caffevis_labels = 'labels.txt'\n"
        )
        if case == "caffenet-yos":
            more += "caffevis_data_mean = 'mean.npy'\n"
        if case == "fork":
            more += "static_files_input_file = 'pairs.txt'\n"
        return write_settings(case, tmp_path, more)

    return make


@pytest.mark.parametrize("case", NETS)
def test_the_app_runs_with_an_older_file(in_process, older, tmp_path, case: str):
    path, out = older(case), tmp_path / "out.png"
    photos = [] if case == "fork" else ["--image", tmp_path / "one.png"]
    arguments = ["--headless", "--keys", "o down right b s s 9 9", "--screenshot", out, *photos]
    done = in_process(*arguments, settings=path)
    assert (done.code, done.out) == (0, ""), done.err
    notes = done.err.splitlines()
    assert all(note.startswith("note: ") for note in notes), done.err
    assert len(notes) <= 4
    picture = read_image(out)
    scale = SIZES[case]
    assert picture.shape == (round(930 * scale), round(1500 * scale), 3)
    side = round(300 * scale)
    for row in range(3):  # the photo, the unit, what it answers to
        pane = picture[row * side : row * side + side // 2, : side // 2]
        assert len(np.unique(pane)) > 5, row
    assert len(np.unique(picture[side:, side : 4 * side])) > 10


def test_a_pair_is_seen_in_the_window_side_by_side(in_process, older, tmp_path):
    path, out = older("fork"), tmp_path / "out.png"
    done = in_process("--headless", "--keys", "down b", "--screenshot", out, settings=path)
    assert done.code == 0
    picture = read_image(out)
    # Without the seam; two.png is one.png upside down.
    left, right = picture[:150, 4:146].astype(int), picture[:150, 154:296].astype(int)
    assert np.abs(left[::-1] - right).mean() < 4
    assert np.abs(left - right).mean() > 20
    back = picture[600:750, :300]
    assert len(np.unique(back[:, :150])) > 10
    assert len(np.unique(back[:, 150:])) > 10
    assert len(np.unique(picture[151:280, :300])) == 1  # below it the name of the file


# ------------------------------------------------------------------ a file that was changed


def test_a_bad_value_is_one_sentence_at_the_next_start_and_mending_it_is_enough(
    in_process, older, tmp_path
):
    path, out = older("squeezenet"), tmp_path / "out.png"
    run = ("--headless", "--keys", "o", "--screenshot", out, "--image", tmp_path / "one.png")
    assert in_process(*run, settings=path).code == 0
    before, good = read_image(out), path.read_text(encoding="utf-8")
    out.unlink()
    for line, message in (
        ("global_scale = 'large'", "global_scale must be a number from 0.05 to 10"),
        ("caffevis_prob_layr = 'prob'", "did you mean 'caffevis_prob_layer'"),
        ("caffevis_data_mean = (1, 2)", "caffevis_data_mean has the shape (2,)"),
        ("caffevis_labels = ", "SyntaxError"),
    ):
        path.write_text(f"{good}{line}\n", encoding="utf-8")
        done = in_process(*run, settings=path)
        assert (done.code, done.out) == (2, "")
        sentence = done.err.splitlines()[-1]
        assert sentence.startswith("live_vis.py: ")
        assert message in sentence
        assert "Traceback" not in done.err
        assert not out.exists()
    path.write_text(good, encoding="utf-8")
    assert in_process(*run, settings=path).code == 0
    assert np.array_equal(read_image(out), before)
