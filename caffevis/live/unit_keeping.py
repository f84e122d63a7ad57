"""Keeping what was made live, as the app sees it: asked for by a key, said in the status line."""

from __future__ import annotations

from caffevis.keys.state import Origin
from caffevis.live.request import Keep, KeepError
from caffevis.model.opened_files import OpenedFiles
from toolbox.settings.config import Settings
from toolbox.workers.worker import Worker


class UnitKeeping:
    """Writes a unit's pictures in a thread of its own, and says what became of it.

    Parameters
    ----------
    settings : Settings
        All settings.
    files : OpenedFiles
        What the network was read from.
    """

    def __init__(self, settings: Settings, files: OpenedFiles) -> None:
        self._settings, self._files = settings, files
        self._worker: Worker[Keep, str] | None = None
        self._said: tuple[Origin, str] | None = None

    def keep(self, wanted: Keep) -> None:
        """Begin to write a unit's pictures."""
        if self._worker is None:
            self._worker = Worker(self._keep, "kept images", expected=(KeepError,))
        self._worker.submit(wanted)

    def _keep(self, wanted: Keep) -> str:
        from caffevis.live.keeping import keep

        return keep(self._settings, wanted, self._files)

    def update(self, unit: Origin) -> None:
        """Take what became of what was asked for; forget it with another unit than that."""
        for outcome in self._worker.outcomes() if self._worker else ():
            self._said = outcome.request.unit, outcome.value or outcome.error or ""
        if self._said and self._said[0] != unit:
            self._said = None

    def message(self) -> str:
        """Return what became of the unit's pictures; empty where nothing was asked for."""
        return self._said[1] if self._said else ""

    @property
    def busy(self) -> bool:
        """Whether something is being written."""
        return self._worker is not None and self._worker.busy

    def close(self) -> bool:
        """End the thread, once it has written."""
        return self._worker is None or self._worker.close()
