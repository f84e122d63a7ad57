"""Who drives the loop: a user at a window, or a script."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterable
from typing import Protocol

import cv2

from toolbox.pictures.images import Image
from toolbox.run.loop import Loop
from toolbox.window.key_codes import decode
from toolbox.window.pointer import MouseEvent

IDLE_WAIT_MS = 10
POLL_EVERY_SECONDS = 0.004
MOST = 12  # times as long as a picture may stand still, it may go on changing


class LoopError(Exception):
    """A scripted run that does not come to rest; one sentence."""


class Window(Protocol):
    """What the loop needs of a window: HighGUI's, or the one that browsers show."""

    def show(self, buffer: Image) -> None:
        """Show an RGB buffer."""

    def poll(self, milliseconds: int) -> list[int | MouseEvent]:
        """Wait for a key, and drain keys and mouse."""

    def is_open(self) -> bool:
        """Tell whether the user has left it open."""

    def wanted_scale(self) -> float | None:
        """Return at which `global_scale` its pictures would be sharpest; None: as they are."""


class KeyQueue:
    """Collects keys and mouse events from a window, also while panes are being drawn.

    Parameters
    ----------
    window : Window
        Where keys are pressed and the mouse is used.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._events: deque[str | MouseEvent] = deque()
        self._polled = time.perf_counter()

    def poll(self, milliseconds: int) -> None:
        """Wait for a key, and keep keys and mouse events."""
        for event in self._window.poll(milliseconds):
            known = event if isinstance(event, MouseEvent) else decode(event)
            if known is not None:
                self._events.append(known)
        self._polled = time.perf_counter()

    def poll_if_due(self) -> None:
        """Poll where the last time is so long ago that two keys could fall together."""
        if time.perf_counter() - self._polled > POLL_EVERY_SECONDS:
            self.poll(1)

    def take(self) -> Iterable[str | MouseEvent]:
        """Take the keys and mouse events collected so far, in order."""
        while self._events:
            yield self._events.popleft()


def run_live(loop: Loop, window: Window) -> None:
    """Run until the user quits or closes the window.

    Parameters
    ----------
    loop : Loop
        Closed by the caller.
    window : Window
        Closed by the caller.
    """
    cv2.setNumThreads(1)  # the drawing is small, and the other cores compute
    keys = KeyQueue(window)
    busy_wait = loop.settings.main_loop_sleep_ms
    loop.step()
    show(loop, window)
    while not loop.state.quit:
        waiting = loop.inputs.moving or not loop.settled()
        keys.poll(busy_wait if waiting else max(busy_wait, IDLE_WAIT_MS))
        if not window.is_open():
            return
        fit(loop, window)
        for event in keys.take():
            if isinstance(event, MouseEvent):
                loop.point(event)
            else:
                loop.press(event)
        if loop.step(keys.poll_if_due):
            show(loop, window)
            for note in loop.news():
                print(note, file=sys.stderr, flush=True)


def fit(loop: Loop, window: Window) -> None:
    """Draw larger or smaller where the window has become so; a film stays as it began."""
    scale = None if loop.film is not None else window.wanted_scale()
    if scale is not None and scale != loop.settings.global_scale:
        loop.rescale(scale)


def show(loop: Loop, window: Window) -> None:
    """Show the picture to the user, and to the film where there is one."""
    picture = loop.picture()
    window.show(picture)
    if loop.film is not None:
        loop.film.show(picture)


def settle(loop: Loop, seconds: float) -> None:
    """Step until everything asked for is computed and drawn.

    Parameters
    ----------
    loop : Loop
        Driven by a script.
    seconds : float
        How long it may take until the picture changes again; what is made while one looks may
        take longer in all.

    Raises
    ------
    LoopError
        It took longer.
    """
    begun = changed = time.monotonic()
    while (drawn := loop.step()) or not loop.settled():
        now = time.monotonic()
        changed = now if drawn else changed
        if now - changed > seconds:
            raise LoopError(f"The picture had not settled after {seconds:g} seconds.")
        if now - begun > MOST * seconds:
            raise LoopError(f"The picture was still changing after {MOST * seconds:g} seconds.")
        for app in loop.apps:
            app.wait(0.002)


def run_script(loop: Loop, keys: Iterable[str], seconds: float = 300.0) -> Image:
    """Press keys one after the other, each after the picture has settled.

    Parameters
    ----------
    loop : Loop
        Made with `still_clock`, so that the picture is the same every time.
    keys : iterable of str
        Labels of `toolbox.window.key_codes`.
    seconds : float
        How long each may take.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        The window's picture after the last key, RGB.
    """
    for key in (None, *keys):
        if key is not None:
            loop.press(key)
        if loop.state.quit:
            break
        settle(loop, seconds)
        if loop.film is not None:
            loop.film.show(loop.picture())
    return loop.picture()
