"""The window's picture on its way to viewers: what changed since each of them saw it, encoded.

The picture is cut into regions, the panes. What is sent of them at once is put together again
where it makes a rectangle, since each part costs a browser something. Each region has a version
that counts its changes, and each viewer remembers which versions it was sent, so a viewer that was
away for a hundred changes gets the newest picture and nothing else, and nothing is kept for it in
the meantime.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2

from toolbox.drawing.panes import Layout
from toolbox.pictures.images import Image
from toolbox.serve.regions import Region, covering, joined, regions_of

JPEG_QUALITY = 90
STILL_SECONDS = 0.3  # a region that has not changed for so long is sent without loss
JPEG, PNG = "jpeg", "png"
_SAMPLE = 16  # of so many rows, one is compared first
_ENCODINGS = {
    JPEG: (".jpg", (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)),
    PNG: (".png", (cv2.IMWRITE_PNG_COMPRESSION, 1)),
}


@dataclass(frozen=True)
class Part:
    """One encoded rectangle of a frame: a region, or some that lie together."""

    region: Region
    kind: str
    data: bytes


@dataclass(frozen=True)
class Frame:
    """What a viewer is sent at once.

    Parameters
    ----------
    width, height : int
        Of the whole window.
    parts : tuple of Part
        What it has not got yet; all of one picture.
    """

    width: int
    height: int
    parts: tuple[Part, ...]


@dataclass
class Seen:
    """What one viewer was sent: for each region its version, and whether without loss."""

    size: tuple[int, int] = (0, 0)
    versions: dict[Region, tuple[int, bool]] = field(default_factory=dict)


def equal(one: Image, other: Image) -> bool:
    """Tell whether two pictures of one size are the same; quickly where some rows are not."""
    return all(
        cv2.norm(one[rows], other[rows], cv2.NORM_INF) == 0
        for rows in (slice(None, None, _SAMPLE), slice(None))
    )


def encode(part: Image, kind: str) -> bytes:
    """Encode an RGB region as `JPEG` or `PNG`."""
    ending, options = _ENCODINGS[kind]
    done, data = cv2.imencode(ending, cv2.cvtColor(part, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise RuntimeError(f"OpenCV cannot encode {ending}")
    return data.tobytes()


class Encoder:
    """Keeps the newest picture and encodes what viewers lack of it.

    `put` may be called from any thread. All else runs in a thread of its own, one call at a
    time; what is encoded without loss, which takes ten times as long, has another one. One
    encoding serves all viewers.

    Parameters
    ----------
    layout : Layout
        Of the pictures.
    changed : callable
        Called, from any thread, when there may be something new for a viewer.
    clock : callable
        Seconds.
    """

    def __init__(
        self,
        layout: Layout,
        changed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._layout = layout
        self._size = (0, 0)
        self._changed = changed
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: Image | None = None
        self._current: Image | None = None
        self._changes = 0  # versions are never used again, also in a window of another size
        self._versions: dict[Region, int] = {}
        self._since: dict[Region, float] = {}
        self._roughly: dict[Region, bytes] = {}  # of the current picture only
        self._exactly: dict[Region, tuple[int, bytes]] = {}  # the newest version only
        self._asked: dict[Region, int] = {}
        self.quick = ThreadPoolExecutor(1, "picture encoder")
        self._thorough = ThreadPoolExecutor(1, "lossless encoder")
        self._spent = {JPEG: 0.0, PNG: 0.0}

    @property
    def seconds(self) -> float:
        """Processor time spent on comparing and encoding so far."""
        return sum(self._spent.values())

    def put(self, picture: Image) -> None:
        """Take a picture of the window (RGB), which may change afterwards."""
        copy = picture.copy()
        with self._lock:
            waiting, self._pending = self._pending, copy
        if waiting is None:
            self._changed()

    def frame(self, seen: Seen) -> Frame | float:
        """Encode what a viewer has not got; only for the thread `quick`.

        Parameters
        ----------
        seen : Seen
            What it has got; it is brought up to date.

        Returns
        -------
        Frame or float
            Or in how many seconds there will be something, infinity where that is not known.
        """
        begun = time.thread_time()
        self._take()
        if seen.size != self._size:
            seen.size, seen.versions = self._size, {}
        now, due, parts, rough = self._clock(), math.inf, [], []
        for region, version in self._versions.items():
            had = seen.versions.get(region)
            if had == (version, True):
                continue
            wait = self._since[region] + STILL_SECONDS - now
            exact = self._exact(region) if wait <= 0 else None
            if exact is not None:
                parts.append(Part(region, PNG, exact))
            elif had != (version, False):
                rough.append(region)
            else:
                due = min(due, wait) if wait > 0 else due
                continue
            seen.versions[region] = (version, exact is not None)
        parts += [Part(region, JPEG, self._rough(region)) for region in joined(rough)]
        self._spent[JPEG] += time.thread_time() - begun
        return Frame(*self._size, tuple(parts)) if parts else due

    def close(self) -> None:
        """End the threads."""
        for pool in (self.quick, self._thorough):
            pool.shutdown(wait=True, cancel_futures=True)

    def _take(self) -> None:
        """Make the newest picture the current one, and find out what changed."""
        with self._lock:
            picture, self._pending = self._pending, None
        if picture is None:
            return
        before, self._current = self._current, picture
        self._roughly = {}
        size = (picture.shape[1], picture.shape[0])
        if size != self._size:
            before = None
            self._size = size
            regions = regions_of(self._layout, size[0] / self._layout.width)
            self._versions = dict.fromkeys(covering(regions, size), 0)
            self._exactly, self._asked = {}, {}
        now = self._clock()
        for region in self._versions:
            if before is None or not equal(region.of(before), region.of(picture)):
                self._changes += 1
                self._versions[region] = self._changes
                self._since[region] = now

    def _rough(self, region: Region) -> bytes:
        done = self._roughly.get(region)
        if done is None:
            done = self._roughly[region] = encode(region.of(self._picture()), JPEG)
        return done

    def _exact(self, region: Region) -> bytes | None:
        """Return the region without loss, or have that made, and None until then."""
        version = self._versions[region]
        done = self._exactly.get(region)
        if done is not None and done[0] == version:
            return done[1]
        if self._asked.get(region) != version:
            self._asked[region] = version
            self._thorough.submit(self._encode_exact, region, version, self._picture())
        return None

    def _encode_exact(self, region: Region, version: int, picture: Image) -> None:
        if self._asked.get(region) != version:
            return  # it has changed since
        begun = time.thread_time()
        self._exactly[region] = (version, encode(region.of(picture), PNG))
        self._spent[PNG] += time.thread_time() - begun
        self._changed()

    def _picture(self) -> Image:
        if self._current is None:
            raise RuntimeError("no picture yet")
        return self._current
