"""An HTTP server on 127.0.0.1 that serves files from memory, with faults on request."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """What it serves, how it misbehaves, and what it was asked for.

    Attributes
    ----------
    files : dict of str to bytes
        Path without the leading slash -> content. Others are answered 404.
    ranges : bool
        Whether it can go on in the middle of a file.
    cut_after : int or None
        Break the connection after so many bytes of each answer.
    asked : list of (str, int)
        Every request: path, first byte asked for.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.ranges = True
        self.cut_after: int | None = None
        self.asked: list[tuple[str, int]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        path = self.path.lstrip("/")
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked.group(1)) if asked else 0
        self.server.asked.append((path, start))
        content = self.server.files.get(path)
        if content is None:
            self.send_error(404)
        elif not self.server.ranges or start == 0:
            self._send(200, content, {})
        elif start >= len(content):
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._send(206, content[start:], {"Content-Range": span})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: self.server.cut_after])

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[FileServer]:
    """Serve on a free port until the block ends."""
    server = FileServer()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
