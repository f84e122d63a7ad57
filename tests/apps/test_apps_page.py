"""The code of docs/apps.md, taken from the page and run."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import settings as declared
from toolbox.app.protocol import load_apps
from toolbox.pictures.image_file import write_image
from toolbox.settings import config
from toolbox.settings.config import SettingsError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "apps.md"
APP, SETTINGS, TEST = re.findall(
    r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "brightness.py").write_text(APP, encoding="utf-8")
    (tmp_path / "settings_local.py").write_text(SETTINGS, encoding="utf-8")
    yield config.load(declared.TABLE, tmp_path / "settings_local.py")
    sys.modules.pop("brightness", None)


def test_the_settings_load_both_apps(settings):
    assert [app.__name__ for app in load_apps(settings)] == ["CaffeVisApp", "BrightnessApp"]


def test_the_page_s_app_counts_and_draws(settings, tmp_path):
    (tmp_path / "page_test.py").write_text(TEST, encoding="utf-8")
    page_test = importlib.import_module("page_test")
    photo = tmp_path / "photo.png"
    write_image(photo, np.full((8, 8, 3), 99, np.uint8))
    make = load_apps(settings)[1]
    _, _, rows, columns = dict(settings.window_panes)["brightness"]
    small = settings.replaced(window_panes=(("input", (0, 0, 300, 300)),
                                            ("brightness", (300, 0, rows, columns))))  # fmt: skip
    shots = [
        page_test.picture_after(small, make(small, None), keys, str(photo))[300:]
        for keys in ([], ["3"], ["3", "3"])
    ]
    assert (shots[0][-1, -1] == (0, 0, 60)).all()
    assert not np.array_equal(shots[0], shots[1])
    assert not np.array_equal(shots[1], shots[2])
    sys.modules.pop("page_test", None)


def test_an_app_that_is_not_there_is_one_sentence(settings):
    wrong = settings.replaced(installed_apps=(("brightness", "DarknessApp"),))
    with pytest.raises(SettingsError, match="installed_apps: DarknessApp of brightness"):
        load_apps(wrong)
