"""The paper's figures on a tiny net: every row of the registry, and what they are made of."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from optimize.figures import __main__ as command
from optimize.figures import classes, frequency, search, sheet
from optimize.figures.registry import FIGURES
from optimize.params import PRESETS
from tests.optimize.conftest import CHAIN, build

SMALL = {
    "fig3": ["--classes", "bee"],
    "fig4": ["--classes", "ant,bee", "--seeds", "2"],
    "fig5": ["--seeds", "2"],
    "s1": [],
    "search": ["--search", "18"],
    "s1-statistic": ["--photos", "photos"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    net = build(CHAIN, tmp_path)
    net.save(str(tmp_path / "chain.caffemodel"))
    (tmp_path / "labels.txt").write_text(
        "\n".join(["ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen", "ibis", "jay"])
    )
    (tmp_path / "settings.py").write_text(
        f"caffevis_deploy_prototxt = {str(tmp_path / 'chain.prototxt')!r}\n"
        f"caffevis_network_weights = {str(tmp_path / 'chain.caffemodel')!r}\n"
        f"caffevis_labels = {str(tmp_path / 'labels.txt')!r}\n"
        "caffevis_label_layers = ('fc', 'prob')\n"
        "caffevis_data_mean = (104, 117, 123)\n"
    )
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        picture = rng.integers(0, 256, (50, 60, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "photos" / f"{i}.png"), picture)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(name: str, *more: str) -> int:
    return command.main([name, "--settings", "settings.py", "--max-iter", "3", "--quiet",
                         "--out", "out/a.png", *more])  # fmt: skip


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_each_figure_is_made_and_not_overwritten(
    name: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(name, *SMALL[name]) == 0
    record = json.loads((folder / "out/a.json").read_text())
    assert record["figure"] == name
    pictures = sorted((folder / "out").glob("*.png"))
    assert len(pictures) == (2 if name == "s1" else 1)
    for path in pictures:
        picture = cv2.imread(str(path))
        assert picture.std() > 5 and (picture[:3] == 255).all()
    before = pictures[0].read_bytes()
    capfd.readouterr()
    assert run(name, *SMALL[name]) == 2
    assert "--brave" in capfd.readouterr().err
    assert run(name, *SMALL[name], "--brave") == 0
    assert pictures[0].read_bytes() == before


def test_the_sweeps_have_every_regulariser_from_weak_to_strong(folder: Path) -> None:
    assert run("fig3", "--classes", "3") == 0
    runs = json.loads((folder / "out/a.json").read_text())["runs"]
    assert len(runs) == sum(len(values) for _, values, _ in classes.SWEEPS.values())
    for name, (_, values, _) in classes.SWEEPS.items():
        assert list(values) == sorted(values)
        assert [row[name] for row in runs if name in row] == list(values)


def test_the_presets_are_those_of_the_table_for_the_classes_named(folder: Path) -> None:
    assert run("fig4", "--classes", "bee,9", "--seeds", "3", "--seed", "5") == 0
    runs = json.loads((folder / "out/a.json").read_text())["runs"]
    assert {row["unit"] for row in runs} == {1, 9}
    assert {row["preset"] for row in runs} == set(PRESETS)
    assert {row["seed"] for row in runs} == {5, 6, 7}
    assert len(runs) == 2 * 4 * 3


def test_s1_has_every_unit_of_every_convolution(folder: Path) -> None:
    assert run("s1") == 0
    runs = json.loads((folder / "out/a.json").read_text())["runs"]
    assert [(r["layer"], r["unit"]) for r in runs] == (
        [("conv1", k) for k in range(8)] + [("conv2", k) for k in range(12)]
    )


def test_a_search_goes_on_where_it_was_stopped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("search", "--search", "16") == 0
    made = []
    real = command.Studio.run
    monkeypatch.setattr(command.Studio, "run", lambda s, p: made.append(len(p)) or real(s, p))
    assert run("search", "--search", "20", "--brave") == 0
    assert made == [4]
    with (folder / "out/a.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["draw"]) for row in rows] == list(range(20))
    assert {float(row["decay"]) for row in rows} == {search.draw(k)["decay"] for k in range(20)}
    # other settings: nothing is taken over
    made.clear()
    assert run("search", "--search", "16", "--brave", "--seed", "1") == 0
    assert made == [16]


def test_a_search_takes_nothing_over_from_another_network(folder: Path) -> None:
    assert run("search", "--search", "4") == 0
    first = (folder / "out/a.csv").read_text()
    build(CHAIN, folder, seed=1).save(str(folder / "chain.caffemodel"))
    assert run("search", "--search", "4", "--brave") == 0
    assert (folder / "out/a.csv").read_text() != first


@pytest.mark.parametrize("name", ["a.png", "a.csv", "a_conv1.png"])
def test_a_picture_that_is_there_is_not_overwritten(name: str, folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / name).write_bytes(b"mine")
    assert run("s1") == 2
    assert (folder / "out" / name).read_bytes() == b"mine"
    assert len(list((folder / "out").iterdir())) == 1


def test_draws_are_repeatable_and_in_their_ranges() -> None:
    draws = [search.draw(k) for k in range(300)]
    assert draws == [search.draw(k) for k in range(300)]
    for name, low, high in (("decay", 1e-4, 0.3), ("blur_radius", 0.3, 2), ("blur_every", 1, 8),
                            ("small_norm_percentile", 5, 95),
                            ("px_abs_benefit_percentile", 5, 95)):  # fmt: skip
        on = [d[name] for d in draws if d[name]]
        assert 90 < len(on) < 210 and min(on) >= low and max(on) <= high
    assert all(2 <= d["step"] <= 20 for d in draws)
    assert all(bool(d["blur_radius"]) == bool(d["blur_every"]) for d in draws)


def test_frequency_of_gratings() -> None:
    x = np.arange(12)
    waves = [np.cos(2 * np.pi * k * x / 12) for k in (0, 1, 3, 6)]
    filters = np.stack([np.broadcast_to(w, (3, 12, 12)) for w in waves] + [np.zeros((3, 12, 12))])
    assert frequency.frequencies(filters) == pytest.approx([0, 1 / 12, 3 / 12, 6 / 12, 0])


def test_the_statistic_against_a_mean_by_hand(folder: Path) -> None:
    assert run("s1-statistic", "--photos", "photos/1.png", "photos/2.png") == 0
    record = json.loads((folder / "out/a.json").read_text())
    net = build(CHAIN, folder)
    total = np.zeros(8)
    for i in (1, 2):
        rgb = cv2.imread(f"photos/{i}.png")[:, :, ::-1][:, 5:55]
        small = cv2.resize(rgb, (40, 40), interpolation=cv2.INTER_AREA).astype(np.float32)
        net.blobs["data"].data[0] = (small[:, :, ::-1] - (104, 117, 123)).transpose(2, 0, 1)
        net.forward(end="conv1")
        total += np.maximum(net.blobs["conv1"].data[0], 0).mean(axis=(1, 2))
    assert record["photos"] == 2
    assert record["mean_activation"] == pytest.approx(total / 2, rel=0.02, abs=1e-3)
    order = np.argsort(record["frequency"], kind="stable")
    assert record["lowest"]["units"] == list(order[:4])
    assert record["highest"]["units"] == list(order[::-1][:4])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fig4", "--classes", "zebra"], "no class 'zebra': fc has the units 0 to 9"),
        (["fig4", "--classes", "10"], "no class '10'"),
        (["fig5", "--layers", "conv9"], "no layer 'conv9'"),
        (["s1", "--layers", "fc"], "rows and columns"),
        (["s1-statistic"], "needs photos"),
        (["s1-statistic", "--photos", "nowhere"], "no photo or folder nowhere"),
        (["search", "--search", "0"], "no whole number from 1"),
        (["fig3", "--out", "a.gif"], "must end in .png or .jpg"),
        (["fig3", "--out", "/proc/no/a.png"], "nothing can be written into"),
        (["fig9"], "invalid choice"),
    ],
)
def test_errors_are_one_sentence(
    words: list[str], said: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    more = [] if words[0] == "fig9" else ["--settings", "settings.py", "--quiet"]
    assert command.main([*words, *more]) == 2
    err = capfd.readouterr().err
    assert said in err and err.count("\n") == 1


def test_no_label_is_cut() -> None:
    cells = [np.zeros((20, 20, 3), np.uint8)] * 2
    narrow = sheet.draw_sheet("t", [sheet.Row("a", cells, ["1", "2"])])
    wide = sheet.draw_sheet("t", [sheet.Row("a long label", cells, ["a long caption", "2"])])
    title = sheet.draw_sheet("a title that is much longer than the cells", [sheet.Row("a", cells)])
    assert narrow.shape[1] < wide.shape[1] and narrow.shape[1] < title.shape[1]
    for picture in (narrow, wide, title):
        border = np.concatenate([picture[:, -8:].reshape(-1, 3), picture[-8:].reshape(-1, 3)])
        assert (border == 255).all()


def test_columns_stand_below_each_other() -> None:
    cells = [np.full((10, 10, 3), 1, np.uint8), np.full((10, 10, 3), 2, np.uint8)]
    rows = [sheet.Row("a", cells, ["a long caption", "x"]), sheet.Row("b", cells)]
    picture = sheet.draw_sheet("t", rows)
    across = [sorted(set(np.nonzero((picture == value).all(axis=2))[1])) for value in (1, 2)]
    assert [len(columns) for columns in across] == [10, 10]
