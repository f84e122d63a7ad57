"""The models' templates, prototxts, labels and the photos: what a user copies and sees."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

import settings
import torchcaffe as caffe

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"
TEMPLATES = sorted(MODELS.glob("*/settings_local.template-*.py"))
PROTOTXTS = {
    "caffenet-yos/caffenet-yos-deploy.prototxt": (4096, 1000),
    "caffenet-caltech101/deploy.prototxt": (512, 101),
}
# Height and width of each blob of CaffeNet (Krizhevsky et al. 2012, section 3.5).
SIZES = {
    "conv1": (96, 55, 55), "pool1": (96, 27, 27), "norm1": (96, 27, 27),
    "conv2": (256, 27, 27), "pool2": (256, 13, 13), "norm2": (256, 13, 13),
    "conv3": (384, 13, 13), "conv4": (384, 13, 13), "conv5": (256, 13, 13),
    "pool5": (256, 6, 6),
}  # fmt: skip


def test_every_model_has_a_template():
    assert [t.parent.name for t in TEMPLATES] == [
        "bvlc-googlenet", "caffenet-caltech101", "caffenet-yos", "efficientnet-lite0",
        "squeezenet",
    ]  # fmt: skip


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda t: t.parent.name)
def test_a_template_loads_and_names_files_that_are_there_or_fetched(template: Path):
    values = settings.load(template)
    fetch = template.with_name("fetch.sh")
    fetched = fetch.read_text(encoding="utf-8") if fetch.exists() else ""
    for name in ("deploy_prototxt", "network_weights", "data_mean", "labels"):
        file = getattr(values, f"caffevis_{name}")
        if isinstance(file, str) and file != "-":
            file = file.partition(":")[0]  # Python code is a file and a name in it
            assert Path(file).is_relative_to(MODELS)
            is_bundled = template.parent.name == "caffenet-caltech101"
            there = Path(file).exists() or is_bundled
            assert there or f"fetch {Path(file).name} " in fetched, file
    assert values.caffevis_prob_layer in values.caffevis_label_layers
    assert values.caffevis_unit_jpg_dir == str(template.parent / "unit_jpg_vis")


def test_the_bundled_models_template_changes_nothing():
    bundled = settings.config.load(settings.TABLE, None)
    template = settings.load(MODELS / "caffenet-caltech101" / TEMPLATES[1].name)
    for row in settings.TABLE.rows:
        one, other = getattr(bundled, row.name), getattr(template, row.name)
        if callable(one):
            one, other = one("pool1norm1"), other("pool1norm1")
        assert one == other, row.name


@pytest.mark.parametrize("file", PROTOTXTS)
def test_caffenet_has_the_geometry_of_the_paper(file: str):
    net = caffe.Net(str(MODELS / file), caffe.TEST)
    wide, classes = PROTOTXTS[file]
    sizes = {"data": (3, 227, 227)} | SIZES
    sizes |= {"fc6": (wide,), "fc7": (wide,), "fc8": (classes,), "prob": (classes,)}
    shown = {name: blob.data.shape for name, blob in net.blobs.items() if "_split_" not in name}
    assert shown == {name: (1, *size) for name, size in sizes.items()}
    assert net.params["conv1"][0].data.shape == (96, 3, 11, 11)
    assert net.params["conv2"][0].data.shape == (256, 48, 5, 5)
    assert net.params["conv4"][0].data.shape == (384, 192, 3, 3)


@pytest.mark.parametrize("file", PROTOTXTS)
def test_opencv_reads_the_prototxts_too(file: str):
    net = cv2.dnn.readNetFromCaffe(str(MODELS / file))
    names = list(net.getLayerNames())
    assert names[0] == "conv1"
    assert names[-1] == "prob"
    assert "drop7" in names


def test_ilsvrc_labels_are_the_thousand_synsets():
    file = MODELS / "caffenet-yos" / "ilsvrc_2012_labels.txt"
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1000
    assert all(re.fullmatch(r"n\d{8} \S.*", line) for line in lines)
    # ILSVRC's order is that of the synsets' numbers.
    assert lines == sorted(lines, key=lambda line: line.split()[0])
    assert lines[0] == "n01440764 tench, Tinca tinca"
    assert lines[281] == "n02123045 tabby, tabby cat"
    assert lines[999].startswith("n15075141 toilet tissue")
    for other in ("bvlc-googlenet", "efficientnet-lite0", "squeezenet"):
        assert (MODELS / other / file.name).read_bytes() == file.read_bytes()


def photos() -> list[Path]:
    return sorted((ROOT / "input_images").glob("*.jpg"))


@pytest.mark.parametrize("photo", photos(), ids=lambda p: p.name)
def test_a_photo_has_its_licence_and_is_held_out(photo: Path):
    image = cv2.imread(str(photo))
    assert image is not None
    assert min(image.shape[:2]) >= 128
    assert np.ptp(image) > 200
    text = (ROOT / "input_images" / "LICENSES.md").read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if f"`{photo.name}`" in line]
    assert re.search(r"\| (public domain|CC0|CC BY 4\.0) \|$", row)
    split = MODELS / "caffenet-caltech101" / "split.txt"
    if match := re.search(r"Caltech-101, `(\S+)/(\S+)`", row):
        line = f"test {match.group(1)}/{match.group(2)}"
        assert line in split.read_text(encoding="utf-8").splitlines()
