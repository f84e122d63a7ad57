"""`python -m find_maxes.find_max_acts`: the images that excite each unit most."""

# Worker processes import this module again: what needs torch is imported where it is used.
from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from toolbox.command_line import exit_status
from toolbox.workers.cores import cores
from toolbox.workers.heap import hold_all

PATHS = ("NET_PROTOTXT", "NET_WEIGHTS", "DATADIR", "FILELIST", "OUTFILE.npz")
EPILOG = """\
NET_PROTOTXT   the net's definition
NET_WEIGHTS    its weights: .caffemodel or .h5
DATADIR        folder that the list's paths are relative to
FILELIST       one line 'path class' an image; the class may be missing, and a tab before it
               lets paths hold spaces; - in its place walks DATADIR (class = folder)
OUTFILE.npz    gets for each layer <layer>/max_vals (units, N) and <layer>/max_locs
               (units, N, 4): image, class, row, column; docs/find_maxes.md has the rest

Exit status: 0, 1 where more than --max-bad of the files were bad, 2 after an error in one
sentence, 130 when stopped (--resume goes on)."""


def _percentage(text: str) -> float:
    value = float(text.strip().removesuffix("%"))
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 100 %")
    return value / 100


def whole_from(least: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from `least`."""

    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        return value

    return number


def flag(about: str) -> dict[str, Any]:
    """Return argparse's words for an option without a value."""
    return {"action": "store_true", "help": about}


# fmt: off
OPTIONS: dict[str, dict[str, Any]] = {
    "--N": {"type": whole_from(1), "default": 9, "dest": "top", "metavar": "N",
            "help": "images a unit (9)"},
    "--layers": {"nargs": "+", "metavar": "LAYER", "help": "default: all that hold data"},
    "--gpu": flag("compute on the GPU"),
    "--batch-size": {"type": whole_from(1), "default": 64, "metavar": "N",
                     "help": "pictures decoded ahead (64); it does not change the result"},
    "--workers": {"type": whole_from(0), "default": min(cores(), 16), "metavar": "N",
                  "help": "processes that decode (default: one a core; 0: this one does)"},
    "--mean": {"metavar": "M", "help": "a file, one value a channel as (104,117,123), or None;"
                                       " default: from the settings"},
    "--channel-swap": {"metavar": "2,1,0", "help": "which of red, green, blue each input"
                                                   " channel gets; default: from the settings"},
    "--resize": {"choices": ("stretch", "short"),
                 "help": "stretch photos, or resize them in proportion; default: stretch for"
                         " inputs of 192 to 256 pixels as the original, else in proportion"},
    "--crop": {"metavar": "SIZE",
               "help": "resize to that (256, 256x320), and cut the input's size out of the"
                       " centre; none: resize to the input; default: 256 for inputs of 192 to"
                       " 256 pixels, else none"},
    "--image-input": {"metavar": "NAME", "help": "the input that photos go to; default: from"
                                                 " the settings, or the first with four axes"},
    "--hold": {"action": "append", "metavar": "NAME=VALUE",
               "help": "what another input holds: a number, one a channel as"
                       " im_info=600,800,1, or a file; else 0"},
    "--max-bad": {"type": _percentage, "default": 0.05, "metavar": "PERCENT",
                  "help": "exit with 1 where more of the files are bad (5)"},
    "--histograms": flag("also keep histograms of each unit's maxima"),
    "--correlation": flag("also keep the correlation between units"),
    "--labels": flag("also find the class that each unit answers to"),
    "--quantiles": flag("also keep quantiles of each unit's maxima, and images at them"),
    "--resume": flag("go on from the checkpoint beside OUTFILE.npz"),
    "--checkpoint-every": {"type": float, "default": 30.0, "metavar": "SECONDS",
                           "help": "write a checkpoint that often (30)"},
    "--scheduler": {"metavar": "ADDRESS", "help": "run on the Dask cluster at this address"},
    "--settings": {"type": Path, "metavar": "FILE", "help": "instead of settings_local.py"},
    "--allow-python-layers": flag("let the net's Python layers run the code they name"),
}
# fmt: on


def make_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        prog="python -m find_maxes.find_max_acts",
        usage=f"%(prog)s [options] {' '.join(PATHS)}",
        description="Find the images that excite each unit of a net most.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="*", help=argparse.SUPPRESS)
    for name, words in OPTIONS.items():
        parser.add_argument(name, **words)
    return parser


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; leave the process with usage where it is wrong."""
    parser = make_parser()
    options = parser.parse_intermixed_args(arguments)
    # --layers takes all words that follow it, also the paths
    missing = len(PATHS) - len(options.paths)
    if missing > 0 and options.layers:
        options.paths += options.layers[-missing:]
        options.layers = options.layers[:-missing]
        missing = len(PATHS) - len(options.paths)
    if missing:
        fault = f"missing: {', '.join(PATHS[-missing:])}" if missing > 0 else "too many paths"
        parser.error(fault)
    if options.layers == []:
        parser.error("--layers needs the name of a layer")
    options.net_prototxt, options.net_weights, options.datadir, options.filelist, out = (
        options.paths
    )
    options.outfile = Path(out)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line without the program's name.

    Returns
    -------
    int
        The exit status.
    """
    options = parse(arguments)
    # The processes that decode import this module and need no torch.
    import torchcaffe  # noqa: F401 - before torch, see torchcaffe.process.openmp
    from find_maxes.find import run
    from find_maxes.options import USER_ERRORS

    return exit_status("find_max_acts", lambda: run(options), USER_ERRORS)


if __name__ == "__main__":
    hold_all()
    sys.exit(main())
