"""A served window without a loop, and viewers that are no browsers."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest
from websockets.sync.client import ClientConnection, connect

from toolbox.app.bindings import Binding, Bindings
from toolbox.drawing.panes import make_layout
from toolbox.input.viewers import FromViewers
from toolbox.serve.door import parse_address
from toolbox.serve.hall import Hall
from toolbox.serve.limits import Log
from toolbox.serve.server import Rules, Server
from toolbox.serve.window import ServedWindow

TOKEN = "a-token-for-tests"
PANES = (("input", (0, 0, 20, 30)), ("a", (0, 30, 20, 50)))
LAYOUT = make_layout(PANES, [name for name, _ in PANES])
BINDINGS = Bindings([("Window", [Binding(("o", "pgup"), "next", "Next", lambda state: state)])])
SECONDS = 20.0


class Client:
    """A viewer's page as a test: says things, takes frames, draws them."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.heard: list[dict] = []
        self.frames: list[dict] = []
        self.picture: np.ndarray | None = None

    def say(self, type_: str, data: bytes = b"", /, **fields) -> None:
        text = json.dumps({"type": type_, **fields})
        if data:
            head = text.encode()
            self.connection.send(struct.pack(">I", len(head)) + head + data)
        else:
            self.connection.send(text)

    def take(self, seconds: float = SECONDS) -> dict:
        """Take the next message; a frame is drawn, and not confirmed."""
        received = self.connection.recv(seconds)
        if isinstance(received, str):
            self.heard.append(json.loads(received))
            return self.heard[-1]
        (length,) = struct.unpack(">I", received[:4])
        head = json.loads(received[4 : 4 + length])
        self.draw(head, received[4 + length :])
        self.frames.append(head)
        return head

    def draw(self, head: dict, data: bytes) -> None:
        size = (head["height"], head["width"], 3)
        if self.picture is None or self.picture.shape != size:
            self.picture = np.zeros(size, np.uint8)
        for x, y, width, height, _, length in head["parts"]:
            pixels = cv2.imdecode(np.frombuffer(data[:length], np.uint8), cv2.IMREAD_COLOR)
            assert pixels.shape == (height, width, 3)
            self.picture[y : y + height, x : x + width] = pixels[:, :, ::-1]
            data = data[length:]
        assert not data

    def until(self, kind: str, confirm: bool = True, **fields) -> dict:
        """Take messages until one of a type that has these fields."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            message = self.take()
            if message["type"] == "frame" and confirm:
                self.say("shown", number=message["number"])
            if message["type"] == kind and all(message.get(k) == v for k, v in fields.items()):
                return message
        raise AssertionError(f"no {kind} with {fields}; heard {self.heard}")

    def hears(self, kind: str, **fields) -> dict:
        """Wait for such a message, where it has not come already."""
        wanted = {"type": kind, **fields}
        known = (m for m in self.heard if all(m.get(k) == v for k, v in wanted.items()))
        return next(known, None) or self.until(kind, **fields)

    def until_shows(self, picture: np.ndarray) -> None:
        """Confirm frames until the picture is there, pixel for pixel."""
        while self.picture is None or not np.array_equal(self.picture, picture):
            self.until("frame")

    def ends(self) -> tuple[int, str]:
        """Wait for the server to hang up; return code and reason."""
        with pytest.raises(Exception) as ended:
            while True:
                self.take()
        close = getattr(ended.value, "rcvd", None)
        return (close.code, close.reason) if close else (1006, "")


@dataclass
class Served:
    """All that belongs to a served window."""

    server: Server
    hall: Hall
    from_viewers: FromViewers
    lines: list[str]
    window: ServedWindow | None = None
    clients: list[Client] = field(default_factory=list)
    left: ExitStack = field(default_factory=ExitStack)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def open(self, scale: float | None = 1.0) -> ServedWindow:
        self.window = ServedWindow("A window", LAYOUT, scale, BINDINGS, self.hall, self.server)
        return self.window

    def viewer(self, hello: bool = True, **options) -> Client:
        options.setdefault("origin", f"http://{self.host}")
        options.setdefault("max_size", None)
        options.setdefault("close_timeout", 1)
        connecting = connect(f"ws://{self.host}/{TOKEN}/socket", proxy=None, **options)
        self.clients.append(Client(self.left.enter_context(connecting)))
        if hello:
            self.clients[-1].until("people")
        return self.clients[-1]

    def logs(self, what: str) -> bool:
        return any(what in line for line in self.lines)


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Serve a window with some rules; all is closed at the end, and in time."""
    begun: list[Served] = []

    def make(**rules) -> Served:
        lines: list[str] = []
        from_viewers = FromViewers()
        hall = Hall(from_viewers, Log(lines.append))
        server = Server(Rules(parse_address("127.0.0.1:0"), TOKEN, **rules), hall)
        begun.append(Served(server, hall, from_viewers, lines))
        return begun[-1]

    yield make
    for served in begun:
        assert served.server.close()
        served.left.close()


def wait_for(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.01)


def noise(seed: int, size: tuple[int, int] = (LAYOUT.height, LAYOUT.width)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
