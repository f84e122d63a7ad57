"""The server by raw clients: what it serves, what it refuses, and who is let go."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus

from tests.toolbox.serve.conftest import LAYOUT, TOKEN, noise, wait_for
from toolbox.serve import server as server_module
from toolbox.serve import viewer as viewer_module
from toolbox.serve.door import ServeError, parse_address
from toolbox.serve.hall import WAITING_AT_MOST, Hall
from toolbox.serve.messages import MAX_MESSAGE
from toolbox.serve.pages import FILES, FOLDER
from toolbox.serve.server import Rules, Server
from toolbox.serve.window import ServedWindow
from toolbox.window.highgui import Window
from toolbox.window.key_codes import decode
from toolbox.window.pointer import CLICK, MouseEvent


def get(served, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", served.server.port, timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.getheaders()), text


def methods(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_it_has_the_methods_of_highguis_window():
    assert methods(ServedWindow) == methods(Window)


def test_every_file_of_the_page_is_served_and_nothing_else(serve):
    served = serve()
    assert {path.name for path in FOLDER.iterdir()} == {file for file, _ in FILES.values()}
    for name, (file, kind) in FILES.items():
        status, headers, text = get(served, f"/{TOKEN}/{name}")
        assert (status, text) == (200, (FOLDER / file).read_text(encoding="utf-8"))
        assert headers["Content-Type"] == kind
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
    for name in (
        "settings.py",
        "../door.py",
        "%2e%2e/door.py",
        "page.js/",
        "socket",
        "/etc/passwd",
    ):
        status, _, text = get(served, f"/{TOKEN}/{name}")
        assert (status, text) == (404, "There is no such page.\n")
    status, headers, _ = get(served, f"/{TOKEN}")
    assert (status, headers["Location"]) == (302, f"{TOKEN}/")


def test_the_page_asks_no_other_host_and_has_no_script_of_its_own():
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", page) == []
    for file in FOLDER.iterdir():
        text = file.read_text(encoding="utf-8")
        assert re.findall(r"https?://|//[a-z0-9.-]+\.[a-z]{2}", text) == [], file.name
        assert "innerHTML" not in text
        assert "eval(" not in text


REFUSED = [
    ("/", {}, 403, "a wrong token"),
    ("/wrong-token-x/", {}, 403, "a wrong token"),
    (f"/?token={TOKEN}", {}, 403, "a wrong token"),
    (f"/{TOKEN}/", {"Host": "evil.example"}, 403, "a foreign Host"),
    (f"/{TOKEN}/", {"Origin": "https://evil.example"}, 403, "a foreign Origin"),
]


@pytest.mark.parametrize(("path", "headers", "status", "what"), REFUSED)
def test_requests_without_the_right_to_are_refused(serve, path, headers, status, what):
    served = serve()
    found, answered, text = get(served, path, **headers)
    assert found == status
    assert "live_vis.py printed" in text
    assert TOKEN not in text + str(answered)
    assert served.lines == [f"serve: 127.0.0.1: refused: {what}"]


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null", None])
def test_websockets_of_other_pages_are_refused(serve, origin):
    served = serve()
    with pytest.raises(InvalidStatus) as refused:
        served.viewer(hello=False, origin=origin)
    assert refused.value.response.status_code == 403
    assert served.lines == ["serve: 127.0.0.1: refused: a foreign Origin"]


def test_a_websocket_needs_the_token_and_the_host_too(serve):
    served = serve()
    socket_of = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                 "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}  # fmt: skip
    origin = {"Origin": f"http://{served.host}"}
    assert get(served, "/wrong-token-x/socket", **socket_of, **origin)[0] == 403
    evil = {"Host": "evil.example", "Origin": "http://evil.example"}
    assert get(served, f"/{TOKEN}/socket", **socket_of, **evil)[0] == 403
    assert get(served, f"/{TOKEN}/other", **socket_of, **origin)[0] == 404
    assert served.hall.count == 0


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600),  # TLS
        b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        bytes(10_000),
    ],
)
def test_what_is_no_request_is_hung_up_on(serve, sent):
    served = serve()
    with socket.create_connection(("127.0.0.1", served.server.port), 20) as raw:
        with contextlib.suppress(OSError):
            raw.sendall(sent)
            raw.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(OSError):
            while part := raw.recv(4096):
                answer += part
    assert b"Traceback" not in answer
    assert b".py" not in answer
    wait_for(lambda: served.lines, "the line")
    assert served.lines == ["serve: refused: a connection that does not speak as browsers do"]
    assert get(served, f"/{TOKEN}/")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT"])
def test_nothing_but_get_is_answered(serve, method):
    served = serve()
    connection = http.client.HTTPConnection("127.0.0.1", served.server.port, timeout=20)
    connection.request(method, f"/{TOKEN}/", b"x=1" if method == "POST" else None)
    with contextlib.suppress(http.client.HTTPException, OSError):
        assert connection.getresponse().status in (400, 405, 426, 500)
    connection.close()
    wait_for(lambda: served.lines, "the line")
    assert served.lines[0].partition("refused: ")[2] in (
        "another method than GET", "a connection that does not speak as browsers do",
    )  # fmt: skip


def test_viewers_get_what_the_window_shows(serve):
    served = serve()
    early = served.viewer()
    window = served.open()
    hello = early.until("hello")
    assert (hello["title"], hello["width"], hello["height"]) == ("A window", 80, 20)
    assert hello["keys"]["sections"][0][1][0][1:] == ["o or pgup", "Next"]
    late = served.viewer(hello=False)
    assert late.until("hello") == hello
    for seed in (1, 2):
        window.show(noise(seed))
        for client in (early, late):
            client.until_shows(noise(seed))
    assert {part[4] for frame in early.frames for part in frame["parts"]} == {"jpeg", "png"}


def test_keys_and_clicks_reach_the_loop_in_order(serve):
    served = serve()
    window = served.open()
    client = served.viewer()
    window.show(noise(1))
    client.until("frame")
    client.say("key", key="J")
    client.say("mouse", kind=CLICK, x=79, y=19)
    client.say("mouse", kind=CLICK, x=80, y=19)  # of a picture that was larger
    client.say("key", key="ArrowLeft")
    events = []
    wait_for(lambda: events.extend(window.poll(10)) or len(events) == 3, "three events")
    assert [decode(e) if isinstance(e, int) else e for e in events] == [
        "J", MouseEvent(CLICK, 79, 19), "left",
    ]  # fmt: skip
    client.say("key", key="o")
    codes = []
    wait_for(lambda: codes.extend(window.poll_codes(10)) or codes, "the key")
    assert [decode(code) for code in codes] == ["o"]


def test_keys_wake_the_loop_and_wait_no_longer_than_told(serve):
    served = serve()
    window = served.open()
    client = served.viewer()
    begun = time.monotonic()
    assert window.poll(30) == []
    assert time.monotonic() - begun < 10
    threading.Timer(0.1, client.say, ("key",), {"key": "o"}).start()
    assert window.poll(20_000) != []


def test_one_steers_and_passes_it_on(serve):
    served = serve()
    window = served.open()
    first, second = served.viewer(), served.viewer()
    second.say("key", key="x")
    second.say("picture", b"no picture", name="x")
    second.say("ask")
    asked = first.until("people", asking=[2])
    assert (asked["you"], asked["steering"], asked["viewers"]) == (1, 1, [1, 2])
    assert window.poll(50) == []
    first.say("give")
    second.until("people", steering=2)
    first.say("key", key="o")
    second.say("key", key="q")
    codes = []
    wait_for(lambda: codes.extend(window.poll_codes(10)) or codes, "the key")
    assert [decode(code) for code in codes] == ["q"]
    second.connection.close()
    first.until("people", steering=1, viewers=[1])
    assert not served.logs("dropped")


def test_more_viewers_than_places_are_sent_away(serve):
    served = serve(viewers=2)
    served.viewer(), served.viewer()
    third = served.viewer(hello=False)
    assert third.ends() == (4001, "refused: all 2 places are taken")
    assert served.logs("refused: all 2 places are taken")
    served.clients[0].connection.close()
    wait_for(lambda: served.hall.count == 1, "the place")
    served.viewer()


def test_malformed_messages_end_only_their_viewer(serve):
    served = serve()
    window = served.open()
    window.show(noise(1))
    stays = served.viewer()
    wrong = ({"type": "shown", "number": 77}, {"type": "format disk"}, {"type": "key", "key": 1})
    for sent in ("{", b"\0", *map(json.dumps, wrong)):
        bad = served.viewer()
        bad.connection.send(sent)
        code, reason = bad.ends()
        assert (code, reason[:17]) == (4004, "dropped: it sent ")
    stays.until_shows(noise(1))
    assert served.logs("dropped: it sent no JSON")
    assert not any("Traceback" in line or "\n" in line for line in served.lines)


def test_a_message_too_large_ends_its_viewer(serve):
    served = serve()
    client = served.viewer()
    with contextlib.suppress(Exception):
        client.connection.send(bytes(MAX_MESSAGE + 1))
    assert client.ends()[0] in (1009, 1006)
    wait_for(lambda: served.logs("dropped: it sent a message too large"), "the line")


def test_a_flood_ends_its_viewer_and_fills_no_queue(serve):
    served = serve()
    served.open()
    client = served.viewer()

    def flood() -> None:
        with contextlib.suppress(Exception):
            for _ in range(20_000):
                client.say("key", key="o")

    thread = threading.Thread(target=flood)
    thread.start()
    assert client.ends()[0] in (4003, 1006)
    thread.join()
    wait_for(lambda: served.logs("dropped: it sends too much"), "the line")
    assert len(served.hall.poll(0)) <= WAITING_AT_MOST


def test_who_never_confirms_gets_two_frames_and_is_let_go(serve, monkeypatch):
    monkeypatch.setattr(viewer_module, "CONFIRM_SECONDS", 0.7)
    served = serve()
    window = served.open()
    stops, goes_on = served.viewer(), served.viewer()
    for seed in range(30):
        window.show(noise(seed))
        goes_on.until("frame")
    goes_on.until_shows(noise(29))
    code, reason = stops.ends()
    assert (code, reason) == (4002, "dropped: it showed no picture for 0.7 s")
    assert len(stops.frames) == 2
    assert served.logs("viewer 1 (127.0.0.1): dropped: it showed no picture")


def test_who_reads_nothing_costs_two_frames_and_is_let_go(serve, monkeypatch):
    monkeypatch.setattr(viewer_module, "CONFIRM_SECONDS", 0.7)
    served = serve()
    large = noise(0, (20 * 40, 80 * 40))  # no socket's buffers hold it
    window = served.open()
    window.show(large)
    raw = socket.create_connection(("127.0.0.1", served.server.port), 20)
    raw.sendall(
        f"GET /{TOKEN}/socket HTTP/1.1\r\nHost: {served.host}\r\nOrigin: http://{served.host}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    wait_for(lambda: served.logs("viewer 1 (127.0.0.1): dropped: it showed no picture"), "the line")
    wait_for(lambda: served.hall.count == 0, "its end")
    raw.close()


def test_who_is_cut_in_the_middle_is_forgotten(serve):
    served = serve()
    window = served.open()
    cut, stays = served.viewer(), served.viewer()
    for seed in range(10):
        window.show(noise(seed))
        if seed == 4:
            cut.connection.close_socket()
        stays.until("frame")
    stays.until_shows(noise(9))
    stays.hears("people", steering=2, viewers=[2])
    assert served.logs("viewer 1 (127.0.0.1): has left")


def test_two_hundred_connections_at_once_are_bounded(serve, monkeypatch):
    monkeypatch.setattr(server_module, "MORE_CONNECTIONS", 10)
    served = serve(viewers=2)
    window = served.open()
    window.show(noise(3))
    client = served.viewer()
    raw = [socket.create_connection(("127.0.0.1", served.server.port), 20) for _ in range(200)]
    client.until_shows(noise(3))
    wait_for(lambda: served.logs("refused: more than 12 connections at once"), "the line")
    hung_up = 0
    for each in raw:
        each.settimeout(0.02)
        with contextlib.suppress(TimeoutError):
            try:
                hung_up += each.recv(1) == b""
            except ConnectionError:
                hung_up += 1
    assert hung_up == 200 - 11
    for each in raw:
        each.close()
    assert len([line for line in served.lines if "more than" in line]) == 1
    served.viewer()


def test_who_says_nothing_at_first_is_hung_up_on(serve, monkeypatch):
    monkeypatch.setattr(server_module, "HANDSHAKE_SECONDS", 0.3)
    served = serve()
    with socket.create_connection(("127.0.0.1", served.server.port), 20) as raw:
        assert raw.recv(1) == b""


def test_at_the_end_viewers_are_told_and_nothing_is_left(serve):
    threads = threading.active_count()
    served = serve()
    window = served.open()
    window.show(noise(1))
    client = served.viewer()
    client.until("frame")
    silent = socket.create_connection(("127.0.0.1", served.server.port), 20)
    assert window.is_open()
    begun = time.monotonic()
    window.close()
    assert not window.is_open()
    assert served.server.close()
    assert time.monotonic() - begun < 5
    assert client.ends() == (1001, "live_vis.py has ended")
    silent.close()
    client.connection.close()
    wait_for(lambda: threading.active_count() == threads, "the threads' end")


def test_a_taken_port_is_one_sentence(serve):
    served = serve()
    address = parse_address(str(served.server.port))
    with pytest.raises(ServeError) as said:
        Server(Rules(address, TOKEN), Hall(served.from_viewers))
    assert str(said.value) == (
        f"{address} cannot be served: another program uses it; --serve 127.0.0.1:0 takes a free "
        "port"
    )
    with pytest.raises(ServeError, match="this machine has no such address; 0.0.0.0 stands for"):
        Server(Rules(parse_address("203.0.113.7:0"), TOKEN), Hall(served.from_viewers))


def test_the_window_takes_the_scale_of_the_one_who_steers(serve):
    served = serve()
    window = served.open(1.0)
    assert window.wanted_scale() is None
    first, second = served.viewer(), served.viewer()
    first.say("browser", camera=False, scale=1.239)
    second.say("browser", camera=False, scale=0.5)
    wait_for(lambda: window.wanted_scale() == 1.23, "the scale")
    first.say("browser", camera=False, scale=99)
    wait_for(lambda: window.wanted_scale() == 2.0, "the largest")
    first.connection.close()
    wait_for(lambda: window.wanted_scale() == 0.5, "the other's")
    larger = noise(5, (LAYOUT.height * 2, LAYOUT.width * 2))
    window.show(larger)
    second.until_shows(larger)
    assert np.array_equal(second.picture, larger)


def test_a_fixed_scale_stays(serve):
    served = serve()
    window = served.open(None)
    client = served.viewer()
    client.say("browser", camera=True, scale=2)
    wait_for(lambda: served.from_viewers.camera.available, "the browser's words")
    assert window.wanted_scale() is None


def memory_mb() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_memory_stays_flat_over_many_frames_with_two_viewers(serve, rounds):
    served = serve()
    window = served.open()
    clients = [served.viewer(), served.viewer()]
    pictures = [noise(seed, (20 * 5, 80 * 5)) for seed in range(5)]
    before = 0.0
    for number in range(rounds(500)):  # under `make soak`, 10,000
        window.show(pictures[number % 5])
        for client in clients:
            client.until("frame")
            del client.frames[:], client.heard[:]
        if number == 100:
            before = memory_mb()
    assert memory_mb() - before < 20


def test_whatever_viewers_send_the_others_go_on(serve, rounds):
    """Messages made of pieces of right ones: each ends its viewer or none, and never the server."""
    served = serve(viewers=4)
    window = served.open()
    window.show(noise(1))
    stays = served.viewer()
    stays.until_shows(noise(1))
    random = np.random.default_rng(19)
    values = [0, -1, 1e308, "", "o", "click", None, True, [], {}, "x" * 65, 2**70, [[1]], "\x00"]
    kinds = ["key", "mouse", "picture", "camera", "allowed", "refused", "browser", "shown", "ask",
             "give", "keep", "hello", ""]  # fmt: skip
    names = ["key", "kind", "x", "y", "name", "number", "scale", "camera"]
    for _ in range(rounds(20)):
        with contextlib.suppress(TimeoutError):
            while True:
                stays.take(0)  # who comes and goes
        # Those let go may take a second to hang up, and there are only so many connections.
        wait_for(lambda: len(served.server._wire.connections) < 20, "room")
        bad = served.viewer()
        with contextlib.suppress(Exception):  # it was let go
            for _ in range(5):
                fields = {name: values[random.integers(len(values))] for name in names}
                sent = json.dumps({"type": kinds[random.integers(len(kinds))], **fields}).encode()
                head = len(sent).to_bytes(4, "big")
                which = random.integers(4)
                if which == 0:
                    sent = head + sent + random.bytes(40)
                if which == 1:
                    sent = sent[: random.integers(len(sent))]
                bad.connection.send(sent if which == 0 else sent.decode())
        bad.connection.close()
        served.clients.remove(bad)
    window.show(noise(2))
    stays.until_shows(noise(2))
    served.server.close()
    assert not any("failed" in line or "Error" in line for line in served.lines), served.lines
