"""The table of what units answer to: read, shown in the status line and on the card."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from caffevis.app import CaffeVisApp
from caffevis.panes import jpgvis
from caffevis.units.image_paths import CARD, ROOT, UnitFolder
from caffevis.units.words import Words, parse, read_words
from settings import TABLE
from tests.pictures import group, plain_tile
from toolbox.pictures.image_file import write_image
from toolbox.settings import config

HEAD = "layer,unit,label,d',share of top 100,silent,p1,p5,p10,p25,p50,p75,p90,p95,p99"
ROWS = [
    "conv,1,Leopards,2.51,0.3,0.7134,0,1,1,2,3,4,5,6,7",
    "conv,2,,,,0.25,0,1,1,2,3,4,5,6,7",
    '"conv","3","a ""b"", c",1,0.5,,,,,,,,,,',
]
BY_KEY = {key: row for row in CaffeVisApp.bindings for key in row.keys}


def write_table(root, rows=ROWS, head=HEAD):
    (root / "labels").mkdir(parents=True, exist_ok=True)
    (root / "labels/labels.csv").write_text("\n".join([head, *rows, ""]), encoding="utf-8")


def test_the_table_that_the_scan_writes_is_read(tmp_path):
    from find_maxes.labels.card import Card
    from find_maxes.labels.table import table

    card = Card(
        label=np.array([1, -1]), label_dprime=np.float32([2.5, np.nan]),
        label_share=np.float32([0.25, np.nan]), label_shuffled=np.float32(0),
        quantiles=np.arange(18, dtype=np.float32).reshape(2, 9), silent=np.float32([0.5, 0]),
    )  # fmt: skip
    found = parse(table({"a/b": card}, ("x", "y, z")))["a/b"]
    assert found[0] == Words("y, z", 2.5, 0.25, 0.5, (0.0, 2.0, 4.0, 6.0, 8.0))
    assert found[1].label == "" and math.isnan(found[1].dprime) and found[1].levels[0] == 9


def test_what_is_known_is_said_in_words(tmp_path):
    write_table(tmp_path)
    found, problem = read_words(UnitFolder(str(tmp_path)))
    assert problem == ""
    assert found["conv"][1].parts() == ["Leopards (d' 2.5)", "silent on 71 % of photos"]
    assert found["conv"][1].lines()[:4] == (
        "answers to Leopards: d' 2.5", "30 of its 100 strongest photos",
        "silent on 71 % of photos", "1 % of photos are below 0",
    )  # fmt: skip
    assert found["conv"][2].lines()[:2] == ("no class above chance", "silent on 25 % of photos")
    assert found["conv"][3].parts() == ['a "b", c (d\' 1.0)']
    assert len(found["conv"][3].lines()) == 2


BROKEN = {
    "other head": ("a,b,c", ROWS),
    "short line": (HEAD, ["conv,1,x"]),
    "no number": (HEAD, [ROWS[0].replace("2.51", "much")]),
}


@pytest.mark.parametrize(("head", "rows"), BROKEN.values(), ids=BROKEN)
def test_another_table_is_refused_in_a_sentence(tmp_path, head, rows):
    write_table(tmp_path, rows, head)
    found, problem = read_words(UnitFolder(str(tmp_path)))
    assert found == {} and "is no table of labels; python -m find_maxes" in problem
    assert read_words(UnitFolder(str(tmp_path / "nowhere"))) == ({}, "")
    assert read_words(UnitFolder(None)) == ({}, "")


def test_a_table_of_another_network_is_refused(tmp_path):
    from toolbox.pictures.stamp import Stamp, write_stamp

    write_table(tmp_path / "units")
    write_stamp(tmp_path / "units/labels", Stamp("other.prototxt", "other", "1" * 64, "2" * 64))
    for name in ("net.prototxt", "weights"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    model = (str(tmp_path / "net.prototxt"), str(tmp_path / "weights"))
    found, problem = read_words(UnitFolder(str(tmp_path / "units"), model=model))
    assert found == {} and "was made from other" in problem


def settle(app):
    deadline = time.monotonic() + 10
    app.update()
    while not app.settled():
        assert time.monotonic() < deadline
        app.wait(0.05)
        app.update()


def test_status_line_and_card_of_the_app(tmp_path, net, make_frame):
    write_table(tmp_path)
    for folder, side in (("max_im", 12), ("card", 9)):
        path = tmp_path / folder / "conv/conv_0001.jpg"
        path.parent.mkdir(parents=True)
        write_image(path, group([plain_tile(side, side, 5)] * 9, 3))
    settings = config.load(TABLE, None).replaced(
        caffevis_unit_jpg_dir=str(tmp_path), caffevis_jpgvis_remap=None,
        caffevis_jpgvis_layers=None,
        caffevis_start=None, caffevis_data_mean=None, caffevis_labels=None,
        caffevis_label_layers=None, caffevis_deploy_prototxt="none", caffevis_network_weights=None,
    )  # fmt: skip
    app = CaffeVisApp(settings, lambda: 0.0, net)
    app.start()
    app.set_frame(make_frame())
    settle(app)
    assert "Leopards" not in app.status()
    app.handle(BY_KEY["down"])
    app.handle(BY_KEY["right"])
    settle(app)
    assert "| Leopards (d' 2.5), silent on 71 % of photos |" in app.status()

    def view():
        settle(app)
        return next(d.inputs for d in app.drawings() if d.pane == jpgvis.PANE)

    assert [bool(p.image is not None) for p in view().pictures] == [False, True, False]
    app.handle(BY_KEY["f3"])
    patches, card, words = view().pictures
    assert patches.image.shape[0] == 36 and card.image.shape[0] == 27
    assert words.note[:2] == ("conv:1:", "answers to Leopards: d' 2.5")
    assert view().titles[1] == CARD.name
    assert view() == view()  # drawn once
    app.handle(BY_KEY["left"])
    assert view().pictures[2].note == ("conv:0:", "nothing is known of it in words")
    assert "find_maxes.crop_max_patches" in " ".join(app.notes())
    app.handle(BY_KEY["9"])
    assert view().pictures == ()
    app.handle(BY_KEY["f3"])
    assert len(view().pictures) == 3 and app.state.show_card
    app.handle(BY_KEY["f3"])
    assert not app.state.show_card and len(view().pictures) == 3
    assert app.close()


def test_the_command_for_a_card_names_both_steps():
    folder = UnitFolder("units", model=(f"{ROOT}/models/x.prototxt", "w"))
    command = folder.command(CARD, "conv1")
    assert "find_maxes.find_max_acts --labels --quantiles" in command
    assert "models/x.prototxt" in command and "crop_max_patches --unit-jpg-dir" in command
