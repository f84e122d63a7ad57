"""The images that grow, as the app sees them: which unit's are wanted, and how far they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from caffevis.keys.state import Origin, State
from caffevis.live.request import Growth, Wanted
from caffevis.units.loader import Picture
from toolbox.settings.config import Settings
from toolbox.workers.stream import Stream


class UnitGrowth:
    """Asks for the images that a state wants made, and shows how far they are.

    Parameters
    ----------
    settings : Settings
        All settings.
    net : torchcaffe.Net or None
        The window's; None: one is opened for this alone.
    between : callable
        Called between two iterations: lets frames go first.
    """

    def __init__(
        self, settings: Settings, net: Any, between: Callable[[], None] = lambda: None
    ) -> None:
        self._settings, self._net, self._between = settings, net, between
        self._work: Callable[[Wanted], Iterator[Growth | None]] | None = None
        self._stream: Stream[Wanted, Growth] | None = None
        self._wanted: Wanted | None = None
        self._growth: Growth | None = None
        self._picture = Picture()

    def update(self, state: State, source: Callable[[str], str]) -> None:
        """Take what is new, and ask for what a state wants; `source` names a layer's images'."""
        for outcome in self._stream.outcomes() if self._stream else ():
            if outcome.request == self._wanted:
                self._growth = outcome.value or Growth(None, "", "", outcome.error or "")
                self._picture = _picture_of(self._growth)
        wanted = self.wanted(state, source)
        if wanted == self._wanted:
            return
        self._wanted, self._growth = wanted, None
        self._picture = Picture(note=(f"{wanted.name}: begins",) if wanted else ())
        if self._stream is None:
            self._stream = Stream(self._grow, "ascents", between=self._between)
        self._stream.submit(wanted)

    def wanted(self, state: State, source: Callable[[str], str]) -> Wanted | None:
        """Say what a state wants made; None for nothing."""
        if not state.ascends:
            return None
        return Wanted(Origin(source(state.layer.name), state.unit), state.recipe)

    def _grow(self, wanted: Wanted) -> Iterator[Growth | None]:
        if self._work is None:
            # Imported in this thread: the window does not wait for the batch tool.
            from caffevis.live.ascents import Ascents

            self._work = Ascents(self._settings, self._net)
        return self._work(wanted)

    def picture(self) -> Picture:
        """Return what the images that are wanted look like so far, or why there are none."""
        return self._picture

    def note(self, state: State) -> str:
        """Return what is to be known of the images: why there are none, what was done."""
        return self._growth.note if self._growth and state.ascends else ""

    @property
    def busy(self) -> bool:
        """Whether images are being made."""
        return self._stream is not None and self._stream.busy

    def settled(self, state: State, source: Callable[[str], str]) -> bool:
        """Whether all that a state wants is made."""
        return not self.busy and self._wanted == self.wanted(state, source)

    def wait(self, seconds: float) -> None:
        """Wait for news, at most so long."""
        if self._stream is not None:
            self._stream.wait(seconds)

    def close(self) -> bool:
        """End the thread."""
        return self._stream is None or self._stream.close()


def _picture_of(growth: Growth) -> Picture:
    note = () if growth.picture is not None else (growth.note,)
    return Picture(growth.picture, note, growth.title, growth.caption)
