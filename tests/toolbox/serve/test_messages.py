"""What viewers may say: keys and the mouse as the bindings know them, and all else refused."""

from __future__ import annotations

import json
import struct

import pytest

from caffevis.app import CaffeVisApp
from toolbox.app.core import CORE_BINDINGS
from toolbox.app.protocol import all_bindings
from toolbox.drawing.panes import MAX_WINDOW
from toolbox.serve.limits import BURST_SECONDS, BYTES_A_SECOND, MESSAGES_A_SECOND, Allowance, Log
from toolbox.serve.messages import MAX_TEXT, MessageError, describe_keys, event, read
from toolbox.window.key_codes import BROWSER_KEYS, browser_code, decode
from toolbox.window.pointer import WHEEL_UP, MouseEvent

BINDINGS = all_bindings(CORE_BINDINGS, [CaffeVisApp])


def binary(head: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack(">I", len(head) if length is None else length) + head + data


def said(**fields) -> str:
    return json.dumps(fields)


def test_every_bound_key_has_a_name_in_browsers_capitals_too():
    names = {label: name for name, label in BROWSER_KEYS.items()}
    for row in BINDINGS:
        for key in row.keys:
            assert decode(browser_code(names.get(key, key))) == key
    assert decode(browser_code("J")) == "J"


@pytest.mark.parametrize("key", ["F13", "Dead", "Shift", "é", "aa", "", "\n"])
def test_other_keys_have_no_code(key):
    assert browser_code(key) is None


def test_the_page_gets_the_rows_of_the_help():
    described = describe_keys(BINDINGS)
    rows = [row for _, rows in described["sections"] for row in rows]
    assert [(label, text) for _, label, text in rows] == [(r.label(), r.help) for r in BINDINGS]
    assert all(decode(browser_code(key)) for keys, _, _ in rows for key in keys)
    # The keys that end a text are wanted too, though nothing is bound to them.
    assert {"ArrowLeft", "PageUp", "Escape", "Enter", "Backspace", " "} <= set(described["names"])
    assert not {"F5", "F11", "F12", "Tab"} & set(described["names"])
    assert described["help"] == ["h"]


def test_messages_are_read():
    message = read(binary(b'{"type": "picture", "name": "a.jpg"}', b"\xff\xd8"))
    assert (message.type, message.text("name"), message.data) == ("picture", "a.jpg", b"\xff\xd8")
    assert event(read(said(type="key", key="ArrowUp"))) == 0xFF52
    place = read(said(type="mouse", kind=WHEEL_UP, x=3, y=4))
    assert event(place) == MouseEvent(WHEEL_UP, 3, 4)


MALFORMED = [
    ("", "no JSON"),
    ("{", "no JSON"),
    ("[" * 4000, "no JSON"),
    ("[]", "no type"),
    ("{}", "no type"),
    ('{"type": 3}', "no type"),
    (said(type="x" * MAX_TEXT), "a text too long"),
    (b"", "binary without a head"),
    (b"\0\0\0", "binary without a head"),
    (binary(b"{}", length=3), "binary with a wrong head"),
    (binary(b"{}", length=2**32 - 1), "binary with a wrong head"),
    (binary(b"\xff\xfe"), "no JSON"),
    (binary(b"null"), "no type"),
    ("\ud800", "no JSON"),
]


@pytest.mark.parametrize(("received", "why"), MALFORMED)
def test_malformed_messages_are_refused(received, why):
    with pytest.raises(MessageError, match=f"^{why}$"):
        read(received)


WRONG = [
    ({"type": "key"}, "key without key"),
    ({"type": "key", "key": 3}, "key without key"),
    ({"type": "key", "key": "x" * 65}, "key without key"),
    ({"type": "key", "key": "Nothing"}, "an unknown key"),
    ({"type": "mouse", "kind": "throw", "x": 1, "y": 1}, "an unknown turn of the mouse"),
    ({"type": "mouse", "kind": "click", "x": 1}, "mouse without y"),
    ({"type": "mouse", "kind": "click", "x": -1, "y": 0}, "mouse without x"),
    ({"type": "mouse", "kind": "click", "x": MAX_WINDOW, "y": 0}, "mouse without x"),
    ({"type": "mouse", "kind": "click", "x": 1.0, "y": 0}, "mouse without x"),
    ({"type": "mouse", "kind": "click", "x": True, "y": 0}, "mouse without x"),
]


@pytest.mark.parametrize(("fields", "why"), WRONG)
def test_keys_and_places_that_are_none_are_refused(fields, why):
    with pytest.raises(MessageError, match=f"^{why}$"):
        event(read(json.dumps(fields)))


@pytest.mark.parametrize("scale", ["NaN", "Infinity", "0", '"1"', "null", "true", "1e9"])
def test_numbers_that_cannot_be_are_refused(scale):
    with pytest.raises(MessageError):
        read(f'{{"type": "browser", "scale": {scale}}}').number("scale", 0.01, 100.0)


def test_so_many_messages_and_bytes_a_second_may_come():
    now = [0.0]
    allowance = Allowance(lambda: now[0])
    burst = int(MESSAGES_A_SECOND * BURST_SECONDS)
    assert all(allowance.take(10) for _ in range(burst))
    assert not allowance.take(10)
    now[0] += 10
    assert allowance.take(int(BYTES_A_SECOND * BURST_SECONDS))
    assert not allowance.take(1)


def test_the_log_says_the_same_once_and_counts_the_rest():
    now, lines = [0.0], []
    log = Log(lines.append, lambda: now[0])
    for _ in range(5):
        log.say("refused: a wrong token", "127.0.0.1")
    log.say("has joined", "viewer 1")
    assert lines == ["serve: 127.0.0.1: refused: a wrong token", "serve: viewer 1: has joined"]
    log.flush()
    assert len(lines) == 2
    now[0] += 6
    log.flush()
    log.flush()
    assert lines[2:] == ["serve: refused: a wrong token (4 more like it)"]
    log.say("refused: a wrong token", "10.0.0.1")
    assert lines[3:] == ["serve: 10.0.0.1: refused: a wrong token"]
