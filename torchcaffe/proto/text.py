"""Read prototxt (protobuf text format) with one warning for each unknown field."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TypeVar

from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from torchcaffe.errors import DefinitionError, FileError

MAX_TEXT_BYTES = 64 << 20
MAX_DEPTH = 50
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")
M = TypeVar("M", bound=Message)


def read_text(path: str | Path, message: M) -> M:
    """Fill `message` from the prototxt file at `path`.

    Raises
    ------
    FileError
        The file is missing, unreadable or larger than 64 MiB.
    DefinitionError
        Its text is not a prototxt; the sentence names the line.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MAX_TEXT_BYTES:
            raise FileError(
                f"{path} is {size >> 20} MiB, too large for a prototxt; "
                "a binary caffemodel goes where the weights are expected"
            )
        raw = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(f"could not open file {path}: {reason}; give a prototxt file") from error
    binary = _BINARY.search(raw)
    if binary:
        raise DefinitionError(
            f"{path} is not text (byte {binary.start()}); a prototxt is expected, "
            "a binary caffemodel goes where the weights are expected"
        )
    # names are ASCII as a rule; comments come in any encoding, and some files have a mark
    return parse_text(raw.decode("utf-8-sig", "replace"), message, str(path))


def parse_text(text: str, message: M, source: str = "prototxt") -> M:
    """Fill `message` from prototxt text; `source` names it in errors."""
    try:
        unknown = _unknown_fields(text, message.DESCRIPTOR)
        text_format.Parse(text, message, allow_unknown_field=bool(unknown))
    except text_format.ParseError as error:
        where = f"line {error.GetLine()}" if error.GetLine() else "the text"
        reason = str(error).split(" : ", 1)[-1].strip().rstrip(".")
        raise DefinitionError(f"{source}, {where}, is not a valid prototxt: {reason}") from error
    except (RecursionError, ValueError, OverflowError) as error:
        raise DefinitionError(f"{source} is not a valid prototxt: {error}") from error
    for name, line in unknown.items():
        warnings.warn(f"{source}, line {line}: unknown field {name} is skipped", stacklevel=3)
    return message


def _unknown_fields(text: str, descriptor: Descriptor) -> dict[str, int]:
    """Walk the text by the schema; return {"Message.field": first line} of unknown ones."""
    tokens = text_format.Tokenizer(text.split("\n"))
    stack: list[Descriptor | None] = [descriptor]
    unknown: dict[str, int] = {}
    pending: Descriptor | None = None
    previous = ""
    while not tokens.AtEnd():
        token = tokens.token
        if token in ("{", "<"):
            stack.append(pending)
            if len(stack) > MAX_DEPTH:
                raise ValueError(f"messages are nested more than {MAX_DEPTH} deep")
        elif token in ("}", ">"):
            if len(stack) == 1:
                raise ValueError(f"line {tokens._line + 1} closes a message that was not opened")
            stack.pop()
        elif previous != ":" and (token[0].isalpha() or token[0] == "_"):
            pending = _look_up(stack[-1], token, tokens._line + 1, unknown)
        previous = token
        tokens.NextToken()
    return unknown


def _look_up(
    inside: Descriptor | None, name: str, line: int, unknown: dict[str, int]
) -> Descriptor | None:
    if inside is None:  # within an unknown message: reported once, at its top
        return None
    field = inside.fields_by_name.get(name)
    if field is None:
        unknown.setdefault(f"{inside.name}.{name}", line)
        return None
    return field.message_type


def to_text(message: Message) -> str:
    """Return the prototxt of `message`."""
    return text_format.MessageToString(message)
