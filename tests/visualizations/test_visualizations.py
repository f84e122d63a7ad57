"""The one command for all unit images, on a tiny net."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import torchcaffe as caffe
from visualizations.__main__ import main
from visualizations.errors import VisualizationsError
from visualizations.plan import Layer, Rates, duration, estimate, parse_layer
from visualizations.shrink import Shrink, shrink_folder, shrink_tiles
from visualizations.steps import list_photos

NET = """
name: "tiny"
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 24 dim: 24 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 4 kernel_size: 5 stride: 2
                            weight_filler { type: "xavier" } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "fc" type: "InnerProduct" bottom: "conv1" top: "fc"
        inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "net.prototxt").write_text(NET)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    net.save(str(tmp_path / "net.caffemodel"))
    (tmp_path / "labels.txt").write_text("ant\nbee\ncat\n")
    (tmp_path / "tiny.py").write_text(
        f"caffevis_deploy_prototxt = {str(tmp_path / 'net.prototxt')!r}\n"
        f"caffevis_network_weights = {str(tmp_path / 'net.caffemodel')!r}\n"
        f"caffevis_labels = {str(tmp_path / 'labels.txt')!r}\n"
        "caffevis_label_layers = ('fc',)\n"
        "caffevis_data_mean = (100, 110, 120)\n"
        f"caffevis_unit_jpg_dir = {str(tmp_path / 'units')!r}\n"
    )
    rng = np.random.default_rng(0)
    for name in ("ant", "bee", "cat", "other"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(4):
            picture = rng.integers(0, 256, (40, 50, 3), np.uint8)
            cv2.imwrite(str(tmp_path / "photos" / name / f"{i}.png"), picture)
    return tmp_path


def arguments(model: Path, *more: str) -> list[str]:
    return ["--settings", str(model / "tiny.py"), "--work", str(model / "work"), "--photos",
            str(model / "photos"), "--max-iter", "3", "--seeds", "4", "--tile", "8",
            "--threads", "1", *more]  # fmt: skip


def test_one_command_makes_every_picture_and_a_second_one_changes_nothing(
    model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(model)) == 0
    out = capfd.readouterr().out
    assert "together about" in out and "conv1" in out and "fc" in out
    made = {p.relative_to(model / "units"): p.read_bytes()
            for p in (model / "units").rglob("*.jpg")}  # fmt: skip
    names = {str(p) for p in made}
    for layer, units in (("conv1", 4), ("fc", 3)):
        assert f"regularized_opt/{layer}/whole_layer.jpg" in names
        for unit in range(units):
            assert f"regularized_opt/{layer}/{layer}_{unit:04d}_montage.jpg" in names
            assert f"max_im/{layer}/{layer}_{unit:04d}.jpg" in names
            assert f"max_deconv/{layer}/{layer}_{unit:04d}.jpg" in names
    assert len(names) == 2 + 3 * 7
    # four seeds: two tiles a row, each at most eight pixels
    picture = cv2.imread(str(model / "units/regularized_opt/fc/fc_0000_montage.jpg"))
    assert picture.shape == (17, 17, 3)
    assert (model / "work/photos.txt").read_text().count("other") == 0
    assert main(arguments(model)) == 0
    for path, data in made.items():
        assert (model / "units" / path).read_bytes() == data


def test_some_units_of_a_layer(model: Path) -> None:
    assert main(arguments(model, "--layers", "fc:1-2")) == 0
    names = sorted(p.name for p in (model / "units").rglob("*.jpg"))
    assert names == sorted(["fc_0001_montage.jpg", "fc_0002_montage.jpg",
                            *["fc_0001.jpg", "fc_0002.jpg"] * 2])  # fmt: skip


def test_plan_makes_nothing(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(model, "--plan")) == 0
    assert not list((model / "units").rglob("*.jpg"))
    assert "once through the photos" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--layers", "conv9"], "no layer 'conv9'"),
        (["--layers", "fc:9"], "has no unit 9; 0 to 2"),
        (["--layers", "fc:2-1"], "no list of numbers"),
        (["--photos", "nowhere"], "no folder nowhere"),
        (["--tile", "x"], "no whole number from 0"),
        (["--model", "a"], "exclude each other"),
        (["--out", "/proc/no"], "can't be written into"),
    ],
)
def test_errors_are_one_sentence(
    model: Path, more: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(model, *more)) == 2
    err = capfd.readouterr().err
    assert said in err and err.count("\n") == 1


def test_an_unknown_model_names_those_there_are(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", "../x"]) == 2
    assert "caffenet-caltech101" in capfd.readouterr().err


def test_a_model_that_was_not_fetched_names_its_script(
    model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (model / "fetch.sh").write_text("")
    (model / "net.caffemodel").unlink()
    assert main(arguments(model)) == 2
    err = capfd.readouterr().err
    assert "net.caffemodel" in err and "fetch.sh fetches it" in err and err.count("\n") == 1


def test_photos_of_no_class_are_taken_where_folders_are_no_classes(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.jpg", "1.JPG", "b/.hidden.jpg", "b/note.txt"):
        (tmp_path / name).write_bytes(b"")
    assert list_photos(tmp_path, ["ant", "bee"]) == ["1.JPG\t0", "b/2.jpg\tb"]
    (tmp_path / "1.JPG").unlink()
    (tmp_path / "b" / "2.jpg").unlink()
    with pytest.raises(VisualizationsError, match="no photo"):
        list_photos(tmp_path, [])


@pytest.mark.parametrize("border", [0, 1])
def test_tiles_shrink_each_by_itself(border: int) -> None:
    colours = np.arange(9 * 3).reshape(9, 3) * 9
    picture = np.full((3 * 41 - 1 + 2 * border, 3 * 41 - 1 + 2 * border, 3), 255, np.uint8)
    for i, colour in enumerate(colours):
        y, x = (border + k * 41 for k in divmod(i, 3))
        picture[y : y + 40, x : x + 40] = colour
    small = shrink_tiles(picture, 3, 10)
    assert small.shape == (3 * 11 - 1 + 2 * border,) * 2 + (3,)
    for i, colour in enumerate(colours):
        y, x = (border + k * 11 for k in divmod(i, 3))
        assert (small[y : y + 10, x : x + 10] == colour).all()
    assert (small[:, border + 10] == 255).all()
    assert shrink_tiles(picture, 3, 40) is picture


def test_a_corrupt_picture_is_named(tmp_path: Path) -> None:
    place = tmp_path / "max_im" / "a" / "a_0000.jpg"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"no picture")
    with pytest.raises(VisualizationsError, match=r"a_0000\.jpg"):
        shrink_folder(tmp_path, tmp_path / "out", Shrink(8, 75))


def test_the_estimate_adds_up() -> None:
    layers = [Layer("a", (0, 1), False, 50), Layer("b", tuple(range(10)), True, 200)]
    rates = Rates({"a": 0.001, "b": 0.01}, 0.1, 0.2)
    rows = estimate(layers, rates, seeds=9, iterations=100, with_photos=True, tile=96)
    assert [row.optimise for row in rows] == pytest.approx([1.8, 90.0])
    assert [row.patches for row in rows] == pytest.approx([9 * 2 * 0.2, 9 * 10 * 0.2])
    assert rows[0].small < rows[0].fine and rows[1].small < rows[1].fine / 4
    alone = estimate(layers, rates, seeds=9, iterations=100, with_photos=False, tile=96)
    assert alone[1].patches == 0 and alone[1].fine == pytest.approx(rows[1].fine / 3)


def test_texts() -> None:
    assert [duration(s) for s in (12, 300, 20000)] == ["12 s", "5 min", "5 h 33 min"]
    assert parse_layer("a/b:0-3,9") == ("a/b", "0-3,9")
    assert parse_layer("conv1") == ("conv1", None)


@pytest.mark.parametrize(("words", "held", "policy"), [
    ([], "fourier", "constant"), (["--preset", "6"], "maco", "constant"),
    (["--preset", "3"], "pixels", "rms"),
])  # fmt: skip
def test_a_preset_chooses_how_the_images_are_made(model: Path, words, held, policy) -> None:
    assert main(arguments(model, "--layers", "fc:0", *words)) == 0
    (scores,) = (model / "work").rglob("scores*.json")
    settings = json.loads(scores.read_text())["record"]["settings"]
    assert (settings["parametrisation"], settings["lr_policy"]) == (held, policy)
    assert settings["max_iter"] == 3
    if policy == "rms":
        assert settings["lr_params"]["step"] == 6
