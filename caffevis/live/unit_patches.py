"""Top patches from the user's photos, as the app sees them: what is wanted, and what is there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from caffevis.keys.state import Origin
from caffevis.live.cache import mark_used
from caffevis.live.photo_scan import Far, PhotoScan, ScanError
from caffevis.live.request import PatchRequest, UnitPatches
from caffevis.model.layer_list import NetLike
from caffevis.model.opened_files import OpenedFiles
from caffevis.units.image_paths import KINDS, OPTIMISED, PATCHES, Kind, folder_from
from caffevis.units.loader import Picture
from toolbox.pictures.image_file import PICTURES
from toolbox.settings.config import Settings
from toolbox.workers.stream import Stream
from toolbox.workers.worker import close_all

ENOUGH = 50  # pictures that make a folder of input files one to seek patches in
SHOWN = tuple(kind for kind in KINDS if kind is not OPTIMISED)


def photos_of(settings: Settings) -> str | None:
    """Return the folder of photos: the one named, or that of the input files; None for none."""
    if settings.caffevis_photos_dir is not None:
        return str(settings.caffevis_photos_dir)
    if settings.static_files_input_mode != "directory" or not settings.caffevis_network_weights:
        return None
    folder = settings.static_files_dir
    enough = _count_pictures(folder) >= ENOUGH and folder_from(settings).is_empty(PATCHES)
    return folder if enough else None


def _count_pictures(folder: str) -> int:
    try:
        with os.scandir(folder) as entries:
            return sum(os.path.splitext(each.name)[1].lower() in PICTURES for each in entries)
    except OSError:
        return 0


class PhotoPatches:
    """Scans the photos while the window is open, and asks for the patches of the unit shown.

    Parameters
    ----------
    settings : Settings
        All settings.
    net : NetLike
        The window's.

    Attributes
    ----------
    files : OpenedFiles or None
        What the network was read from; None: whatever lies there.
    """

    def __init__(self, settings: Settings, net: NetLike) -> None:
        self._settings, self._net = settings, net
        self._photos = photos_of(settings)
        self._named = settings.caffevis_photos_dir is not None
        self.files: OpenedFiles | None = None
        self._images: Any = None  # the list of photos that the scan is of
        self._scan: PhotoScan | None = None
        self._stream: Stream[PatchRequest, UnitPatches] | None = None
        self._work: Callable[[PatchRequest], Iterator[UnitPatches]] | None = None
        self._unit: Origin | None = None
        self._found: UnitPatches | None = None
        self._asked: Origin | None = None
        self._shown = 0  # version that `_found` is of
        self._pictures: tuple[Picture, ...] = ()
        self._drawn: tuple[object, ...] = ()

    def start(self) -> None:
        """Start the scan, where there are photos."""
        if self._photos is not None:
            self._scan = PhotoScan(self._order, self._settings.caffevis_keep_scans)

    def _order(self, cache: Path) -> tuple[str, dict[str, Any]]:
        # Imported in the scan's thread: the window does not wait for the batch tool.
        from caffevis.live.order import USER_ERRORS, Place, earlier, order_of

        photos = self._photos or ""
        try:
            if not os.path.isdir(photos):
                raise ScanError(f"there is no folder of photos {photos}")
            order = order_of(self._settings, self._net, photos, cache, self.files)
            place = Place.of(order)
            if self.files and (why := self.files.changed()):
                raise ScanError(f"the photos are not scanned: {why}")
            if self._settings.caffevis_keep_scans:
                mark_used(place.folder)
            self._images = place.images
            return order.to_line(), earlier(place)
        except USER_ERRORS as error:
            raise ScanError(str(error)) from error

    @property
    def active(self) -> bool:
        """Whether there are photos."""
        return self._scan is not None

    def takes_over(self, there: bool) -> bool:
        """Whether patches of the photos are shown, where there are others on disk or are not."""
        return self._scan is not None and (self._named or not there)

    def update(self, unit: Origin | None) -> None:
        """Take what is found, and ask for the patches of a unit, where one is shown."""
        if self._scan is None:
            return
        for outcome in self._stream.outcomes() if self._stream else ():
            if outcome.request.unit == self._unit:
                error = outcome.error or ""
                self._found = outcome.value or UnitPatches(outcome.request.unit, {}, error=error)
                self._shown = outcome.request.version
        far = self._scan.far
        if unit != self._unit:
            self._unit, self._found, self._shown = unit, None, 0
        if unit is not None and far.saved:
            if self._stream is None:
                self._stream = Stream(self._patches, "top patches")
            # One that is being made is finished first, or a slow one would never be.
            if not self._stream.busy or self._asked != unit:
                self._asked = unit
                self._stream.submit(PatchRequest(unit, far.saved, far.version))
        self._draw(far)

    def _patches(self, request: PatchRequest) -> Iterator[UnitPatches]:
        from caffevis.live.patches import Patches

        if self._work is None:
            self._work = Patches(self._settings, self._net, self._images, self.files)
        return self._work(request)

    def _draw(self, far: Far) -> None:
        """Make the pictures anew where something of them is new."""
        drawn = (self._unit, self._found, far.text(), far.error)
        if drawn != self._drawn:
            self._drawn = drawn
            self._pictures = tuple(_picture(kind, self._found, far) for kind in SHOWN)

    @property
    def finished(self) -> UnitPatches | None:
        """The unit's patches where they are those of all photos."""
        if self._scan is None or not self.settled() or self._scan.far.error:
            return None
        return None if self._scan.far.note or (self._found and self._found.note) else self._found

    def pictures(self) -> tuple[Picture, ...]:
        """Return the unit's patches and their deconvs, or what there is to say instead."""
        return self._pictures

    def message(self) -> str:
        """Return what went wrong with the scan, or with the unit's patches."""
        if self._scan is None:
            return ""
        far = self._scan.far
        note = self._found.note if self._found else ""
        return "; ".join(filter(None, (far.error, far.note, note)))

    @property
    def busy(self) -> bool:
        """Whether patches are being made."""
        return self._stream is not None and self._stream.busy

    def settled(self) -> bool:
        """Whether the photos are scanned, and the unit's patches those of all of them."""
        if self._scan is None or self._unit is None:
            return True
        far = self._scan.far
        return far.finished and (self._shown == far.version) and not self.busy

    def wait(self, seconds: float) -> None:
        """Wait for news, at most so long."""
        if self.busy and self._stream is not None:
            self._stream.wait(seconds)
        elif self._scan is not None:
            self._scan.wait(seconds, self._scan.far)

    def close(self) -> bool:
        """End process and threads."""
        return close_all(each.close for each in (self._scan, self._stream) if each is not None)


def _picture(kind: Kind, found: UnitPatches | None, far: Far) -> Picture:
    """Return a kind's picture of what was found, or why there is none."""
    why = found.error if found else far.error
    image = found.pictures.get(kind) if found else None
    if image is None:
        if found is not None and not why:
            why = f"nothing in {far.text()}"
        return Picture(note=(f"{kind.name}: {why or far.text()}",))
    return Picture(image, caption=far.text() if kind is PATCHES else "")
