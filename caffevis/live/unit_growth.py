"""The images that grow, as the app sees them: which unit's are wanted, and how far they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from caffevis.keys.state import Origin
from caffevis.live.request import Growth, News, Wanted
from caffevis.model.opened_files import OpenedFiles
from caffevis.units.loader import Filled, Picture
from toolbox.input.frame import Frame
from toolbox.pictures.images import FloatArray
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
    prepare : callable
        From a frame to the network's input.
    between : callable
        Called between two iterations: lets frames go first.

    Attributes
    ----------
    files : OpenedFiles or None
        What the network was read from; None: whatever lies there.
    """

    def __init__(
        self,
        settings: Settings,
        net: Any,
        prepare: Callable[[Frame], FloatArray],
        between: Callable[[], None],
    ) -> None:
        self._settings, self._net, self._prepare, self._between = settings, net, prepare, between
        self.files: OpenedFiles | None = None
        self._work: Callable[[Wanted], Iterator[News | None]] | None = None
        self._stream: Stream[Wanted, News] | None = None
        self._wanted: Wanted | None = None
        self._growth: Growth | None = None
        self._filled: Filled | None = None
        self._picture = Picture()

    def update(self, wanted: Wanted | None) -> None:
        """Take what is new, and ask for what is wanted now; None for nothing."""
        for outcome in self._stream.outcomes() if self._stream else ():
            if outcome.request == self._wanted:
                self._take(outcome.value or News(Growth(None, "", "", outcome.error or "")))
        if wanted == self._wanted:
            return
        before, self._wanted = self._wanted, wanted
        if wanted is None or before is None or _unit(wanted) != _unit(before):
            self._growth = None
            unit = wanted.unit if wanted else None
            self._picture = Picture(note=(f"{unit.layer}:{unit.unit}: begins",) if unit else ())
        if wanted is None or before is None or _layer(wanted) != _layer(before):
            self._filled = None
        self._started().submit(wanted)

    def warm(self) -> None:
        """Have ready in the thread what the first image needs, so that it comes at once."""
        self._started(self._open)

    def _started(self, first: Callable[[], object] = lambda: None) -> Stream[Wanted, News]:
        if self._stream is None:
            self._stream = Stream(self._grow, "ascents", between=self._between, first=first)
        return self._stream

    def _open(self) -> Callable[[Wanted], Iterator[News | None]]:
        # Imported in this thread: the window does not wait for the batch tool.
        from caffevis.live.ascents import Ascents

        self._work = work = Ascents(self._settings, self._net, self._prepare, self.files)
        work.open()
        return work

    def _take(self, news: News) -> None:
        if news.growth is not None and news.growth is not self._growth:
            self._growth = growth = news.growth
            note = () if growth.picture is not None else (growth.note,)
            self._picture = Picture(growth.picture, note, growth.title, growth.caption)
        self._filled = news.filled or self._filled

    def _grow(self, wanted: Wanted) -> Iterator[News | None]:
        return (self._work or self._open())(wanted)

    def picture(self) -> Picture:
        """Return what the unit's images look like so far, or why there are none."""
        return self._picture

    @property
    def growth(self) -> Growth | None:
        """How far the unit's images are; None before the first."""
        return self._growth

    @property
    def filled(self) -> Filled | None:
        """How far the layer's first images are; None where none are wanted, or before."""
        return self._filled

    def message(self) -> str:
        """Return what is to be known: why there are no images, how many are to come."""
        growth, filled, wanted = self._growth, self._filled, self._wanted
        parts = [growth.note if growth else "", filled.note if filled else ""]
        if filled and filled.to_come and wanted and wanted.fill:
            parts.append(f"{wanted.fill.layer}: images of {filled.to_come} units are to come")
        return "; ".join(filter(None, parts))

    @property
    def busy(self) -> bool:
        """Whether images are being made."""
        return self._stream is not None and self._stream.busy

    def settled(self, wanted: Wanted | None) -> bool:
        """Whether all that is wanted is made."""
        return not self.busy and self._wanted == wanted

    def wait(self, seconds: float) -> None:
        """Wait for news, at most so long."""
        if self._stream is not None:
            self._stream.wait(seconds)

    def close(self) -> bool:
        """End the thread."""
        return self._stream is None or self._stream.close()


def _unit(wanted: Wanted) -> tuple[Origin | None, int, Frame | None]:
    return wanted.unit, wanted.recipe, wanted.photo


def _layer(wanted: Wanted) -> tuple[str, int]:
    return wanted.fill.layer if wanted.fill else "", wanted.recipe
