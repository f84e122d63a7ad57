"""`python -m optimize.figures`: the paper's figures, each by one command."""

from __future__ import annotations

import argparse
import glob
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2

import torchcaffe as caffe
from optimize.command import settings_defaults
from optimize.command.arguments import Parser, count
from optimize.command.open_model import open_optimizer
from optimize.errors import OptimizeError
from optimize.figures import classes, features, frequency, search
from optimize.figures.registry import FIGURES, Figure, Made, Options, Studio
from optimize.output.files import check_folder, json_bytes, write
from optimize.output.pictures import encoded
from toolbox.command_line import exit_status
from toolbox.pictures.image_file import PICTURES
from toolbox.pictures.images import Image

PROGRAM = "python -m optimize.figures"
MODULES = (classes, features, search, frequency)  # importing them fills the registry


def _names(text: str) -> list[str]:
    return [piece.strip() for piece in text.split(",") if piece.strip()]


def _add_all(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the options that every figure has."""
    add = parser.add_argument
    add("--out", type=Path, default=Path(f"{name}.png"), metavar="FILE",
        help=f"a .png or .jpg file (default {name}.png); the numbers go into .json")  # fmt: skip
    add("--seed", type=int, default=0, metavar="N", help="seed of the first start (0)")
    add("--max-iter", type=count, metavar="N", help="iterations (default: the settings')")
    add("--settings", type=Path, metavar="FILE", help="instead of settings_local.py")
    add("--threads", type=count, metavar="N", help="processor threads")
    add("--brave", action="store_true", help="overwrite existing results")
    add("--quiet", action="store_true", help="no progress bar")


def _add_own(parser: argparse.ArgumentParser, figure: Figure) -> None:
    """Add those that only some have."""
    add = parser.add_argument
    if "classes" in figure.takes:
        add("--classes", type=_names, default=[], metavar="A,B",
            help="names or numbers of classes (default: the figure's own choice)")  # fmt: skip
    if "layers" in figure.takes:
        add("--layers", nargs="+", default=[], metavar="LAYER", help="default: all with weights")
    if "seeds" in figure.takes:
        add("--seeds", type=count, metavar="N", help="runs a unit (default: the paper's)")
    if "count" in figure.takes:
        add("--search", type=count, default=300, metavar="N", dest="count",
            help="how many settings to draw (300, as the paper)")  # fmt: skip
    if "photos" in figure.takes:
        add("--photos", nargs="+", type=Path, default=[], metavar="PATH",
            help="photos: files, or folders of them")  # fmt: skip


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line.

    Raises
    ------
    OptimizeError
        What is wrong with it.
    """
    parser = Parser(prog=PROGRAM, description="Make a figure of the paper.", allow_abbrev=False)
    below = parser.add_subparsers(dest="figure", required=True, metavar="FIGURE")
    for name, figure in FIGURES.items():
        own = below.add_parser(name, help=figure.about, description=figure.about,
                               allow_abbrev=False)  # fmt: skip
        _add_own(own, figure)
        _add_all(own, name)
    return parser.parse_args(arguments)


def photos_in(paths: Sequence[Path]) -> list[Path]:
    """Return the files named, and those of the folders named, sorted.

    Raises
    ------
    OptimizeError
        A path does not exist, or a folder has no pictures.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise OptimizeError(f"there is no photo or folder {path}")
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in PICTURES)
        if path.is_dir() and not inside:
            raise OptimizeError(f"there is no picture in the folder {path}")
        found += inside if path.is_dir() else [path]
    return found


def run(options: argparse.Namespace) -> None:
    """Make the figure and write it."""
    out: Path = options.out
    if out.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise OptimizeError(f"--out {out} must end in .png or .jpg")
    check_folder(out.parent)
    ours = [out, out.with_suffix(".json"), out.with_suffix(".csv")]
    ours += sorted(out.parent.glob(f"{glob.escape(out.stem)}_*{out.suffix}"))
    existing = [path for path in ours if path.exists()]
    if existing and not options.brave:
        raise OptimizeError(f"{existing[0]} exists already; --brave overwrites what is there")
    defaults = settings_defaults.read(options.settings)
    if options.threads:
        caffe.set_threads(options.threads)
    chosen = Options(
        classes=getattr(options, "classes", ()),
        layers=getattr(options, "layers", ()),
        seeds=getattr(options, "seeds", None),
        seed=options.seed,
        max_iter=options.max_iter or int(defaults.recipe["max_iter"]),
        count=getattr(options, "count", 0),
        photos=photos_in(getattr(options, "photos", ())),
        out=out,
    )
    studio = Studio(open_optimizer(defaults.model), chosen, options.quiet, defaults.model.record())
    made = FIGURES[options.figure].make(studio)
    for name in write_all(made, out, options.figure, chosen):
        print(name)
    if made.said:
        print(made.said)


def write_all(made: Made, out: Path, name: str, options: Options) -> list[Path]:
    """Write pictures and tables, and last the numbers."""
    paths = []
    for ending, picture in made.pictures.items():
        path = out.with_name(out.stem + ending + out.suffix)
        write(path, _bytes(picture, path.suffix.lower()))
        paths.append(path)
    for ending, text in made.tables.items():
        path = out.with_suffix(ending)
        write(path, text.encode("utf-8"))
        paths.append(path)
    path = out.with_suffix(".json")
    head = {"figure": name, "seed": options.seed, "max_iter": options.max_iter}
    write(path, json_bytes({**head, **made.record}))
    return [*paths, path]


def _bytes(picture: Image, ending: str) -> bytes:
    if ending != ".png":
        return encoded(picture)
    done, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not done:
        raise OptimizeError(f"OpenCV cannot encode a picture of {picture.shape[:2]} pixels")
    return data.tobytes()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, 2 after one sentence, 130 where the user stopped it."""
    words = sys.argv[1:] if arguments is None else arguments
    errors = (OptimizeError, caffe.CaffeError)
    return exit_status(PROGRAM, lambda: run(parse(words)), errors, "stopped")


if __name__ == "__main__":
    sys.exit(main())
