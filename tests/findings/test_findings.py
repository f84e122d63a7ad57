"""Every finding on a tiny net with a few photos, and the statistics against NumPy by hand."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

import torchcaffe
from caffevis.causes import disturb
from findings import layers, units
from findings.__main__ import main
from findings.lab import Lab, Photo, maximum, strongest
from findings.registry import FINDINGS
from optimize.command import settings_defaults
from optimize.command.open_model import open_optimizer
from tests.optimize.conftest import CHAIN, build

ROOT = Path(__file__).resolve().parents[2]
CATEGORIES = ("Faces", "Faces_easy", "Leopards", "cup", "lamp")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    text = CHAIN.replace("num_output: 10", "num_output: 5")
    build(text, tmp_path).save(str(tmp_path / "chain.caffemodel"))
    (tmp_path / "labels.txt").write_text("\n".join(CATEGORIES))
    (tmp_path / "settings.py").write_text(
        f"caffevis_deploy_prototxt = {str(tmp_path / 'chain.prototxt')!r}\n"
        f"caffevis_network_weights = {str(tmp_path / 'chain.caffemodel')!r}\n"
        f"caffevis_labels = {str(tmp_path / 'labels.txt')!r}\n"
        "caffevis_label_layers = ('fc', 'prob')\n"
        "caffevis_data_mean = (104, 117, 123)\n"
    )
    rng = np.random.default_rng(0)
    lines = []
    for category in CATEGORIES:
        (tmp_path / "photos" / category).mkdir(parents=True)
        for i in range(4):
            picture = rng.integers(0, 256, (6, 7, 3), np.uint8).repeat(10, 0).repeat(10, 1)
            cv2.imwrite(str(tmp_path / "photos" / category / f"{i}.png"), picture)
            lines.append(f"{'test' if i else 'train'} {category}/{i}.png")
    (tmp_path / "split.txt").write_text("\n".join(lines))
    return tmp_path


@pytest.fixture
def lab(folder: Path) -> Lab:
    photos = [Photo(folder / "photos" / c / f"{i}.png", c) for c in CATEGORIES for i in (1, 2, 3)]
    return Lab(open_optimizer(settings_defaults.read(folder / "settings.py").model), photos)


def run(folder: Path, *words: str) -> int:
    return main([*words, "--settings", str(folder / "settings.py"), "--split",
                 str(folder / "split.txt"), "--photos", str(folder / "photos"), "--out",
                 str(folder / "out")])  # fmt: skip


@pytest.mark.parametrize("name", sorted(FINDINGS))
def test_each_finding_is_shown(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, name) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{name}: {FINDINGS[name].question}")
    if "-> " in out:
        picture = cv2.imread(str(folder / "out" / f"{name}.png"))
        assert picture is not None and picture.std() > 5


def test_the_page_has_each_command_and_small_pictures() -> None:
    page = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    for name in FINDINGS:
        assert f"python -m findings {name} --photos DIR" in page
    sizes = {
        name: (ROOT / "docs" / name).stat().st_size
        for name in re.findall(r"\]\((findings/[^)]+)", page)
    }
    assert sizes and max(sizes.values()) <= 40_000


def test_there_are_nine_and_they_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(FINDINGS) == 9


def test_the_survey_is_each_photo_s_own_maximum(lab: Lab) -> None:
    for i in (0, 7, 14):
        lab.forward(lab.inputs([lab.photos[i]]))
        values = lab.values("conv2")
        assert lab.survey.maxima["conv2"][i] == pytest.approx(values[0].max(axis=(1, 2)), rel=1e-4)
        assert lab.survey.positive["conv2"][i] == pytest.approx((values > 0).mean(), abs=1e-6)


def test_the_face_unit_is_the_one_with_most_faces_on_top(lab: Lab) -> None:
    faces = np.isin(lab.categories, ("Faces", "Faces_easy"))
    values = lab.survey.maxima["conv2"]
    shares = [faces[np.argsort(-values[:, k], kind="stable")[:6]].mean() for k in range(12)]
    assert shares[lab.face_unit()] == max(shares)


def test_statistics_by_hand() -> None:
    assert units.pairs_won(np.array([2.0, 5.0]), np.array([1.0, 2.0, 9.0])) == (1.5 + 2) / 6
    values = np.array([3.0, 9.0, 9.0, 1.0])
    assert list(strongest(values)) == [1, 2, 0, 3]
    before = np.array([[3.0, 4.0], [0.0, 2.0]], np.float32)
    after = np.array([[3.0, 5.0], [0.0, 2.0]], np.float32)
    assert layers.changes(before, after) == pytest.approx([0.2, 0])
    blob = np.arange(24.0).reshape(2, 3, 2, 2)
    assert maximum(blob).tolist() == [[3, 7, 11], [15, 19, 23]]


def test_a_category_is_judged_by_as_many_photos_as_it_has() -> None:
    # from the strongest down: 5 a, 2 b, 3 a, 8 b, 2 c
    categories = ["a"] * 5 + ["b"] * 2 + ["a"] * 3 + ["b"] * 8 + ["c"] * 2
    found = units.precisions(np.arange(20.0, 0, -1), categories)
    assert found == {"a": 6 / 8, "b": 2 / 10}  # c has too few photos


def test_noise_looks_at_sure_and_unsure_photos_apart(lab: Lab) -> None:
    moved = layers._Moved(
        {8: np.array([[0.1], [0.3], [0.8]])},
        {8: np.array([True, False, False])},
        np.array([0.3, 0.4, 0.95], np.float32),
    )
    label, count, off, flips = moved.row(8, "unsure", moved.surest < layers.UNSURE)
    assert (label, count, flips) == ("unsure", 2, 0.5) and off == pytest.approx(0.2)
    found = layers.noise(lab)
    groups = [row for row in found.rows if "highest probability" in str(row[0])]
    assert sum(int(str(row[1])) for row in groups) == len(lab.photos)


def test_a_shift_moves_the_picture_to_the_right(lab: Lab) -> None:
    inputs = lab.inputs(lab.photos[:2])
    moved = layers._changed(lab, inputs, 2, None)
    assert np.array_equal(moved[..., 2:], inputs[..., :-2])
    assert np.array_equal(moved[..., :2], np.repeat(inputs[..., :1], 2, axis=3))


def test_the_cost_of_a_unit_is_its_own(lab: Lab) -> None:
    photos = lab.photos[:3]
    whole, without = units._without_each(lab, photos, range(12))
    lab.forward(lab.inputs(photos))
    right = [[0, 1]] * 3
    assert whole == pytest.approx(units._mass(lab, right).mean(), rel=1e-5)
    kept = lab.values("conv2")
    expected = [units._mass(lab, right, kept, k).mean() for k in range(len(without))]
    assert without == pytest.approx(expected, rel=1e-5)
    assert without.std() > 0


def test_taking_a_unit_out_is_setting_its_weights_behind_to_zero(lab: Lab) -> None:
    photos = lab.photos[:4]
    own = [[0, 1]] * 4
    lab.forward(lab.inputs(photos))
    found = units._mass(lab, own, lab.values("conv2"), 5)
    weights = lab.net.params["fc"][0].data
    weights.reshape(5, 12, -1)[:, 5] = 0
    lab.forward(lab.inputs(photos))
    assert found == pytest.approx(lab.net.blobs["prob"].data[:, :2].sum(axis=1), rel=1e-4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense"], "no finding 'nonsense'; there are "),
        (["noise", "--photos", "nowhere"], "no folder nowhere; it names the folder of Caltech-101"),
        (["noise", "--split", "nowhere"], "nowhere cannot be read"),
        (["noise", "--photos", "."], "none of the 15 held-out photos"),
    ],
)
def test_errors_are_one_sentence(
    words: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *more = words
    defaults = ["--settings", str(folder / "settings.py"), "--split", str(folder / "split.txt"),
                "--photos", str(folder / "photos")]  # fmt: skip
    assert main([name, *defaults, *more]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_without_faces_the_face_unit_says_what_it_needs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (folder / "split.txt").read_text().splitlines()
    (folder / "split.txt").write_text("\n".join(x for x in lines if "Faces" not in x))
    assert run(folder, "face-unit") == 2
    assert "no photo of Faces or Faces_easy" in capsys.readouterr().err


def test_ablation_is_the_engines_lesion(lab: Lab) -> None:
    photos, layer = lab.photos[:4], lab.top_map
    taken = range(lab.net.blobs[layer].shape[1])
    whole, without = units._without_each(lab, photos, taken)
    labels = [i for i, name in enumerate(lab.optimizer.labels) if name in units.FACES]
    own = [units._truth(lab, photo, labels) for photo in photos]
    lab.forward(lab.inputs(photos))
    assert units._mass(lab, own).mean() == pytest.approx(whole, rel=1e-6)
    for unit, wanted in zip(taken, without, strict=True):
        with torchcaffe.lesions(lab.net, {(layer, unit): 0.0}) as recompute:
            recompute()
            assert units._mass(lab, own).mean() == pytest.approx(wanted, rel=1e-5)
    assert len(set(without)) > 1


def test_noise_and_shift_are_the_windows_own(lab: Lab) -> None:
    inputs = lab.inputs(lab.photos[:3])
    moved = layers._changed(lab, inputs, 4, None)
    np.testing.assert_array_equal(moved, disturb.shift(inputs, 4))
    noisy = layers._changed(lab, inputs, 8, np.random.default_rng(0))
    own = disturb.noise(inputs, 8 * lab.optimizer.grey, np.random.default_rng(0))
    np.testing.assert_array_equal(noisy, own)
