"""The server: a thread that serves the page over HTTP and its viewers over WebSockets."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers, MultipleValuesError
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from toolbox.serve.door import Address, Door, ServeError
from toolbox.serve.hall import Hall
from toolbox.serve.limits import Log
from toolbox.serve.messages import MAX_MESSAGE
from toolbox.serve.pages import headers, read_pages
from toolbox.serve.viewer import Dropped, Viewer

MORE_CONNECTIONS = 24  # beside the viewers': pages being loaded
HANDSHAKE_SECONDS = 10.0
PING_SECONDS = 20.0
CLOSE_SECONDS = 1.0
JOIN_SECONDS = 3.0
ENDED = "live_vis.py has ended"
FORBIDDEN = "This address lacks the right token: use the one that live_vis.py printed.\n"
FOREIGN = (
    "This name or page is not known here: use the address that live_vis.py printed, or start it "
    "with --public and the address that you use.\n"
)


@dataclass(frozen=True)
class Rules:
    """What the command line says of a server.

    Parameters
    ----------
    address : Address
        Where to listen.
    token : str
        In the address that viewers use.
    viewers : int
        How many at once.
    public : str or None
        Behind a proxy: the address that viewers use, without the token.
    framed : bool
        In a notebook: other pages may show it in a frame, under names that are not known.
    """

    address: Address
    token: str
    viewers: int = 8
    public: str | None = None
    framed: bool = False


@dataclass
class _Wire:
    """What belongs to the server's own thread."""

    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    connections: set[ServerConnection] = field(default_factory=set)


class Server:
    """Serves a hall of viewers from a thread of its own.

    Parameters
    ----------
    rules : Rules
        Where, for whom.
    hall : Hall
        What the viewers get and say.
    log : Log, optional
        Takes what happened, in one line each.

    Raises
    ------
    ServeError
        The address cannot be had.
    """

    def __init__(self, rules: Rules, hall: Hall, log: Log | None = None) -> None:
        self._rules = rules
        self._hall = hall
        self._log = log or hall.log
        self._door = Door(rules.token, rules.public, rules.framed)
        self._pages = read_pages()
        self._headers = headers(rules.framed)
        self._begun: Future[tuple[_Wire, int]] = Future()
        self._numbers = 0
        self._thread = threading.Thread(target=self._run, name="browser server", daemon=True)
        self._thread.start()
        self._wire, self.port = self._begun.result()

    @property
    def url(self) -> str:
        """The address to open, with the token."""
        host = "127.0.0.1" if self._rules.address.is_everywhere else self._rules.address.host
        base = self._rules.public or f"http://{Address(host, self.port)}"
        return f"{base}/{self._rules.token}/"

    @property
    def running(self) -> bool:
        """Whether viewers can come."""
        return self._thread.is_alive()

    def close(self) -> bool:
        """Send everybody away and end; False where that takes too long."""
        with contextlib.suppress(RuntimeError):  # it has ended already
            self._wire.loop.call_soon_threadsafe(self._wire.stop.set)
        self._thread.join(JOIN_SECONDS)
        self._hall.close()
        self._log.flush(at_end=True)
        return not self.running

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except (OSError, ServeError) as error:
            self._begun.set_exception(_sentence(error, self._rules.address))

    async def _serve(self) -> None:
        wire = _Wire(asyncio.get_running_loop())
        self._hall.enter(wire.loop)
        address = self._rules.address
        async with serve(
            self._meet, address.host, address.port,
            process_request=self._answer, create_connection=self._connection_class(wire),
            compression=None, max_size=MAX_MESSAGE, max_queue=2, server_header=None,
            open_timeout=HANDSHAKE_SECONDS, ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS, close_timeout=CLOSE_SECONDS, logger=_logger(self._log),
        ) as server:  # fmt: skip
            self._begun.set_result((wire, server.sockets[0].getsockname()[1]))
            while not await self._stopping(wire):
                self._hall.tick()
                self._log.flush()
            for connection in list(wire.connections):
                if connection.request is None:  # browsers open some in advance
                    connection.transport.abort()
            server.close(reason=ENDED)

    async def _stopping(self, wire: _Wire) -> bool:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(wire.stop.wait(), 0.5)
        return wire.stop.is_set()

    def _connection_class(self, wire: _Wire) -> type[ServerConnection]:
        """Make a class of connections that counts them, and hangs up on those too many."""
        most, log = self._rules.viewers + MORE_CONNECTIONS, self._log

        class Counted(ServerConnection):
            spoke = False

            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                wire.connections.add(self)
                super().connection_made(transport)
                if len(wire.connections) > most:
                    log.say(f"refused: more than {most} connections at once")
                    self.transport.abort()

            def data_received(self, data: bytes) -> None:
                self.spoke = True
                super().data_received(data)

            def connection_lost(self, exc: Exception | None) -> None:
                wire.connections.discard(self)
                if self.request is None and self.spoke:
                    log.say("refused: a connection that does not speak as browsers do")
                super().connection_lost(exc)

        return Counted

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Check a request, and answer it; None lets a WebSocket in."""
        if getattr(request, "method", "GET") != "GET":  # older versions let nothing else through
            return self._refuse(
                connection, HTTPStatus.METHOD_NOT_ALLOWED, "another method than GET", ""
            )
        try:
            host, origin, upgrade = map(request.headers.get, ("Host", "Origin", "Upgrade"))
        except MultipleValuesError:
            return self._refuse(connection, HTTPStatus.BAD_REQUEST, "a header twice", "")
        if not self._door.knows_host(host):
            return self._refuse(connection, HTTPStatus.FORBIDDEN, "a foreign Host", FOREIGN)
        if not self._door.knows_token(request.path):
            return self._refuse(connection, HTTPStatus.FORBIDDEN, "a wrong token", FORBIDDEN)
        socket = (upgrade or "").lower() == "websocket"
        if (socket or origin) and not self._door.knows_origin(origin, host):
            return self._refuse(connection, HTTPStatus.FORBIDDEN, "a foreign Origin", FOREIGN)
        name = request.path.split("?", 1)[0][len(self._rules.token) + 1 :]
        if socket and name == "/socket":
            return None
        page = self._pages.get(name[1:]) if name.startswith("/") else None
        if not name:  # without the slash, the page's own links would lead elsewhere
            return self._response(
                HTTPStatus.FOUND, "text/plain", b"", {"Location": f"{self._rules.token}/"}
            )
        if page is None:
            return self._response(HTTPStatus.NOT_FOUND, "text/plain", b"There is no such page.\n")
        return self._response(HTTPStatus.OK, page.kind, page.body)

    def _refuse(
        self, connection: ServerConnection, status: HTTPStatus, what: str, text: str
    ) -> Response:
        address = connection.remote_address
        self._log.say(f"refused: {what}", str(address[0]) if address else "")
        return self._response(status, "text/plain", text.encode())

    def _response(
        self, status: HTTPStatus, kind: str, body: bytes, more: Mapping[str, str] | None = None
    ) -> Response:
        fields = {**self._headers, "Content-Type": kind, "Content-Length": str(len(body))}
        fields |= {"Connection": "close", **(more or {})}
        return Response(status.value, status.phrase, Headers(fields), body)

    async def _meet(self, connection: ServerConnection) -> None:
        """Let a viewer in, and have it fed and listened to until it leaves."""
        self._numbers += 1
        viewer = Viewer(self._numbers, connection)
        try:
            if self._hall.count >= self._rules.viewers:
                raise Dropped("full", f"refused: all {self._rules.viewers} places are taken")
            await self._attend(viewer)
        except Dropped as dropped:
            self._log.say(dropped.reason, viewer.who)
            await viewer.close(dropped)
        except ConnectionClosed as closed:
            if closed.sent is not None and closed.sent.code == 1009:
                self._log.say("dropped: it sent a message too large", viewer.who)

    async def _attend(self, viewer: Viewer) -> None:
        """Do both at once; whichever ends first ends the other."""
        self._hall.join(viewer)
        tasks = [
            asyncio.ensure_future(work)
            for work in (self._hall.feed(viewer), viewer.listen(self._hall))
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hall.leave(viewer)
            ended = await _end(tasks)
        for error in ended:
            if isinstance(error, Exception) and not isinstance(error, asyncio.CancelledError):
                raise error


async def _end(tasks: Sequence[asyncio.Future[None]]) -> list[BaseException | None]:
    """Cancel tasks until they have ended, and return what they raised.

    More than once: before Python 3.12, `wait_for` loses a cancellation that comes just when what
    it waits for is there.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.1)
    return await asyncio.gather(*tasks, return_exceptions=True)


def _sentence(error: Exception, address: Address) -> ServeError:
    """Say why an address cannot be had."""
    if isinstance(error, ServeError):
        return error
    reasons = {
        errno.EADDRINUSE: f"another program uses it; --serve {address.host}:0 takes a free port",
        errno.EACCES: "ports below 1024 are the system's; 8765 is free for all",
        errno.EADDRNOTAVAIL: "this machine has no such address; 0.0.0.0 stands for all it has",
    }
    number = getattr(error, "errno", None)
    reason = reasons.get(number or 0) or str(getattr(error, "strerror", "") or error).lower()
    return ServeError(f"{address} cannot be served: {reason}")


class _OneLine(logging.Handler):
    """Brings what the library notices into the log, without a traceback."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.ERROR)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error: Any = record.exc_info[1] if record.exc_info else None
        if record.getMessage() != "opening handshake failed":  # that is said already
            self._log.say(f"{record.getMessage()}: {type(error).__name__}: {error}")


def _logger(log: Log) -> logging.Logger:
    """Make a logger of the library's own whose errors become lines of the log."""
    logger = logging.Logger("toolbox.serve.connections", logging.ERROR)
    logger.addHandler(_OneLine(log))
    return logger
