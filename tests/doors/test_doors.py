"""Every door a file comes in by: changed at random, it ends in a result or in one sentence.

A few hundred cases a door here, 10,000 under `make soak`, from fixed seeds. Prototxts and
weights are in tests/torchcaffe/layers/test_fuzz.py.
"""

from __future__ import annotations

import random
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import torchcaffe as caffe
from caffevis.keys.state import Origin
from caffevis.units.image_paths import UnitFolder
from caffevis.units.loader import ImagesRequest, Loader, SheetRequest
from find_maxes.errors import FindMaxesError
from find_maxes.photos.net_input import Recipe
from find_maxes.photos.photo_list import ImageList, read_images
from find_maxes.scan.maxes_file import read_checkpoint, read_maxes, write_checkpoint, write_maxes
from find_maxes.scan.running_totals import Totals, Wanted
from optimize.command.open_model import read_labels
from optimize.errors import OptimizeError
from optimize.output.files import npz_bytes, read_npz
from optimize.parametrise import photo_statistics
from settings import TABLE
from tests.doors.knocking import Door, bytes_near, knock, little_memory, zipped  # noqa: F401
from tests.mutations import mutate_bytes, mutate_json
from tests.torchcaffe.importing.test_archive import save as save_pt2
from tests.torchcaffe.importing.zoo import make
from toolbox.input.video import MovingError, open_capture
from toolbox.pictures.image_file import ImageError, read_image
from toolbox.pictures.stamp import Stamp, StampError, read_stamp, write_stamp
from toolbox.settings import config

SHAPES = {"conv": (2, 3, 3), "fc": (4,)}


# ---------------------------------------------------------------- what is sound


def picture(path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (20, 24, 3), np.uint8)
    assert cv2.imwrite(str(path), cv2.GaussianBlur(pixels, (5, 5), 2))


def video(path: Path) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (32, 24))
    for i in range(4):
        writer.write(np.full((24, 32, 3), 60 * i, np.uint8))
    writer.release()


def frames(path: Path) -> None:
    capture = open_capture(str(path))
    for _ in range(8):
        capture.read()
    capture.release()


def totals() -> Totals:
    return Totals.empty(SHAPES, Wanted(3), torch.device("cpu"))


def maxes(path: Path) -> None:
    images = ImageList(".", ("a.jpg", "b.jpg"), np.array([0, 1]), ("x", "y"))
    settings = {
        "layers": list(SHAPES), "N": 3, "weights": "w", "weights_sha256": "00",
        "preprocess": Recipe(3, 8, 8, size=(8, 8), smooth=True).to_json(),
    }  # fmt: skip
    write_maxes(path, totals(), SHAPES, images, settings)


def photo_list(path: Path) -> None:
    lines = [f"folder {i}/photo {i}.jpg\t{i % 3}" for i in range(12)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def settings_file(path: Path) -> None:
    path.write_text(
        'caffevis_data_mean = (104, 117, 123)\ncaffevis_labels = "labels.txt"\nglobal_scale = 1.5\n'
        'caffevis_jpgvis_remap = {"pool1": "conv1"}\ncaffevis_start = "conv5:71 deconv"\n',
        encoding="utf-8",
    )


def settings_changed(rng: random.Random, data: bytes) -> bytes:
    """Change values and letters; what a file of Python does when it runs is its writer's affair."""
    return mutate_json(rng, data) if rng.random() < 0.8 else mutate_bytes(rng, data, 40)


def unit_folder(path: Path) -> None:
    picture(path)


def units(path: Path) -> None:
    """Show a unit's montage and its layer's sheet, both that file."""
    folder = path.parent / "regularized_opt" / "conv1"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("conv1_0000_montage.jpg", "whole_layer.jpg"):
        (folder / name).write_bytes(path.read_bytes())
    loader = Loader(UnitFolder(str(path.parent), {}), 1 << 20, (0, 0, 0))
    loader(ImagesRequest(Origin("conv1", 0), SheetRequest("conv1", 4, 2, 2, (40, 40))))


def state_dict(path: Path) -> None:
    torch.save(make("Plain").state_dict(), path)


def load_state(path: Path) -> None:
    from torchcaffe.importing.state import load_state as load

    load(make("Plain"), path)


def onnx_file(path: Path) -> None:
    pytest.importorskip("onnx")
    from tests.torchcaffe.importing.test_onnx import save

    save(make("Shared"), path)


def pt2(path: Path) -> None:
    save_pt2(make("Shared"), path, 1, None)


def run_archive(path: Path) -> None:
    net = caffe.from_exported(path)
    net.forward()


def run_onnx(path: Path) -> None:
    caffe.from_onnx(path).forward()


SCAN = {"layers": list(SHAPES)}
IMAGE = (ImageError,)
DOORS = [
    *(Door(f"photo.{kind}", picture, read_image, IMAGE, bytes_near(60))
      for kind in ("jpg", "png", "bmp", "tif", "webp", "ppm", "gif")),
    Door("video.avi", video, frames, (MovingError,), bytes_near(400), 60),
    Door("list.txt", photo_list, lambda path: read_images(str(path.parent), str(path)),
         (FindMaxesError,), bytes_near(400)),
    Door("labels.txt", photo_list, lambda path: read_labels(str(path)), (OptimizeError,),
         bytes_near(400)),
    Door("settings_local.py", settings_file, lambda path: config.load(TABLE, path),
         (config.SettingsError,), settings_changed),
    Door("maxes.npz", maxes, read_maxes, (FindMaxesError,), zipped, 150),
    Door("checkpoint.npz", lambda path: write_checkpoint(path, totals(), SCAN),
         lambda path: read_checkpoint(path, SCAN), (FindMaxesError,), zipped, 150),
    Door("0000.npz", lambda path: path.write_bytes(npz_bytes({"tiles": np.zeros((2, 8, 8, 3))})),
         read_npz, (), zipped),
    Door("photos.json", lambda path: path.write_text(photo_statistics.default().to_json()),
         photo_statistics.read, (OptimizeError,), mutate_json),
    Door("made_from.json", lambda path: write_stamp(path.parent, Stamp("a", "b", "c", "d")),
         lambda path: read_stamp(path.parent, path.parent), (StampError,), mutate_json),
    Door("montage.jpg", unit_folder, units, (), bytes_near(60), 60),
    Door("net.pt2", pt2, run_archive, (caffe.CaffeError,), zipped, 25),
    Door("net.onnx", onnx_file, run_onnx, (caffe.CaffeError,), bytes_near(3000), 40),
    Door("state.pth", state_dict, load_state, (caffe.CaffeError,), zipped, 40),
]  # fmt: skip


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.file)
def test_changed_files(door: Door, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    knock(door, tmp_path, request.config.getoption("--soak"))
