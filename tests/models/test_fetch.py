"""The models' fetch.sh against a local server: whole, resumed, cut, absent, damaged."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models.file_server import FileServer, serving

MODELS = Path(__file__).resolve().parents[2] / "models"
WEIGHTS = bytes(range(256)) * 400
MEAN = b"\x93NUMPY" + b"\x01" * 5000
ARCHIVES = {
    "caffenet-yos_regularized_opt.tar.gz": "regularized_opt/conv1/conv1_0000_montage.jpg",
    "caffenet-yos_max_im.tar.gz": "max_im/conv1/conv1_0000.jpg",
    "caffenet-yos_max_deconv.tar.gz": "max_deconv/conv1/conv1_0000.jpg",
}
# What the scripts call besides the shell; a PATH of these and one downloader tests each.
TOOLS = [
    "bash",
    "cat",
    "dirname",
    "grep",
    "gzip",
    "head",
    "mkdir",
    "mv",
    "rm",
    "sed",
    "tar",
    "tr",
    "wc",
]


def archive(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as one:
        one.files = {"caffenet-yos-weights": WEIGHTS, "ilsvrc_2012_mean.npy": MEAN}
        one.files |= {file: archive(name, name.encode()) for file, name in ARCHIVES.items()}
        yield one


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Copy the scripts alone, into a folder with a space in its name."""
    copy = tmp_path / "the models"
    for script in [MODELS / "fetching.sh", *MODELS.glob("*/fetch.sh")]:
        target = copy / script.relative_to(MODELS)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(script, target)
    return copy


@pytest.fixture(params=["curl", "wget"])
def tool_path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder for PATH with one downloader in it."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in [*TOOLS, request.param]:
        (folder / tool).symlink_to(str(shutil.which(tool)))
    return folder


def fetch(
    folder: Path, server: FileServer | None, path: Path | None = None, *args: str
) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "no_proxy": "127.0.0.1"}
    for name in ("CAFFENET_YOS_URL", "BVLC_URL", "CAFFE_URL", "SQUEEZENET_URL"):
        env[name] = server.url if server else "http://127.0.0.1:9"
    if path:
        env["PATH"] = str(path)
    return subprocess.run(
        [str(shutil.which("bash")), str(folder / "fetch.sh"), *args],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )


def check_whole(folder: Path) -> None:
    assert (folder / "caffenet-yos-weights").read_bytes() == WEIGHTS
    assert (folder / "ilsvrc_2012_mean.npy").read_bytes() == MEAN
    for name in ARCHIVES.values():
        assert (folder / "unit_jpg_vis" / name).read_text() == name
    assert not list(folder.glob("*.part"))
    assert not list(folder.glob("*.tar.gz"))


def test_fetches_and_unpacks_everything_once(server, models, tool_path):
    folder = models / "caffenet-yos"
    first = fetch(folder, server, tool_path)
    assert first.returncode == 0, first.stderr
    check_whole(folder)
    asked = len(server.asked)
    again = fetch(folder, server, tool_path)
    assert again.returncode == 0
    assert len(server.asked) == asked
    assert "remove it to fetch it again" in again.stdout


def test_goes_on_where_an_earlier_run_stopped(server, models, tool_path):
    folder = models / "caffenet-yos"
    (folder / "caffenet-yos-weights.part").write_bytes(WEIGHTS[:70_000])
    assert fetch(folder, server, tool_path).returncode == 0
    check_whole(folder)
    assert ("caffenet-yos-weights", 70_000) in server.asked
    assert ("caffenet-yos-weights", 0) not in server.asked


def test_goes_on_after_a_broken_connection(server, models, tool_path):
    server.cut_after = 30_000
    folder = models / "caffenet-yos"
    assert fetch(folder, server, tool_path).returncode == 0
    check_whole(folder)
    starts = [start for path, start in server.asked if path == "caffenet-yos-weights"]
    assert starts == [0, 30_000, 60_000, 90_000]


def test_starts_anew_where_the_server_cannot_go_on(server, models, tool_path):
    server.ranges = False
    folder = models / "caffenet-yos"
    (folder / "caffenet-yos-weights.part").write_bytes(WEIGHTS[:70_000])
    assert fetch(folder, server, tool_path).returncode == 0
    check_whole(folder)


def test_a_whole_part_gets_its_name(server, models, tool_path):
    folder = models / "caffenet-yos"
    (folder / "caffenet-yos-weights.part").write_bytes(WEIGHTS)
    assert fetch(folder, server, tool_path).returncode == 0
    check_whole(folder)


def test_one_absent_file_is_named_and_the_others_come(server, models, tool_path):
    folder = models / "caffenet-yos"
    mean = server.files.pop("ilsvrc_2012_mean.npy")
    failed = fetch(folder, server, tool_path)
    assert failed.returncode == 1
    assert "ilsvrc_2012_mean.npy: the server answered" in failed.stderr
    assert f"{server.url}/ilsvrc_2012_mean.npy" in failed.stderr
    assert "again" in failed.stderr
    assert not (folder / "ilsvrc_2012_mean.npy").exists()
    assert (folder / "caffenet-yos-weights").read_bytes() == WEIGHTS
    server.files["ilsvrc_2012_mean.npy"] = mean
    server.asked.clear()
    assert fetch(folder, server, tool_path).returncode == 0
    check_whole(folder)
    assert server.asked == [("ilsvrc_2012_mean.npy", 0)]


def test_no_server(models, tool_path):
    failed = fetch(models / "caffenet-yos", None, tool_path)
    assert failed.returncode == 1
    assert failed.stderr.count("cannot be reached") >= 5


def test_no_downloader(server, models, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        (folder / tool).symlink_to(str(shutil.which(tool)))
    failed = fetch(models / "caffenet-yos", server, folder)
    assert failed.returncode == 1
    assert "neither curl nor wget is installed" in failed.stderr


def test_a_damaged_archive_is_removed(server, models):
    name = "caffenet-yos_max_im.tar.gz"
    server.files[name] = server.files[name][:-20]
    folder = models / "caffenet-yos"
    failed = fetch(folder, server)
    assert failed.returncode == 1
    assert f"{name}: the archive came damaged" in failed.stderr
    assert not (folder / name).exists()
    assert (folder / "unit_jpg_vis" / ARCHIVES["caffenet-yos_max_deconv.tar.gz"]).exists()


def test_a_web_page_is_no_weights_file(server, models):
    server.files["caffenet-yos-weights"] = b"<!DOCTYPE html>\n<html>please log in</html>"
    folder = models / "caffenet-yos"
    failed = fetch(folder, server)
    assert failed.returncode == 1
    assert "caffenet-yos-weights: a web page came" in failed.stderr
    assert not list(folder.glob("caffenet-yos-weights*"))


def test_all_takes_the_images_of_fc6_and_fc7(server, models):
    for kind, end in (("regularized_opt", "_montage"), ("max_im", ""), ("max_deconv", "")):
        name = f"{kind}/fc6/fc6_0000{end}.jpg"
        server.files[f"caffenet-yos_{kind}_fc6_fc7.tar.gz"] = archive(name, b"fc6")
    folder = models / "caffenet-yos"
    assert fetch(folder, server, None, "all").returncode == 0
    check_whole(folder)
    assert (folder / "unit_jpg_vis/max_im/fc6/fc6_0000.jpg").read_bytes() == b"fc6"


DEPLOY = b'name: "net"\ninput: "data"\ninput_shape {\n  dim: 10\n  dim: 3\n  dim: 100\n}\n'


@pytest.mark.parametrize(
    ("model", "prototxt", "served"),
    [
        (
            "bvlc-googlenet",
            "bvlc-googlenet-deploy.prototxt",
            ("bvlc_googlenet.caffemodel", "models/bvlc_googlenet/deploy.prototxt"),
        ),
        ("squeezenet", "deploy.prototxt", ("squeezenet_v1.0.caffemodel", "deploy.prototxt")),
    ],
)
def test_deploy_files_are_prepared_for_the_window(server, models, model, prototxt, served):
    server.files = {served[0]: WEIGHTS, served[1]: DEPLOY}
    done = fetch(models / model, server)
    assert done.returncode == 0, done.stderr
    expected = "force_backward: true\n" + DEPLOY.decode().replace("dim: 10\n", "dim: 1\n")
    assert (models / model / prototxt).read_text() == expected
