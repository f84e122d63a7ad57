"""Which turns of the wheel are the window's own; the real ones are in tests/e2e/test_mouse.py."""

from __future__ import annotations

import pytest

from toolbox.window import wheel
from toolbox.window.wheel import WheelUndo


class Xtest:
    """Stands for X and its test extension: keeps the buttons pressed and released."""

    def __init__(self) -> None:
        self.turns: list[tuple[int, int]] = []

    def XTestFakeButtonEvent(self, display: object, button: int, pressed: int, delay: int) -> None:
        self.turns.append((button, pressed))

    def XFlush(self, display: object) -> None:
        """Send nothing."""

    def XCloseDisplay(self, display: object) -> None:
        """Leave nothing."""


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(wheel.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def undo(monkeypatch) -> WheelUndo:
    monkeypatch.delenv("DISPLAY", raising=False)
    made = WheelUndo()
    made._x11 = made._xtest = Xtest()
    made._display = object()
    return made


def test_each_turn_up_is_answered_and_the_answer_passed_over(undo, clock):
    for _ in range(3):
        undo.turned_up()
    assert undo._xtest.turns == [(5, 1), (5, 0)] * 3
    assert [undo.is_own() for _ in range(4)] == [True, True, True, False]


def test_an_answer_that_never_comes_hides_no_turn_of_the_users(undo, clock):
    undo.turned_up()
    clock[0] += 0.6
    assert not undo.is_own()
    undo.turned_up()
    assert undo.is_own()


@pytest.mark.parametrize("missing", ["DISPLAY", "Qt", "Wayland"])
def test_elsewhere_nothing_is_sent(monkeypatch, clock, missing):
    monkeypatch.setenv("DISPLAY", ":nowhere")
    if missing == "DISPLAY":
        monkeypatch.delenv("DISPLAY")
    elif missing == "Qt":
        monkeypatch.setattr(wheel, "_is_qt", lambda: False)
    else:
        monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    nothing = WheelUndo()
    nothing.turned_up()
    assert not nothing.is_own()
    nothing.close()


def test_a_server_that_does_not_answer_is_left(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":nowhere")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(wheel, "_is_qt", lambda: True)
    nothing = WheelUndo()
    nothing.turned_up()
    assert not nothing.is_own()
