"""The main loop: keys in, frames to the apps, changed panes onto the screen.

`Loop` knows neither window nor script; those of `toolbox/run/drive.py` drive it.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from toolbox.app.core import CORE_BINDINGS, CoreState
from toolbox.app.core_panes import (
    InputView,
    StatusView,
    draw_debug,
    draw_help,
    draw_input,
    draw_status,
    heading_style,
    place_from,
    style_from,
)
from toolbox.app.protocol import Activations, App, all_bindings
from toolbox.drawing.headings import with_heading
from toolbox.drawing.panes import PaneError, make_layout
from toolbox.drawing.screen import Drawing, Screen
from toolbox.input.frame import Frame
from toolbox.input.sources import Inputs
from toolbox.input.wanted import FILES
from toolbox.pictures.images import Image, to_colour
from toolbox.record.film import Film
from toolbox.record.snapshots import PictureSaver
from toolbox.settings.config import Settings
from toolbox.window.pointer import DRAG, MOVE, MouseEvent, Pointer
from toolbox.workers.worker import close_all

TITLE = "Deep Visualization Toolbox"
CORE_PANES = ("input", "caffevis_status")
# Panes of other versions: their files load, the panes stay empty.
FOREIGN_PANES = ("caffevis_buttons", "caffevis_upconv")
FPS_SECONDS = 2.0
MESSAGE_SECONDS = 8.0  # that something that happened is told
FPS_EVERY_SECONDS = 0.5


def still_clock() -> float:
    """Return always the same time, so that scripted runs show no timings."""
    return 0.0


class Loop:
    """The window's state, its apps and inputs, and the screen they are drawn on.

    Parameters
    ----------
    settings : Settings
        All settings.
    apps : sequence of App
        Started and closed by the loop.
    inputs : Inputs
        Closed by the loop.
    clock : callable
        Seconds, for frame rates and timings.
    """

    def __init__(
        self,
        settings: Settings,
        apps: Sequence[App],
        inputs: Inputs,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.settings = settings
        self.apps = tuple(apps)
        self.inputs = inputs
        self.film: Film | None = None  # shown each picture by whoever drives the loop
        self._saver = PictureSaver(settings.saved_pictures_dir)
        self.bindings = all_bindings(CORE_BINDINGS, self.apps)
        self.state = CoreState(stretch=settings.static_file_stretch_mode)
        known = [*CORE_PANES, *(name for app in self.apps for name in app.pane_names)]
        for name in known:
            if known.count(name) > 1:
                raise PaneError(f"The pane {name!r} is drawn by two apps; remove one of them.")
        self._known = {*known, *FOREIGN_PANES}
        self.background = to_colour(settings.window_background)
        self._clock = clock
        self.screen = self._make_screen()
        self._newest: Frame | None = None
        self._overlay: tuple[object, ...] | None = None
        self._done: deque[tuple[float, int]] = deque()
        self._rate = 0.0
        self._rated = 0.0
        self._seen: dict[App, Activations] = {}
        self._heading = heading_style(settings)
        self._since: dict[str, float] = {}
        self._told: set[str] = set()
        for app in self.apps:
            app.start()

    def _make_screen(self) -> Screen:
        panes, scale = self.settings.window_panes, self.settings.global_scale
        return Screen(make_layout(panes, self._known, scale), self.background, self._clock)

    def rescale(self, scale: float) -> None:
        """Draw the whole window at another scale from now on.

        Parameters
        ----------
        scale : float
            In the place of the setting `global_scale`.
        """
        self.settings = self.settings.replaced(global_scale=scale)
        self.screen = self._make_screen()
        self._heading = heading_style(self.settings)
        for app in self.apps:
            # Apps from outside, written before there was the method, are drawn as they were.
            getattr(app, "rescale", lambda settings: None)(self.settings)

    @property
    def title(self) -> str:
        """The window's title: the toolbox, and what its apps show."""
        return " | ".join([TITLE, *(part for app in self.apps if (part := app.title()))])

    def press(self, key: str) -> None:
        """Do what a key is bound to; keys without a binding do nothing.

        Parameters
        ----------
        key : str
            A label of `toolbox.window.key_codes`.
        """
        if not self.state.help and any(app.type(key) for app in self.apps):
            return
        row = self.bindings.get(key)
        if row is None:
            return
        self._saver.forget()
        if row in CORE_BINDINGS:
            asked = self.state.pictures
            self.state = row.action(self.state)
            if self.state.pictures != asked:
                self._saver.save(self.picture())
            return
        for app in self.apps:
            if row in app.bindings:
                app.handle(row)

    def point(self, event: MouseEvent) -> None:
        """Hand a mouse event to the app whose pane it is in, or that watches the pane.

        Moves are told only to apps that watch a pane of the window's own. What lies behind the
        help overlay cannot be pointed at.

        Parameters
        ----------
        event : MouseEvent
            In pixels of the window.
        """
        found = self.screen.layout.locate(event.x, event.y)
        if found is None or self.state.help:
            return
        pane, row, column = found
        pointer = Pointer(event.kind, pane.name, row, column, (pane.height, pane.width))
        for app in self.apps:
            pointed = getattr(app, "pointed_panes", ())  # apps written before there were such
            known = pointed if event.kind in (MOVE, DRAG) else (*app.pane_names, *pointed)
            if pane.name in known:
                app.point(pointer)

    def step(self, between: Callable[[], None] = lambda: None) -> bool:
        """Pass frames and results on, and draw what they changed.

        Parameters
        ----------
        between : callable
            Called after each pane drawn.

        Returns
        -------
        bool
            Whether the picture changed.
        """
        self.state = self.inputs.follow(self.state)
        frame = self.inputs.take()
        self._newest = frame or self._newest
        for app in self.apps:
            if frame is not None:
                app.set_frame(frame)
            app.update()
        self._saver.update()
        self._share()
        self._count_frames()
        drawings = [*self._core_drawings(), *(d for app in self.apps for d in app.drawings())]
        # An app may draw a pane of the window's own, such as the input, in its stead.
        last = {drawing.pane: drawing for drawing in drawings}
        last["input"] = with_heading(last["input"], self._file_name(), self._heading)
        changed = self.screen.draw(list(last.values()), between)
        overlay = (self.state.help, self.state.debug, self._notes() if self.state.help else ())
        changed = changed or overlay != self._overlay
        self._overlay = overlay
        return changed

    def _share(self) -> None:
        """Tell each app what the others have published since the last step."""
        for app in self.apps:
            seen = app.published()
            if seen is None or seen is self._seen.get(app):
                continue
            self._seen[app] = seen
            for other in self.apps:
                if other is not app:
                    other.notice(seen)

    def news(self) -> list[str]:
        """Return the notes of the apps that were not returned before, for the terminal."""
        new = [note for note in self._notes() if note not in self._told]
        self._told.update(new)
        return new

    def _notes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(note for app in self.apps for note in app.notes()))

    def picture(self) -> Image:
        """Return the window's picture, with the overlays that are on (RGB)."""
        debug = self.state.debug == 2 or self.settings.debug_window_panes
        if not debug and not self.state.help:
            return self.screen.buffer
        buffer = self.screen.buffer.copy()
        if debug:
            style = style_from(self.settings, "caffevis_label")
            times = self.screen.times if self.state.debug == 2 else {}
            draw_debug(buffer, self.screen.layout, times, style.with_colour((255, 200, 60)))
        if self.state.help:
            draw_help(buffer, self.bindings, self.settings, self._notes())
        return buffer

    def settled(self) -> bool:
        """Whether every input and app has done all that was asked."""
        own = self.inputs.settled() and self._saver.settled()
        return own and all(app.settled() for app in self.apps)

    def close(self) -> bool:
        """Join every thread; False where one did not end in time."""
        return close_all([*(app.close for app in self.apps), self.inputs.close, self._saver.close])

    def _shown_frame(self) -> Frame | None:
        return self.apps[0].shown_frame() if self.apps else self._newest

    def _file_name(self) -> str:
        """Name the picture that is shown, without its folder."""
        frame = self._shown_frame()
        return "" if frame is None else os.path.basename(frame.name)

    def _passing(self, messages: Iterable[str]) -> list[str]:
        """Leave out messages that have been shown for some seconds."""
        now = self._clock()
        self._since = {text: self._since.get(text, now) for text in messages if text}
        return [text for text, since in self._since.items() if now - since < MESSAGE_SECONDS]

    def _core_drawings(self) -> list[Drawing]:
        shown = self._shown_frame()
        status = StatusView(
            text=" | ".join(self._status_parts()),
            style=style_from(self.settings, "caffevis_status"),
            place=place_from(self.settings, "caffevis_status_loc"),
            background=self.background,
        )
        return [
            Drawing("input", InputView(shown, self.background), draw_input),
            Drawing("caffevis_status", status, draw_status),
        ]

    def _status_parts(self) -> Iterable[str]:
        yield from (text for app in self.apps if (text := app.status()))
        if self._rate and self.inputs.playing:
            yield f"FPS: {self._rate:.1f}"
        if self.state.mode != FILES:
            yield self.state.mode
        if self.state.frozen:
            yield "frozen"
        # What happened goes after a while; a film that has stopped, and what apps say of the
        # picture that is shown, stay true.
        yield from self._passing([self.inputs.message, self._saver.message])
        if self.film and self.film.message:
            yield self.film.message
        yield from (message for app in self.apps if (message := app.message()))
        if self.state.debug:
            yield f"debug {self.state.debug}: {self._timing_text()}"
        yield f"{self.bindings.keys_for(['help_mode'])} for help"

    def _timing_text(self) -> str:
        timings = [timing for app in self.apps for timing in app.timings()]
        text = [f"{timing.name} {timing.milliseconds:.1f}" for timing in timings]
        # Without the status line's own time, which would change with every drawing of it.
        drawn = sum(t for pane, t in self.screen.times.items() if pane != "caffevis_status")
        return ", ".join([*text, f"draw {drawn:.1f} ms"])

    def _count_frames(self) -> None:
        """Remember when frames were done, for the rate over the last seconds."""
        now, done = self._clock(), sum(app.frames_done() for app in self.apps[:1])
        if not self._done or done != self._done[-1][1]:
            self._done.append((now, done))
        while len(self._done) > 1 and now - self._done[0][0] > FPS_SECONDS:
            self._done.popleft()
        self._measure_rate(now)

    def _measure_rate(self, now: float) -> None:
        """Work out the frames a second over the last seconds, 0 while nothing moves.

        Not at every step: each change of the number would be a picture of its own to show.
        """
        if now - self._rated < FPS_EVERY_SECONDS:
            return
        (begun, first), (ended, last) = self._done[0], self._done[-1]
        moving = len(self._done) > 2 and ended > begun
        self._rate = (last - first) / (ended - begun) if moving else 0.0
        self._rated = now
