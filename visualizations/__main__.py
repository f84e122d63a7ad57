"""`python -m visualizations`: all unit images of a model, by one command that can be resumed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import torchcaffe as caffe
from optimize.errors import OptimizeError
from optimize.params import ALL_PRESETS
from toolbox.command_line import exit_status
from toolbox.pictures.crop import RESIZE, SHORT
from toolbox.pictures.stamp import StampError
from toolbox.settings.config import SettingsError
from visualizations.errors import VisualizationsError
from visualizations.forecast import forecast
from visualizations.making import BUNDLED, ITERATIONS, PRESET, Making, settings_path
from visualizations.pipeline import alone, make

PROGRAM = "python -m visualizations"


class Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong with the command line."""

    def error(self, message: str) -> NoReturn:
        """Raise the sentence as an error."""
        raise VisualizationsError(f"{message} (see {self.prog} --help)")


def _whole(least: int, most: int = 10**6) -> Callable[[str], int]:
    """Return a reader of whole numbers within bounds."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or not least <= int(text[:9]) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return read


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog=PROGRAM, description="Make all images of a model's units: optimised "
                    "images, and, with photos, the patches that excite each unit most and their "
                    "deconvs. What is there already is kept: the same command goes on.",
                    allow_abbrev=False)  # fmt: skip
    add = parser.add_argument
    add("--model", metavar="NAME", help=f"a folder below models/ (default {BUNDLED})")
    add("--settings", type=Path, metavar="FILE", help="or a settings file")
    add("--photos", type=Path, metavar="DIR", help="the photos that the network was trained on")
    add("--layers", nargs="+", metavar="LAYER[:0-95]",
        help="which layers, and which of their units (default: all with weights)")  # fmt: skip
    add("--seeds", type=_whole(1, 25), default=9, metavar="N", help="optimised images a unit (9)")
    add("--preset", type=int, choices=list(ALL_PRESETS), default=PRESET,
        help=f"how: 1 to 4 as the paper, 5 a Fourier series, 6 MACO ({PRESET})")  # fmt: skip
    add("--max-iter", type=_whole(1), default=ITERATIONS, metavar="N",
        help=f"iterations of each ({ITERATIONS})")  # fmt: skip
    add("--tile", type=_whole(0, 4096), default=96, metavar="PX",
        help="longest side of an image in the files (96); 0 keeps true size")  # fmt: skip
    add("--quality", type=_whole(1, 100), default=75, metavar="Q", help="of the JPEG files (75)")
    add("--out", type=Path, metavar="DIR",
        help="where to (default: the settings' caffevis_unit_jpg_dir)")  # fmt: skip
    add("--work", type=Path, metavar="DIR",
        help="for what is half done, and true sizes (build/visualizations)")  # fmt: skip
    add("--resize", choices=RESIZE, default=SHORT,
        help="photos: in proportion (short), or stretched")  # fmt: skip
    add("--crop", metavar="SIZE", help="photos: resized to that (256, 256x320, none) before the "
        "input's size is cut out of the centre (default: as find_max_acts)")  # fmt: skip
    add("--image-input", metavar="NAME", help="the input that takes the picture")
    add("--hold", action="append", default=[], metavar="NAME=VALUE",
        help="what another input holds: a number, one a channel as im_info=600,800,1, or a "
        "file")  # fmt: skip
    add("--threads", type=_whole(1, 1024), metavar="N", help="processor threads")
    add("--plan", action="store_true", help="only say how long it takes and how large it gets")
    options = parser.parse_args(arguments)
    if options.model and options.settings:
        parser.error("--model and --settings exclude each other")
    return options


def _making(options: argparse.Namespace) -> Making:
    return Making(
        settings=settings_path(options.model, options.settings),
        name=options.model or (options.settings.stem if options.settings else BUNDLED),
        photos=options.photos,
        layers=options.layers,
        seeds=options.seeds,
        iterations=options.max_iter,
        preset=options.preset,
        tile=options.tile,
        quality=options.quality,
        out=options.out,
        work=options.work,
        threads=options.threads,
        fit=["--resize", options.resize, *(["--crop", options.crop] if options.crop else [])],
        image_input=options.image_input,
        hold=options.hold,
    )


def run(options: argparse.Namespace) -> None:
    """Plan, and where the user wants more than the plan, make the images."""
    making = _making(options)
    if options.plan:
        forecast(making)
        return
    with alone(making.work_folder) as held:
        make(making, forecast(making), held)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 2 after a sentence, 130 when stopped."""
    words = sys.argv[1:] if arguments is None else arguments
    errors = (
        VisualizationsError, OptimizeError, SettingsError, StampError, caffe.CaffeError,
    )  # fmt: skip
    return exit_status(
        PROGRAM, lambda: run(parse(words)), errors, "stopped; the same command goes on"
    )


if __name__ == "__main__":
    sys.exit(main())
