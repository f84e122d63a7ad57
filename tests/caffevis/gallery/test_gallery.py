"""The gallery's files: what is collected, what is written, what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from caffevis.gallery import site
from caffevis.gallery.__main__ import main
from caffevis.gallery.collect import Collection, collect
from caffevis.gallery.errors import GalleryError
from caffevis.gallery.site import Words, write
from caffevis.keys.keymap import BINDINGS
from caffevis.keys.state import Layer
from caffevis.units.image_paths import KINDS, UnitFolder
from tests.pictures import published, textured_tile, write_sheet, write_unit
from toolbox.app.core import CORE_BINDINGS
from toolbox.pictures.image_file import write_image
from toolbox.pictures.stamp import stamp_of, write_stamp

HOSTILE = "</script><img src=x onerror=\"document.title='hacked'\">&amp;"
NET = """
name: "Tiny <b>net</b>"
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 6 kernel_size: 3 } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
        pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "fc8" type: "InnerProduct" bottom: "pool1" top: "fc8"
        inner_product_param { num_output: 4 } }
"""
SETTINGS = """
caffevis_deploy_prototxt = "net.prototxt"
caffevis_labels = "labels.txt"
caffevis_label_layers = ("fc8",)
caffevis_jpgvis_remap = {"pool1": "conv1"}
"""


@pytest.fixture
def images(tmp_path) -> Path:
    root = tmp_path / "unit images #1"
    for unit in range(6):
        write_unit(root, "conv1", unit)
    write_sheet(root, "conv1", 6)
    for unit in (0, 1, 3):
        write_unit(root, "fc8", unit)
    return root


@pytest.fixture
def settings(tmp_path) -> Path:
    (tmp_path / "net.prototxt").write_text(NET, encoding="utf-8")
    (tmp_path / "labels.txt").write_text("cat\nwild_dog\ndog\nhot dog\n", encoding="utf-8")
    file = tmp_path / "tiny.py"
    file.write_text(SETTINGS, encoding="utf-8")
    return file


def layer(name: str, units: int) -> Layer:
    return Layer(name, name, units, 1, units)


def find(root: Path, *layers: Layer, **more) -> Collection:
    return collect(UnitFolder(str(root), **more), layers, ("cat", "dog"), ("fc8", "prob"))


def data_of(folder: Path) -> dict:
    text = (folder / "data.js").read_text(encoding="utf-8")
    head, tail = "window.GALLERY = ", ";\n"
    assert text.startswith(head) and text.endswith(tail)
    return json.loads(text[len(head) : -len(tail)])


def addresses(layer: dict) -> list[list[str]]:
    """Spell the addresses of each kind's pictures, as the page does."""
    return [
        [f"{before}{unit:04d}{after}" for before, after, first, last in runs
         for unit in range(first, last + 1)]
        for runs in layer["pictures"]
    ]  # fmt: skip


def files_of(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def fails(capsys, *arguments: object) -> str:
    """Run the command line, which has to fail with one sentence, and return that."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as end:
        code = end.code
    told = capsys.readouterr()
    assert code == 2 and not told.out
    lines = [line for line in told.err.splitlines() if not line.startswith("note: ")]
    assert len(lines) == 1 and lines[0].startswith("caffevis.gallery: ")
    return lines[0]


# ---- what is collected ----


def test_layers_come_in_the_networks_order_and_borrowers_with_their_source(images):
    layers = [layer(*row) for row in (("conv1", 6), ("pool1", 6), ("relu", 6), ("fc8", 4))]
    found = find(images, *layers, remap={"pool1": "conv1"})
    assert [entry.name for entry in found.layers] == ["conv1", "fc8"]
    assert [entry.borrowers for entry in found.layers] == [("pool1",), ()]
    assert [entry.labels for entry in found.layers] == [(), ("cat", "dog")]
    assert found.notes == ("no images of relu",)


def test_units_without_pictures_are_counted(images):
    (images / "max_im" / "fc8" / "fc8_0001.jpg").unlink()
    fc8 = find(images, layer("fc8", 4)).layers[0]
    assert fc8.units == 4
    assert [list(files) for files in fc8.pictures] == [[0, 1, 3], [0, 3], [0, 1, 3]]


def test_without_a_network_the_folders_order_is_that_of_a_person(images):
    for name in ("conv10", "conv9", "a/b"):
        write_unit(images, name.split("/")[-1], 2)
    (images / "max_im" / "a").mkdir()
    (images / "max_im" / "b").rename(images / "max_im" / "a" / "b")
    found = find(images)
    names = [entry.name for entry in found.layers]
    assert names == ["a/b", "b", "conv1", "conv9", "conv10", "fc8"]
    assert [entry.units for entry in found.layers] == [3, 3, 6, 3, 3, 4]


def test_layers_that_only_the_folder_has_come_last_and_are_named(images):
    write_unit(images, "aux", 0)
    found = find(images, layer("conv1", 6), layer("fc8", 4))
    assert [entry.name for entry in found.layers] == ["conv1", "fc8", "aux"]
    assert found.notes == ("not among the network's layers, so shown last: aux",)


def test_only_the_layers_of_the_settings_are_shown(images):
    found = find(images, layer("conv1", 6), layer("fc8", 4), layers=("fc8",))
    assert [entry.name for entry in found.layers] == ["fc8"]


def test_the_sheet_is_measured_and_one_that_does_not_fit_is_left_out(images):
    write_sheet(images, "fc8", 25)
    found = find(images, layer("conv1", 6), layer("fc8", 4))
    sheet = found.layers[0].sheet
    assert sheet is not None and (sheet.height, sheet.width) == (32, 48)
    assert (sheet.grid.columns, sheet.grid.width, sheet.grid.gap) == (3, 16, 0)
    (images / "regularized_opt" / "conv1" / "whole_layer.jpg").write_bytes(b"no picture")
    damaged = find(images, layer("conv1", 6))
    assert damaged.layers[0].sheet is None
    assert any("whole_layer.jpg" in note for note in damaged.notes)


def test_the_published_arrangement_is_told(images):
    groups = [[textured_tile(20, 9 * g + n) for n in range(9)] for g in range(4)]
    write_image(images / "regularized_opt" / "fc8" / "fc8_0000_montage.jpg", published(groups))
    found = find(images, layer("conv1", 6), layer("fc8", 4))
    assert [entry.four_groups for entry in found.layers] == [False, True]


def test_files_that_are_no_unit_images_are_left_out(images):
    folder = images / "max_im" / "fc8"
    for name in ("fc8_0002.jpg.part", "fc8_2.jpg", "fc8_00002.jpg", "fc80002.jpg", "other.jpg"):
        (folder / name).write_bytes(b"\xff\xd8\xff")
    (folder / "fc8_0002.jpg").write_bytes(b"GIF89a")
    found = find(images, layer("fc8", 4))
    assert list(found.layers[0].pictures[1]) == [0, 1, 3]
    assert found.notes[0] == f"left out, as no JPEG pictures: {folder / 'fc8_0002.jpg'}"


def test_images_of_another_network_are_refused(images):
    with pytest.raises(GalleryError, match=r"of unit 5, but conv1 .* has 5 units; --settings"):
        find(images, layer("conv1", 5))


def test_a_layers_name_cannot_lead_out_of_the_folder(images):
    found = find(images, layer("../conv1", 6), layer("fc8", 4))
    assert [entry.name for entry in found.layers][0] == "fc8"


# ---- what is written ----


def test_a_gallery_has_every_picture_as_it_is(images, tmp_path):
    (images / "LICENSE.txt").write_text("CC BY 4.0", encoding="utf-8")
    found = find(images, layer("conv1", 6), layer("fc8", 4))
    out = tmp_path / "deep" / "site"
    written = write(found, Words("Tiny"), out)
    copied = {name.removeprefix("images/"): content for name, content in files_of(out).items()
              if name.startswith("images/")}  # fmt: skip
    assert copied == files_of(images)
    assert written.pictures == 27
    assert written.size == sum(map(len, files_of(out).values()))
    assert data_of(out)["about"] == [{"name": "LICENSE.txt", "address": "images/LICENSE.txt"}]


def test_addresses_lead_to_the_pictures(images, tmp_path):
    write_unit(images, "odd %41?&'(1)\"", 0)
    write_unit(images, "b", 2)
    (images / "max_im" / "a").mkdir()
    (images / "max_im" / "b").rename(images / "max_im" / "a" / "b")
    for link in (False, True):
        out = tmp_path / f"site {link}"
        write(find(images), Words("Tiny"), out, link=link)
        for entry in data_of(out)["layers"]:
            parts = [address for kind in addresses(entry) for address in kind]
            parts += [entry["sheet"]["address"]] if entry["sheet"] else []
            assert parts
            assert all((out / unquote(address)).is_file() for address in parts)
            assert not re.search(r"[^A-Za-z0-9/%._~-]", "".join(parts))


def test_runs_of_units_take_few_words(images, tmp_path):
    write(find(images, layer("conv1", 6), layer("fc8", 4)), Words("Tiny"), tmp_path / "site")
    conv1, fc8 = data_of(tmp_path / "site")["layers"]
    before = "images/regularized_opt/conv1/conv1_"
    assert conv1["pictures"][0] == [[before, "_montage.jpg", 0, 5]]
    assert [run[2:] for run in fc8["pictures"][0]] == [[0, 1], [3, 3]]


def test_links_copy_nothing(images, tmp_path):
    out = tmp_path / "site"
    write(find(images), Words("Tiny"), out, link=True)
    assert sorted(files_of(out)) == ["data.js", "index.html", "logic.js", "page.css", "page.js"]
    first = addresses(data_of(out)["layers"][0])[0][0]
    assert first.startswith("../unit%20images%20%231/regularized_opt/conv1/")


def test_names_from_files_are_text_and_no_html(images, tmp_path):
    folder = UnitFolder(str(images))
    labels = (HOSTILE, "tab\tand\u202eturned", "\u2028")
    found = collect(folder, [Layer("fc8", HOSTILE, 4, 1, 4)], labels, ("fc8",))
    out = tmp_path / "site"
    write(found, Words(HOSTILE), out)
    for name in ("index.html", "data.js"):
        text = (out / name).read_text(encoding="utf-8")
        assert "<img" not in text and "</script><" not in text
    data = data_of(out)
    assert data["layers"][0]["labels"] == [HOSTILE, "tab and turned", " "]
    assert (out / "data.js").read_text(encoding="utf-8").isascii()


def test_keys_are_those_of_the_live_app():
    rows = {row.tag: row for row in (*BINDINGS, *CORE_BINDINGS)}
    assert set(site.ACTIONS) <= set(rows)
    logic = (site.HERE / "logic.js").read_text(encoding="utf-8")
    tags = set(re.findall(r'^    \["(\w+)",', logic, re.MULTILINE))
    assert tags == {*site.ACTIONS, "search"}


def test_the_same_images_make_the_same_site(images, tmp_path):
    for name in ("one", "two"):
        write(find(images), Words("Tiny"), tmp_path / name)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


# ---- what is there already ----


def test_an_older_gallery_is_replaced_and_nothing_is_left_beside(images, tmp_path):
    out = tmp_path / "site"
    write(find(images), Words("Older"), out)
    (images / "max_im" / "fc8" / "fc8_0003.jpg").unlink()
    write(find(images), Words("Newer"), out)
    assert data_of(out)["title"] == "Newer"
    assert not (out / "images" / "max_im" / "fc8" / "fc8_0003.jpg").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"site", images.name}


def test_what_a_killed_run_left_is_removed(images, tmp_path):
    write(find(images), Words("Tiny"), tmp_path / "site.part")
    write(find(images), Words("Tiny"), tmp_path / "site")
    assert {path.name for path in tmp_path.iterdir()} == {"site", images.name}


def test_other_folders_are_refused_and_untouched(images, tmp_path):
    found = find(images)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "index.html").write_text("my page", encoding="utf-8")
    gallery = tmp_path / "gallery"
    write(found, Words("Tiny"), gallery)
    (gallery / "notes.txt").write_text("my notes", encoding="utf-8")
    for out in (mine, gallery, mine / "index.html", images, images.parent):
        before = files_of(tmp_path)
        with pytest.raises(GalleryError, match="--out names a"):
            write(found, Words("Tiny"), out)
        assert files_of(tmp_path) == before


def test_the_images_of_a_gallery_are_not_replaced_by_links_to_them(images, tmp_path):
    out = tmp_path / "site"
    write(find(images), Words("Tiny"), out)
    with pytest.raises(GalleryError, match="would be replaced"):
        write(find(out / "images"), Words("Tiny"), out, link=True)


def test_a_picture_that_goes_while_it_is_copied_leaves_the_older_gallery(images, tmp_path):
    out = tmp_path / "site"
    write(find(images), Words("Older"), out)
    found = find(images)
    lost = images / "max_im" / "fc8" / "fc8_0003.jpg"
    lost.unlink()
    with pytest.raises(GalleryError, match=r"fc8_0003.jpg cannot be read or written: no such file"):
        write(found, Words("Newer"), out)
    assert data_of(out)["title"] == "Older"
    assert {path.name for path in tmp_path.iterdir()} == {"site", images.name}


# ---- the command ----


def test_the_command_takes_order_titles_and_labels_from_the_settings(
    images, settings, tmp_path, capsys
):
    out = tmp_path / "site"
    arguments = ["--unit-jpg-dir", images, "--settings", settings, "--out", out]
    assert main([str(argument) for argument in arguments]) == 0
    told = capsys.readouterr()
    assert re.fullmatch(
        r".*/site/index\.html: 2 layers, 10 units, 27 pictures of units, \d+\.\d MB\n", told.out
    )
    data = data_of(out)
    assert data["title"] == "Tiny <b>net</b>"
    assert [entry["name"] for entry in data["layers"]] == ["conv1", "fc8"]
    assert data["layers"][0]["borrowers"] == ["pool1"]
    assert data["layers"][1]["labels"] == ["cat", "wild_dog", "dog", "hot dog"]
    assert data["kinds"] == [kind.name for kind in KINDS]


def test_a_network_that_cannot_be_read_costs_only_the_order(images, settings, tmp_path, capsys):
    (tmp_path / "net.prototxt").write_text(NET.replace("Pooling", "Pudding"), encoding="utf-8")
    arguments = ["--unit-jpg-dir", images, "--settings", settings, "--out", tmp_path / "site"]
    assert main([str(argument) for argument in arguments]) == 0
    assert "Pudding" in capsys.readouterr().err
    assert [e["name"] for e in data_of(tmp_path / "site")["layers"]] == ["conv1", "fc8"]


def test_errors_are_one_sentence(images, settings, tmp_path, capsys):
    out = tmp_path / "site"
    given = ("--settings", settings, "--out", out)
    assert "--out" in fails(capsys)
    assert "neither --unit-jpg-dir nor" in fails(capsys, *given)
    missing = tmp_path / "missing"
    assert f"{missing} is not there" in fails(capsys, *given, "--unit-jpg-dir", missing)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no images of units" in fails(capsys, *given, "--unit-jpg-dir", empty)
    file = tmp_path / "labels.txt"
    assert "is not there" in fails(capsys, *given, "--unit-jpg-dir", file)
    assert "does not exist" in fails(capsys, "--settings", missing, "--out", out)
    assert "no gallery" in fails(
        capsys, "--settings", settings, "--out", tmp_path / "labels.txt", "--unit-jpg-dir", images
    )
    assert "cannot be read or written" in fails(
        capsys, "--settings", settings, "--unit-jpg-dir", images,
        "--out", tmp_path / "labels.txt" / "site",
    )  # fmt: skip
    file.write_bytes(b"\xff\xfe")
    assert "caffevis_labels" in fails(capsys, *given, "--unit-jpg-dir", images)
    assert not out.exists()


def test_pictures_of_another_network_are_refused(images, tmp_path):
    model = tmp_path / "own.prototxt", tmp_path / "own.caffemodel"
    for file in model:
        file.write_bytes(b"own")
    files = str(model[0]), str(model[1])
    write_stamp(images, stamp_of(*files))
    assert find(images, layer("conv1", 6), model=files).layers
    model[1].write_bytes(b"trained again")
    with pytest.raises(GalleryError, match="were made from own.caffemodel.*--settings FILE"):
        find(images, layer("conv1", 6), model=files)
    model[1].unlink()  # a gallery needs no weights
    assert find(images, layer("conv1", 6), model=files).layers


def test_labels_go_to_the_last_layer_where_the_settings_name_none(images, settings, tmp_path):
    text = settings.read_text(encoding="utf-8").replace('caffevis_label_layers = ("fc8",)', "")
    settings.write_text(text, encoding="utf-8")
    words = ["--settings", str(settings), "--unit-jpg-dir", str(images)]
    assert main([*words, "--out", str(tmp_path / "site")]) == 0
    shown = {each["name"]: each for each in data_of(tmp_path / "site")["layers"]}
    assert shown["fc8"]["labels"] == ["cat", "wild_dog", "dog", "hot dog"]
