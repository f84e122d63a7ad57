"""The one command for all unit images, on a tiny net."""

from __future__ import annotations

import json
import re
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import torchcaffe as caffe
from caffevis.units.image_paths import KINDS, UnitFolder
from find_maxes import crop_max_patches, find_max_acts
from optimize.__main__ import main as optimize_main
from toolbox.pictures.stamp import foreign, stamp_of
from toolbox.workers import file_lock
from visualizations import pipeline, speed_probe
from visualizations.__main__ import main
from visualizations.errors import VisualizationsError
from visualizations.pipeline import Remaining
from visualizations.plan import OPTIMISED, PATCHES, Layer, Rates, duration, estimate, parse_layer
from visualizations.shrink import Shrink, layer_of, shrink_folder, shrink_tiles
from visualizations.speed_probe import time_layers
from visualizations.steps import Step, list_photos

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


@pytest.fixture(autouse=True)
def measured_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_probe, "_SECONDS", 0.05)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the same commands in this process: seconds of imports less for each."""
    mains = {"optimize": optimize_main, "find_maxes.find_max_acts": find_max_acts.main,
             "find_maxes.crop_max_patches": crop_max_patches.main}  # fmt: skip

    def run(command: list[str], **more: object) -> SimpleNamespace:
        assert command[0] == sys.executable and command[1] == "-m"
        alone = [] if command[2] == "optimize" else ["--workers", "0"]
        return SimpleNamespace(returncode=mains[command[2]]([*alone, *command[3:]]))

    monkeypatch.setattr(pipeline.subprocess, "run", run)


def arguments(model: Path, *more: str) -> list[str]:
    return ["--settings", str(model / "tiny.py"), "--work", str(model / "work"), "--photos",
            str(model / "photos"), "--max-iter", "3", "--seeds", "4", "--tile", "8",
            "--threads", "1", *more]  # fmt: skip


@pytest.mark.usefixtures("quick")
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
    (listed,) = (model / "work").glob("tiny-*/photos-*/photos.txt")
    assert listed.read_text().count("other") == 0
    assert main(arguments(model)) == 0
    for path, data in made.items():
        assert (model / "units" / path).read_bytes() == data


def test_the_commands_are_run(model: Path) -> None:
    assert main(arguments(model, "--layers", "fc")) == 0
    assert len(pictures(model / "units")) == 1 + 3 * 3


@pytest.mark.skipif(not file_lock.there_are_locks(), reason="this system has no locks")
@pytest.mark.usefixtures("quick")
def test_it_waits_for_what_a_killed_one_left_at_work(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(arguments(model, "--layers", "fc")) == 0
    (work,) = (model / "work").glob("tiny-*")
    waits, ends = threading.Event(), []
    monkeypatch.setattr(pipeline, "say", lambda text: waits.set() if "waiting" in text else None)
    with (work / "at_work").open("rb") as left:
        assert file_lock.take(left)  # as the command of a killed process has it
        again = threading.Thread(
            target=lambda: ends.append(main(arguments(model, "--layers", "fc")))
        )
        again.start()
        assert waits.wait(60)
        assert not ends
    again.join(60)
    assert ends == [0]


def test_a_command_holds_the_lock_too(tmp_path: Path) -> None:
    program = """
import os, sys
try:
    os.fstat(int(sys.argv[1]))
except OSError:
    sys.exit(5)
"""
    with pipeline.alone(tmp_path) as held:
        for number in held:  # none where there are no locks
            command = [sys.executable, "-S", "-c", program, str(number)]
            pipeline._do(Step("it holds", command), "", held)
            with pytest.raises(VisualizationsError, match="ended with 5"):
                pipeline._do(Step("it does not", command), "", ())


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("some", "units"), [("1-2", (1, 2)), ("0,2", (0, 2))])
def test_some_units_of_a_layer(model: Path, some: str, units: tuple[int, ...]) -> None:
    assert main(arguments(model, "--layers", f"fc:{some}")) == 0
    names = sorted(p.name for p in (model / "units").rglob("*.jpg"))
    assert names == sorted(f"fc_000{unit}{end}.jpg" for unit in units
                           for end in ("", "", "_montage"))  # fmt: skip


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


@pytest.mark.parametrize(
    ("place", "layer"),
    [("max_im/conv1/conv1_0001.jpg", "conv1"), ("max_im/a/b/a/b_0001.jpg", "a/b"),
     ("regularized_opt/a/b/c/a/b/c_0001_montage.jpg", "a/b/c"),
     ("regularized_opt/a/b/whole_layer.jpg", "a/b")],
)  # fmt: skip
def test_the_layer_of_a_picture(place: str, layer: str) -> None:
    assert layer_of(Path(place)) == layer


@pytest.mark.usefixtures("quick")
def test_a_layer_with_a_slash(model: Path) -> None:
    text = (model / "net.prototxt").read_text().replace('"fc"', '"part/fc"')
    (model / "net.prototxt").write_text(text)
    caffe.Net(str(model / "net.prototxt"), caffe.TEST).save(str(model / "net.caffemodel"))
    assert main(arguments(model, "--layers", "part/fc")) == 0
    folder = UnitFolder(str(model / "units"))
    for kind in KINDS:
        assert folder.unit(kind, "part/fc", 2)[0].exists(), kind
    assert folder.sheet("part/fc") is not None
    stamps = {p.parent.relative_to(model / "units").as_posix()
              for p in (model / "units").rglob("made_from.json")}  # fmt: skip
    assert stamps == {f"{kind}/part/fc" for kind in ("regularized_opt", "max_im", "max_deconv")}
    retrain(model, 4)
    assert main(arguments(model, "--layers", "part/fc:0")) == 0
    assert len(pictures(model / "units")) == 3, "the other network's are gone"


def test_the_estimate_adds_up() -> None:
    layers = [Layer("a", (0, 1), False, 50), Layer("b", tuple(range(10)), True, 200)]
    rates = Rates({"a": 0.001, "b": 0.01}, {"a": 0.2, "b": 0.2})
    rows = estimate(layers, rates, seeds=9, iterations=100, with_photos=True, tile=96)
    assert [row.optimise for row in rows] == pytest.approx([1.8, 90.0])
    assert [row.patches for row in rows] == pytest.approx([9 * 2 * 0.2, 9 * 10 * 0.2])
    assert rows[0].small < rows[0].fine and rows[1].small < rows[1].fine / 4
    begun = estimate(
        layers, Rates(rates.ascent, rates.patch, start=3.0), seeds=9, iterations=100,
        with_photos=True, tile=96, done={("a", OPTIMISED), ("b", PATCHES)},
    )  # fmt: skip
    assert [row.optimise for row in begun] == pytest.approx([0, 93.0])
    assert [row.patches for row in begun] == pytest.approx([9 * 2 * 0.2 + 3, 0])
    alone = estimate(layers, rates, seeds=9, iterations=100, with_photos=False, tile=96)
    assert alone[1].patches == 0 and alone[1].fine == pytest.approx(rows[1].fine / 3)


def test_texts() -> None:
    assert [duration(s) for s in (12, 300, 20000)] == ["12 s", "5 min", "5 h 33 min"]
    assert parse_layer("a/b:0-3,9") == ("a/b", "0-3,9")
    assert parse_layer("conv1") == ("conv1", None)


def pictures(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.jpg")}


def retrain(model: Path, seed: int) -> None:
    """Write other weights under the same name."""
    net = caffe.Net(str(model / "net.prototxt"), caffe.TEST)
    rng = np.random.default_rng(seed)
    for blobs in net.params.values():
        blobs[0].data[...] = rng.normal(0, 0.1, blobs[0].shape)
    net.save(str(model / "net.caffemodel"))


@pytest.mark.usefixtures("quick")
def test_another_layer_later_extends(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(model, "--layers", "conv1")) == 0
    first = pictures(model / "units")
    capfd.readouterr()
    assert main(arguments(model, "--layers", "conv1", "fc")) == 0
    out = capfd.readouterr().out
    assert "of 1 layer(s)" in out, "only what is new is scanned"
    both = pictures(model / "units")
    assert first.items() <= both.items() and len(both) > len(first)
    assert any("max_deconv/fc/" in name for name in both)


@pytest.mark.usefixtures("quick")
def test_other_weights_of_the_same_name_are_noticed(
    model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(model)) == 0
    before = pictures(model / "units")
    retrain(model, 1)
    capfd.readouterr()
    assert main(arguments(model, "--layers", "fc")) == 0
    out = capfd.readouterr().out
    assert "of conv1, fc are another network's" in out and "--layers conv1 makes" in out
    after = pictures(model / "units")
    changed = {name for name in before if after[name] != before[name]}
    assert {name.split("/")[1] for name in changed} == {"fc"}
    own = stamp_of(model / "net.prototxt", model / "net.caffemodel")
    for kind in ("regularized_opt", "max_im", "max_deconv"):
        assert foreign(model / "units" / kind / "fc", model / "units", own) == ""
        assert foreign(model / "units" / kind / "conv1", model / "units", own) != ""
    assert main(arguments(model, "--layers", "conv1")) == 0, "the cure, as written"
    assert "another network's" not in capfd.readouterr().out.split("== ")[-1]
    assert foreign(model / "units/max_im/conv1", model / "units", own) == ""


@pytest.mark.usefixtures("quick")
def test_pictures_of_another_network_do_not_stay_beside_new_ones(model: Path) -> None:
    assert main(arguments(model, "--layers", "fc")) == 0
    retrain(model, 2)
    assert main(arguments(model, "--layers", "fc:0-1")) == 0
    names = {Path(name).name for name in pictures(model / "units")}
    assert names == {f"fc_000{k}{end}" for k in (0, 1) for end in (".jpg", "_montage.jpg")}


@pytest.mark.usefixtures("quick")
def test_other_photos_of_the_same_names_are_noticed(model: Path) -> None:
    assert main(arguments(model)) == 0
    before = pictures(model / "units")
    rng = np.random.default_rng(5)
    for path in (model / "photos").rglob("*.png"):
        cv2.imwrite(str(path), rng.integers(0, 256, (40, 50, 3), np.uint8))
    assert main(arguments(model)) == 0
    after = pictures(model / "units")
    for name, data in before.items():
        if not name.startswith("max_deconv"):  # of this net the same for any photo
            assert (after[name] == data) == name.startswith("regularized_opt"), name


@pytest.mark.usefixtures("quick")
def test_another_settings_file_of_the_same_name_has_its_own_work(model: Path) -> None:
    assert main(arguments(model)) == 0
    before = pictures(model / "units")
    other = model / "elsewhere" / "tiny.py"
    other.parent.mkdir()
    text = (model / "tiny.py").read_text().replace("(100, 110, 120)", "(0, 0, 0)")
    other.write_text(text.replace(repr(str(model / "units")), repr(str(model / "units2"))))
    words = arguments(model)
    words[1] = str(other)
    assert main(words) == 0
    assert len(list((model / "work").glob("tiny-*"))) == 2
    after = pictures(model / "units2")
    assert after.keys() == before.keys() and after != before
    assert main(arguments(model)) == 0
    assert pictures(model / "units") == before


@pytest.mark.usefixtures("quick")
def test_other_settings_of_the_recipe_begin_anew(model: Path) -> None:
    assert main(arguments(model, "--layers", "fc")) == 0
    assert main(arguments(model, "--layers", "fc", "--seeds", "1", "--max-iter", "2")) == 0
    assert cv2.imread(str(model / "units/regularized_opt/fc/fc_0000_montage.jpg")).shape[0] == 8


@pytest.mark.usefixtures("quick")
def test_a_damaged_scan_is_made_again(model: Path) -> None:
    assert main(arguments(model, "--layers", "fc")) == 0
    (scan,) = (model / "work").rglob("scan-*.npz")
    scan.write_bytes(b"nothing")
    for path in (model / "work").rglob("*.done"):
        path.unlink()
    assert main(arguments(model, "--layers", "fc")) == 0


@pytest.mark.usefixtures("quick")
def test_the_plan_says_what_is_left(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(model, "--layers", "fc")) == 0
    capfd.readouterr()
    assert main(arguments(model, "--layers", "fc", "--plan")) == 0
    out = capfd.readouterr().out
    assert "once through the photos" not in out
    assert re.search(r"fc +3 +12 +- +- ", out), out


def test_times_of_layers_leave_the_net_as_it_was(model: Path) -> None:
    net = caffe.Net(str(model / "net.prototxt"), str(model / "net.caffemodel"), caffe.TEST)
    net.blobs["data"].data[...] = 3
    wanted = net.forward()["fc"].copy()
    times = time_layers(net)
    assert len(times.forward) == len(times.backward) == len(net.layers)
    assert all(seconds > 0 for seconds in times.forward[1:])
    np.testing.assert_allclose(net.forward()["fc"], wanted, rtol=1e-5)


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


def test_the_time_left_follows_the_pace() -> None:
    now = iter([0.0, 0.0, 40.0, 60.0])
    left = Remaining([20.0, 10.0, 30.0], clock=lambda: next(now))
    assert left.text(0) == "1 of 3, about 60 s left"
    assert left.text(1) == "2 of 3, about 80 s left", "twice as slow as planned"
    assert left.text(2) == "3 of 3, about 60 s left"
