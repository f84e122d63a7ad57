"""What viewers and server say to each other, and what of it is believed.

A text message is a JSON object with a `type`. A binary one carries data: four bytes with the
length of such an object (big endian), the object, and the data behind it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolbox.app.bindings import TEXT_ENDS, Bindings
from toolbox.drawing.panes import MAX_WINDOW
from toolbox.serve.picture import Frame
from toolbox.window.key_codes import BROWSER_KEYS, browser_code
from toolbox.window.pointer import (
    CLICK,
    DRAG,
    MOVE,
    RIGHT_CLICK,
    WHEEL_DOWN,
    WHEEL_UP,
    MouseEvent,
)

MAX_MESSAGE = 16 * 2**20  # bytes: a photo
MAX_TEXT = 4096
MAX_CAMERA = 2 * 2**20
MAX_NAME = 80
MOUSE = (CLICK, RIGHT_CLICK, WHEEL_UP, WHEEL_DOWN, MOVE, DRAG)
HELP = "help_mode"
_TYPED = (*TEXT_ENDS, "backspace", "space")
_LENGTH = struct.Struct(">I")


class MessageError(Exception):
    """A message that means nothing; a few words say why."""


@dataclass(frozen=True)
class Message:
    """One message of a viewer's: its type and what else it says, and the data it carries."""

    type: str
    fields: Mapping[str, Any]
    data: bytes = b""

    def text(self, name: str, longest: int = 64) -> str:
        """Return a field that is a text; raises `MessageError`."""
        value = self.fields.get(name)
        if not isinstance(value, str) or len(value) > longest:
            raise MessageError(f"{self.type} without {name}")
        return value

    def whole(self, name: str, below: int) -> int:
        """Return a field that is a whole number from 0; raises `MessageError`."""
        value = self.fields.get(name)
        if type(value) is not int or not 0 <= value < below:
            raise MessageError(f"{self.type} without {name}")
        return value

    def number(self, name: str, least: float, most: float) -> float:
        """Return a field that is a number in a range; raises `MessageError`."""
        value = self.fields.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise MessageError(f"{self.type} without {name}")
        if not least <= value <= most:  # nor NaN
            raise MessageError(f"{self.type} with a {name} that cannot be")
        return float(value)


def read(message: str | bytes) -> Message:
    """Read what a viewer sent.

    Parameters
    ----------
    message : str or bytes
        A text message or a binary one.

    Returns
    -------
    Message
        Its fields are not yet checked.

    Raises
    ------
    MessageError
        It is none.
    """
    data = b""
    if isinstance(message, bytes):
        if len(message) < _LENGTH.size:
            raise MessageError("binary without a head")
        (length,) = _LENGTH.unpack_from(message)
        if length > MAX_TEXT or _LENGTH.size + length > len(message):
            raise MessageError("binary with a wrong head")
        head, data = message[_LENGTH.size : _LENGTH.size + length], message[_LENGTH.size + length :]
    else:
        head = message.encode(errors="replace")
        if len(head) > MAX_TEXT:
            raise MessageError("a text too long")
    try:
        fields = json.loads(head)
    except (ValueError, RecursionError):
        raise MessageError("no JSON") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
        raise MessageError("no type")
    return Message(fields["type"], fields, data)


def event(message: Message) -> int | MouseEvent:
    """Turn a key or the mouse into what the loop knows.

    Parameters
    ----------
    message : Message
        Of type "key" or "mouse".

    Returns
    -------
    int or MouseEvent
        As HighGUI's window gives them.

    Raises
    ------
    MessageError
        There is no such key, or no such place in any window.
    """
    if message.type == "key":
        code = browser_code(message.text("key"))
        if code is None:
            raise MessageError("an unknown key")
        return code
    kind = message.text("kind")
    if kind not in MOUSE:
        raise MessageError("an unknown turn of the mouse")
    return MouseEvent(kind, message.whole("x", MAX_WINDOW), message.whole("y", MAX_WINDOW))


def say(kind: str, **fields: object) -> str:
    """Write a text message."""
    return json.dumps({"type": kind, **fields})


def write_frame(number: int, frame: Frame) -> bytes:
    """Write a frame as a binary message.

    Parameters
    ----------
    number : int
        To be confirmed.
    frame : Frame
        Its parts' data stand behind the head, in order.
    """
    parts = [
        [p.region.column, p.region.row, p.region.width, p.region.height, p.kind, len(p.data)]
        for p in frame.parts
    ]
    head = say(
        "frame", number=number, width=frame.width, height=frame.height, parts=parts
    ).encode()  # fmt: skip
    return b"".join([_LENGTH.pack(len(head)), head, *(part.data for part in frame.parts)])


def describe_keys(bindings: Bindings) -> dict[str, Any]:
    """List the rows of keys for the page's own list, and what a browser calls the keys.

    Parameters
    ----------
    bindings : Bindings
        All rows.

    Returns
    -------
    dict
        `names`: of the keys that have a name instead of a letter, those that do something;
        `help`: the keys that show the help;
        `sections`: heading and rows, each of (keys as a browser calls them, label, help).
    """
    bound = {key for row in bindings for key in row.keys} | set(_TYPED)
    names = {label: name for name, label in BROWSER_KEYS.items()}
    sections: list[tuple[str, Sequence[Any]]] = [
        (
            heading,
            [([names.get(key, key) for key in row.keys], row.label(), row.help) for row in rows],
        )
        for heading, rows in bindings.sections
    ]
    return {
        "names": [name for name, label in BROWSER_KEYS.items() if label in bound],
        "help": [names.get(key, key) for row in bindings if row.tag == HELP for key in row.keys],
        "sections": sections,
    }
