"""The same for what comes in as words: messages, lists, tables, notes of earlier runs, keys."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

import numpy as np
import pytest

from caffevis.app import CaffeVisApp
from caffevis.live.cache import USED, scans
from caffevis.units.image_paths import UnitFolder
from caffevis.units.words import FOLDER, NAME, read_words
from find_maxes.errors import FindMaxesError
from find_maxes.labels.words import label_words
from find_maxes.masks.mask_folder import read_mask
from find_maxes.photos.net_input import Recipe
from find_maxes.photos.photo_list import read_images
from find_maxes.scan.maxes_file import read_versions, write_checkpoint
from optimize.batch import unit_jpgs
from optimize.batch.runs import Keeping, Naming, pending
from optimize.errors import OptimizeError
from optimize.output.files import json_bytes, read_json
from optimize.params import FindParams
from tests.doors.knocking import Door, bytes_near, knock, little_memory, zipped  # noqa: F401
from tests.doors.test_doors import SCAN, photo_list, picture, totals
from tests.mutations import mutate_bytes, mutate_json
from toolbox.app.bindings import BindingError
from toolbox.app.core import CORE_BINDINGS
from toolbox.app.protocol import all_bindings
from toolbox.input.lists import FilesError, read_list
from toolbox.serve import messages

ENCODINGS = ("utf-16", "utf-16-le", "latin-1", "cp1252", "utf-8-sig", "utf-7", "cp037", "shift_jis")
LETTERS = ("\u00e9", "u\u0308", "\u6f22", "\u2028", "\x85", "\x1c", "\U0001f600", "\0", "\r")
KEYS = all_bindings(CORE_BINDINGS, [CaffeVisApp])
PARAMS = FindParams(push_layer="fc", push_channel=1)


def recoded(rng: random.Random, data: bytes) -> bytes:
    """Write a text in another encoding, with letters that only some have."""
    text = data.decode("utf-8", "replace")
    for _ in range(rng.randrange(3)):
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(LETTERS) + text[at:]
    data = text.encode(rng.choice(ENCODINGS), "replace")
    return (mutate_bytes(rng, data, 60) if rng.random() < 0.5 else data) or b"\n"


# ---------------------------------------------------------------- what viewers of a browser say


def message(path: Path) -> None:
    said = {"type": "mouse", "kind": "click", "key": "o", "x": 10, "y": 20, "number": 3}
    head = json.dumps({**said, "scale": 1.5, "name": "photo.jpg", "camera": True}).encode()
    path.write_bytes(struct.pack(">I", len(head)) + head + b"\xff\xd8 and so on")


def said(path: Path) -> None:
    """Read it as a binary message and as a text, and what each may hold."""
    data = path.read_bytes()
    reasons = []
    for form in (data, data[4:].partition(b"}")[0].decode(errors="replace") + "}"):
        try:
            read = messages.read(form)
            messages.event(read)
            read.number("scale", 0.1, 10.0)
        except messages.MessageError as error:
            reasons.append(error)
    if reasons:
        raise reasons[0]


# ---------------------------------------------------------------- tables, masks, lists


def table(path: Path) -> None:
    head = "layer,unit,label,d',share of top 100,silent,p1,p10,p50,p90,p99\n"
    path.parent.joinpath(FOLDER).mkdir(exist_ok=True)
    rows = "conv1,0,a cat,1.5,0.4,0.1,0,1,1,2,3\nconv1,1,,,,0.9,,,,,\n"
    path.write_text(head + rows, encoding="utf-8")


def table_read(path: Path) -> None:
    (path.parent / FOLDER / NAME).write_bytes(path.read_bytes())
    _, said = read_words(UnitFolder(str(path.parent), {}))
    if said:
        raise ValueError(said)


def mask(path: Path) -> None:
    read_mask(path, np.zeros((20, 24, 3), np.uint8), Recipe(3, 8, 8))


def synsets(path: Path) -> None:
    path.write_text("n01440764 tench, a fish\nn01443537 goldfish\n", encoding="utf-8")


def pairs(path: Path) -> None:
    path.write_text("a.png\tb.png\nb.png a.png\n", encoding="utf-8")
    for name in "ab":
        picture(path.parent / f"{name}.png")


def script(path: Path) -> None:
    path.write_text("o o down right, b s space esc sel_layer_right", encoding="utf-8")


def pressed(path: Path) -> None:
    KEYS.parse_keys(path.read_bytes().decode("utf-8", "surrogateescape"))


# ---------------------------------------------------------------- what earlier runs left


def job() -> unit_jpgs.LayerJob:
    return unit_jpgs.LayerJob("fc", (0, 1), True, PARAMS, 2, None, {"files": {"a": "00"}})


def begun(path: Path) -> None:
    path.write_bytes(json_bytes(job().record()))


def finished(path: Path) -> None:
    one = {
        "label": "", "best_seed": 0, "best_obj": [1.0, 0.5], "best_ii": [1, 2],
        "is_strongest": [True, False], "meta_result": ["metric_done", "metric_done"],
        "note": "", "contrast": [30.0, 40.0],
    }  # fmt: skip
    units = [{"channel": channel, **one} for channel in (0, 1)]
    path.write_bytes(json_bytes({"record": job().record(), "units": units}))


def resumed(name: str):
    """Look at what is left of a layer's images, as --resume does."""

    def look(path: Path) -> None:
        place = job().place(path.parent)
        there = place.scores if name == "scores.json" else place.waiting(name)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(path.read_bytes())
        unit_jpgs.check(path.parent, [job()], Keeping(resume=True))
        found = read_json(there)
        units = unit_jpgs.as_units(
            found.get("units") if isinstance(found, dict) else None, job().channels, job().seeds
        )
        for unit in units or ():
            assert unit["is_strongest"][unit["best_seed"]] in (True, False)
            assert unit.get("contrast", True)

    return look


def one_run(path: Path) -> None:
    path.write_bytes(json_bytes({"params": PARAMS.to_dict(), "results": {}, "model": {"a": 1}}))


def one_resumed(path: Path) -> None:
    pending([PARAMS], Naming(str(path.parent / "x"), "fc"), Keeping(resume=True, model={"a": 1}))


def used(path: Path) -> None:
    path.write_text("12", encoding="ascii")


def versions(path: Path) -> None:
    write_checkpoint(path, totals(), SCAN, np.zeros((2, 2), np.int64))


NOTE = (OptimizeError,)
DOORS = [
    Door("message", message, said, (messages.MessageError,),
         lambda rng, data: (data[:4] + mutate_json(rng, data[4:]) if rng.random() < 0.7
                            else mutate_bytes(rng, data, 100))),
    Door("labels.csv", table, table_read, (ValueError,), bytes_near(300)),
    Door("mask.png", picture, mask, (FindMaxesError,), bytes_near(60)),
    Door("list of photos", photo_list, lambda path: read_images(str(path.parent), str(path)),
         (FindMaxesError,), recoded),
    Door("list of pairs", pairs, lambda path: read_list(str(path), True), (FilesError,), recoded),
    Door("synsets.txt", synsets, lambda path: label_words(["n01440764", "1"], str(path)),
         (FindMaxesError,), recoded),
    Door("keys", script, pressed, (BindingError,), recoded),
    Door("job.json", begun, resumed("job.json"), NOTE, mutate_json),
    Door("scores.json", finished, resumed("scores.json"), NOTE, mutate_json),
    Door("x_fc_info.json", one_run, one_resumed, NOTE, mutate_json),
    Door(USED, used, lambda path: scans(path.parent.parent), (), bytes_near(2), 100),
    Door("photo versions", versions, read_versions, (), zipped, 100),
]  # fmt: skip


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.file)
def test_changed_words(door: Door, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    knock(door, tmp_path, request.config.getoption("--soak"))
