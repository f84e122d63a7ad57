"""Where the disk takes no more, or nothing at all, every tool says so and leaves no half file.

The system's limit on the size of a file stands in for a full disk: writing fails in the middle. A
path below a file stands in for a folder that is read-only, which root would write into.
"""

from __future__ import annotations

import io
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import findings.__main__ as findings
import torchcaffe as caffe
from caffevis.export.__main__ import main as export
from caffevis.gallery.__main__ import main as gallery
from find_maxes import background, crop_max_patches, find_max_acts, label_masks
from find_maxes.background import Order
from find_maxes.errors import FindMaxesError
from find_maxes.labels.table import write_table
from find_maxes.photos.net_input import Recipe
from find_maxes.reports import charts
from find_maxes.scan.network import NetFiles
from findings.lab import FindingsError
from live_vis import main as live_vis
from optimize import photos
from optimize.__main__ import main as optimize
from tests.conftest import ROOT
from tests.find_maxes.conftest import TINY, Model, build_model
from toolbox.pictures.image_file import ImageError
from toolbox.pictures.stamp import Stamp, StampError, write_stamp
from visualizations.errors import VisualizationsError
from visualizations.making import write_text

ROOM = 200  # bytes
NOISE = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
WHOLE_NET = ROOT / "models" / "caffenet-caltech101" / "deploy.prototxt"
Tool = Callable[[Model, Path], object]


@contextmanager
def little_room(room: int = ROOM) -> Iterator[None]:
    """Let no file grow past some bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    made = build_model(tmp_path_factory.mktemp("full"), TINY)
    made.write_list(made.names[:8])
    (made.folder / "settings.py").write_text(
        f"caffevis_deploy_prototxt = {str(made.prototxt)!r}\n"
        f"caffevis_network_weights = {str(made.weights)!r}\n"
        "caffevis_data_mean = (104, 117, 123)\n",
        encoding="utf-8",
    )
    assert find_max_acts.main(made.arguments(made.folder / "max.npz", "--workers", "0")) == 0
    return made


def own(model: Model) -> list[str]:
    return ["--settings", str(model.folder / "settings.py")]


def net(model: Model) -> caffe.Net:
    return caffe.Net(str(model.prototxt), str(model.weights), caffe.TEST)


def cropped(model: Model, out: Path, *more: str) -> int:
    words = [model.folder / "max.npz", model.prototxt, model.weights, model.photos, model.list]
    where = [*map(str, words), str(out / "patches"), "part/conv2"]
    return crop_max_patches.main(["--workers", "0", *more, *where])


def scanned(model: Model, out: Path) -> None:
    net = NetFiles.named(str(model.prototxt), str(model.weights))
    background.scan(Order(net, Recipe(3, 40, 32), str(model.photos), str(out)), io.StringIO())


TOOLS: dict[str, Tool] = {
    "optimize, a run": lambda model, out: optimize(
        [*own(model), "--push-layer", "fc", "--max-iter", "2", "--output-prefix", str(out / "x")]
    ),
    "optimize, a layer": lambda model, out: optimize(
        [*own(model), "--layers", "fc", "--max-iter", "2", "--unit-jpg-dir", str(out)]
    ),
    "optimize.photos": lambda model, out: photos.main(
        [str(model.photos), "--out", str(out / "photos.json")]
    ),
    "find_max_acts": lambda model, out: find_max_acts.main(
        model.arguments(out / "max.npz", "--workers", "0")
    ),
    "find_max_acts, all of it": lambda model, out: find_max_acts.main(
        model.arguments(
            out / "max.npz", "--workers", "0", "--histograms", "--correlation", "--labels"
        )
    ),
    "a scan of photos while one looks": scanned,
    "crop_max_patches": cropped,
    "crop_max_patches, info": lambda model, out: cropped(model, out, "--do-info"),
    "crop_max_patches, for the window": lambda model, out: cropped(
        model, out, "--unit-jpg-dir", str(out / "units")
    ),
    "label_masks": lambda model, out: label_masks._write(out / "x.csv", [["a" * ROOM]]),
    "a table of labels": lambda model, out: write_table(out / "x.csv", {}, (), [["a" * ROOM]]),
    "a list beside a chart": lambda model, out: charts._list(out / "x.txt", "a" * ROOM, []),
    "a chart": lambda model, out: charts._draw(out, "fc", NOISE),
    "visualizations, a note": lambda model, out: write_text(out / "x.txt", "a" * 2 * ROOM),
    "findings": lambda model, out: findings._write(out / "x.png", NOISE),
    "stamp": lambda model, out: write_stamp(out, Stamp("a" * ROOM, "b", "c", "d")),
    "export": lambda model, out: export(
        [*own(model), "--photos", str(model.photos), "--units", "fc:1", "--what", "cam"]
        + ["--out", str(out / "export")]
    ),
    "tour": lambda model, out: live_vis([*own(model), "--tour", str(out / "tour")]),
    "gallery": lambda model, out: gallery(["--out", str(out / "site")]),
    "screenshot": lambda model, out: live_vis(
        [*own(model), "--headless", "--screenshot", str(out / "a.png")]
    ),
    "caffemodel": lambda model, out: net(model).save(out / "w.caffemodel"),
    "HDF5": lambda model, out: net(model).save_hdf5(out / "w.h5"),
    "prototxt": lambda model, out: net(model).save_prototxt(out / "net.prototxt"),
}  # fmt: skip


SENTENCES = (
    caffe.CaffeError, FindMaxesError, ImageError, StampError, VisualizationsError, FindingsError
)  # fmt: skip
SLOW = {"gallery", "optimize.photos", "tour"}  # they look at the place first, as others do


def said(tool: Tool, model: Model, out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the sentence that a tool ends with; empty where it ends well."""
    try:
        status = tool(model, out)
    except SENTENCES as error:
        assert "\n" not in str(error)
        return str(error)
    assert status in (0, 2, None)
    return capsys.readouterr().err.strip().splitlines()[-1] if status else ""


def left(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


# What comes later needs room for what comes before.
@pytest.mark.parametrize(
    ("name", "room"),
    [*((name, ROOM) for name in TOOLS), ("find_max_acts, all of it", 9000)],
)  # fmt: skip
def test_one_sentence_and_no_half_file(
    model: Model, tmp_path: Path, name: str, room: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with little_room(room):
        sentence = said(TOOLS[name], model, tmp_path, capsys)
    assert "write" in sentence or "written" in sentence
    assert "too large" in sentence.lower()
    assert str(tmp_path) in sentence
    files = left(tmp_path)
    assert all(path.stat().st_size < room for path in files), files
    assert not [path.name for path in files if "part" in path.suffix or "tmp" in path.suffix], files


@pytest.mark.parametrize("name", [name for name in TOOLS if name not in SLOW])
def test_a_folder_that_takes_nothing_is_one_sentence(
    model: Model, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    sentence = said(TOOLS[name], model, tmp_path / "file", capsys)
    assert str(tmp_path / "file") in sentence, sentence
    assert "Traceback" not in sentence
    assert left(tmp_path) == [tmp_path / "file"]
