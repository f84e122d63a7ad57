"""What all command lines do alike: errors as one sentence, warnings as one line, an exit status."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable


def show_warning(message: Warning | str, *rest: object, **more: object) -> None:
    """Print a warning as one line, without the line of code that it came from."""
    print(f"note: {message}", file=sys.stderr)


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
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if stopped:
            print(f"{program}: {stopped}", file=sys.stderr)
        return 130
