"""A viewer that is no browser: decodes and confirms what it is sent, and presses keys.

A process of its own, so that it has its own interpreter, as a browser has:
`python bench/lab/browser_client.py ADDRESS KEYS`. It prints a line of JSON when its standard input
ends.
"""

from __future__ import annotations

import json
import random
import struct
import sys
import threading
import time
from dataclasses import asdict, dataclass, field

import cv2
import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

PRESS_EVERY = (0.15, 0.25)  # seconds after a key's picture
PATIENCE = 2.0  # seconds after which a key is counted as lost
# What shows that a key's picture is there and does not move with the video: y, x, height, width.
LAYER_HEADING, UNIT_IMAGES = (31, 300, 16, 300), (40, 1210, 200, 280)
PLACES = {"l": UNIT_IMAGES, "j": UNIT_IMAGES, "o": LAYER_HEADING, "u": LAYER_HEADING}
STEP, SHARE = 60, 0.005  # grey levels, more than JPEG changes; and of how many pixels


@dataclass
class Seen:
    """What a viewer saw."""

    frames: int = 0
    bytes: int = 0
    seconds: float = 0.0
    keys: dict[str, list[float]] = field(default_factory=dict)
    lost: int = 0


class Viewer:
    """Takes frames as a page does.

    Parameters
    ----------
    connection : ClientConnection
        Open.
    keys : str
        Pressed in turns; none where it is empty.
    """

    def __init__(self, connection: ClientConnection, keys: str) -> None:
        self._connection, self._keys = connection, keys
        self._random = random.Random(0)
        self._picture = np.zeros((1, 1, 3), np.uint8)
        self._pressed: tuple[str, float, np.ndarray] | None = None
        self._count = 0
        self._press_at = time.monotonic() + 1.0
        self.seen = Seen()
        self.ended = threading.Event()

    def watch(self) -> None:
        """Take messages until told to end or the server does."""
        begun = time.monotonic()
        while not self.ended.is_set():
            try:
                received = self._connection.recv(0.01)
            except TimeoutError:
                received = ""
            except ConnectionClosed:
                break
            if isinstance(received, bytes):
                self._take(received)
            self._press()
        self.seen.seconds = time.monotonic() - begun

    def _take(self, received: bytes) -> None:
        (length,) = struct.unpack_from(">I", received)
        head = json.loads(received[4 : 4 + length])
        at = 4 + length
        size = (head["height"], head["width"], 3)
        if self._picture.shape != size:
            self._picture = np.zeros(size, np.uint8)
        for x, y, width, height, kind, count in head["parts"]:
            data = np.frombuffer(received, np.uint8, count, at)
            decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
            self._picture[y : y + height, x : x + width] = np.asarray(decoded)
            self.seen.frames += (x, y, kind) == (0, 0, "jpeg")  # the input pane: a new frame
            at += count
        self._connection.send(json.dumps({"type": "shown", "number": head["number"]}))
        self.seen.bytes += len(received)
        self._look()

    def _look(self) -> None:
        """See whether the picture shows what the last key does."""
        if self._pressed is None:
            return
        key, since, before = self._pressed
        if (cv2.absdiff(self._place(key), before) > STEP).mean() > SHARE:
            self.seen.keys.setdefault(key, []).append(time.monotonic() - since)
            self._pressed = None

    def _place(self, key: str) -> np.ndarray:
        y, x, height, width = PLACES[key]
        return self._picture[y : y + height, x : x + width].copy()

    def _press(self) -> None:
        now = time.monotonic()
        if self._pressed is not None:
            if now - self._pressed[1] < PATIENCE:
                return
            self.seen.lost += 1
            self._pressed = None
        if not self._keys or now < self._press_at:
            return
        key = self._keys[self._count % len(self._keys)]
        self._count += 1
        self._pressed = (key, now, self._place(key))
        self._connection.send(json.dumps({"type": "key", "key": key}))
        self._press_at = now + self._random.uniform(*PRESS_EVERY)


def main(address: str, keys: str) -> None:
    """Watch until standard input ends, and print what was seen."""
    cv2.setNumThreads(1)
    origin = Origin(address.rsplit("/", 2)[0])
    socket = f"{address}socket".replace("http", "ws", 1)
    with connect(socket, origin=origin, proxy=None, max_size=None, compression=None) as connection:
        viewer = Viewer(connection, keys)
        thread = threading.Thread(target=viewer.watch)
        thread.start()
        sys.stdin.read()
        viewer.ended.set()
        thread.join()
    print(json.dumps(asdict(viewer.seen)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
