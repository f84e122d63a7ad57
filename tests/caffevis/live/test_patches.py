"""Top patches from photos while one looks: the batch tools' bytes, ends of all kinds, bad input."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from caffevis.live import cache as kept_scans
from caffevis.live.__main__ import main as caches
from caffevis.live.photo_scan import Far
from caffevis.live.unit_patches import photos_of
from find_maxes import background
from find_maxes.background import Order, Place
from find_maxes.errors import UnwritableError
from settings import load
from tests.caffevis.live.conftest import batch_patches
from tests.pictures import write_unit
from toolbox.pictures.image_file import write_image

ROOT = Path(__file__).resolve().parents[3]
UNIT = "o down right right"
QUIET = {"caffevis_make_images": False}


def far(on):
    return on.app._images._patches._scan.far


def scan_process(on) -> subprocess.Popen:
    return on.app._images._patches._scan._process


def result(cache: Path) -> Path:
    (found,) = cache.glob("*/max.npz")
    return found


def test_the_end_is_the_batch_tools_bytes(small, drive, cache, tmp_path, threads, capfd):
    made = batch_patches(small, small / "photos", tmp_path)
    on = drive(caffevis_photos_dir=str(small / "photos"), **QUIET)
    on.press(UNIT)
    on.settle()
    assert result(cache).read_bytes() == (made / "max.npz").read_bytes()
    for number, kind in ((1, "max_im"), (2, "max_deconv")):
        write_image(tmp_path / "shown.jpg", on.picture(number).image)
        file = made / kind / "conv2" / "conv2_0002.jpg"
        assert (tmp_path / "shown.jpg").read_bytes() == file.read_bytes()
    assert on.picture(1).caption == "60 of 60 photos"
    assert on.picture(0).image is None
    # A finished scan is there at once, without a process.
    again = drive(caffevis_photos_dir=str(small / "photos"), **QUIET)
    again.press(UNIT)
    again.settle()
    assert scan_process(again) is None
    assert np.array_equal(again.picture(1).image, on.picture(1).image)


def test_files_that_changed_under_their_names_are_other_photos(small, tmp_path):
    photos = some_photos(small, tmp_path / "own", 2)
    order = order_for(small, photos, tmp_path)
    before = Place.of(order).folder
    assert Place.of(order).folder == before
    os.utime(photos / "0.png", (1, 1))
    assert Place.of(order).folder != before


def some_photos(small: Path, folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.png").write_bytes((small / "photos" / "000.png").read_bytes())
    return folder


def test_they_gather_its_own_death_is_a_message_and_the_next_start_goes_on(drive, many, cache):
    settings = {"caffevis_photos_dir": str(many), **QUIET}
    on = drive(**settings)
    on.press(UNIT)
    on.until(lambda: on.picture(1) and on.picture(1).image is not None)
    assert on.picture(1).caption.endswith(" of 24,000 photos")
    on.until(lambda: far(on).version > 0)
    assert not far(on).finished
    scan_process(on).kill()
    on.settle()
    assert "the process that scans the photos has died (-9)" in on.app.message()
    assert on.picture(1).image is not None  # what was found is shown
    assert on.app.close()
    again = drive(**settings)
    again.until(lambda: far(again).of)
    assert far(again).done > 0
    assert next(cache.glob("*/max.npz.checkpoint")).exists()
    assert scan_process(again).poll() is None
    assert again.app.close()
    assert scan_process(again).poll() is not None


SCRIPT = """
import sys, time
from pathlib import Path
from caffevis.app import CaffeVisApp
from settings import load

if __name__ == "__main__":
    settings = load(Path(sys.argv[1])).replaced(caffevis_photos_dir=sys.argv[2])
    app = CaffeVisApp(settings)
    app.start()
    for key in "o down".split():
        app.handle(next(row for row in app.bindings if key in row.keys))
    scan = app._images._patches._scan
    while not scan.far.done:
        time.sleep(0.01)
        app.update()
    print(scan._process.pid, flush=True)
    time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_the_process_ends_with_the_window_however_that_ends(small, many, tmp_path):
    (tmp_path / "app.py").write_text(SCRIPT, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "app.py"), str(small / "settings.py"), str(many)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    app = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        pid = int(app.stdout.readline())
        assert alive(pid)
        app.send_signal(signal.SIGKILL)
        app.wait(10)
        deadline = time.monotonic() + 10
        while alive(pid):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        app.kill()
        app.communicate()


# What is wrong -> what the message says.
BAD = {
    "vanished": "there is no folder of photos {photos}",
    "empty": "the folder {photos} holds no picture",
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(drive, tmp_path, case):
    photos = tmp_path / "own"
    if case == "empty":
        photos.mkdir()
    on = drive(caffevis_photos_dir=str(photos), **QUIET)
    on.press(UNIT)
    on.settle()
    said = BAD[case].format(photos=photos)
    assert said in on.app.message()
    assert said in on.picture(1).note[0]


def test_broken_files_are_counted(small, tmp_path):
    photos = some_photos(small, tmp_path / "own", 5)
    (photos / "broken.jpg").write_bytes(b"no picture")
    (photos / "labels.txt").write_text("broken.jpg 0")
    out = io.StringIO()
    background.scan(order_for(small, photos, tmp_path), out)
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert told[0] == {"done": 0, "of": 6, "bad": 0}
    assert {**told[-1], "saved": ""} == {
        "done": 6, "of": 6, "bad": 1, "saved": "", "finished": True
    }  # fmt: skip
    assert Far(**told[-1]).text() == "6 of 6 photos, 1 unreadable"
    assert Far(done=4210, of=8677).text() == "4,210 of 8,677 photos"


def test_photos_that_go_away_meanwhile_are_a_message(small, tmp_path):
    photos = some_photos(small, tmp_path / "own", 40)
    order = order_for(small, photos, tmp_path)
    real = Place.of

    def gone(order):
        place = real(order)
        for file in photos.iterdir():
            file.unlink()
        photos.rmdir()
        return place

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Place, "of", gone)
        with pytest.raises(background.FindMaxesError, match="has gone"):
            background.scan(order, io.StringIO())


def order_for(small: Path, photos: Path, cache: Path) -> Order:
    from caffevis.live.order import order_of
    from caffevis.model.opening import open_net

    settings = load(small / "settings.py")
    return order_of(settings, open_net(settings), str(photos), cache)


def test_an_order_is_the_same_on_the_other_side(small, tmp_path):
    order = order_for(small, small / "photos", tmp_path)
    there = Order.from_line(order.to_line())
    assert there.to_line() == order.to_line()
    assert (there.net, there.photos) == (order.net, order.photos)


def test_a_cache_that_cannot_be_written_is_said_and_a_passing_one_is_used(
    small, drive, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    on = drive(caffevis_photos_dir=str(small / "photos"), **QUIET)
    on.press(UNIT)
    on.settle()
    assert on.picture(1).image is not None
    assert "cannot be written: not a directory: what is found now is for" in on.app.message()
    left = Path(tempfile.gettempdir())
    assert list(left.glob("dvt-scan-*/*/max.npz"))
    assert on.app.close()
    assert not list(left.glob("dvt-scan-*"))


def test_a_full_disk_is_an_error_of_its_own(small, tmp_path, monkeypatch):
    def full(*rest, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(UnwritableError, match="no space left"):
        background.scan(order_for(small, small / "photos", tmp_path), io.StringIO())


def test_files_of_another_version_or_damaged_ones_are_made_anew(small, tmp_path):
    order = order_for(small, small / "photos", tmp_path)
    background.scan(order, io.StringIO())
    place = Place.of(order)
    whole = place.result.read_bytes()
    assert place.finished() is not None
    place.result.write_bytes(whole[:100])
    place.result.with_name("max.npz.checkpoint").write_bytes(b"of another version")
    assert place.finished() is None
    background.scan(order, io.StringIO())
    assert place.result.read_bytes() == whole


def test_without_the_cache_it_is_not_touched(small, drive, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    on = drive(caffevis_photos_dir=str(small / "photos"), caffevis_keep_scans=False, **QUIET)
    on.until(lambda: list(tmp_path.glob("dvt-scan-*")))
    assert on.app.close()
    assert not list(tmp_path.glob("dvt-scan-*"))
    assert not cache.exists()


def test_the_cache_is_bounded_and_can_be_emptied(cache, capsys):
    for number in range(4):
        (cache / str(number)).mkdir(parents=True)
        (cache / str(number) / "max.npz").write_bytes(b"x" * 1000)
        kept_scans.mark_used(cache / str(number))
    kept_scans.trim(cache, 2500)
    assert sorted(path.name for path in cache.iterdir()) == ["2", "3"]
    assert caches([]) == 0
    assert "2 scans" in capsys.readouterr().out
    assert caches(["--empty"]) == 0
    assert not cache.exists()
    assert caches(["--empty"]) == 0
    assert str(cache) in capsys.readouterr().out


def test_which_folder_is_taken(small, many, tmp_path):
    settings = load(small / "settings.py")
    assert photos_of(settings) is None  # its folder of input files does not exist
    taken = settings.replaced(static_files_dir=str(many))
    assert photos_of(taken) == str(many)
    few = tmp_path / "few"
    few.mkdir()
    assert photos_of(settings.replaced(static_files_dir=str(few))) is None
    assert photos_of(taken.replaced(caffevis_photos_dir=str(few))) == str(few)
    assert photos_of(taken.replaced(static_files_input_mode="image_list")) is None
    write_unit(tmp_path / "units", "conv1", 0)
    own = taken.replaced(caffevis_unit_jpg_dir=str(tmp_path / "units"))
    assert photos_of(own) is None  # the model has patches


def test_named_photos_go_before_patches_on_disk(small, drive, tmp_path):
    write_unit(tmp_path, "conv2", 2)
    folder = {"caffevis_unit_jpg_dir": str(tmp_path), **QUIET}
    named = drive(caffevis_photos_dir=str(small / "photos"), **folder)
    named.press(UNIT)
    named.until(lambda: named.picture(1))
    assert named.picture(1).image is None
    assert named.picture(1).note[0].startswith("top patches: ")
