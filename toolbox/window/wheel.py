"""Undo what Qt's HighGUI does with the wheel: it magnifies the picture, whatever the flags.

There is no call that turns it off or back: the magnification ends only where the wheel is turned
down again. So a turn up is answered by a turn down of our own, through X's test extension, and
the event of that is passed over. Where there is no such extension (Wayland asks the user for a
permission first), the picture stays magnified until the user turns the wheel back.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
import time
from collections import deque

import cv2

_BUTTON_DOWN = 5  # X's number for a turn down
_SECONDS = 0.5  # in which a turn of our own arrives; later ones are the user's


class WheelUndo:
    """Turns the wheel down again for each turn up, where the window is Qt's and X's."""

    def __init__(self) -> None:
        self._sent: deque[float] = deque()
        self._display: ctypes.c_void_p | None = None
        if _is_qt() and sys.platform.startswith("linux") and not os.environ.get("WAYLAND_DISPLAY"):
            self._open()

    def _open(self) -> None:
        """Connect to the X server, if it and its libraries are there."""
        name = ctypes.util.find_library("Xtst")
        if name is None or not os.environ.get("DISPLAY"):
            return
        try:
            self._x11 = ctypes.CDLL(ctypes.util.find_library("X11") or "libX11.so.6")
            self._xtest = ctypes.CDLL(name)
        except OSError:
            return
        self._x11.XOpenDisplay.restype = ctypes.c_void_p
        self._display = ctypes.c_void_p(self._x11.XOpenDisplay(None)) or None
        none = (ctypes.c_int * 4)()
        places = [ctypes.byref(none, 4 * n) for n in range(4)]
        if self._display and not self._xtest.XTestQueryExtension(self._display, *places):
            self.close()

    def turned_up(self) -> None:
        """Answer a turn up of the user's."""
        if self._display is None:
            return
        for pressed in (1, 0):
            self._xtest.XTestFakeButtonEvent(self._display, _BUTTON_DOWN, pressed, 0)
        self._x11.XFlush(self._display)
        self._sent.append(time.monotonic())

    def is_own(self) -> bool:
        """Tell of a turn down whether it is one of our own."""
        while self._sent and time.monotonic() - self._sent[0] > _SECONDS:
            self._sent.popleft()
        return bool(self._sent) and self._sent.popleft() > 0

    def close(self) -> None:
        """Leave the X server."""
        if self._display is not None:
            self._x11.XCloseDisplay(self._display)
            self._display = None


def _is_qt() -> bool:
    framework = getattr(cv2, "currentUIFramework", None)
    return framework is not None and str(framework()).upper().startswith("QT")
