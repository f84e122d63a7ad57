"""The only place that shows a picture or reads keys and mouse: OpenCV's HighGUI.

HighGUI's Qt aborts the whole process where it cannot open the display, so a
child process tries it first.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from types import TracebackType

import cv2

from toolbox.pictures.images import Image
from toolbox.window.pointer import (
    CLICK,
    DRAG,
    MOVE,
    RIGHT_CLICK,
    WHEEL_DOWN,
    WHEEL_UP,
    MouseEvent,
)
from toolbox.window.wheel import WheelUndo

_PROBE = """
import sys, cv2
cv2.namedWindow("probe", cv2.WINDOW_AUTOSIZE)
cv2.destroyWindow("probe")
print("open", flush=True)
sys.stdin.read()
"""
_BUTTONS = {cv2.EVENT_LBUTTONDOWN: CLICK, cv2.EVENT_RBUTTONDOWN: RIGHT_CLICK}
_PROBE_SECONDS = 30.0
_PROBES = 3


class NoDisplayError(Exception):
    """There is no display that a window could be opened on."""

    def __init__(self) -> None:
        display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        what = f"the display {display} cannot be opened" if display else "there is no display"
        super().__init__(
            f"No window can be shown here: {what}. Start it where there is one (a desktop, "
            "'ssh -X', or 'xvfb-run'), or without a window: python live_vis.py --headless "
            '--keys "o o down right b" --screenshot out.png'
        )


class Display:
    """Proof that HighGUI can open a window here, found without risking this process.

    A child process opens one and stays connected until `release`: an X server
    without any client may reset itself, and refuse us in that moment.

    Raises
    ------
    NoDisplayError
        The child could not.
    """

    def __init__(self) -> None:
        if sys.platform.startswith("linux") and not any(
            os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
        ):
            raise NoDisplayError
        for attempt in range(_PROBES):
            # Another client's leaving may just be resetting the server: look again.
            time.sleep(0.3 * attempt)
            if self._probe():
                return
            self.release()
        raise NoDisplayError

    def _probe(self) -> bool:
        self._child = subprocess.Popen(
            [sys.executable, "-c", _PROBE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        # A child that hangs is ended, which ends the reading too.
        timer = threading.Timer(_PROBE_SECONDS, self._child.kill)
        timer.start()
        try:
            answer = self._child.stdout.readline() if self._child.stdout else b""
        finally:
            timer.cancel()
        return answer.strip() == b"open"

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def release(self) -> None:
        """Let the child end; called once this process has its own window, or gives up."""
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._child.wait(2)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


class Window:
    """One HighGUI window that shows a buffer and collects key codes and mouse events.

    Parameters
    ----------
    title : str
        The window's title.
    size : (int, int)
        Width and height in pixels of what it will show.
    display : Display, optional
        Where the caller has made sure already; released here.

    Raises
    ------
    NoDisplayError
        HighGUI cannot open a window here.
    """

    def __init__(self, title: str, size: tuple[int, int], display: Display | None = None) -> None:
        self.title = title
        self._mouse: list[MouseEvent] = []
        with display or Display():
            cv2.namedWindow(title, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)
            cv2.resizeWindow(title, *size)
            self._undo = WheelUndo()
            cv2.setMouseCallback(title, self._on_mouse)
            cv2.waitKeyEx(1)

    def __enter__(self) -> Window:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def show(self, buffer: Image) -> None:
        """Show an RGB buffer of shape (height, width, 3)."""
        cv2.imshow(self.title, cv2.cvtColor(buffer, cv2.COLOR_RGB2BGR))

    def _on_mouse(self, event: int, x: int, y: int, flags: int, _: object) -> None:
        """Keep what a button or the wheel did; HighGUI calls it while it waits for keys."""
        kind = _BUTTONS.get(event)
        if event == cv2.EVENT_MOUSEMOVE:
            kind = DRAG if flags & cv2.EVENT_FLAG_LBUTTON else MOVE
            if kind == MOVE and self._mouse and self._mouse[-1].kind == MOVE:
                self._mouse.pop()  # only where it is now counts
        if event == cv2.EVENT_MOUSEWHEEL and flags >> 16:
            kind = WHEEL_UP if flags > 0 else WHEEL_DOWN  # the upper half has the signed way
            if kind == WHEEL_UP:
                self._undo.turned_up()
            elif self._undo.is_own():
                return
        if kind is not None:
            self._mouse.append(MouseEvent(kind, x, y))

    def poll(self, milliseconds: int) -> list[int | MouseEvent]:
        """Wait for a key, and drain keys and mouse.

        HighGUI keeps only the last key of each wait, so waits are short and
        repeated until there is none left. A key ends its wait, so the mouse
        events of a wait came before its key.

        Parameters
        ----------
        milliseconds : int
            How long to wait for the first one, at least 1.

        Returns
        -------
        list of int or MouseEvent
            Codes for `toolbox.window.key_codes.decode` and mouse events, in their order.
        """
        events: list[int | MouseEvent] = []
        code = cv2.waitKeyEx(max(1, milliseconds))
        while code >= 0:
            events += [*self._take_mouse(), code]
            code = cv2.waitKeyEx(1)
        return [*events, *self._take_mouse()]

    def poll_codes(self, milliseconds: int) -> list[int]:
        """Wait for keys and drain them; the mouse is passed over."""
        return [event for event in self.poll(milliseconds) if isinstance(event, int)]

    def _take_mouse(self) -> list[MouseEvent]:
        events, self._mouse = self._mouse, []
        return events

    def is_open(self) -> bool:
        """Tell whether the user has left the window open."""
        try:
            return cv2.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:
            return False

    def wanted_scale(self) -> float | None:
        """Leave the scale as it is: the window is as large as its picture."""
        return None

    def close(self) -> None:
        """Close the window."""
        cv2.destroyAllWindows()
        cv2.waitKeyEx(1)
        self._undo.close()
