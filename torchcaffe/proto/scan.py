"""Walk through prototxt text by its schema: unknown fields, unknown values of enums, what to edit.

The protobuf library skips unknown fields in silence and refuses unknown values of an enum. Both
are usual in files of forks, so both are found here first, to be warned about once each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

MAX_DEPTH = 50
_V1_TYPE = "V1LayerParameter.type"
_BRACKETS = frozenset("{}<>")
Place = tuple[int, int]  # line and column of a token, from 0


class Edit(NamedTuple):
    """What to write in the place of a token."""

    place: Place
    old: str
    new: str


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
    edits : list of Edit
        What makes of the text one that the protobuf library takes.
    """

    unknown: dict[str, int] = field(default_factory=dict)
    has_unknown_fields: bool = False
    outermost: set[str] = field(default_factory=set)
    edits: list[Edit] = field(default_factory=list)

    def edited(self, text: str) -> str:
        """Return the text with the edits made; lines keep their numbers."""
        if not self.edits:
            return text
        lines = text.split("\n")
        for (line, column), old, new in sorted(self.edits, reverse=True):
            lines[line] = lines[line][:column] + new + lines[line][column + len(old) :]
        return "\n".join(lines)


class _Walk:
    """State of a walk: the messages that are open, the field whose value comes next."""

    def __init__(self, descriptor: Descriptor) -> None:
        self.scan = Scan()
        self.open: list[Descriptor | None] = [descriptor]
        self.field: FieldDescriptor | None = None
        self.field_at: Place = (0, 0)
        self.colon: Place = (0, 0)

    def bracket(self, token: str, line: int) -> None:
        """Open or close a message."""
        if token in ("{", "<"):
            self.open.append(self.field.message_type if self.field else None)
            if len(self.open) > MAX_DEPTH:
                raise ValueError(f"messages are nested more than {MAX_DEPTH} deep")
            return
        if len(self.open) == 1:
            raise ValueError(f"line {line} closes a message that was not opened")
        self.open.pop()

    def name(self, token: str, place: Place) -> None:
        """Look the name of a field up."""
        inside = self.open[-1]
        self.field, self.field_at = None, place
        if len(self.open) == 1:
            self.scan.outermost.add(token)
        if inside is None:  # within an unknown message: reported once, at its top
            return
        self.field = inside.fields_by_name.get(token)
        if self.field is None:
            self.scan.has_unknown_fields = True
            self.scan.unknown.setdefault(f"field {inside.name}.{token}", place[0] + 1)

    def value(self, token: str, place: Place) -> None:
        """Look the value of an enum up."""
        kind = self.field.enum_type if self.field else None
        if self.field is None or kind is None or token == "[" or _is_known(kind, token):
            return
        name = f"{self.field.containing_type.name}.{self.field.name}"
        if name == _V1_TYPE:  # a layer type of a fork is kept, as text
            self.scan.edits.append(Edit(self.field_at, self.field.name, "fork_type"))
            self.scan.edits.append(Edit(place, token, f'"{token}"'))
            return
        self.scan.unknown.setdefault(f"value {token} of {name}", place[0] + 1)
        tokens = ((self.field_at, self.field.name), (self.colon, ":"), (place, token))
        self.scan.edits += [Edit(at, old, " " * len(old)) for at, old in tokens]


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
        if token in _BRACKETS:
            walk.bracket(token, tokens._line + 1)
        elif previous == ":":
            walk.value(token, (tokens._line, tokens._column))
        elif token == ":":
            walk.colon = (tokens._line, tokens._column)
        elif token[0].isalpha() or token[0] == "_":
            walk.name(token, (tokens._line, tokens._column))
        previous = token
        tokens.NextToken()
    return walk.scan
