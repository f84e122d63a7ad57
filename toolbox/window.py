"""The only place that shows a picture or reads a key: OpenCV's HighGUI.

HighGUI's Qt aborts the whole process where it cannot open the display, so a
child process tries it first.
"""

from __future__ import annotations

import os
import subprocess
import sys
from types import TracebackType

import cv2

from toolbox.images import Image

_PROBE = "import cv2; cv2.namedWindow('probe', cv2.WINDOW_AUTOSIZE); cv2.destroyAllWindows()"
_PROBE_SECONDS = 20.0


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


def has_display() -> bool:
    """Tell whether HighGUI can open a window, without risking this process.

    Returns
    -------
    bool
        True where a child process could open one.
    """
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY")
        or os.environ.get("WAYLAND_DISPLAY")
        or os.environ.get("QT_QPA_PLATFORM")
    ):
        return False
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0


class Window:
    """One HighGUI window that shows a buffer and collects key codes.

    Parameters
    ----------
    title : str
        The window's title.
    size : (int, int)
        Width and height in pixels of what it will show.
    probed : bool
        The caller has asked `has_display` already.

    Raises
    ------
    NoDisplayError
        HighGUI cannot open a window here.
    """

    def __init__(self, title: str, size: tuple[int, int], probed: bool = False) -> None:
        if not probed and not has_display():
            raise NoDisplayError
        self.title = title
        cv2.namedWindow(title, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)
        cv2.resizeWindow(title, *size)

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

    def poll_codes(self, milliseconds: int) -> list[int]:
        """Wait for keys and drain them.

        HighGUI keeps only the last key of each wait, so waits are short and
        repeated until there is none left.

        Parameters
        ----------
        milliseconds : int
            How long to wait for the first one, at least 1.

        Returns
        -------
        list of int
            Codes for `toolbox.keys.decode`, in the order of the presses.
        """
        codes = []
        code = cv2.waitKeyEx(max(1, milliseconds))
        while code >= 0:
            codes.append(code)
            code = cv2.waitKeyEx(1)
        return codes

    def is_open(self) -> bool:
        """Tell whether the user has left the window open."""
        try:
            return cv2.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:
            return False

    def close(self) -> None:
        """Close the window."""
        cv2.destroyAllWindows()
        cv2.waitKeyEx(1)
