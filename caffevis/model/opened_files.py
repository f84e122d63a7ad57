"""The files of the window's network, as they were when it was opened.

What is made of the network later (a scan, an image, a note of where pictures come from) reads some
of them again, and must not take another network's for it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from caffevis.model.opening import files_of
from toolbox.pictures.file_versions import FileVersions, Version
from toolbox.pictures.stamp import Stamp, StampError, stamp_of
from toolbox.settings.config import Settings
from toolbox.workers.worker import Worker

EVERY_SECONDS = 1.0  # the files are looked at
STAYS = "the window goes on with what it read then; open it again for the new file"


class OpenedFiles:
    """Remembers the files' versions; made before they are read.

    Parameters
    ----------
    settings : Settings
        They name definition, weights, mean and labels.
    """

    def __init__(self, settings: Settings) -> None:
        self._names = settings.caffevis_deploy_prototxt, settings.caffevis_network_weights
        more = (settings.caffevis_data_mean, settings.caffevis_labels)
        self._net = FileVersions(files_of(settings))
        self._beside = FileVersions([path for path in more if isinstance(path, str)])
        self._stamp: Stamp | None = None

    @property
    def versions(self) -> Mapping[str, Version]:
        """Path -> version, for another process."""
        return {**self._net.versions, **self._beside.versions}

    def changed(self) -> str:
        """Say in a sentence which file is another one now; empty where none is."""
        return self._net.changed() or self._beside.changed()

    def beside_changed(self) -> str:
        """Say the same of mean and labels, for who has the network itself already."""
        return self._beside.changed()

    def stamp(self) -> Stamp:
        """Return what identifies the network that the window shows.

        Raises
        ------
        StampError
            Its files cannot be read, or have become others before this was first asked.
        """
        if self._stamp is None:
            definition, weights = self._names
            found = stamp_of(definition, weights or definition)
            if why := self._net.changed():
                raise StampError(why)
            self._stamp = found
        return self._stamp


class FilesWatch:
    """Looks at the files now and then, in a thread: a disk that hangs does not stop the window.

    Parameters
    ----------
    files : OpenedFiles
        Which.
    clock : callable
        Seconds; never goes back.
    """

    def __init__(self, files: OpenedFiles, clock: Callable[[], float] = time.monotonic) -> None:
        self._files, self._clock = files, clock
        self._worker: Worker[float, str] | None = None
        self._asked, self._said = -math.inf, ""

    def start(self) -> None:
        """Start the thread."""
        self._worker = Worker(lambda _: self._files.changed(), "network's files")

    def update(self) -> None:
        """Take what was seen, and look again where it is time."""
        if self._worker is None:
            return
        for outcome in self._worker.outcomes():
            self._said = f"{outcome.value}: {STAYS}" if outcome.value else outcome.error or ""
        now = self._clock()
        if now - self._asked >= EVERY_SECONDS and not self._worker.busy:
            self._asked = now
            self._worker.submit(now)

    def message(self) -> str:
        """Return what is to be known; empty where the files are as they were."""
        return self._said

    def close(self) -> bool:
        """End the thread."""
        return self._worker is None or self._worker.close()
