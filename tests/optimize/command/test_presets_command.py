"""Presets 5 and 6 on the command line, the statistics of photos, and the hint at the end."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import torchcaffe as caffe
from optimize import photos
from optimize.__main__ import main

HINT = "--preset 5 makes one that shows more"


@pytest.fixture
def model(chain: caffe.Net, tmp_path: Path) -> list[str]:
    chain.save(str(tmp_path / "net.caffemodel"))
    (tmp_path / "empty.py").write_text("", encoding="utf-8")
    return ["--settings", str(tmp_path / "empty.py"), "--deploy-proto",
            str(tmp_path / "chain.prototxt"), "--net-weights", str(tmp_path / "net.caffemodel"),
            "--threads", "1", "--quiet", "--skipbig", "--brave", "--push-layer", "fc",
            "--output-prefix", str(tmp_path / "o" / "x")]  # fmt: skip


def params(folder: Path) -> dict:
    (info,) = folder.glob("*_info.json")
    return json.loads(info.read_text())["params"]


def test_a_preset_brings_all_that_belongs_to_it(model, tmp_path, capsys):
    assert main([*model, "--preset", "5", "--max-iter", "55"]) == 0
    assert HINT not in capsys.readouterr().err
    p = params(tmp_path / "o")
    assert (p["parametrisation"], p["lr_policy"], p["decay"], p["max_iter"]) == \
        ("fourier", "constant", 0, 55)  # fmt: skip
    assert main([*model, "--parametrisation", "maco", "--max-iter", "4"]) == 0
    p = params(tmp_path / "o")
    assert (p["parametrisation"], p["decay"], p["crop"]) == ("maco", 0, 0)
    assert main([*model, "--max-iter", "4"]) == 0
    p = params(tmp_path / "o")
    assert (p["parametrisation"], p["decay"], p["lr_policy"]) == ("pixels", 1e-4, "rms")


def test_a_picture_that_is_nearly_gray_is_said(model, tmp_path, capsys):
    gray = ["--lr-params", "step=0.2", "--max-iter", "60"]
    assert main([*model, *gray]) == 0
    told = capsys.readouterr()
    assert "layer 'fc', unit 0: the picture is nearly gray" in told.err and HINT in told.err
    folder = [*model, "--unit-jpg-dir", str(tmp_path / "u"), "--seeds", "2"]
    assert main([*folder, *gray, "--push-channels", "0-2"]) == 0
    told = capsys.readouterr()
    assert "layer 'fc', units 0, 1, 2: the picture is nearly gray" in told.err
    assert told.err.count("\n") == 1
    strong = ["--max-iter", "60", "--blur-every", "0", "--lr-params", "step=12"]
    assert main([*model, *strong]) == 0
    assert HINT not in capsys.readouterr().err, "strong pictures"


@pytest.mark.parametrize(("words", "sentence"), [
    (["--preset", "5", "--decay", "0.1"], "Decay changes pixels after each step"),
    (["--preset", "6", "--tv", "1"], "TotalVariation changes pixels after each step"),
    (["--preset", "5", "--lr-policy", "rms"], "steps by Adam, whose rate is adam_rate"),
    (["--preset", "6", "--start-at", "mean"], "starts by its seed"),
    (["--crop", "1"], "a number from 0 to 0.9 is accepted"),
    (["--preset", "5", "--adam-rate", "0"], "adam_rate is 0.0"),
    (["--photo-statistics", "absent.json"], "python -m optimize.photos FOLDER --out FILE"),
    (["--preset", "7"], "invalid choice: 7"),
])  # fmt: skip
def test_what_does_not_go_together_is_one_sentence(model, capsys, words, sentence):
    assert main([*model, "--max-iter", "2", *words]) == 2
    told = capsys.readouterr().err
    assert sentence in told and told.count("\n") == 1


def test_the_users_own_photos(model, tmp_path, capsys):
    rng = np.random.default_rng(0)
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for k in range(3):
        rough = cv2.resize(rng.integers(0, 90, (5, 5, 3)).astype(np.uint8), (90, 70))
        cv2.imwrite(str(tmp_path / "photos" / "deep" / f"{k}.png"), rough)
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no picture")
    file = tmp_path / "own.json"
    assert photos.main([str(tmp_path / "photos"), "--out", str(file)]) == 0
    told = capsys.readouterr()
    assert "broken.jpg" in told.err and told.out == f"{file}, of 3 photos\n"
    pictures = []
    for words in ([], ["--photo-statistics", str(file)]):
        assert main([*model, "--preset", "6", "--max-iter", "3", *words]) == 0
        pictures.append(cv2.imread(str(next((tmp_path / "o").glob("*_best_Xpm.jpg")))))
    assert pictures[1].mean() < pictures[0].mean() - 20, "these photos are dark"
    assert photos.main([str(tmp_path / "o" / "none"), "--out", str(file)]) == 2
    assert "there is no photo in" in capsys.readouterr().err
