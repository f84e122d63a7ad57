"""Who is let in: the address served, the token in it, and which hosts and origins are right."""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

DEFAULT = "127.0.0.1:8765"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{8,128}")


class ServeError(Exception):
    """An address that cannot be served; the message is one sentence."""


@dataclass(frozen=True)
class Address:
    """Where to listen.

    Parameters
    ----------
    host : str
        A name or a number of this machine; `0.0.0.0` or `::` for every one that it has.
    port : int
        0 for any that is free.
    """

    host: str
    port: int

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def is_everywhere(self) -> bool:
        """Whether it stands for all of the machine's addresses."""
        return self.host in ("0.0.0.0", "::")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read `[HOST:]PORT`.

    Parameters
    ----------
    text : str
        As `8765`, `0.0.0.0:8765` or `[::1]:8765`.

    Returns
    -------
    Address
        With 127.0.0.1 where no host is named.

    Raises
    ------
    ServeError
        It is no address.
    """
    host, colon, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not (port.isascii() and port.isdigit()) or int(port) > 65535 or (colon and not host):
        raise ServeError(
            f"--serve takes a port from 0 to 65535, or host and port, as {DEFAULT}; not {text!r}"
        )
    return Address(host or "127.0.0.1", int(port))


def make_token(wanted: str | None) -> str:
    """Return the token wanted, or a random one of 128 bits; raises `ServeError`."""
    if wanted is None:
        return secrets.token_urlsafe(16)
    if not _TOKEN.fullmatch(wanted):
        raise ServeError(
            "--token takes 8 to 128 letters, digits, - or _, as they can stand in an address"
        )
    return wanted


def parse_public(text: str) -> str:
    """Check the address that a proxy is reached by; returns it without a slash at its end."""
    try:
        parts = urlsplit(text)
        fits = parts.scheme in ("http", "https") and parts.hostname
    except ValueError:
        fits = None
    if not fits or parts.query or parts.fragment or not text.isprintable() or " " in text:
        raise ServeError(
            f"--public takes the address that viewers use, as https://vis.example.org; not {text!r}"
        )
    return text.rstrip("/")


class Door:
    """Checks each request: token, host and origin.

    The token keeps out who was not told the address. Host and origin keep out pages of other
    sites in a viewer's own browser, which can reach what it can reach: a name that such a page
    has made to mean this machine (DNS rebinding) is refused, and so is a WebSocket opened from
    another origin than the page's own.

    Parameters
    ----------
    token : str
        In the address.
    public : str or None
        Behind a proxy: the address that viewers use.
    any_name : bool
        Do not look at the host's name: behind a notebook server, whose name is not known.
    """

    def __init__(self, token: str, public: str | None = None, any_name: bool = False) -> None:
        self.token = token
        self._public = urlsplit(public) if public else None
        self._any_name = any_name
        own = socket.gethostname().lower()
        self._names = {*LOOPBACK, own, own.partition(".")[0], f"{own}.local"}

    def knows_token(self, path: str) -> bool:
        """Tell whether a path begins with the token, in constant time."""
        given = path.split("?", 1)[0].split("/", 2)
        return hmac.compare_digest(
            (given[1] if len(given) > 1 else "").encode(errors="replace"), self.token.encode()
        )

    def knows_host(self, host: str | None) -> bool:
        """Tell whether a Host header names this machine.

        Numbers do, whatever they are: only a name can be made to mean another machine.
        """
        name = _host_name(host)
        if not name:
            return False
        if self._any_name or name in self._names or _is_number(name):
            return True
        return self._public is not None and name == (self._public.hostname or "").lower()

    def knows_origin(self, origin: str | None, host: str | None) -> bool:
        """Tell whether a WebSocket comes from our own page, by its Origin and Host headers."""
        if not origin or not host:
            return False
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if parts.scheme not in ("http", "https"):
            return False
        public = self._public
        if public and (parts.scheme, parts.netloc) == (public.scheme, public.netloc):
            return True
        return parts.netloc.lower() == host.lower()


def _host_name(host: str | None) -> str:
    """Return a Host header's name without its port, empty where it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower() if host else ""
    except ValueError:
        return ""


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
