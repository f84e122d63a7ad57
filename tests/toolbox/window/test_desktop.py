"""How large the window is drawn on which screen."""

from __future__ import annotations

import pytest

from toolbox.window.desktop import Desktop, find_desktop, fitting_scale

PANES = (("input", (0, 0, 300, 300)), ("caffevis_layers", (30, 300, 900, 1200)))  # 1500 x 930


@pytest.mark.parametrize(
    ("desktop", "scale"),
    [
        (None, 1.0),
        (Desktop(1920, 1080), 1.0),
        (Desktop(1366, 768), 0.73),  # (768 - 80) / 930
        (Desktop(1280, 1024), 0.84),  # (1280 - 10) / 1500
        (Desktop(3840, 2160), 1.0),
        (Desktop(3840, 2160, density=2), 2.0),
        (Desktop(2560, 1600, density=2), 1.63),  # as large as fits
        (Desktop(3840, 2160, density=0.5), 1.0),
        (Desktop(100, 100), 0.3),
    ],
)
def test_the_window_fits_the_screen(desktop, scale):
    assert fitting_scale(PANES, desktop) == scale


def test_without_panes_nothing_is_scaled():
    assert fitting_scale((), Desktop(640, 480)) == 1.0


def test_without_a_display_no_screen_is_known(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    assert find_desktop() is None
    monkeypatch.setenv("DISPLAY", ":987654")
    assert find_desktop() is None


def test_a_system_that_does_not_answer_is_no_error(monkeypatch):
    def fails():
        raise OSError("no such library")

    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setattr("toolbox.window.desktop._SYSTEMS", {"win32": fails})
    assert find_desktop() is None
