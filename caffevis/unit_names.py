"""The names of units as the app sees them: read once, in a thread of their own."""

from __future__ import annotations

from caffevis.keys.state import State
from caffevis.units.image_paths import UnitFolder, folder_from
from caffevis.units.words import Table, Words, read_words
from toolbox.settings.config import Settings
from toolbox.workers.worker import Worker


class UnitNames:
    """Knows what units answer to, where the images of units come with a table of it.

    Parameters
    ----------
    settings : Settings
        All settings.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder = folder_from(settings)
        self._worker: Worker[UnitFolder, tuple[Table, str]] | None = None
        self._table: Table = {}
        self.message = ""

    def start(self) -> None:
        """Read the table, in a thread."""
        self._worker = Worker(read_words, "unit names")
        self._worker.submit(self._folder)

    def update(self) -> None:
        """Take what is read."""
        for outcome in self._worker.outcomes() if self._worker else ():
            self._table, self.message = outcome.value or ({}, outcome.error or "")

    def settled(self) -> bool:
        """Whether all is read."""
        return self._worker is None or not self._worker.busy

    def close(self) -> bool:
        """End the thread."""
        return self._worker is None or self._worker.close()

    def of(self, state: State) -> Words | None:
        """Return what is known of the selected unit; None for nothing."""
        layer = self._folder.source(state.layer.name)
        return self._table.get(layer, {}).get(state.unit) if state.in_units else None
