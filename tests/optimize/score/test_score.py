"""The scorecard: its measures by plain NumPy, and the command on images of a tiny net."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from optimize import GradientOptimizer
from optimize.__main__ import main as optimize
from optimize.params import FindParams
from optimize.score import measures, top_photos
from optimize.score.__main__ import main
from optimize.score.viewer import Viewer
from tests.optimize.conftest import CHAIN, build

MEAN = (104.0, 117.0, 123.0)


@pytest.mark.parametrize("slope", [-1.0, -2.0, -3.5])
@pytest.mark.parametrize("size", [(64, 64), (60, 96)])
def test_the_slope_of_a_spectrum_that_is_known(slope, size):
    rng = np.random.default_rng(0)
    away = np.hypot(*np.meshgrid(np.fft.fftfreq(size[0]), np.fft.fftfreq(size[1]), indexing="ij"))
    away[0, 0] = 1
    phases = np.fft.fft2(rng.standard_normal(size))
    image = np.fft.ifft2(phases / np.abs(phases) * away ** (slope / 2)).real
    image = 128 + 40 * image / image.std()
    found = measures.spectrum_slope(np.repeat(image[..., None], 3, 2))
    assert found == pytest.approx(slope, abs=0.15)


def test_a_tiny_picture_has_no_slope():
    assert math.isnan(measures.spectrum_slope(np.zeros((11, 40, 3), np.uint8)))


def test_path_similarity_by_plain_loops():
    rng = np.random.default_rng(1)
    base = np.array([5.0, 0, 0, 1, 0, 0])
    images, top, others = (k * base + rng.random((n, 6)) for n, k in ((4, 0.6), (5, 1), (3, 0)))

    def cos(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    own = np.mean([cos(top[i], top[j]) for i in range(5) for j in range(5) if i != j])
    usual = np.mean([cos(a, b) for a in others for b in top])
    seen = np.mean([cos(a, b) for a in images for b in top])
    parts = measures.likeness(images, top, others)
    np.testing.assert_allclose(parts, [seen, usual, own])
    found = measures.path_similarity([parts])
    assert 0.5 < found < 1
    assert found == pytest.approx((seen - usual) / (own - usual))
    both = measures.path_similarity([parts, parts + [0.1, 0, 0]])
    assert both == pytest.approx((seen + 0.05 - usual) / (own - usual))
    same = measures.likeness(images, top, top)
    assert math.isnan(measures.path_similarity([same])), "nothing sets these apart"
    same = np.array([[1.0, 0], [1, 0.1], [0.9, 0]])
    away = np.array([[0.0, 1], [0.1, 1]])
    assert measures.path_similarity([measures.likeness(same, same, away)]) > 0.99
    assert measures.path_similarity([measures.likeness(away, same, away)]) == pytest.approx(0)


def test_diversity_is_nothing_for_images_alike_and_grows_as_styles_differ():
    rng = np.random.default_rng(2)
    one = rng.random((1, 4, 9))
    assert measures.diversity(np.repeat(one, 3, 0)) == pytest.approx(0)
    apart = np.zeros((2, 4, 9))
    apart[0, 0], apart[1, 2] = 1, 1
    assert measures.diversity(apart) == pytest.approx(1)


def test_names_of_classes_meet_across_spellings():
    labels = ["n02106662 German shepherd, alsatian", "dalmatian, coach dog", "electric guitar"]
    values = np.array([0.1, 0.5, 0.4])
    assert measures.rank(values, labels, "Dalmatian") == 0
    assert measures.rank(values, labels, "electric_guitar") == 1
    assert measures.rank(values, labels, "german_shepherd") == 2
    assert measures.rank(values, labels, "shepherd") is None


def test_a_top_photo_is_cut_to_what_the_unit_sees_of_it(tmp_path):
    net = build(CHAIN, tmp_path)
    viewer = Viewer(GradientOptimizer(net, MEAN))
    rng = np.random.default_rng(0)
    photos = [rng.uniform(-60, 60, (3, 40, 40)).astype(np.float32) for _ in range(12)]
    units = [FindParams(push_layer="conv2", push_channel=k) for k in range(12)]
    values = viewer.values(photos, ["conv2"])["conv2"]
    seen = 0
    for k, compared in enumerate(top_photos.find(viewer, units, photos)):
        maps = values[:, k]
        order = np.argsort(-maps.max((1, 2)), kind="stable")[:9]
        places = [divmod(int(maps[photo].argmax()), 9) for photo in order]
        cut = [
            viewer.moved(photos[photo], units[k], place)
            for photo, place in zip(order, places, strict=True)
        ]
        at_home = viewer.values(cut, ["conv2"])["conv2"][:, k, 4, 4]
        for photo, place, found in zip(order, places, at_home, strict=True):
            if min(place) >= 1 and max(place) <= 6:  # at the border padding counts
                assert found == pytest.approx(maps[photo].max(), rel=1e-3)
                seen += 1
        wanted = top_photos.activations(viewer, cut, units[k])
        assert set(compared.top) == {"conv1", "conv2"}
        for layer, found in compared.top.items():
            np.testing.assert_allclose(found, wanted[layer], rtol=1e-4, atol=1e-5)
            assert len(compared.others[layer]) == 3
    assert seen > 10


@pytest.fixture
def made(chain, tmp_path: Path) -> list[str]:
    chain.save(str(tmp_path / "net.caffemodel"))
    (tmp_path / "labels.txt").write_text("".join(f"class {k}\n" for k in range(10)))
    (tmp_path / "own.py").write_text(
        f"caffevis_deploy_prototxt = {str(tmp_path / 'chain.prototxt')!r}\n"
        f"caffevis_network_weights = {str(tmp_path / 'net.caffemodel')!r}\n"
        f"caffevis_labels = {str(tmp_path / 'labels.txt')!r}\n"
        'caffevis_label_layers = ("fc",)\ncaffevis_data_mean = (104, 117, 123)\n'
    )
    words = ["--settings", str(tmp_path / "own.py"), "--threads", "1"]
    for preset, folder in ((3, "a"), (5, "b")):
        for layer in ("conv2", "fc"):
            assert optimize([
                *words, "--quiet", "--preset", str(preset), "--max-iter", "25", "--seeds", "2",
                "--push-layer", layer, "--push-channels", "1,3", "--unit-jpg-dir",
                str(tmp_path / folder),
            ]) == 0  # fmt: skip
    return words


def test_the_command_scores_two_folders_side_by_side(made, tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for k in range(12):
        rough = cv2.resize(rng.integers(0, 255, (6, 6, 3)).astype(np.uint8), (60, 50))
        cv2.imwrite(str(tmp_path / "photos" / f"{k}.png"), rough)
    out = tmp_path / "card.json"
    capsys.readouterr()
    assert main([*made, "--photos", str(tmp_path / "photos"), "--other-settings",
                 str(tmp_path / "own.py"), "--out", str(out), str(tmp_path / "a"),
                 str(tmp_path / "b")]) == 0  # fmt: skip
    told = capsys.readouterr().out
    assert "| conv2 | a | 4 |" in told
    assert "| fc | conv1 |" in told
    card = json.loads(out.read_text())
    assert list(card["sets"]) == [str(tmp_path / "a"), str(tmp_path / "b")]
    for scores in card["sets"].values():
        assert list(scores) == ["conv2", "fc"]
        assert set(scores["fc"]["path"]) == {"conv1", "conv2", "fc"}
        assert scores["conv2"]["transferable"] == 0
        assert scores["fc"]["transferable"] == 4
        assert scores["fc"]["images"] == 4
        # The other network is the same one, so that its classes agree wherever the unit is among
        # the five strongest of ten.
        assert scores["fc"]["transfer"] >= scores["fc"]["strongest"]
        assert 0 <= scores["conv2"]["diversity"] <= 1
    a, b = (card["sets"][str(tmp_path / name)]["fc"] for name in "ab")
    assert b["contrast"] > a["contrast"]


def test_what_can_not_be_scored_is_said(made, tmp_path, capsys):
    assert main([*made, str(tmp_path / "nothing")]) == 2
    assert "--unit-jpg-dir" in capsys.readouterr().err
    montage = next((tmp_path / "a").rglob("*_montage.jpg"))
    cv2.imwrite(str(montage), np.zeros((7, 9, 3), np.uint8))
    assert main([*made, str(tmp_path / "a")]) == 2
    told = capsys.readouterr().err
    assert "7x9 pixels" in told and told.count("\n") == 1
    assert main([*made, str(tmp_path / "b"), "--photos", str(tmp_path / "absent")]) == 2
    assert "there is no photo" in capsys.readouterr().err
