"""`python -m optimize`: its files, its resuming, and its errors."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import torchcaffe as caffe
from optimize.__main__ import main
from optimize.command.arguments import mean, parse, rates
from optimize.errors import OptimizeError
from toolbox.command_line import numbers, numbers_text
from toolbox.pictures.image_file import read_image

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def model(chain: caffe.Net, tmp_path: Path) -> list[str]:
    weights = tmp_path / "net.caffemodel"
    chain.save(str(weights))
    (tmp_path / "empty.py").write_text("", encoding="utf-8")
    return ["--settings", str(tmp_path / "empty.py"), "--deploy-proto",
            str(tmp_path / "chain.prototxt"), "--net-weights", str(weights), "--threads", "1",
            "--quiet"]  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_single_run_writes_pictures_numbers_and_arrays(model, tmp_path, capsys):
    prefix = tmp_path / "out" / "opt"
    words = ["--push_layer", "conv2", "--push-channel=6", "--max-iter", "5", "--rand-seed", "3",
             "--lr-policy", "constant", "--lr-params", "{'lr': 100}", "--output-prefix",
             str(prefix)]  # fmt: skip
    assert main(model + words) == 0
    made = contents(prefix.parent)
    name = "opt_conv2_0006_3"
    assert set(made) == {
        name + ending
        for ending in ("_best_X.jpg", "_best_Xpm.jpg", "_info.txt", "_info.json", ".npz")
    }
    info = json.loads(made[name + "_info.json"])
    assert info["params"]["lr_params"] == {"lr": 100}
    assert info["params"]["decay"] == 0.0001, "the settings' default"
    with np.load(prefix.parent / (name + ".npz"), allow_pickle=False) as arrays:
        best = arrays["best_xx"]
        np.testing.assert_allclose(arrays["obj"], info["results"]["obj"])
    picture = read_image(prefix.parent / (name + "_best_Xpm.jpg")).astype(float)
    wanted = (best + np.array([104, 117, 123])[:, None, None])[::-1].transpose(1, 2, 0)
    assert picture.shape == wanted.shape
    assert np.abs(picture - wanted.clip(0, 255)).mean() < 4
    assert "best objective" in made[name + "_info.txt"].decode()
    assert name in capsys.readouterr().out
    assert main(model + words) == 2
    assert "--brave" in capsys.readouterr().err
    assert main([*model, *words, "--brave", "--skipbig"]) == 0
    assert main([*model, *words, "--resume", "--decay", "0.5"]) == 2
    assert "other settings" in capsys.readouterr().err
    weights = tmp_path / "net.caffemodel"
    weights.write_bytes(weights.read_bytes() + b"\xa0\x06\x00")  # a field that Caffe ignores
    assert main([*model, *words, "--resume"]) == 2
    assert "was made with another network, so this is no run to resume" in capsys.readouterr().err


def test_ranges_seeds_and_layers(model, tmp_path):
    words = ["--layers", "conv1", "fc", "--push-channels", "0-2,5", "--seeds", "2",
             "--preset", "2", "--max-iter", "3", "--skipbig",
             "--output-prefix", str(tmp_path / "o" / "x")]  # fmt: skip
    assert main(model + words) == 0
    infos = sorted((tmp_path / "o").glob("*_info.json"))
    assert len(infos) == 2 * 4 * 2
    params = [json.loads(path.read_text())["params"] for path in infos]
    assert {(p["push_layer"], p["push_channel"], p["rand_seed"]) for p in params} == {
        (layer, c, s) for layer in ("conv1", "fc") for c in (0, 1, 2, 5) for s in (0, 1)
    }
    assert {(p["decay"], p["blur_radius"], p["small_norm_percentile"]) for p in params} == {
        (0.3, 0, 20)
    }


def test_images_of_units_are_where_the_app_looks(model, tmp_path):
    from caffevis.units.image_paths import OPTIMISED, UnitFolder
    from caffevis.units.montage import find_sheet

    words = ["--layers", "conv1", "--seeds", "9", "--max-iter", "4", "--unit-jpg-dir"]
    assert main([*model, *words, str(tmp_path / "u")]) == 0
    folder = UnitFolder(str(tmp_path / "u"))
    for unit in range(8):
        picture = read_image(folder.unit(OPTIMISED, "conv1", unit)[0])
        assert picture.shape == (3 * 5 + 2, 3 * 5 + 2, 3)
        assert picture[5].max() < 40 < picture[:5, :5].mean(), "a dark line between tiles"
    path = folder.sheet("conv1")
    assert path is not None
    height, width = read_image(path).shape[:2]
    sheet = find_sheet(height, width, 8)
    assert sheet is not None
    assert (sheet.height, sheet.width, sheet.gap, sheet.columns) == (5, 5, 1, 3)
    scores = json.loads((path.parent / "scores.json").read_text())
    assert [unit["channel"] for unit in scores["units"]] == list(range(8))
    assert not (path.parent / ".batches").exists()
    assert main([*model, *words, str(tmp_path / "u")]) == 2
    assert main([*model, *words, str(tmp_path / "u"), "--resume"]) == 0


def test_a_folder_says_which_network_its_images_were_made_from(branches, tmp_path, model, capsys):
    from toolbox.pictures.stamp import NAME, read_stamp, stamp_of

    branches.save(str(tmp_path / "b.caffemodel"))
    other = ["--deploy-proto", str(tmp_path / "branches.prototxt"),
             "--net-weights", str(tmp_path / "b.caffemodel")]  # fmt: skip
    root = tmp_path / "u"
    words = ["--seeds", "1", "--max-iter", "2", "--unit-jpg-dir", str(root), "--layers"]
    assert main([*model, *words, "conv1"]) == 0
    folder = root / "regularized_opt" / "conv1"
    first = read_stamp(folder, root)
    assert first == stamp_of(model[3], model[5])
    folder.rename(root / "regularized_opt" / "b")  # as if conv1 were the other one's b
    capsys.readouterr()
    (root / "regularized_opt" / "b" / NAME).rename(root / NAME)  # and of the whole folder
    assert main([*model, *other, *words, "b/3x3"]) == 2
    assert "were made from" in (told := capsys.readouterr().err)
    assert "--unit-jpg-dir" in told and "--brave" in told and told.count("\n") == 1
    assert main([*model, *other, *words, "b/3x3", "--brave"]) == 0
    made = read_stamp(root / "regularized_opt" / "b" / "3x3", root)
    assert made is not None and made.weights == "b.caffemodel"
    (folder / "conv1_0000_montage.jpg").parent.mkdir()
    (folder / "conv1_0000_montage.jpg").write_bytes(b"older, of nobody knows what")
    (root / NAME).unlink()
    assert main([*model, *words, "conv1", "--push-channels", "1"]) == 0
    assert read_stamp(folder, root) is None


def test_a_layer_with_a_slash_becomes_a_folder(branches, tmp_path, model):
    from caffevis.units.image_paths import OPTIMISED, UnitFolder

    branches.save(str(tmp_path / "b.caffemodel"))
    words = ["--deploy-proto", str(tmp_path / "branches.prototxt"), "--net-weights",
             str(tmp_path / "b.caffemodel"), "--layers", "b/3x3", "--seeds", "1",
             "--max-iter", "2", "--unit-jpg-dir", str(tmp_path / "u")]  # fmt: skip
    assert main(model + words) == 0
    assert UnitFolder(str(tmp_path / "u")).unit(OPTIMISED, "b/3x3", 4)[0].exists()


@pytest.mark.parametrize("kind", ["units", "runs"])
def test_killed_and_resumed_ends_with_the_same_files(model, tmp_path, kind):
    words = ["--layers", "conv2", "fc", "--seeds", "2", "--max-iter", "150", "--batch-size", "6"]

    def command(folder: Path) -> list[str]:
        where = ["--unit-jpg-dir", str(folder)]
        if kind == "runs":
            where = ["--output-prefix", str(folder / "x")]
        return [sys.executable, "-m", "optimize", *model, *words, *where]

    straight, broken = tmp_path / "straight", tmp_path / "broken"
    subprocess.run(command(straight), cwd=ROOT, check=True, timeout=120, capture_output=True)
    wanted = contents(straight)
    count = len(wanted)
    for part in (0.2, 0.55, 0.8):
        process = subprocess.Popen([*command(broken), "--resume"], cwd=ROOT,
                                   stdout=subprocess.DEVNULL)  # fmt: skip
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            if sum(path.is_file() for path in broken.rglob("*")) >= part * count:
                break
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "killed before it was done"
    assert contents(broken) != wanted
    subprocess.run([*command(broken), "--resume"], cwd=ROOT, check=True, timeout=120)
    assert contents(broken) == wanted


WRONG = [
    (["--push-layer", "conv9"], "no layer 'conv9'"),
    (["--push-layer", "conv2", "--push-channel", "12"], "0 to 11"),
    (["--layers", "conv2", "--push-channels", "3-50"], "no channel 12"),
    (["--push-layer", "conv2", "--push-spatial", "9,9"], "rows 0 to 8"),
    (["--push-channels", "5-2"], "0-95,130"),
    (["--small-norm-percentile", "101"], "0 to 100"),
    (["--lr-params", "open('x')"], "step=4"),
    (["--lr-policy", "progress"], "desired_prog"),
    (["--mean", "nowhere.npy"], "nowhere.npy"),
    (["--mean", "1,2"], "mean has the shape"),
    (["--channel-swap-to-rgb", "2,1"], "2,1,0"),
    (["--channel-swap-to-rgb", "2,1,7"], "channel_swap_to_rgb"),
    (["--data-size", "9,9"], "--data-size"),
    (["--output-template", "%(nothing)s"], "--output-template"),
    (["--seeds", "2", "--output-template", "same"], "several runs"),
    (["--output-prefix", "/proc/nothing/x"], "cannot be written|nothing can be written"),
    (["--unit-jpg-dir", "/proc/nothing"], "nothing can be written"),
    (["--facets", "2"], "--start-images"),
    (["--start-images", "none.jpg", "--facets", "1"], "none.jpg"),
    (["--seeds", "0"], "whole number"),
    (["--objective", "fc:3 / 2"], "objective"),
    (["--preset", "7"], "preset"),
    (["--what"], "--what"),
]


@pytest.mark.parametrize(("words", "sentence"), WRONG)
def test_errors_are_one_sentence(model, tmp_path, capsys, words, sentence):
    here = ["--push-layer", "fc", "--max-iter", "2", "--output-prefix", str(tmp_path / "o" / "x")]
    if "--layers" in words:
        here = here[2:]
    assert main(model + here + words) == 2
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert out == ""
    assert re.search(sentence, err), err


def test_a_definition_needs_its_weights(capsys):
    assert main(["--deploy-proto", "x.prototxt"]) == 2
    assert "--net-weights" in capsys.readouterr().err


def test_values_are_parsed_and_never_evaluated():
    assert numbers("0-2, 7,1") == (0, 1, 2, 7)
    assert numbers_text((0, 1, 2, 7, 9, 10)) == "0-2_7_9-10"
    assert rates("step=4, late_step=2") == {"step": 4, "late_step": 2}
    assert rates('{"lr": 1.5}') == {"lr": 1.5}
    assert mean("104,117,123") == (104, 117, 123)
    assert mean("none") is None
    assert mean("__import__('os')") == "__import__('os')"
    assert parse(["--push_dir", "-1"]).push_dir == -1
    with pytest.raises(OptimizeError):
        parse(["--push-spatial", "(1, exit())"])


def test_facets_start_from_photos(model, tmp_path):
    import cv2

    paths = []
    for k, level in enumerate((30, 35, 200, 205)):
        paths.append(str(tmp_path / f"{k}.png"))
        cv2.imwrite(paths[-1], np.full((60, 50, 3), level, np.uint8))
    words = ["--push-layer", "fc", "--max-iter", "1", "--facets", "2", "--start-images", *paths,
             "--output-prefix", str(tmp_path / "o" / "x")]  # fmt: skip
    assert main(model + words) == 0
    levels = [read_image(p).mean() for p in sorted((tmp_path / "o").glob("*_best_Xpm.jpg"))]
    np.testing.assert_allclose(sorted(levels), [32.5, 202.5], atol=2)
