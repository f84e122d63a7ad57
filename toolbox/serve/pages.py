"""The page's files, and the headers that go with every answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "page"
FILES = {
    "": ("index.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    **{
        name: (name, "text/javascript; charset=utf-8")
        for name in ("page.js", "picture.js", "controls.js", "sending.js")
    },
}
# No script but our own files, no other host, and nothing of the page in another's frame.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class Page:
    """A file of the page's, ready to be sent."""

    kind: str
    body: bytes


def read_pages() -> Mapping[str, Page]:
    """Read the page's files; what is not among them does not exist for a viewer."""
    return {
        name: Page(kind, (FOLDER / file).read_bytes()) for name, (file, kind) in FILES.items()
    }  # fmt: skip


def headers(framed: bool) -> dict[str, str]:
    """Return the headers of every answer.

    Parameters
    ----------
    framed : bool
        Whether other pages may show this one in a frame, as notebooks do.
    """
    policy = _POLICY if framed else f"{_POLICY}; frame-ancestors 'none'"
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    }
