"""The command line's part: options for a served window, and signals that end it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from toolbox.serve.door import DEFAULT, ServeError, make_token, parse_address, parse_public
from toolbox.serve.server import Rules, Server

MOST_VIEWERS = 64
HINT = "To see it live in a browser: make serve (or python live_vis.py --serve)"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what a served window takes."""
    parser.add_argument(
        "--serve", metavar="[HOST:]PORT", nargs="?", const=DEFAULT,
        help=f"the window in a browser instead ({DEFAULT}); it prints the address to open",
    )  # fmt: skip
    parser.add_argument("--token", help="with --serve: in the address, instead of a random one")
    parser.add_argument(
        "--viewers", metavar="N", type=int, help="with --serve: how many browsers at once (8)"
    )
    parser.add_argument(
        "--public", metavar="URL", help="with --serve behind a proxy: the address viewers use"
    )
    parser.add_argument("--in-notebook", action="store_true", help=argparse.SUPPRESS)


def read_rules(options: argparse.Namespace) -> Rules | None:
    """Read the options of `add_options`.

    Parameters
    ----------
    options : Namespace
        The command line.

    Returns
    -------
    Rules or None
        None where no served window is asked for.

    Raises
    ------
    ServeError
        An option is wrong.
    """
    if options.serve is None:
        for name in ("token", "viewers", "public"):
            if getattr(options, name) is not None:
                raise ServeError(f"--{name} needs --serve")
        return None
    viewers = 8 if options.viewers is None else options.viewers
    if not 1 <= viewers <= MOST_VIEWERS:
        raise ServeError(f"--viewers takes a number from 1 to {MOST_VIEWERS}")
    return Rules(
        parse_address(options.serve),
        make_token(options.token),
        viewers,
        parse_public(options.public) if options.public else None,
        options.in_notebook,
    )


def announce(server: Server, rules: Rules) -> None:
    """Print the address to open, and what an open address means."""
    print(f"Open in a browser: {server.url}", flush=True)
    if not rules.address.is_local and rules.public is None:
        where = "any of its addresses" if rules.address.is_everywhere else rules.address.host
        print(
            f"note: everybody who reaches this machine at {where} and has the token can steer it "
            "and see what it shows, and nothing is encrypted on the way; browsers give their "
            "camera only to localhost and https. docs/browser.md: an SSH tunnel, and TLS.",
            file=sys.stderr,
            flush=True,
        )


def end_with_parent() -> None:
    """Have this process end when its standard input does: with the notebook that started it."""

    def wait() -> None:
        # Not by sys.stdin, whose lock the interpreter takes when it ends otherwise.
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="notebook", daemon=True).start()


@contextmanager
def ended_by_signals(end: Callable[[], None]) -> Iterator[None]:
    """Call a function at the first Ctrl-C or SIGTERM; a second one ends the process at once."""
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def on_signal(number: int, frame: FrameType | None) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_DFL)
        end()

    for number in signals:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
