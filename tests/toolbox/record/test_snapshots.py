"""Saved pictures: names, what is in them, and what the disk refuses."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import numpy as np
import pytest

from toolbox.pictures.image_file import ImageError, read_image, write_image
from toolbox.record import snapshots as saver_module
from toolbox.record.snapshots import (
    WAITING_AT_MOST,
    PictureRequest,
    PictureSaver,
    save_picture,
    time_stamp,
)

STAMP = "20150630-174501"


def picture(level: int) -> np.ndarray:
    return np.full((6, 9, 3), (level, 10, 20), np.uint8)


def test_pictures_of_one_second_are_numbered_and_nothing_is_overwritten(tmp_path):
    taken = tmp_path / f"dvt_{STAMP}_02.png"
    taken.write_bytes(b"mine")
    saver = PictureSaver(tmp_path, lambda: STAMP)
    for level in (1, 2, 3):
        saver.save(picture(level))
    assert saver.close()
    names = [f"dvt_{STAMP}_{number:02d}.png" for number in (1, 2, 3, 4)]
    assert sorted(os.listdir(tmp_path)) == names
    assert taken.read_bytes() == b"mine"
    levels = [int(read_image(tmp_path / names[n])[0, 0, 0]) for n in (0, 2, 3)]
    assert levels == [1, 2, 3]
    assert saver.message == f"saved {tmp_path / names[3]}"
    saver.forget()
    assert saver.message == ""


def test_a_file_in_the_current_folder_is_named_without_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saver = PictureSaver(tmp_path / "new" / "one")
    saver.save(picture(1))
    assert saver.close()
    assert re.fullmatch(r"saved new/one/dvt_\d{8}-\d{6}_01\.png", saver.message)
    assert (tmp_path / saver.message.split()[1]).is_file()
    assert re.fullmatch(r"\d{8}-\d{6}", time_stamp())


def test_the_picture_is_that_of_the_moment(tmp_path):
    saver, shown = PictureSaver(tmp_path, lambda: STAMP), picture(1)
    saver.save(shown)
    shown[:] = 0
    assert saver.close()
    assert int(read_image(tmp_path / f"dvt_{STAMP}_01.png")[0, 0, 0]) == 1


def test_saving_never_waits_and_keeps_few_pictures(tmp_path, monkeypatch):
    go_on = threading.Event()

    def slow(path: Path, image: np.ndarray) -> None:
        go_on.wait(20)
        write_image(path, image)

    monkeypatch.setattr(saver_module, "write_image", slow)
    saver = PictureSaver(tmp_path, lambda: STAMP)
    for level in range(WAITING_AT_MOST + 2):
        assert saver.message == ""
        saver.save(picture(level))
    assert "still being written" in saver.message
    assert not saver.settled()
    go_on.set()
    assert saver.close()
    assert len(os.listdir(tmp_path)) == WAITING_AT_MOST + 1


def test_a_folder_that_is_a_file_is_a_message(tmp_path):
    (tmp_path / "file").touch()
    saver = PictureSaver(tmp_path / "file")
    saver.save(picture(1))
    assert saver.close()
    assert re.fullmatch(r"not saved: no picture can be saved in .*/file: \w.*", saver.message)


def test_a_picture_that_fails_leaves_no_empty_file(tmp_path, monkeypatch):
    def full(path: Path, image: np.ndarray) -> None:
        raise ImageError("no space left on device")

    monkeypatch.setattr(saver_module, "write_image", full)
    with pytest.raises(ImageError, match="no space"):
        save_picture(tmp_path, PictureRequest(picture(1), STAMP))
    assert os.listdir(tmp_path) == []


def test_without_a_picture_there_is_no_thread(tmp_path):
    before = threading.active_count()
    saver = PictureSaver(tmp_path)
    saver.update()
    assert threading.active_count() == before
    assert saver.settled()
    assert saver.close()
