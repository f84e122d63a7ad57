"""What all command lines do alike: errors as one sentence, warnings as one line, an exit status."""

from __future__ import annotations

import argparse
import re
import sys
import warnings
from collections.abc import Callable, Sequence


def show_warning(message: Warning | str, *rest: object, **more: object) -> None:
    """Print a warning as one line, without the line of code that it came from."""
    print(f"note: {one_line(str(message))}", file=sys.stderr)


def one_line(text: str) -> str:
    """Show what a name from a file may hold and a terminal would obey: ends of lines, escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def exit_status(
    program: str,
    work: Callable[[], int | None],
    errors: tuple[type[BaseException], ...],
    stopped: str = "",
) -> int:
    """Do the work of a command.

    Parameters
    ----------
    program : str
        What the command is called in its messages.
    work : callable
        Does it all, the reading of the command line too; returns its exit status, None for 0.
    errors : tuple of exception classes
        What a user can get wrong: their sentence is printed.
    stopped : str
        What Ctrl-C says; nothing where it is empty.

    Returns
    -------
    int
        The work's; 2 after a sentence on standard error; 130 where the user stopped it.
    """
    warnings.showwarning = show_warning
    try:
        return work() or 0
    except errors as error:
        print(f"{program}: {one_line(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if stopped:
            print(f"{program}: {stopped}", file=sys.stderr)
        return 130


def numbers(text: str) -> tuple[int, ...]:
    """Read `0-95,130` as channel numbers, each once, in order."""
    found: set[int] = set()
    for piece in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", piece)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last or last - first > 1_000_000:
            raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 0-95,130")
        found.update(range(first, last + 1))
    return tuple(sorted(found))


def numbers_text(values: Sequence[int]) -> str:
    """Write channel numbers as `0-95_130`, for a file's name."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    text = "_".join(f"{a}-{b}" if b > a else f"{a}" for a, b in runs)
    return text if len(text) <= 100 else f"{runs[0][0]}-{runs[-1][1]}_{len(values)}_units"
