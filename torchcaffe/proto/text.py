"""Read prototxt (protobuf text format) with one warning for whatever of it is unknown."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TypeVar

from google.protobuf import text_format
from google.protobuf.message import Message

from torchcaffe.errors import DefinitionError, FileError
from torchcaffe.proto.caffe_pb2 import NetParameter, SolverParameter
from torchcaffe.proto.foreign import refuse_foreign
from torchcaffe.proto.scan import Scan, scan

MAX_TEXT_BYTES = 64 << 20
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")
M = TypeVar("M", bound=Message)


def read_text(path: str | Path, message: M) -> M:
    """Fill `message` from the prototxt file at `path`.

    Raises
    ------
    FileError
        The file is missing, unreadable, larger than 64 MiB or of another program.
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
        refuse_foreign(path, "a prototxt")
        raise DefinitionError(
            f"{path} is not text (byte {binary.start()}); a prototxt is expected, "
            "a binary caffemodel goes where the weights are expected"
        )
    # names are ASCII as a rule; comments come in any encoding, and some files have a mark
    try:
        return parse_text(raw.decode("utf-8-sig", "replace"), message, str(path))
    except DefinitionError:
        refuse_foreign(path, "a prototxt")
        raise


def parse_text(text: str, message: M, source: str = "prototxt") -> M:
    """Fill `message` from prototxt text; `source` names it in errors."""
    try:
        found = scan(text, message.DESCRIPTOR)
        if isinstance(message, NetParameter):
            _refuse_solver(found, text, source)
        known = found.edited(text)
        text_format.Parse(known, message, allow_unknown_field=found.has_unknown_fields)
    except text_format.ParseError as error:
        where = f"line {error.GetLine()}" if error.GetLine() else "the text"
        reason = str(error).split(" : ", 1)[-1].strip().rstrip(".")
        raise DefinitionError(f"{source}, {where}, is not a valid prototxt: {reason}") from error
    except DefinitionError:
        raise
    except (RecursionError, ValueError, OverflowError) as error:
        raise DefinitionError(f"{source} is not a valid prototxt: {error}") from error
    for what, line in found.unknown.items():
        warnings.warn(f"{source}, line {line}: unknown {what} is skipped", stacklevel=3)
    return message


def _refuse_solver(found: Scan, text: str, source: str) -> None:
    """Say so where the text is a solver's settings in a network's place."""
    of_net, of_solver = NetParameter.DESCRIPTOR, SolverParameter.DESCRIPTOR
    names = [
        name
        for name in of_solver.fields_by_name
        if name in found.outermost and name not in of_net.fields_by_name
    ]
    if not names or {"layer", "layers", "input"} & found.outermost:
        return
    solver = SolverParameter()
    text_format.Parse(text, solver, allow_unknown_field=True)
    named = solver.net or solver.train_net
    raise DefinitionError(
        f"{source} is a solver's file ({', '.join(sorted(names)[:3])}), which says how a network "
        f"is trained; give the network that it names{': ' + named if named else ''}, "
        "best its deploy.prototxt"
    )


def to_text(message: Message) -> str:
    """Return the prototxt of `message`."""
    return text_format.MessageToString(message)
