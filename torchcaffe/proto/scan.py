"""Walk through prototxt text by its schema: unknown fields, unknown values of enums, what to edit.

The protobuf library skips unknown fields in silence and refuses unknown values of an enum. Both
are usual in files of forks, so both are found here first, to be warned about once each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

MAX_DEPTH = 50
_V1_TYPE = "V1LayerParameter.type"


class Place(NamedTuple):
    """Where a token stands: line and column from 0, and its length."""

    line: int
    column: int
    length: int


@dataclass
class Scan:
    """What a walk found.

    Attributes
    ----------
    unknown : dict of str to int
        What is skipped ("field A.b", "value X of A.b") -> the first line with it, from 1.
    has_unknown_fields : bool
        Some of it are fields.
    outermost : set of str
        Names of the fields that are not inside of another.
    edits : list of (Place, str)
        What to write in the place of tokens so that the protobuf library takes the text.
    """

    unknown: dict[str, int] = field(default_factory=dict)
    has_unknown_fields: bool = False
    outermost: set[str] = field(default_factory=set)
    edits: list[tuple[Place, str]] = field(default_factory=list)

    def edited(self, text: str) -> str:
        """Return the text with the edits made; lines keep their numbers."""
        lines = text.split("\n")
        for place, new in sorted(self.edits, reverse=True):
            old = lines[place.line]
            lines[place.line] = old[: place.column] + new + old[place.column + place.length :]
        return "\n".join(lines)


class _Walk:
    """State of a walk: the messages that are open, the field whose value comes next."""

    def __init__(self, descriptor: Descriptor) -> None:
        self.scan = Scan()
        self.open: list[Descriptor | None] = [descriptor]
        self.field: FieldDescriptor | None = None
        self.field_places: list[Place] = []

    def bracket(self, token: str, line: int) -> None:
        if token in ("{", "<"):
            self.open.append(self.field.message_type if self.field else None)
            if len(self.open) > MAX_DEPTH:
                raise ValueError(f"messages are nested more than {MAX_DEPTH} deep")
            return
        if len(self.open) == 1:
            raise ValueError(f"line {line} closes a message that was not opened")
        self.open.pop()

    def name(self, token: str, place: Place) -> None:
        inside = self.open[-1]
        self.field, self.field_places = None, [place]
        if len(self.open) == 1:
            self.scan.outermost.add(token)
        if inside is None:  # within an unknown message: reported once, at its top
            return
        self.field = inside.fields_by_name.get(token)
        if self.field is None:
            self.scan.has_unknown_fields = True
            self.scan.unknown.setdefault(f"field {inside.name}.{token}", place.line + 1)

    def value(self, token: str, place: Place) -> None:
        kind = self.field.enum_type if self.field else None
        if self.field is None or kind is None or token == "[" or _is_known(kind, token):
            return
        name = f"{self.field.containing_type.name}.{self.field.name}"
        if name == _V1_TYPE:  # a layer type of a fork is kept, as text
            self.scan.edits += [(self.field_places[0], "fork_type"), (place, f'"{token}"')]
            return
        self.scan.unknown.setdefault(f"value {token} of {name}", place.line + 1)
        self.scan.edits += [(p, " " * p.length) for p in (*self.field_places, place)]


def _is_known(kind: EnumDescriptor, token: str) -> bool:
    try:
        return int(token, 0) in kind.values_by_number
    except ValueError:
        return token in kind.values_by_name or not (token[0].isalpha() or token[0] == "_")


def scan(text: str, descriptor: Descriptor) -> Scan:
    """Walk through `text`, which is to become a message of the kind `descriptor`.

    Raises
    ------
    ValueError
        Messages are nested too deep, or closed without having been opened.
    google.protobuf.text_format.ParseError
        The text has no tokens.
    """
    tokens = text_format.Tokenizer(text.split("\n"))
    walk = _Walk(descriptor)
    previous = ""
    while not tokens.AtEnd():
        token = tokens.token
        place = Place(tokens._line, tokens._column, len(token))
        handle = _handler(walk, token, previous)
        if handle is not None:
            handle(token, place)
        previous = token
        tokens.NextToken()
    return walk.scan


def _handler(walk: _Walk, token: str, previous: str) -> Callable[[str, Place], None] | None:
    """Return what deals with a token in its place."""
    if token in ("{", "<", "}", ">"):
        return lambda token, place: walk.bracket(token, place.line + 1)
    if previous == ":":
        return walk.value
    if token == ":":
        return lambda token, place: walk.field_places.append(place)
    return walk.name if token[0].isalpha() or token[0] == "_" else None
