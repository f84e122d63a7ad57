"""`python -m find_maxes.crop_max_patches`: what the units see in their top images."""

# Worker processes import this module again: what needs torch is imported where it is used.
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from find_maxes.find_max_acts import OPTIONS as FIND_OPTIONS
from find_maxes.find_max_acts import flag, whole_from
from toolbox.command_line import exit_status, numbers

PATHS = ("MAXES.npz", "NET_PROTOTXT", "NET_WEIGHTS", "DATADIR", "FILELIST", "OUTDIR")
EPILOG = """\
MAXES.npz      what find_max_acts wrote, with the net, DATADIR and FILELIST it was given
OUTDIR         gets <layer>/unit_<0000>/{maxim,deconv,deconvnorm,backprop,backpropnorm}_<000>.png
               and info.txt
LAYER...       which layers (none: all in MAXES.npz)

Without any --do-... all are written, or, with --unit-jpg-dir, only the app's pictures.
Exit status: 0, 1 where a file was bad or a value could not be reproduced, 2 after an error
in one sentence."""

# fmt: off
OPTIONS: dict[str, dict[str, Any]] = {
    "--N": {**FIND_OPTIONS["--N"], "help": "images a unit, at most those in MAXES.npz (9)"},
    "--do-maxes": flag("write the patch of the picture"),
    "--do-deconv": flag("write its deconv"),
    "--do-deconv-norm": flag("write the deconv's norm over channels"),
    "--do-backprop": flag("write its backprop"),
    "--do-backprop-norm": flag("write the backprop's norm over channels"),
    "--do-info": flag("write info.txt"),
    "--idx-begin": {"type": whole_from(0), "default": 0, "metavar": "UNIT",
                    "help": "first unit (0)"},
    "--idx-end": {"type": whole_from(1), "metavar": "UNIT", "help": "the one after the last"},
    "--units": {"type": numbers, "metavar": "0-95,130", "help": "these only"},
    "--unit-jpg-dir": {"type": Path, "metavar": "DIR",
                       "help": "also write the app's 3x3 pictures (caffevis_unit_jpg_dir)"},
    "--gpu": FIND_OPTIONS["--gpu"],
    "--workers": FIND_OPTIONS["--workers"],
    "--allow-python-layers": FIND_OPTIONS["--allow-python-layers"],
}
# fmt: on


def make_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        prog="python -m find_maxes.crop_max_patches",
        usage=f"%(prog)s [options] {' '.join(PATHS)} LAYER...",
        description="Write the patches that units see in their top images.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in PATHS:
        parser.add_argument(name.removesuffix(".npz").lower(), help=argparse.SUPPRESS)
    parser.add_argument("layers", nargs="*", help=argparse.SUPPRESS)
    for name, words in OPTIONS.items():
        parser.add_argument(name, **words)
    return parser


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
    options = make_parser().parse_intermixed_args(arguments)
    import torchcaffe  # noqa: F401 - before torch, see torchcaffe.process.openmp
    from find_maxes.crops.crop import run
    from find_maxes.options import USER_ERRORS

    return exit_status("crop_max_patches", lambda: run(options), USER_ERRORS)


if __name__ == "__main__":
    sys.exit(main())
