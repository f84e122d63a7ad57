"""The size and density of the screen, and how large a window should be drawn on it.

Asked of the system's own library through ctypes, since HighGUI does not tell. Where a system
does not answer, nothing is known and the window keeps the size of its panes.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Room for the title bar and the desktop's panels.
MARGIN_ROWS, MARGIN_COLUMNS = 80, 10
SMALLEST = 0.3  # below it no text can be read, and a window beyond the screen is better
USUAL_DPI = 96.0


@dataclass(frozen=True)
class Desktop:
    """The screen a window opens on.

    Parameters
    ----------
    width, height : int
        In pixels.
    density : float
        How many pixels stand for one: 2 on a desktop set to 200 %.
    """

    width: int
    height: int
    density: float = 1.0


class _XineramaScreen(ctypes.Structure):
    _fields_ = (
        ("number", ctypes.c_int),
        ("x", ctypes.c_short),
        ("y", ctypes.c_short),
        ("width", ctypes.c_short),
        ("height", ctypes.c_short),
    )


def _x11() -> Desktop | None:
    """Ask the X server: the first monitor's size, and the density the desktop is set to."""
    x11 = ctypes.CDLL(ctypes.util.find_library("X11") or "libX11.so.6")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XResourceManagerString.restype = ctypes.c_char_p
    connection = ctypes.c_void_p(x11.XOpenDisplay(None))
    if not connection:
        return None
    try:
        screen = x11.XDefaultScreen(connection)
        size = (x11.XDisplayWidth(connection, screen), x11.XDisplayHeight(connection, screen))
        resources = x11.XResourceManagerString(connection) or b""
        width, height = _first_monitor(connection) or size
    finally:
        x11.XCloseDisplay(connection)
    found = re.search(rb"^Xft\.dpi:\s*([0-9.]+)", resources, re.MULTILINE)
    density = float(found[1]) / USUAL_DPI if found else 1.0
    # What Qt enlarges at the user's wish is not to be drawn larger again.
    enlarged = max(float(os.environ.get("QT_SCALE_FACTOR") or 1), 0.1)
    return Desktop(int(width / enlarged), int(height / enlarged), density / enlarged)


def _first_monitor(connection: ctypes.c_void_p) -> tuple[int, int] | None:
    """Return the size of the first of several monitors, None where Xinerama is absent."""
    name = ctypes.util.find_library("Xinerama")
    if name is None:
        return None
    xinerama = ctypes.CDLL(name)
    query = xinerama.XineramaQueryScreens
    query.restype = ctypes.POINTER(_XineramaScreen)
    count = ctypes.c_int(0)
    # The array is small, made once a start, and freed with the process.
    screens = query(connection, ctypes.byref(count))
    return (screens[0].width, screens[0].height) if screens and count.value else None


def _windows() -> Desktop | None:
    """Ask Windows; a program that knows nothing of densities is scaled by the system itself."""
    if sys.platform == "win32":
        user32 = ctypes.windll.user32
        return Desktop(user32.GetSystemMetrics(0), user32.GetSystemMetrics(1))
    return None


def _mac() -> Desktop | None:
    """Ask macOS; sizes are in points there, so the density is 1."""
    name = ctypes.util.find_library("CoreGraphics")
    if name is None:
        return None
    graphics = ctypes.CDLL(name)
    graphics.CGDisplayPixelsWide.restype = graphics.CGDisplayPixelsHigh.restype = ctypes.c_size_t
    main = graphics.CGMainDisplayID()
    return Desktop(graphics.CGDisplayPixelsWide(main), graphics.CGDisplayPixelsHigh(main))


_SYSTEMS: dict[str, Callable[[], Desktop | None]] = {"win32": _windows, "darwin": _mac}


def find_desktop() -> Desktop | None:
    """Ask the system for the screen.

    Returns
    -------
    Desktop or None
        None where it cannot be told.
    """
    if sys.platform not in _SYSTEMS and not os.environ.get("DISPLAY"):
        return None
    with contextlib.suppress(OSError, AttributeError, ValueError):
        desktop = _SYSTEMS.get(sys.platform, _x11)()
        if desktop is not None and min(desktop.width, desktop.height) > 0:
            return desktop
    return None


def fitting_scale(
    window_panes: Sequence[tuple[str, Sequence[int]]], desktop: Desktop | None
) -> float:
    """Choose `global_scale` so that the window fits the screen.

    Parameters
    ----------
    window_panes : sequence of (name, (row, column, height, width))
        The setting, in pixels.
    desktop : Desktop or None
        The screen; where it is not known, nothing is scaled.

    Returns
    -------
    float
        The desktop's density (1 as a rule) where the window then fits, else what makes it
        fit, rounded down to a hundredth, from 0.3.
    """
    if desktop is None or not window_panes:
        return 1.0
    height = max(row + rows for _, (row, _, rows, _) in window_panes)
    width = max(column + columns for _, (_, column, _, columns) in window_panes)
    room = min(
        (desktop.height - MARGIN_ROWS) / max(height, 1),
        (desktop.width - MARGIN_COLUMNS) / max(width, 1),
    )
    wanted = min(max(desktop.density, 1.0), 4.0)
    return max(SMALLEST, min(wanted, int(room * 100) / 100))
