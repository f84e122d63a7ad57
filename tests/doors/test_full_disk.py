"""Where the disk takes no more, every tool says so in one sentence and leaves no half file.

The system's limit on the size of a file stands in for a full disk: writing fails in the middle.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import torchcaffe as caffe
from caffevis.gallery.__main__ import main as gallery
from find_maxes import crop_max_patches, find_max_acts
from live_vis import main as live_vis
from optimize import photos
from optimize.__main__ import main as optimize
from tests.conftest import ROOT
from tests.find_maxes.conftest import TINY, Model, build_model

ROOM = 200  # bytes
WHOLE_NET = ROOT / "models" / "caffenet-caltech101" / "deploy.prototxt"
Tool = Callable[[Model, Path], object]


@contextmanager
def little_room() -> Iterator[None]:
    """Let no file grow past some bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
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


def cropped(model: Model, out: Path) -> int:
    words = [model.folder / "max.npz", model.prototxt, model.weights, model.photos, model.list]
    where = [*map(str, words), str(out / "patches"), "part/conv2"]
    return crop_max_patches.main(["--workers", "0", *where])


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
    "crop_max_patches": cropped,
    "gallery": lambda model, out: gallery(["--out", str(out / "site")]),
    "screenshot": lambda model, out: live_vis(
        [*own(model), "--headless", "--screenshot", str(out / "a.png")]
    ),
    "caffemodel": lambda model, out: net(model).save(out / "w.caffemodel"),
    "HDF5": lambda model, out: net(model).save_hdf5(out / "w.h5"),
    "prototxt": lambda model, out: net(model).save_prototxt(out / "net.prototxt"),
}  # fmt: skip


@pytest.mark.parametrize("name", TOOLS)
def test_one_sentence_and_no_half_file(
    model: Model, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with little_room():
        try:
            status = TOOLS[name](model, tmp_path)
        except caffe.CaffeError as error:
            status, said = 2, str(error)
        else:
            said = capsys.readouterr().err.strip().splitlines()[-1]
    assert status == 2
    assert "write" in said or "written" in said
    assert "too large" in said.lower()
    assert str(tmp_path) in said
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(0 < path.stat().st_size < ROOM for path in left), left
    assert not [path.name for path in left if "part" in path.suffix or "tmp" in path.name], left
