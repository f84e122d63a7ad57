"""Who is let in: addresses, tokens, hosts and origins, and the exact sentences."""

from __future__ import annotations

import socket

import pytest

from toolbox.serve.door import Address, Door, ServeError, make_token, parse_address, parse_public

TAKES = "--serve takes a port from 0 to 65535, or host and port, as 127.0.0.1:8765; not "
TOKEN = "--token takes 8 to 128 letters, digits, - or _, as they can stand in an address"
PUBLIC = "--public takes the address that viewers use, as https://vis.example.org; not "


@pytest.mark.parametrize(
    ("text", "host", "port", "local"),
    [
        ("8765", "127.0.0.1", 8765, True),
        ("localhost:1", "localhost", 1, True),
        ("0.0.0.0:8765", "0.0.0.0", 8765, False),
        ("[::1]:65535", "::1", 65535, True),
        ("[::]:80", "::", 80, False),
        ("gpu3.lab:0", "gpu3.lab", 0, False),
        ("127.1.2.3:9", "127.1.2.3", 9, True),
    ],
)
def test_an_address_is_read(text, host, port, local):
    address = parse_address(text)
    assert (address, address.is_local) == (Address(host, port), local)
    assert parse_address(str(address)) == address


@pytest.mark.parametrize("text", ["", "x", "65536", "-1", ":8765", "host:", "1.5", "host:x", "٣"])
def test_what_is_no_address_is_said(text):
    with pytest.raises(ServeError) as said:
        parse_address(text)
    assert str(said.value) == TAKES + repr(text)


def test_a_token_is_random_or_the_users():
    assert make_token("class-of_2026") == "class-of_2026"
    tokens = {make_token(None) for _ in range(20)}
    assert len(tokens) == 20
    assert all(len(token) == 22 and make_token(token) == token for token in tokens)


@pytest.mark.parametrize("text", ["", "short", "a" * 129, "with space", "with/slash", "übermäßig"])
def test_what_is_no_token_is_said(text):
    with pytest.raises(ServeError) as said:
        make_token(text)
    assert str(said.value) == TOKEN


@pytest.mark.parametrize(
    "text", ["vis.example.org", "ftp://x", "https://", "http://x/?a", "http://[", "http://x/a b"]
)
def test_what_is_no_public_address_is_said(text):
    with pytest.raises(ServeError) as said:
        parse_public(text)
    assert str(said.value) == PUBLIC + repr(text)
    assert parse_public("https://x/vis/") == "https://x/vis"


@pytest.mark.parametrize(
    ("path", "right"),
    [
        ("/secret-one/", True),
        ("/secret-one/page.js?x", True),
        ("/secret-one", True),
        ("/secret-one?secret", True),
        ("/secret-on/", False),
        ("/secret-onee/", False),
        ("//secret-one/", False),
        ("/", False),
        ("", False),
        ("/?token=secret-one", False),
        ("/Secret-one/", False),
        ("/\N{SNOWMAN}/", False),
    ],
)
def test_the_token_is_the_first_part_of_every_path(path, right):
    assert Door("secret-one").knows_token(path) == right


@pytest.mark.parametrize(
    ("host", "right"),
    [
        ("127.0.0.1:8765", True),
        ("localhost:9000", True),  # through a tunnel
        ("LOCALHOST", True),
        ("[::1]:8765", True),
        ("192.168.1.7:8765", True),  # no name, so nobody's to point elsewhere
        (socket.gethostname(), True),
        ("evil.example", False),
        ("127.0.0.1.evil.example:8765", False),
        ("localhost.evil.example", False),
        ("user@evil.example", False),
        ("[", False),
        ("", False),
        (None, False),
    ],
)
def test_foreign_hosts_are_told_from_our_own(host, right):
    assert Door("t").knows_host(host) == right


@pytest.mark.parametrize(
    ("origin", "host", "right"),
    [
        ("http://127.0.0.1:8765", "127.0.0.1:8765", True),
        ("http://LOCALHOST:1", "localhost:1", True),
        ("http://127.0.0.1:8888", "127.0.0.1:8765", False),  # another program's page
        ("https://evil.example", "127.0.0.1:8765", False),
        ("null", "127.0.0.1:8765", False),
        ("file://", "", False),
        ("http://[", "[", False),
        (None, "127.0.0.1:8765", False),
        ("", "127.0.0.1:8765", False),
    ],
)
def test_foreign_origins_are_told_from_our_own(origin, host, right):
    assert Door("t").knows_origin(origin, host) == right


def test_behind_a_proxy_its_address_is_our_own_too():
    door = Door("t", "https://vis.example.org")
    assert door.knows_host("vis.example.org")
    assert door.knows_origin("https://vis.example.org", "127.0.0.1:8765")
    assert not door.knows_origin("http://vis.example.org", "127.0.0.1:8765")
    assert not door.knows_host("other.example.org")


def test_behind_a_notebook_any_name_is_right_but_not_any_origin():
    door = Door("t", any_name=True)
    assert door.knows_host("hub.example.org")
    assert door.knows_origin("https://hub.example.org", "hub.example.org")
    assert not door.knows_origin("https://evil.example", "hub.example.org")
