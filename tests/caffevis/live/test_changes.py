"""Photos and a network's files that change while the window is open; processes killed."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from caffevis.app import CaffeVisApp
from caffevis.keys.state import Origin
from caffevis.live import cache as kept_scans
from caffevis.live import order as orders
from caffevis.live.ascents import Ascents
from caffevis.live.keeping import keep
from caffevis.live.order import order_of
from caffevis.live.photo_scan import Far
from caffevis.live.request import Keep, KeepError, Wanted
from caffevis.model.opened_files import OpenedFiles
from caffevis.model.opening import engine_net, open_net
from caffevis.opened import open_all
from find_maxes import background
from find_maxes.background import PASSING, Place
from find_maxes.photos.net_input import Recipe
from settings import load
from tests.caffevis.live.conftest import Driven
from tests.conftest import ROOT
from toolbox.pictures.image_file import write_image
from toolbox.pictures.stamp import StampError
from toolbox.workers.file_lock import take

UNIT = "o down right right"
QUIET = {"caffevis_make_images": False}
MADE = Origin("conv1", 1)
OPENED = "has changed since the network was opened"


@pytest.fixture
def own(small, tmp_path) -> Path:
    """A copy of the network, its settings and photos, that a test may change."""
    folder = tmp_path / "own"
    shutil.copytree(small, folder)
    with (folder / "settings.py").open("a", encoding="utf-8") as file:
        file.write("caffevis_data_mean = 'mean.npy'\ncaffevis_labels = 'labels.txt'\n")
    np.save(folder / "mean.npy", np.full((3, 24, 24), 110, np.float32))
    (folder / "labels.txt").write_text("a\nb\nc\nd\ne\n", encoding="utf-8")
    return folder


@pytest.fixture
def look(own) -> Iterator[Callable[..., Driven]]:
    """Open a window on that copy; arguments are settings."""
    apps: list[CaffeVisApp] = []

    def start(**settings: object) -> Driven:
        apps.append(CaffeVisApp(settings_of(own).replaced(**QUIET, **settings)))
        apps[-1].start()
        return Driven(apps[-1])

    yield start
    for app in apps:
        assert app.close()


def settings_of(own: Path):
    return load(own / "settings.py")


def replace(path: Path, data: bytes | None = None) -> None:
    """Put another file in a file's place, as programs do that write files whole."""
    beside = path.with_suffix(".beside")
    beside.write_bytes(data if data is not None else path.read_bytes() + b"\n")
    os.replace(beside, path)


def scanned(order, out=None) -> list[dict]:
    out = out or io.StringIO()
    background.scan(order, out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


# ---------------------------------------------------------------- a network's files

FILES = ("small.prototxt", "small.caffemodel", "mean.npy", "labels.txt")


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_replaced_is_said_and_not_taken(own, name, tmp_path):
    settings = settings_of(own)
    opened = open_all(settings)
    assert opened.files.changed() == ""
    order = order_of(settings, opened.net, str(own / "photos"), tmp_path / "c", opened.files)
    replace(own / name)
    assert opened.files.changed() == f"{own / name} {OPENED}"
    # The process that scans photos, were it started now.
    with pytest.raises(background.FindMaxesError, match=f"are not scanned: .*{name} {OPENED}"):
        background.scan(order, io.StringIO())
    # What says which network the pictures beside it are of.
    if name.startswith("small"):
        with pytest.raises(StampError, match=OPENED):
            opened.files.stamp()
    # Unit images: the network is the window's, mean and labels would be read again.
    for net in (engine_net(opened.net), None):
        ascents = Ascents(settings, net, opened.prepare, opened.files)
        news = next(n for n in ascents(Wanted(MADE, 0, None, None)) if n)
        refused = net is None or not name.startswith("small")
        assert (OPENED in news.growth.note) == refused


def test_the_window_says_it_and_goes_on(own, look):
    on = look()
    on.until(lambda: on.app._images._watch._worker.wait(0.01) or True)
    assert OPENED not in on.app.message()
    replace(own / "small.caffemodel", b"half of a file")
    on.until(lambda: OPENED in on.app.message())
    assert on.app.message().count(OPENED) == 1
    assert "the window goes on with what it read then" in on.app.message()


def test_a_scan_that_begins_late_does_not_take_the_new_file(own, look, monkeypatch):
    real = orders.order_of

    def late(*rest):
        replace(own / "small.caffemodel")
        return real(*rest)

    monkeypatch.setattr(orders, "order_of", late)
    on = look(caffevis_photos_dir=str(own / "photos"))
    on.until(lambda: "the photos are not scanned: " in on.app.message())
    assert on.app._images._patches._scan._process is None


def test_what_was_made_is_not_kept_under_the_new_files_name(own, tmp_path, monkeypatch):
    monkeypatch.setattr("caffevis.live.ascents.SEEDS", 1)
    settings = settings_of(own).replaced(caffevis_unit_jpg_dir=str(tmp_path / "units"))
    opened = open_all(settings)
    ascents = Ascents(settings, engine_net(opened.net), opened.prepare, opened.files)
    made = [news for news in ascents(Wanted(MADE, 0, None, None)) if news]
    opened.files.stamp()
    assert made[-1].growth.made.results[0].last.base is None  # nor is the whole of it kept
    replace(own / "small.caffemodel")
    with pytest.raises(KeepError, match=f"conv1:1 is not kept: .*{OPENED}"):
        keep(settings, Keep(MADE, made[-1].growth.made, None), opened.files)
    assert not list(tmp_path.glob("units/**/*.jpg"))


# ---------------------------------------------------------------- photos


def order_for(own: Path, cache: Path):
    settings = settings_of(own)
    return order_of(settings, open_net(settings), str(own / "photos"), cache, OpenedFiles(settings))


def test_a_photo_that_changes_during_the_scan_is_left_out_for_this_window(own, tmp_path):
    order, photos = order_for(own, tmp_path / "scans"), own / "photos"
    real, left = Recipe.picture, [True]

    def picture(self, path):
        if left:
            left.pop()
            replace(photos / "058.png", (photos / "000.png").read_bytes())
            (photos / "059.png").unlink()
            (photos / "added.png").write_bytes((photos / "000.png").read_bytes())
        return real(self, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recipe, "picture", picture)
        place = Place.of(order)
        told = scanned(order)
    assert told[-1]["bad"] == 2
    assert told[-1]["of"] == 60
    assert told[-1]["note"] == (
        "2 photos have changed during the scan and are left out until the window is opened again, "
        "the first 058.png"
    )
    assert told[-1]["saved"] == str(place.folder / PASSING)
    assert not place.result.exists()
    # Opened again, all of what is there is scanned.
    again = scanned(order)
    assert {key: again[-1][key] for key in ("done", "of", "bad")} == {
        "done": 60,
        "of": 60,
        "bad": 0,
    }
    assert Place.of(order).finished() is not None
    assert Place.of(order).folder != place.folder


def test_patches_of_a_photo_that_has_become_another_are_left_out(own, look):
    photos = own / "photos"
    on = look(caffevis_photos_dir=str(photos))
    on.press(UNIT)
    on.settle()
    assert on.picture(1).image is not None
    assert "left out" not in on.app.message()
    for path in photos.iterdir():
        write_image(path, np.full((48, 48, 3), 128, np.uint8))
    on.press("right")
    on.settle()
    assert on.picture(1).image is None
    said = on.picture(1).note[0]
    assert "photos have changed since the scan: their patches of conv2:3 are left out" in said


# ---------------------------------------------------------------- two windows, and killed ones


def test_of_two_windows_one_scans_and_the_other_waits_for_its_result(own, tmp_path):
    order = order_for(own, tmp_path / "scans")
    scanned(order)
    place = Place.of(order)
    whole = place.result.read_bytes()
    out = io.StringIO()
    with open(place.folder / background.LOCK, "wb") as lock:
        assert take(lock)
        thread = threading.Thread(target=background.scan, args=(order, out))
        thread.start()
        while "another window scans these photos" not in out.getvalue():
            assert thread.is_alive()
        place.result.touch()
    thread.join(60)
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [each.get("note") for each in told[:2]] == [
        "another window scans these photos: this one waits for it", ""
    ]  # fmt: skip
    assert told[2]["finished"] and len(told) == 3  # without a second scan
    assert place.result.read_bytes() == whole
    assert Far(**told[2]).text() == "60 of 60 photos"


LEAVES = """
import sys, time
from caffevis.live.cache import passing_folder
with passing_folder() as own:
    (own / "max.npz").write_bytes(b"x")
    print(own, flush=True)
    time.sleep(60)
"""


def test_what_a_killed_window_left_is_removed_by_the_next_one(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-c", LEAVES], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    left = Path(process.stdout.readline().strip())
    assert left.parent == tmp_path
    with kept_scans.passing_folder() as mine:
        assert left.exists()  # it is in use
        process.kill()
        process.communicate()
        with kept_scans.passing_folder():
            assert not left.exists()
            assert mine.exists()
    assert not list(tmp_path.iterdir())


def test_which_scan_was_used_last_does_not_depend_on_the_clock(tmp_path):
    for number, name in enumerate("abcd"):
        kept_scans.mark_used(tmp_path / name)
        (tmp_path / name / "max.npz").write_bytes(b"x" * 1000)
        os.utime(tmp_path / name, (2e9 - number, 2e9 - number))  # the clock goes back
    kept_scans.mark_used(tmp_path / "a")
    (tmp_path / "c" / kept_scans.USED).write_text("damaged", encoding="utf-8")
    assert [path.name for path, _, _ in kept_scans.scans(tmp_path)] == ["c", "b", "d", "a"]
    kept_scans.trim(tmp_path, 2500)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "d"]
